/**
 * Functions over lists, sets and maps: Kubernetes' own for lists (sum, min, max, isSorted, indexOf), cel-go's lists and
 * sets, and what the comprehensions with two variables insert with.
 */

import { keyText, makeInt, makeUint } from './standard-arithmetic.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { makeDuration } from './times.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  compare,
  Duration,
  EntryMap,
  equal,
  MapBuilder,
  noSuchOverload,
  Optional,
  typeOf,
  Uint,
  type Result,
  type Value,
} from './values.ts';

const onList =
  (run: (list: CelList, other: Value, third: Value) => Result): Implementation =>
  (list, other, third) =>
    list instanceof CelList ? run(list, other, third) : noSuchOverload();

function plus(a: Value, b: Value): Result {
  if (typeof a === 'bigint' && typeof b === 'bigint') return makeInt(a + b);
  if (a instanceof Uint && b instanceof Uint) return makeUint(a.value + b.value);
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a instanceof Duration && b instanceof Duration) return makeDuration(a.nanos + b.nanos);
  return noSuchOverload();
}

const sum = (zero: Value): Implementation =>
  onList((list) => {
    let total: Result = zero;
    for (const value of list) {
      total = plus(total, value);
      if (total instanceof CelError) return total;
    }
    return total;
  });

/** The smallest (−1) or largest (1) element. */
const extreme = (name: string, wanted: number): Implementation =>
  onList((list) => {
    let best: Value | undefined;
    for (const value of list) {
      if (best === undefined) {
        best = value;
        continue;
      }
      const order = compare(value, best);
      if (order === undefined) return noSuchOverload();
      if (order === wanted) best = value;
    }
    return best ?? new CelError(`${name} called on empty list`);
  });

const isSorted = onList((list) => {
  for (let i = 1; i < list.size; i++) {
    const order = compare(list.at(i - 1), list.at(i));
    if (order === undefined) return noSuchOverload();
    if (order > 0) return false;
  }
  return true;
});

const indexOf = onList((list, value) => {
  for (let i = 0; i < list.size; i++) if (equal(list.at(i), value)) return BigInt(i);
  return -1n;
});

const lastIndexOf = onList((list, value) => {
  for (let i = list.size - 1; i >= 0; i--) if (equal(list.at(i), value)) return BigInt(i);
  return -1n;
});

const SUMMABLE: readonly (readonly [string, Value])[] = [
  ['int', 0n],
  ['uint', new Uint(0n)],
  ['double', 0],
  ['duration', new Duration(0n)],
];
const COMPARABLE: readonly string[] = [
  'int',
  'uint',
  'double',
  'bool',
  'duration',
  'timestamp',
  'string',
  'bytes',
];

/** Kubernetes' own list functions. */
export const KUBERNETES_LISTS: readonly Overload[] = [
  ...SUMMABLE.map(([type, zero]) => overload(`list_${type}_sum`, `list(${type})->sum() ${type}`, sum(zero))),
  ...COMPARABLE.flatMap((type) => [
    overload(`list_${type}_is_sorted_bool`, `list(${type})->isSorted() bool`, isSorted),
    overload(`list_${type}_max_${type}`, `list(${type})->max() ${type}`, extreme('max', 1)),
    overload(`list_${type}_min_${type}`, `list(${type})->min() ${type}`, extreme('min', -1)),
  ]),
  overload('list_a_index_of_int', 'list(T)->indexOf(T) int', indexOf),
  overload('list_a_last_index_of_int', 'list(T)->lastIndexOf(T) int', lastIndexOf),
];

const has = (list: CelList, value: Value): boolean => {
  for (const element of list) if (equal(element, value)) return true;
  return false;
};

const onTwoLists =
  (run: (a: CelList, b: CelList) => boolean): Implementation =>
  (a, b) =>
    a instanceof CelList && b instanceof CelList ? run(a, b) : noSuchOverload();

const containsAll = (a: CelList, b: CelList): boolean => b.toArray().every((value) => has(a, value));

export const SETS_LIBRARY: readonly Overload[] = [
  overload('list_sets_contains_list', 'sets.contains(list(T), list(T)) bool', onTwoLists(containsAll)),
  overload(
    'list_sets_equivalent_list',
    'sets.equivalent(list(T), list(T)) bool',
    onTwoLists((a, b) => containsAll(a, b) && containsAll(b, a)),
  ),
  overload(
    'list_sets_intersects_list',
    'sets.intersects(list(T), list(T)) bool',
    onTwoLists((a, b) => a.toArray().some((value) => has(b, value))),
  ),
];

const insert: Implementation = (map, key, value) => {
  if (map instanceof MapBuilder) {
    return map.insert(key, value) ? map : new CelError(`insert failed: key ${keyText(key)} already exists`);
  }
  if (!(map instanceof CelMap)) return noSuchOverload();
  const copy = new EntryMap();
  for (const old of map.keys()) copy.insert(old, map.get(old) ?? null);
  return copy.insert(key, value) ? copy : new CelError(`insert failed: key ${keyText(key)} already exists`);
};

