/**
 * How many seats a request takes: a list by how much it would load, a watch that begins with all objects as a list, a
 * write by the watchers that are told of it, everything else one.
 *
 * Modelled on apiserver's util/flowcontrol/request with its constants; the cost of watchers, which is off in the
 * original until it is tuned, counts here: one thread does the telling.
 */

import { isTrue, type RequestInfo } from '../api/request-info.ts';
import type { Work } from './queue-set.ts';

/** What is known of a resource's objects. */
export interface ObjectStats {
  readonly count: number;
  /** Bytes of one on average; undefined: nobody knows. */
  readonly averageBytes: number | undefined;
}

export interface EstimateSources {
  /** Undefined for a resource that is not known, or not ours. */
  readonly objects: (group: string, resource: string) => ObjectStats | undefined;
  /** Watches that a change of the request's object is told to. */
  readonly watchers: (info: RequestInfo) => number;
}

const LIST_SEATS_MAX = 100;
/** Without sizes to go by. */
const LIST_SEATS_MAX_BY_COUNT = 10;
const OBJECTS_PER_SEAT = 100;
const BYTES_PER_SEAT = 100_000;
/** What a list from a cache, sent piece by piece, holds at most at a time. */
const CACHED_LIST_BYTES_MAX = 1_000_000;
const WRITE_SEATS_MAX = 10;
const WATCHERS_PER_SEAT = 10;
const EVENT_MS = 5;

const ONE: Work = { seats: 1, finalSeats: 0, finalMs: 0 };
const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete']);

/** @param seatsMax of a request of its level */
export function estimateWork(
  info: RequestInfo,
  query: URLSearchParams,
  seatsMax: number,
  sources: EstimateSources,
): Work {
  if (info.verb === 'list' || (info.verb === 'watch' && isTrue(query.get('sendInitialEvents')))) {
    return { ...ONE, seats: listSeats(info, query, seatsMax, sources) };
  }
  // A token changes no object.
  if (!info.isResource || !WRITES.has(info.verb) || info.subresource === 'token') return ONE;
  const watchers = sources.watchers(info);
  if (watchers < WATCHERS_PER_SEAT) return ONE;
  const wanted = Math.ceil(watchers / WATCHERS_PER_SEAT);
  const finalSeats = Math.min(wanted, WRITE_SEATS_MAX, Math.max(1, seatsMax));
  // The same work on fewer seats takes longer.
  return { seats: 1, finalSeats, finalMs: (EVENT_MS * wanted) / finalSeats };
}

function listSeats(
  info: RequestInfo,
  query: URLSearchParams,
  seatsMax: number,
  { objects }: EstimateSources,
): number {
  const stats = objects(info.group, info.resource);
  // One object by its name, or somebody else's list.
  if (info.name !== '' || stats === undefined) return 1;
  const limit = Number(query.get('limit') ?? '0');
  const limited = limit > 0 && limit < stats.count ? limit : stats.count;
  const cached = info.verb === 'watch' || isFromCache(query);
  const selects = info.fieldSelector !== '' || info.labelSelector !== '';
  if (stats.averageBytes === undefined) {
    const loaded = cached ? stats.count : selects ? stats.count + limited : 2 * limited;
    return within(Math.ceil(loaded / OBJECTS_PER_SEAT), Math.min(seatsMax, LIST_SEATS_MAX_BY_COUNT));
  }
  const loaded = !cached && selects ? Math.max(limited, stats.count / 2) : limited;
  const bytes = loaded * stats.averageBytes;
  const held = cached ? Math.min(bytes, CACHED_LIST_BYTES_MAX) : bytes;
  return within(Math.ceil(held / BYTES_PER_SEAT), Math.min(seatsMax, LIST_SEATS_MAX));
}

/** Pages at a revision are the store's; everything else a cache can answer. */
function isFromCache(query: URLSearchParams): boolean {
  return (query.get('continue') ?? '') === '' && query.get('resourceVersionMatch') !== 'Exact';
}

function within(seats: number, most: number): number {
  return Math.max(1, Math.min(seats, most));
}
