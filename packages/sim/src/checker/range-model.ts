/**
 * How etcd selects what a Range returns, and how a transaction's guard is decided: filter, sort, cut, count. Pure functions of
 * the keys as they are.
 */
import type { SortedMap } from '@keelson/base';
import type { Compare, KeyValue, RangeRequest, RangeResponse, SortTarget } from '../history/request.ts';

/** A range on the wire as [first, beyond); beyond undefined: to the end. */
export function bounds(key: string, end: string | undefined): [low: string, high: string | undefined] {
  if (end === undefined || end === '') return [key, `${key}\0`];
  return [key, end === '\0' ? undefined : end];
}

export function covers(key: string, end: string | undefined, name: string): boolean {
  if (end === undefined || end === '') return name === key;
  return name >= key && (end === '\0' || name < end);
}

/** The number or text that a sort goes by. */
export function sortKey(target: SortTarget, kv: KeyValue): number | string {
  return kv[target];
}

export function passes(kv: KeyValue, request: RangeRequest): boolean {
  const { minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0 } = request;
  return (
    (minMod === 0 || kv.mod >= minMod) &&
    (maxMod === 0 || kv.mod <= maxMod) &&
    (minCreate === 0 || kv.create >= minCreate) &&
    (maxCreate === 0 || kv.create <= maxCreate)
  );
}

export function hasFilter({ minMod = 0, maxMod = 0, minCreate = 0, maxCreate = 0 }: RangeRequest): boolean {
  return minMod !== 0 || maxMod !== 0 || minCreate !== 0 || maxCreate !== 0;
}

/** Whether ties may be answered in any order: etcd's sort is not stable. */
export function hasTies(request: RangeRequest): boolean {
  return request.target !== undefined && request.target !== 'key';
}

/**
 * The answer, given the keys of the range.
 * @param count how many there are; neither filters nor the limit change it
 * @param each visits them in the order of their names until it is told false
 */
export function selectRange(
  request: RangeRequest,
  count: number,
  each: (visit: (kv: KeyValue) => boolean) => void,
): RangeResponse {
  if (request.countOnly === true) return { kind: 'range', kvs: [], count, more: false };
  const { limit = 0, order, target = 'key' } = request;
  let kvs = candidates(request, each);
  if (target !== 'key') {
    const sign = order === 'descend' ? -1 : 1;
    kvs.sort((a, b) => {
      const [x, y] = [sortKey(target, a), sortKey(target, b)];
      return x === y ? 0 : x < y ? -sign : sign;
    });
  } else if (order === 'descend') kvs.reverse();
  const more = limit > 0 && kvs.length > limit;
  if (more) kvs = kvs.slice(0, limit);
  return { kind: 'range', kvs, count, more };
}

/** What passes the filters; one more than the limit where etcd cuts before it sorts. */
export function candidates(
  request: RangeRequest,
  each: (visit: (kv: KeyValue) => boolean) => void,
): KeyValue[] {
  const { limit = 0, order, target = 'key' } = request;
  const whole = hasFilter(request) || (order !== undefined && !(target === 'key' && order === 'ascend'));
  const most = whole || limit <= 0 ? Infinity : limit + 1;
  const kvs: KeyValue[] = [];
  each((kv) => {
    if (passes(kv, request)) kvs.push(kv);
    return kvs.length < most;
  });
  return kvs;
}

/** One guard. A key that is not there fails every compare of values, and is all zeros to the others. */
export function comparesHold(compare: Compare, live: SortedMap<KeyValue>): boolean {
  const [low, high] = bounds(compare.key, compare.end);
  let any = false;
  let all = true;
  live.range(low, high, (_, kv) => {
    any = true;
    all = holds(compare, kv);
    return all;
  });
  if (any) return all;
  return compare.target !== 'value' && holds(compare, { key: '', value: '', create: 0, mod: 0, version: 0 });
}

function holds({ target, result, operand }: Compare, kv: KeyValue): boolean {
  const order =
    target === 'lease'
      ? orderOf(BigInt(`0x${kv.lease ?? '0'}`), BigInt(`0x${operand === '' ? '0' : operand}`))
      : target === 'value'
        ? orderOf(kv.value, String(operand))
        : orderOf(kv[target], Number(operand));
  if (result === 'equal') return order === 0;
  if (result === 'notEqual') return order !== 0;
  return result === 'greater' ? order > 0 : order < 0;
}

function orderOf<T extends bigint | number | string>(a: T, b: T): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
