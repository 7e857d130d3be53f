/** The door for requests that are handed on to other servers, with what is counted of them. */

import type { Clock } from '@keelson/base';

import { Counter, Gauge, type MetricsRegistry } from '../metrics/registry.ts';
import { BackendCaller, type BackendCallerOptions } from '../outbound/backend-caller.ts';

export interface BackendCallerParts {
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly lookup: BackendCallerOptions['lookup'];
  readonly metrics: MetricsRegistry;
}

export function makeBackendCaller({ clock, lookup, metrics }: BackendCallerParts): BackendCaller {
  const failed = metrics.add(
    new Counter(
      'keelson_apiserver_backend_dial_failures_total',
      'Connections to servers behind this one (nodes, services, aggregated APIs) that did not come about.',
    ),
  );
  const refused = metrics.add(
    new Counter(
      'keelson_apiserver_backend_refused_total',
      'Requests that were not handed on, because too many are.',
    ),
  );
  const caller = new BackendCaller({
    clock,
    lookup,
    observer: { dialFailed: () => failed.add(), refused: () => refused.add() },
  });
  metrics.add(
    new Gauge(
      'keelson_apiserver_backend_connections',
      'Requests that are handed on to servers behind this one now: answers under way, and connections that left HTTP.',
      ['kind'],
      () => [
        [['answer'], caller.openCounts.answer],
        [['tunnel'], caller.openCounts.switch],
      ],
    ),
  );
  return caller;
}
