/**
 * Counts requests by what they ask for and how they were answered, how long the answer took and how large it was, under
 * the names the original gives these metrics. What lasts as long as its client wants is counted while it does.
 *
 * Modelled on apiserver's endpoints/metrics.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter } from '../api/exchange.ts';
import type { RequestInfo } from '../api/request-info.ts';
import { ApiError } from '../api/status.ts';
import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import { isLongRunning } from './long-running.ts';
import { Until } from './until-over.ts';

/** Seconds; the original's, with fewer steps between 0.1 and 1. */
const DURATIONS: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
const SLI_DURATIONS: readonly number[] = DURATIONS.slice(DURATIONS.indexOf(0.05));
/** Bytes. */
const SIZES: readonly number[] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const EVENT_SIZES: readonly number[] = Array.from({ length: 8 }, (_, at) => 1024 * 2 ** at);
/** Paths that are told by name. */
const PATHS: ReadonlySet<string> = new Set([
  '/',
  '/api',
  '/apis',
  '/healthz',
  '/livez',
  '/metrics',
  '/openapi/v2',
  '/openapi/v3',
  '/readyz',
  '/version',
]);
/** Answers that say nothing of what was asked for: anybody gets them for names that he made up. */
const STRANGERS: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 429]);
/** Resources that were there; an aggregated server may say so of any name. */
const KNOWN_MAX = 10_000;
const VERBS: ReadonlySet<string> = new Set(
  'APPLY CONNECT CREATE DELETE DELETECOLLECTION GET HEAD LIST OPTIONS PATCH POST PROXY PUT WATCH'.split(' '),
);
const READING: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
const SIZED: ReadonlySet<string> = new Set(['get', 'list']);
/** Its place among the labels; some metrics go without. */
const DRY_RUN = 1;
/** The annotation of audit events that says so. */
const DEPRECATED = 'k8s.io/deprecated';

/** @param registry is given the metrics */
export function requestMetrics(registry: MetricsRegistry, clock: Clock): Filter {
  const what = ['component', 'dry_run', 'group', 'resource', 'scope', 'subresource', 'verb', 'version'];
  const total = registry.add(
    new Counter('apiserver_request_total', 'Requests by what they ask for and the code of the answer.', [
      'code',
      ...what,
    ]),
  );
  const duration = registry.add(
    new Histogram('apiserver_request_duration_seconds', 'Time until the answer, seconds.', what, DURATIONS),
  );
  const undriedLabels = what.filter((label) => label !== 'dry_run');
  const served = registry.add(
    new Histogram(
      'apiserver_request_sli_duration_seconds',
      'Time until the answer, what lasts left out, seconds; with what queues and webhooks took.',
      undriedLabels,
      SLI_DURATIONS,
    ),
  );
  const terminations = registry.add(
    new Counter(
      'apiserver_request_terminations_total',
      'Requests that the server gave up to protect itself.',
      ['code', ...undriedLabels],
    ),
  );
  const sizes = registry.add(
    new Histogram(
      'apiserver_response_sizes',
      'Size of answers to gets and lists, bytes.',
      undriedLabels,
      SIZES,
    ),
  );
  const watched = watchMetrics(registry);
  const deprecated = new Map<string, readonly string[]>();
  registry.add(
    new Gauge(
      'apiserver_requested_deprecated_apis',
      'Deprecated versions that were asked for.',
      ['group', 'removed_release', 'resource', 'subresource', 'version'],
      () => [...deprecated.values()].map((labels) => [labels, 1] as const),
    ),
  );
  const running = { mutating: 0, readOnly: 0 };
  registry.add(
    new Gauge(
      'apiserver_current_inflight_requests',
      'Requests that are worked on now.',
      ['request_kind'],
      () => [
        [['mutating'], running.mutating],
        [['readOnly'], running.readOnly],
      ],
    ),
  );
  /** What was there when somebody asked for it: at most what the server serves. */
  const known = new Set<string>();
  const lasting = new LastingRequests();
  registry.add(
    new Gauge('apiserver_longrunning_requests', 'Watches and their like that go on now.', undriedLabels, () =>
      lasting.series(),
    ),
  );
  return async (request, next) => {
    const { info, context } = request;
    const startMs = clock.monotonicMs();
    const long = isLongRunning(info);
    let labels = labelsOf(request);
    const undried = labels.filter((_label, place) => place !== DRY_RUN);
    const kind = READING.has(info.verb) ? 'readOnly' : 'mutating';
    const over = long ? lasting.begin(undried) : undefined;
    if (!long) running[kind] += 1;
    if (info.verb === 'watch') context.watched = watched(info);
    if (SIZED.has(info.verb)) {
      context.sent = (bytes) => {
        if (!info.isResource || known.has(resourceOf(request))) sizes.observe(undried, bytes);
      };
    }
    let code = 500;
    let lasts = false;
    let terminated = false;
    try {
      const response = await next(request);
      ({ code } = response);
      // An answer that no handler made: a level was full.
      terminated = code === 429 && response.kind === 'bytes';
      if (over === undefined) return response;
      const followed = lastingAnswer(response, over);
      lasts = followed !== response;
      return followed;
    } catch (error) {
      if (error instanceof ApiError) code = error.code;
      terminated = code === 504;
      throw error;
    } finally {
      if (!long) running[kind] -= 1;
      else if (!lasts) over?.();
      if (info.isResource) {
        const what = resourceOf(request);
        if (!STRANGERS.has(code) && known.size < KNOWN_MAX) known.add(what);
        if (!known.has(what)) labels = unknownOf(labels);
      }
      total.add([String(code), ...labels]);
      const plain = labels.filter((_label, place) => place !== DRY_RUN);
      if (terminated) terminations.add([String(code), ...plain]);
      if (!long) {
        const seconds = (clock.monotonicMs() - startMs) / 1000;
        duration.observe(labels, seconds);
        served.observe(plain, seconds);
      }
      if (context.auditAnnotations.has(DEPRECATED)) {
        const { group, resource, subresource, version } = info;
        const series = [group, '', resource, subresource, version];
        deprecated.set(series.join(' '), series);
      }
    }
  };
}

