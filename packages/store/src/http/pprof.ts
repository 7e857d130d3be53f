/**
 * /debug/pprof/ for --enable-pprof: where the member spends its time and its memory, in the form `go tool pprof` reads.
 * One profile at a time; nothing is measured while nobody asks. What only Go has (goroutines, blocking, traces) is
 * unknown here, as a profile nobody registered is there.
 */
import { gzipSync } from 'node:zlib';
import { Profiles, toError, type Clock } from '@keelson/base';
import { answerError, answerText, targetOf, type HttpHandler } from './http-answer.ts';
import type { ProcessFacts } from './process-facts.ts';

const SECONDS_DEFAULT = 30;
/** Longer than anybody waits for an answer over HTTP. */
const SECONDS_MAX = 600;

const PATHS: readonly string[] = [
  'profile',
  'heap',
  'allocs',
  'cmdline',
  'goroutine',
  'threadcreate',
  'block',
  'mutex',
  'symbol',
  'trace',
];

export function pprofHandlers(facts: ProcessFacts, clock: Clock): ReadonlyMap<string, HttpHandler> {
  const profiles = new Profiles(clock);
  const measured =
    (take: (seconds: number) => Promise<Buffer>, name: string): HttpHandler =>
    (request, response) => {
      const seconds = Number(targetOf(request).query.get('seconds') ?? SECONDS_DEFAULT);
      if (!(seconds > 0 && seconds <= SECONDS_MAX)) {
        answerError(response, 400, 'invalid value for "seconds" - must be a positive integer');
        return;
      }
      take(seconds).then(
        (profile) => {
          const body = gzipSync(profile);
          response.writeHead(200, {
            'Content-Type': 'application/octet-stream',
            'Content-Disposition': `attachment; filename="${name}"`,
            'X-Content-Type-Options': 'nosniff',
            'Content-Length': body.length,
          });
          response.end(body);
        },
        (error: unknown) =>
          answerError(response, 500, `Could not enable profiling: ${toError(error).message}`, {
            'X-Go-Pprof': '1',
          }),
      );
    };
  const handlers = new Map<string, HttpHandler>();
  for (const name of PATHS)
    handlers.set(`/debug/pprof/${name}`, (_request, response) =>
      answerError(response, 404, 'Unknown profile', { 'X-Go-Pprof': '1' }),
    );
  handlers.set('/debug/pprof/', (_request, response) =>
    answerText(response, indexPage(), 'text/html; charset=utf-8'),
  );
  handlers.set('/debug/pprof/cmdline', (_request, response) =>
    answerText(response, facts.commandLine.join('\0'), 'text/plain; charset=utf-8', {
      'X-Content-Type-Options': 'nosniff',
    }),
  );
  handlers.set(
    '/debug/pprof/profile',
    measured((seconds) => profiles.cpu(seconds), 'profile'),
  );
  handlers.set(
    '/debug/pprof/heap',
    measured((seconds) => profiles.heap(seconds), 'heap'),
  );
  handlers.set(
    '/debug/pprof/allocs',
    measured((seconds) => profiles.heap(seconds), 'allocs'),
  );
  return handlers;
}

function indexPage(): string {
  const rows = [
    ['profile?seconds=30', 'CPU: where the time went during these seconds'],
    ['heap?seconds=30', 'heap: what was allocated during these seconds and is alive at their end'],
    ['cmdline', 'the command line'],
  ];
  const links = rows.map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`);
  return `<html><head><title>/debug/pprof/</title></head><body>/debug/pprof/<ul>${links.join('')}</ul></body></html>\n`;
}