const insertAll: Implementation = (map, entries, third, fourth) => {
  if (!(entries instanceof CelMap)) return noSuchOverload();
  let result: Result = map;
  for (const key of entries.keys()) {
    if (result instanceof CelError) return result;
    result = insert(result, key, entries.get(key) ?? third, fourth);
  }
  return result;
};

export const TWO_VARIABLE_LIBRARY: readonly Overload[] = [
  overload('@mapInsert_map_key_value', 'cel.@mapInsert(map(K, V), K, V) map(K, V)', insert),
  overload('@mapInsert_map_map', 'cel.@mapInsert(map(K, V), map(K, V)) map(K, V)', insertAll),
];

/** The largest list that range() makes: it costs memory before it costs anything else. */
export const RANGE_SIZE_MAX = 1_000_000;

const slice = onList((list, from, to) => {
  if (typeof from !== 'bigint' || typeof to !== 'bigint') return noSuchOverload();
  if (from < 0n || to < 0n) {
    return new CelError(`cannot slice(${from}, ${to}), negative indexes not supported`);
  }
  if (from > to)
    return new CelError(`cannot slice(${from}, ${to}), start index must be less than or equal to end index`);
  if (to > BigInt(list.size))
    return new CelError(`cannot slice(${from}, ${to}), list is length ${list.size}`);
  return new ArrayList(list.toArray().slice(Number(from), Number(to)));
});

function flattened(list: CelList, depth: number): Value[] {
  return list.toArray().flatMap((value) => {
    if (!(value instanceof CelList)) return [value];
    return depth > 1 ? flattened(value, depth - 1) : value.toArray();
  });
}

const flatten = onList((list, depth) => {
  if (typeof depth === 'bigint' && depth < 0n) return new CelError('level must be non-negative');
  if (depth === 0n) return list;
  return new ArrayList(flattened(list, typeof depth === 'bigint' ? Number(depth) : 1));
});

const distinct = onList((list) => {
  const values: Value[] = [];
  for (const value of list) if (!values.some((known) => equal(known, value))) values.push(value);
  return new ArrayList(values);
});

function sortedBy(list: CelList, keys: CelList): Result {
  if (list.size !== keys.size) {
    return new CelError(
      `@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got ${list.size} and ${keys.size} elements respectively`,
    );
  }
  const first = keys.size === 0 ? undefined : typeOf(keys.at(0)).kind;
  if (
    first !== undefined &&
    !['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'].includes(first)
  ) {
    return new CelError('list elements must be comparable');
  }
  const keyed: { readonly key: Value; readonly value: Value }[] = [];
  for (let i = 0; i < list.size; i++) {
    const key = keys.at(i);
    if (typeOf(key).kind !== first) return new CelError('list elements must have the same type');
    keyed.push({ key, value: list.at(i) });
  }
  keyed.sort((a, b) => compare(a.key, b.key) ?? 0);
  return new ArrayList(keyed.map((entry) => entry.value));
}

const range: Implementation = (count) => {
  if (typeof count !== 'bigint') return noSuchOverload();
  if (count > RANGE_SIZE_MAX) return new CelError(`range(${count}) exceeds ${RANGE_SIZE_MAX} elements`);
  return new ArrayList(Array.from({ length: Math.max(Number(count), 0) }, (_none, i) => BigInt(i)));
};

const at = (last: boolean): Implementation =>
  onList((list) => new Optional(list.size === 0 ? undefined : list.at(last ? list.size - 1 : 0)));

/** cel-go's ext.Lists, version 3: in Kubernetes since 1.34. */
export const EXTENDED_LISTS: readonly Overload[] = [
  overload('list_slice', 'list(T)->slice(int, int) list(T)', slice),
  overload('list_flatten', 'list(list(T))->flatten() list(T)', flatten),
  overload('list_flatten_int', 'list(dyn)->flatten(int) list(dyn)', flatten),
  overload('list_distinct', 'list(T)->distinct() list(T)', distinct),
  overload(
    'list_reverse',
    'list(T)->reverse() list(T)',
    onList((list) => new ArrayList(list.toArray().reverse())),
  ),
  overload('lists_range', 'lists.range(int) list(int)', range),
  overload('list_first', 'list(T)->first() optional(T)', at(false)),
  overload('list_last', 'list(T)->last() optional(T)', at(true)),
  ...COMPARABLE.flatMap((type) => [
    overload(
      `list_${type}_sort`,
      `list(${type})->sort() list(${type})`,
      onList((list) => sortedBy(list, list)),
    ),
    overload(
      `list_${type}_sortByAssociatedKeys`,
      `list(T)->@sortByAssociatedKeys(list(${type})) list(T)`,
      onList((list, keys) => (keys instanceof CelList ? sortedBy(list, keys) : noSuchOverload())),
    ),
  ]),
];
