/**
 * /debug/pprof/ for --enable-pprof: where the member spends its time and its memory, in the form `go tool pprof` reads.
 * One profile at a time; nothing is measured while nobody asks. What only Go has (goroutines, blocking, traces) is
 * unknown here, as a profile nobody registered is there.
 */
import { Session, type HeapProfiler, type Profiler } from 'node:inspector/promises';
import { gzipSync } from 'node:zlib';
import { toError, type Clock } from '@keelson/base';
import { answerError, answerText, targetOf, type HttpHandler } from './http-answer.ts';
import type { ProcessFacts } from './process-facts.ts';
import { encodeProfile, type CallFrame, type StackNode } from './profile-encoding.ts';

const SECONDS_DEFAULT = 30;
/** Longer than anybody waits for an answer over HTTP. */
const SECONDS_MAX = 600;
/** Go's 100 a second. */
const CPU_PERIOD_MICROSECONDS = 10_000;
/** Go's half a megabyte; V8's own default is 32 KiB. */
const HEAP_PERIOD_BYTES = 512 * 1024;

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

class Profiles {
  private readonly clock: Clock;
  private busy = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** @throws Error when a profile is being taken */
  cpu(seconds: number): Promise<Buffer> {
    return this.alone(async (session) => {
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: CPU_PERIOD_MICROSECONDS });
      await session.post('Profiler.start');
      await this.wait(seconds);
      const { profile } = await session.post('Profiler.stop');
      return encodeProfile(cpuTree(profile), {
        kinds: [
          { type: 'samples', unit: 'count' },
          { type: 'cpu', unit: 'nanoseconds' },
        ],
        period: CPU_PERIOD_MICROSECONDS * 1_000,
        timeMs: this.clock.nowMs(),
        durationMs: seconds * 1_000,
      });
    });
  }

  /** @throws Error when a profile is being taken */
  heap(seconds: number): Promise<Buffer> {
    return this.alone(async (session) => {
      await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_PERIOD_BYTES });
      await this.wait(seconds);
      const { profile } = await session.post('HeapProfiler.stopSampling');
      return encodeProfile(heapTree(profile.head), {
        kinds: [{ type: 'inuse_space', unit: 'bytes' }],
        period: HEAP_PERIOD_BYTES,
        timeMs: this.clock.nowMs(),
        durationMs: seconds * 1_000,
      });
    });
  }

  private async alone(take: (session: Session) => Promise<Buffer>): Promise<Buffer> {
    if (this.busy) throw new Error('profiling already in use');
    this.busy = true;
    const session = new Session();
    try {
      session.connect();
      return await take(session);
    } finally {
      session.disconnect();
      this.busy = false;
    }
  }

  private wait(seconds: number): Promise<void> {
    return new Promise((resolve) => void this.clock.setTimer(seconds * 1_000, resolve));
  }
}

/** V8 gives nodes by number; samples are counted where they hit. */
function cpuTree({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): StackNode {
  interface Place {
    readonly frame: CallFrame;
    readonly values: [count: number, nanoseconds: number];
    readonly children: Place[];
  }
  const places = new Map<number, Place>();
  for (const { id, callFrame } of nodes) places.set(id, { frame: callFrame, values: [0, 0], children: [] });
  for (const { id, children = [] } of nodes)
    for (const child of children) places.get(id)!.children.push(places.get(child)!);
  samples.forEach((id, i) => {
    const place = places.get(id);
    // Time without work is nothing to look at.
    if (place === undefined || place.frame.functionName === '(idle)') return;
    place.values[0]++;
    place.values[1] += Math.max(0, timeDeltas[i] ?? 0) * 1_000;
  });
  return places.get(nodes[0].id)!;
}

function heapTree({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): StackNode {
  return { frame: callFrame, values: [selfSize], children: children.map(heapTree) };
}
