/**
 * The options of a Range request that etcd applies behind its store: filters by revision, sort, limit and
 * `more`. Pure. The order matters and is etcd's (server/etcdserver/txn/range.go): filter, sort, cut; `count`
 * is left alone by all of them.
 */
import { keyFromBytes } from '@keelson/base';
import type { KeyValue } from './key-value.ts';
import type { RangeOptions, RangeResult, RevisionError } from './state.ts';

/** etcdserverpb.RangeRequest.SortOrder, as on the wire. */
export const SortOrder = { NONE: 0, ASCEND: 1, DESCEND: 2 } as const;
/** etcdserverpb.RangeRequest.SortTarget, as on the wire. */
export const SortTarget = { KEY: 0, VERSION: 1, CREATE: 2, MOD: 3, VALUE: 4 } as const;

/** The fields of etcdserverpb.RangeRequest that matter here; a filter of 0 is off. */
export interface RangeSelection {
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
}

/** The same with the range as it is on the wire: an etcdserverpb.RangeRequest is one. */
export interface RangeRequest extends RangeSelection {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

/** Whoever answers ranges: the store, or a write transaction that sees its own writes. */
export interface RangeSource {
  range(key: string, end: string, options: RangeOptions): RangeResult | RevisionError;
}

export interface SelectedRange {
  readonly kvs: KeyValue[];
  readonly more: boolean;
  readonly count: number;
  /** The store's current revision. */
  readonly revision: number;
}

/** The whole answer to a Range request. */
export function answerRange(source: RangeSource, request: RangeRequest): SelectedRange | RevisionError {
  const result = source.range(
    keyFromBytes(request.key),
    keyFromBytes(request.rangeEnd),
    storeOptions(request),
  );
  return typeof result === 'string' ? result : selectRange(result, request);
}

/**
 * What to ask the store for. With a limit it is one more key than that, to know whether there are more; a
 * sort or filter needs the whole range. Note that an order NONE with a target other than KEY is sorted
 * ascending, but only after the limit took effect.
 */
export function storeOptions(selection: RangeSelection): RangeOptions {
  const whole = !isStoreOrder(selection.sortTarget, selection.sortOrder) || hasFilter(selection);
  const limited = !whole && selection.limit > 0 && selection.limit < Number.MAX_SAFE_INTEGER;
  return {
    revision: selection.revision,
    limit: limited ? selection.limit + 1 : 0,
    countOnly: selection.countOnly,
    keysOnly: selection.keysOnly && selection.sortTarget !== SortTarget.VALUE,
  };
}

/** Filters, sorts and cuts what the store gave for storeOptions(selection). */
export function selectRange(result: RangeResult, selection: RangeSelection): SelectedRange {
  let { kvs } = result;
  if (hasFilter(selection)) kvs = kvs.filter((kv) => passes(kv, selection));
  kvs = sorted(kvs, selection);
  const more = selection.limit > 0 && kvs.length > selection.limit;
  if (more) kvs = kvs.slice(0, selection.limit);
  if (selection.keysOnly && selection.sortTarget === SortTarget.VALUE) {
    kvs = kvs.map((kv) => kv.withoutValue());
  }
  return { kvs, more, count: result.count, revision: result.revision };
}

/** The store's own order: by key, ascending. */
function isStoreOrder(target: number, order: number): boolean {
  return order === SortOrder.NONE || (target === SortTarget.KEY && order === SortOrder.ASCEND);
}

function hasFilter(selection: RangeSelection): boolean {
  return (
    selection.minModRevision !== 0 ||
    selection.maxModRevision !== 0 ||
    selection.minCreateRevision !== 0 ||
    selection.maxCreateRevision !== 0
  );
}

function passes(kv: KeyValue, selection: RangeSelection): boolean {
  return (
    (selection.maxModRevision === 0 || kv.modRevision <= selection.maxModRevision) &&
    (selection.minModRevision === 0 || kv.modRevision >= selection.minModRevision) &&
    (selection.maxCreateRevision === 0 || kv.createRevision <= selection.maxCreateRevision) &&
    (selection.minCreateRevision === 0 || kv.createRevision >= selection.minCreateRevision)
  );
}

function sorted(kvs: KeyValue[], { sortTarget, sortOrder }: RangeSelection): KeyValue[] {
  if (sortTarget === SortTarget.KEY) return sortOrder === SortOrder.DESCEND ? kvs.slice().reverse() : kvs;
  const sign = sortOrder === SortOrder.DESCEND ? -1 : 1;
  return kvs.slice().sort((a, b) => sign * compareBy(sortTarget, a, b));
}

function compareBy(target: number, a: KeyValue, b: KeyValue): number {
  switch (target) {
    case SortTarget.VERSION:
      return a.version - b.version;
    case SortTarget.CREATE:
      return a.createRevision - b.createRevision;
    case SortTarget.MOD:
      return a.modRevision - b.modRevision;
    case SortTarget.VALUE:
      return Buffer.compare(a.value, b.value);
    default:
      return 0;
  }
}