/** Events that watches send. A series begins with its first event: then the resource is there. */
function watchMetrics(registry: MetricsRegistry): (info: RequestInfo) => (bytes: number) => void {
  const labels = ['group', 'resource', 'version'];
  const total = registry.add(
    new Counter('apiserver_watch_events_total', 'Events that were sent to watches.', labels),
  );
  const sizes = registry.add(
    new Histogram('apiserver_watch_events_sizes', 'Size of events of watches, bytes.', labels, EVENT_SIZES),
  );
  return ({ group, resource, version }) => {
    let note: ((bytes: number) => void) | undefined;
    return (bytes) => {
      if (note === undefined) {
        const values = [group, resource, version];
        const [count, size] = [total.of(values), sizes.of(values)];
        note = (each) => {
          count();
          size(each);
        };
      }
      note(bytes);
    };
  };
}

/** Requests that go on, by their labels. */
class LastingRequests {
  private readonly counts = new Map<string, { readonly labels: readonly string[]; count: number }>();

  /** @returns to be called at its end; more than once does nothing */
  begin(labels: readonly string[]): () => void {
    const key = labels.join(' ');
    const found = this.counts.get(key) ?? { labels, count: 0 };
    found.count += 1;
    this.counts.set(key, found);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      found.count -= 1;
      if (found.count === 0) this.counts.delete(key);
    };
  }

  *series(): Generator<readonly [readonly string[], number]> {
    for (const { labels, count } of this.counts.values()) yield [labels, count];
  }
}

/** The answer with a word when it is over; the same one where it is already. */
function lastingAnswer(response: ApiResponse, over: () => void): ApiResponse {
  if (response.kind === 'stream') return { ...response, chunks: new Until(response.chunks, over) };
  if (response.kind !== 'switch') return response;
  return {
    ...response,
    join: (client) => response.join(client).finally(over),
    abandon: () => {
      response.abandon();
      over();
    },
  };
}

function labelsOf({ info, query, method }: ApiRequest): string[] {
  const dryRun = dryRunOf(query);
  if (!info.isResource) {
    const path = PATHS.has(info.path) ? info.path : '';
    return ['apiserver', dryRun, '', '', '', path, VERBS.has(method) ? method : 'OTHER', ''];
  }
  const scope = info.name !== '' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster';
  return [
    'apiserver',
    dryRun,
    info.group,
    info.resource,
    scope,
    info.subresource,
    reported(info.verb),
    info.version,
  ];
}

function resourceOf({ info }: ApiRequest): string {
  return [info.group, info.version, info.resource, info.subresource].join('/');
}

/** Labels of something that is perhaps not there: without the words that the client chose. */
function unknownOf(labels: readonly string[]): string[] {
  const [component, dryRun, , , scope, , verb] = labels;
  return [component, dryRun, '', '', scope, '', verb, ''];
}

function dryRunOf(query: URLSearchParams): string {
  if (!query.has('dryRun')) return '';
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.length === 0) return '';
  return values.every((value) => value === 'All') ? 'All' : 'invalid';
}

function reported(verb: string): string {
  switch (verb) {
    case 'create':
      return 'POST';
    case 'update':
      return 'PUT';
    case 'deletecollection':
      return 'DELETECOLLECTION';
    default:
      return VERBS.has(verb.toUpperCase()) ? verb.toUpperCase() : 'OTHER';
  }
}
