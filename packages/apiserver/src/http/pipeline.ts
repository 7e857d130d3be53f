/**
 * The way of a request as one array, read from top to bottom: the first filter sees a request first and its answer
 * last. What comes before (request info, the collection of warnings) and around it (errors become Statuses, headers
 * every answer carries) is the door's.
 *
 * Modelled on apiserver's server.DefaultBuildHandlerChain.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, Filter, Handler } from '../api/exchange.ts';
import { auditId } from '../filters/audit-id.ts';
import { deadline } from '../filters/deadline.ts';
import { maxInFlight, type InFlightLimits } from '../filters/in-flight.ts';
import { HttpRequest } from './request.ts';

/** What other rooms put into the way; what is left out is passed by. */
export interface Stations {
  readonly clock: Clock;
  /** A new random UUID (version 4). */
  readonly uuid: () => string;
  readonly timeoutMs?: number;
  /** Before all others: what counts requests or adds headers to every answer. */
  readonly outermost?: readonly Filter[];
  readonly authenticate?: Filter;
  /** Follows requests. */
  readonly traced?: Filter;
  readonly audit?: Filter;
  readonly impersonate?: Filter;
  /** Priority and fairness; without it `inFlight` counts. */
  readonly fairness?: Filter;
  readonly inFlight?: InFlightLimits;
  readonly authorize?: Filter;
  readonly handler: Handler;
}

export function apiPipeline(stations: Stations): Handler {
  const { clock, uuid, timeoutMs } = stations;
  const filters: readonly (Filter | undefined)[] = [
    ...(stations.outermost ?? []),
    auditId(uuid),
    deadline({ clock, abort: abortRequest, ...(timeoutMs !== undefined && { timeoutMs }) }),
    stations.authenticate,
    stations.traced,
    stations.audit,
    stations.impersonate,
    stations.fairness ?? maxInFlight(stations.inFlight),
    stations.authorize,
  ];
  return pipeline(
    filters.filter((filter) => filter !== undefined),
    stations.handler,
  );
}

/** Joins the filters before the end. */
export function pipeline(filters: readonly Filter[], end: Handler): Handler {
  return filters.reduceRight<Handler>((next, filter) => (request) => filter(request, next), end);
}

/** Ends what waits on a request's behalf; a request that did not come through a door has nobody waiting. */
function abortRequest(request: ApiRequest, reason: Error): void {
  if (request instanceof HttpRequest) request.abort(reason);
}
