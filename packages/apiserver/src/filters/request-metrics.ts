/**
 * Counts requests by what they ask for and how they were answered, and how long the answer took, under the names the
 * original gives these metrics. A stream's end is not waited for.
 *
 * Modelled on apiserver's endpoints/metrics.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, Filter } from '../api/exchange.ts';
import { ApiError } from '../api/status.ts';
import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import { isLongRunning } from './long-running.ts';

/** Seconds; the original's, with fewer steps between 0.1 and 1. */
const DURATIONS: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];
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
const READING: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

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
  const running = { mutating: 0, readOnly: 0, long: 0 };
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
  registry.add(
    new Gauge(
      'apiserver_longrunning_requests',
      'Watches and their like that were begun and wait for an answer.',
      [],
      () => [[[], running.long]],
    ),
  );
  return async (request, next) => {
    const { info } = request;
    const startMs = clock.monotonicMs();
    const kind = isLongRunning(info) ? 'long' : READING.has(info.verb) ? 'readOnly' : 'mutating';
    running[kind] += 1;
    let code = 500;
    try {
      const response = await next(request);
      ({ code } = response);
      return response;
    } catch (error) {
      if (error instanceof ApiError) code = error.code;
      throw error;
    } finally {
      running[kind] -= 1;
      const labels = labelsOf(request);
      total.add([String(code), ...labels]);
      if (kind !== 'long') duration.observe(labels, (clock.monotonicMs() - startMs) / 1000);
    }
  };
}

function labelsOf({ info, query, method }: ApiRequest): string[] {
  const dryRun = query.getAll('dryRun').join(',');
  if (!info.isResource) {
    return ['apiserver', dryRun, '', '', '', PATHS.has(info.path) ? info.path : '', method, ''];
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

function reported(verb: string): string {
  switch (verb) {
    case 'create':
      return 'POST';
    case 'update':
      return 'PUT';
    case 'deletecollection':
      return 'DELETECOLLECTION';
    default:
      return verb.toUpperCase();
  }
}
