/**
 * The station where requests wait for each other: it finds out which level a request is of, waits for its seats, and
 * gives them back when it was answered. A watch keeps them until it runs; what else lasts as long as its client wants
 * takes none. Every answer names the schema and the level.
 *
 * Modelled on apiserver's server/filters/priority-and-fairness.go.
 */

import { assert } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter, Headers } from '../api/exchange.ts';
import { ApiError, statusObject } from '../api/status.ts';
import { asObject } from '../codec/object-codec.ts';
import type { Classified, FlowControl } from '../flowcontrol/flow-control.ts';
import type { FlowSchema, PriorityLevel } from '../flowcontrol/flow-schema.ts';
import type { WatchTracker } from '../flowcontrol/watch-tracker.ts';
import { estimateWork, type EstimateSources } from '../flowcontrol/work-estimate.ts';
import { isLongRunning } from './long-running.ts';
import { tooMany } from './too-many.ts';
import { Until } from './until-over.ts';

export interface FairnessOptions {
  readonly control: FlowControl;
  readonly watches: WatchTracker;
  readonly objects: EstimateSources['objects'];
}

export function fairness({ control, watches, objects }: FairnessOptions): Filter {
  const sources: EstimateSources = { objects, watchers: (info) => watches.interested(info) };
  // Of a request whose level holds nobody back: it waits for nothing that could be given up.
  const never = new AbortController().signal;
  const marks = new WeakMap<FlowSchema, Mark>();
  return async (request, next) => {
    const { info, query, context } = request;
    const isWatch = info.verb === 'watch';
    if (isLongRunning(info) && !isWatch) return next(request);
    assert(context.user !== undefined, 'a request reaches fairness without a user');
    const digest = { info, user: context.user };
    const classified = control.classify(digest);
    const { headers: mark } = markOf(marks, classified);
    const work = estimateWork(info, query, classified.seatsMax, sources);
    const signal = classified.level.exempt ? never : request.signal;
    const entry = await control.enter(classified, digest, work, signal);
    if (entry.kind === 'refused') return tooMany(entry.retrySeconds, mark);
    const ended = isWatch ? watches.add(info) : undefined;
    let response: ApiResponse;
    try {
      response = await answered(request, next);
    } catch (error) {
      ended?.();
      throw error;
    } finally {
      entry.seats.release();
    }
    const { headers } = response;
    const marked = { ...response, headers: headers === undefined ? mark : new Map([...headers, ...mark]) };
    if (ended === undefined) return marked;
    if (marked.kind === 'stream') return { ...marked, chunks: new Until(marked.chunks, ended) };
    ended();
    return marked;
  };
}

/** What every answer of a schema and its level carries. */
interface Mark {
  readonly level: PriorityLevel;
  readonly headers: Headers;
}

/** Made once for a schema and the level it leads to. */
function markOf(marks: WeakMap<FlowSchema, Mark>, { schema, level }: Classified): Mark {
  const known = marks.get(schema);
  if (known?.level === level) return known;
  const headers = new Map([
    ['x-kubernetes-pf-flowschema-uid', [schema.uid]],
    ['x-kubernetes-pf-prioritylevel-uid', [level.uid]],
  ]);
  const mark = { level, headers };
  marks.set(schema, mark);
  return mark;
}

/** A refusal as an answer, so that it can be marked as others are. */
async function answered(
  request: ApiRequest,
  next: (request: ApiRequest) => Promise<ApiResponse>,
): Promise<ApiResponse> {
  try {
    return await next(request);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const headers = new Map<string, readonly string[]>();
    const retryAfter = error.status.details?.retryAfterSeconds ?? 0;
    if (retryAfter > 0) headers.set('retry-after', [String(retryAfter)]);
    if (error.code === 403) headers.set('x-content-type-options', ['nosniff']);
    return { kind: 'object', code: error.code, object: asObject(statusObject(error.status)), headers };
  }
}
