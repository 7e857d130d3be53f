/**
 * Whether an answer is the one the model gives, and if not, where it differs. Exact in every field; ties of a sort may come in
 * any order, and a cut through ties may take any of them.
 */
import type { KeyValue, RangeRequest, RangeResponse, TxnOp, TxnOpResponse } from '../history/request.ts';
import { kvText, quoted } from './describe.ts';
import { covers, hasTies, passes, sortKey } from './range-model.ts';

export interface Difference {
  readonly text: string;
  /** The key that is told wrong, and what was told and expected of it; undefined where it is no key's state. */
  readonly key?: string;
  readonly told?: KeyValue | undefined;
  readonly expected?: KeyValue | undefined;
  /** The fault is in what a write says was there before it. */
  readonly before?: boolean;
}

const lease = (kv: KeyValue): string => kv.lease ?? '0';

export function sameKv(a: KeyValue | undefined, b: KeyValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.key === b.key &&
    a.value === b.value &&
    a.mod === b.mod &&
    a.create === b.create &&
    a.version === b.version &&
    lease(a) === lease(b)
  );
}

/** The same but for what keys_only leaves out: the value, and since 3.7 the lease. */
function sameKey(a: KeyValue, b: KeyValue): boolean {
  return (
    a.key === b.key && a.mod === b.mod && a.create === b.create && a.version === b.version && a.value === ''
  );
}

/**
 * Undefined: they agree.
 * @param stateOf what a key is in the state that was read; undefined: not to be had
 */
export function difference(
  request: TxnOp,
  expected: TxnOpResponse,
  told: TxnOpResponse,
  stateOf?: (key: string) => KeyValue | undefined,
): Difference | undefined {
  if (request.kind === 'range' && expected.kind === 'range' && told.kind === 'range')
    return rangeDifference(request, expected, told, stateOf);
  if (expected.kind === 'put' && told.kind === 'put') return prevDifference(expected.prev, told.prev);
  if (expected.kind === 'delete' && told.kind === 'delete') {
    if ((told.deleted ?? 0) !== (expected.deleted ?? 0))
      return { text: `deleted ${told.deleted ?? 0} keys, expected ${expected.deleted ?? 0}`, before: true };
    const [wanted, found] = [expected.prevs ?? [], told.prevs ?? []];
    for (let i = 0; i < Math.max(wanted.length, found.length); i++) {
      const different = prevDifference(wanted[i], found[i]);
      if (different !== undefined) return different;
    }
    return undefined;
  }
  if (request.kind === 'txn' && expected.kind === 'txn' && told.kind === 'txn') {
    if ((told.succeeded === true) !== (expected.succeeded === true))
      return {
        text: `its compares ${told.succeeded === true ? 'held' : 'failed'}, expected that they ${expected.succeeded === true ? 'hold' : 'fail'}`,
      };
    const ops = (expected.succeeded === true ? request.then : request.else) ?? [];
    const [wanted, found] = [expected.responses ?? [], told.responses ?? []];
    if (wanted.length !== found.length)
      return { text: `${found.length} answers within it, expected ${wanted.length}` };
    for (let i = 0; i < wanted.length; i++) {
      const different = difference(ops[i], wanted[i], found[i]);
      if (different !== undefined) return { ...different, text: `operation ${i + 1}: ${different.text}` };
    }
    return undefined;
  }
  return { text: `an answer of the kind ${told.kind}, expected ${expected.kind}` };
}

function prevDifference(expected: KeyValue | undefined, told: KeyValue | undefined): Difference | undefined {
  if (sameKv(expected, told)) return undefined;
  const key = expected?.key ?? told?.key ?? '';
  return {
    text: `the previous state was told as ${kvText(told)}, expected ${kvText(expected)}`,
    key,
    told,
    expected,
    before: true,
  };
}

function rangeDifference(
  request: RangeRequest,
  expected: RangeResponse,
  told: RangeResponse,
  stateOf: ((key: string) => KeyValue | undefined) | undefined,
): Difference | undefined {
  const [wanted, found] = [expected.kvs ?? [], told.kvs ?? []];
  const ties = hasTies(request);
  const same = request.keysOnly === true ? sameKey : sameKv;
  for (let i = 0; !ties && i < Math.max(wanted.length, found.length); i++) {
    const [want, got] = [wanted[i], found[i]];
    if (want !== undefined && got !== undefined && same(got, want)) continue;
    // The first that differs: the smaller key is the one that is missing or should not be there.
    const wantFirst = got === undefined || (want !== undefined && before(request, want.key, got.key));
    if (wantFirst)
      return {
        text: `${quoted(want.key)} is missing, expected ${kvText(want)}`,
        key: want.key,
        expected: want,
      };
    if (want !== undefined && want.key === got.key)
      return {
        text: `told ${kvText(got)}, expected ${kvText(want)}`,
        key: got.key,
        told: got,
        expected: want,
      };
    return { text: `told ${kvText(got)}, expected that it is not there`, key: got.key, told: got };
  }
  if (ties) {
    const different = tiedDifference(request, wanted, found, same, stateOf);
    if (different !== undefined) return different;
  }
  if ((told.count ?? 0) !== (expected.count ?? 0))
    return { text: `count ${told.count ?? 0}, expected ${expected.count ?? 0}` };
  if ((told.more === true) !== (expected.more === true))
    return { text: `more is ${told.more === true}, expected ${expected.more === true}` };
  return undefined;
}

function before({ order }: RangeRequest, a: string, b: string): boolean {
  return order === 'descend' ? a > b : a < b;
}

/**
 * The sort keys must be the expected ones in their order. What stands where, of equal ones, is open, and which of them a limit
 * cuts: only that no key comes twice is checked here, and that each is as expected where the limit let all through.
 */
function tiedDifference(
  request: RangeRequest,
  wanted: readonly KeyValue[],
  found: readonly KeyValue[],
  same: (a: KeyValue, b: KeyValue) => boolean,
  stateOf: ((key: string) => KeyValue | undefined) | undefined,
): Difference | undefined {
  const target = request.target ?? 'key';
  if (wanted.length !== found.length) return { text: `${found.length} keys, expected ${wanted.length}` };
  const byKey = new Map(wanted.map((kv) => [kv.key, kv]));
  const seen = new Set<string>();
  for (let i = 0; i < found.length; i++) {
    const got = found[i];
    const cut =
      stateOf === undefined || !covers(request.key, request.end, got.key) ? undefined : stateOf(got.key);
    const want = byKey.get(got.key) ?? (cut !== undefined && passes(cut, request) ? cut : undefined);
    if (seen.has(got.key)) return { text: `${quoted(got.key)} comes twice`, key: got.key, told: got };
    seen.add(got.key);
    const hidden = target === 'value' && request.keysOnly === true;
    if (want !== undefined && !same(got, want))
      return {
        text: `told ${kvText(got)}, expected ${kvText(want)}`,
        key: got.key,
        told: got,
        expected: want,
      };
    if (!hidden && sortKey(target, got) !== sortKey(target, wanted[i]))
      return {
        text: `sorted by ${target}, ${kvText(got)} stands where ${kvText(wanted[i])} is expected`,
        key: got.key,
        told: got,
      };
    // A key that only ties with one expected must be cut by the limit, and so must be one of the range.
    const cutTie =
      stateOf === undefined && sortKey(target, got) === sortKey(target, wanted[wanted.length - 1]);
    if (want === undefined && !cutTie)
      return { text: `told ${kvText(got)}, expected that it is not there`, key: got.key, told: got };
  }
  return undefined;
}
