/**
 * /debug/pprof and /debug/flags: profiles of this process in the format `go tool pprof` reads, and how much is logged.
 * Whoever may not get these paths is turned away before; on the debug socket everybody may.
 *
 * Modelled on net/http/pprof and apiserver's server/routes.
 */

import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';

/** Profiles of the process, as pprof's protobuf. */
export interface Profiler {
  /** Where time goes. @throws Error when a profile is being made already */
  cpu(seconds: number, signal: AbortSignal): Promise<Buffer>;
  /** What is allocated meanwhile and not given back. @throws Error as above */
  heap(seconds: number, signal: AbortSignal): Promise<Buffer>;
}

export interface DebugOptions {
  readonly profiler: Profiler;
  /** --v from now on; undefined where the log has no level. */
  readonly setVerbosity: ((verbosity: number) => void) | undefined;
}

/** Go's. */
const CPU_SECONDS = 30;
/** There is nothing to sample but what comes from now on. */
const HEAP_SECONDS = 10;
const SECONDS_MAX = 600;
const VERBOSITY_MAX = 2 ** 31 - 1;
const BODY_BYTES_MAX = 1_024;
const compress = promisify(gzip);

const FLAGS_PAGE =
  '<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n/debug/flags/<br>\n<br>\nflags:<br>\n<table>\n' +
  '<tr>v<br>\n</table>\n<br>\nfull flags configurable<br>\n</body>\n</html>\n';
const PROFILES_PAGE =
  '<html>\n<head>\n<title>/debug/pprof/</title>\n</head>\n<body>\n/debug/pprof/\n<br>\nTypes of profiles available:\n<table>\n' +
  "<tr><td><a href='heap'>heap</a></td><td>Allocations of the next seconds that live at their end.</td></tr>\n" +
  "<tr><td><a href='profile'>profile</a></td><td>CPU profile of the next seconds.</td></tr>\n" +
  '</table>\n<p>The seconds GET parameter says how long; read them with go tool pprof.</p>\n</body>\n</html>\n';

/** Paths with their handlers; one with a slash at the end is for all that begin so. */
export function debugPages({ profiler, setVerbosity }: DebugOptions): ReadonlyMap<string, Handler> {
  const flags: Handler = () => html(200, FLAGS_PAGE);
  return new Map<string, Handler>([
    [
      '/debug/pprof',
      () => html(302, '<a href="/debug/pprof/">Found</a>.\n\n', [['location', ['/debug/pprof/']]]),
    ],
    ['/debug/pprof/', profileHandler(profiler)],
    ['/debug/flags', flags],
    ['/debug/flags/', flags],
    ['/debug/flags/v', (request) => verbosity(request, setVerbosity)],
  ]);
}

function profileHandler(profiler: Profiler): Handler {
  return async (request) => {
    const name = request.path.slice('/debug/pprof/'.length);
    if (name === '') return html(200, PROFILES_PAGE);
    const { signal } = request;
    switch (name) {
      case 'profile':
        return await profile(request, name, CPU_SECONDS, (seconds) => profiler.cpu(seconds, signal));
      case 'heap':
      case 'allocs':
        return await profile(request, name, HEAP_SECONDS, (seconds) => profiler.heap(seconds, signal));
      default:
        return plainText(404, 'Unknown profile\n', new Map([['x-go-pprof', ['1']]]));
    }
  };
}

async function profile(
  { query }: ApiRequest,
  name: string,
  secondsUsual: number,
  make: (seconds: number) => Promise<Buffer>,
): Promise<ApiResponse> {
  const asked = Number(query.get('seconds') ?? '');
  const seconds = asked > 0 ? Math.min(asked, SECONDS_MAX) : secondsUsual;
  try {
    return {
      kind: 'bytes',
      code: 200,
      contentType: 'application/octet-stream',
      body: await compress(await make(seconds)),
      headers: new Map([
        ['content-disposition', [`attachment; filename="${name}"`]],
        ['x-content-type-options', ['nosniff']],
      ]),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return plainText(500, `Could not enable profiling: ${why}\n`, new Map([['x-go-pprof', ['1']]]));
  }
}

async function verbosity(request: ApiRequest, set: DebugOptions['setVerbosity']): Promise<ApiResponse> {
  if (request.method !== 'PUT' || set === undefined) return plain(406, 'unsupported http method');
  const text = (await request.body(BODY_BYTES_MAX)).toString('utf8');
  if (!/^\d{1,10}$/.test(text) || Number(text) > VERBOSITY_MAX) {
    const why = /^\d+$/.test(text) ? 'value out of range' : 'invalid syntax';
    return plain(400, `strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`);
  }
  set(Number(text));
  return plain(200, `successfully set klog.logging.verbosity to ${text}`);
}

function plain(code: number, text: string): ApiResponse {
  return {
    kind: 'bytes',
    code,
    contentType: 'text/plain',
    body: Buffer.from(text),
    headers: new Map([['x-content-type-options', ['nosniff']]]),
  };
}

function html(
  code: number,
  text: string,
  headers: readonly (readonly [string, readonly string[]])[] = [],
): Promise<ApiResponse> {
  return Promise.resolve({
    kind: 'bytes',
    code,
    contentType: 'text/html; charset=utf-8',
    body: Buffer.from(text),
    headers: new Map(headers),
  });
}
