/**
 * Functions over lists, sets and maps: Kubernetes' own for lists (sum, min, max, isSorted, indexOf), cel-go's lists and
 * sets, and what the comprehensions with two variables insert with.
 */

import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
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
  LOOK_ELEMENTS,
  MapBuilder,
  noSuchOverload,
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

/** What walks over lists: it asks its pace at every so many elements. */
type ListWork = (list: CelList, other: Value, pace: Pace) => Sliced<Result>;

/** An overload whose first argument is a list. @param steps how many it takes; with few it is done in one go */
function overList(
  id: string,
  signature: string,
  work: ListWork,
  steps: (list: CelList, other: Value) => number = (list) => list.size,
): Overload {
  return overload(
    id,
    signature,
    onList((list, other) => finish(work(list, other, WITHOUT_PAUSE))),
    ([list, other], pace) =>
      list instanceof CelList && steps(list, other) > LOOK_ELEMENTS ? work(list, other, pace) : undefined,
  );
}

const sum = (zero: Value): ListWork =>
  function* (list, _other, pace) {
    let total: Result = zero;
    for (let i = 0; i < list.size; i++) {
      if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
      total = plus(total, list.at(i));
      if (total instanceof CelError) return total;
    }
    return total;
  };

/** The smallest (−1) or largest (1) element. */
const extreme = (name: string, wanted: number): ListWork =>
  function* (list, _other, pace) {
    let best: Value | undefined;
    for (let i = 0; i < list.size; i++) {
      if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
      const value = list.at(i);
      if (best === undefined) {
        best = value;
        continue;
      }
      const order = compare(value, best);
      if (order === undefined) return noSuchOverload();
      if (order === wanted) best = value;
    }
    return best ?? new CelError(`${name} called on empty list`);
  };

const isSorted: ListWork = function* (list, _other, pace) {
  for (let i = 1; i < list.size; i++) {
    if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
    const order = compare(list.at(i - 1), list.at(i));
    if (order === undefined) return noSuchOverload();
    if (order > 0) return false;
  }
  return true;
};

const indexOf: ListWork = function* (list, value, pace) {
  for (let i = 0; i < list.size; i++) {
    if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
    if (equal(list.at(i), value)) return BigInt(i);
  }
  return -1n;
};

const lastIndexOf: ListWork = function* (list, value, pace) {
  for (let i = list.size - 1; i >= 0; i--) {
    if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
    if (equal(list.at(i), value)) return BigInt(i);
  }
  return -1n;
};

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
  ...SUMMABLE.map(([type, zero]) => overList(`list_${type}_sum`, `list(${type})->sum() ${type}`, sum(zero))),
  ...COMPARABLE.flatMap((type) => [
    overList(`list_${type}_is_sorted_bool`, `list(${type})->isSorted() bool`, isSorted),
    overList(`list_${type}_max_${type}`, `list(${type})->max() ${type}`, extreme('max', 1)),
    overList(`list_${type}_min_${type}`, `list(${type})->min() ${type}`, extreme('min', -1)),
  ]),
  overList('list_a_index_of_int', 'list(T)->indexOf(T) int', indexOf),
  overList('list_a_last_index_of_int', 'list(T)->lastIndexOf(T) int', lastIndexOf),
];

/** Compares each element of one list with those of another until it is found. */
class Membership {
  private readonly values: readonly Value[];
  private readonly pace: Pace;
  private compared = 0;

  constructor(list: CelList, pace: Pace) {
    this.values = list.toArray();
    this.pace = pace;
  }

  *has(value: Value): Sliced<boolean> {
    for (const element of this.values) {
      this.compared++;
      if (this.compared % LOOK_ELEMENTS === 0 && this.pace.due()) yield;
      if (equal(element, value)) return true;
    }
    return false;
  }

  *hasAll(values: CelList): Sliced<boolean> {
    for (const value of values) if (!(yield* this.has(value))) return false;
    return true;
  }
}

/** Each element of one may be compared with each of the other. */
const pairs = (list: CelList, other: Value): number =>
  list.size * (other instanceof CelList ? other.size : list.size);

const onTwoLists = (run: (a: CelList, b: CelList, pace: Pace) => Sliced<boolean>): ListWork =>
  function* (a, b, pace) {
    return b instanceof CelList ? yield* run(a, b, pace) : noSuchOverload();
  };

export const SETS_LIBRARY: readonly Overload[] = [
  overList(
    'list_sets_contains_list',
    'sets.contains(list(T), list(T)) bool',
    onTwoLists((a, b, pace) => new Membership(a, pace).hasAll(b)),
    pairs,
  ),
  overList(
    'list_sets_equivalent_list',
    'sets.equivalent(list(T), list(T)) bool',
    onTwoLists(function* (a, b, pace) {
      return (yield* new Membership(a, pace).hasAll(b)) && (yield* new Membership(b, pace).hasAll(a));
    }),
    pairs,
  ),
  overList(
    'list_sets_intersects_list',
    'sets.intersects(list(T), list(T)) bool',
    onTwoLists(function* (a, b, pace) {
      const members = new Membership(b, pace);
      for (const value of a) if (yield* members.has(value)) return true;
      return false;
    }),
    pairs,
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

const distinct: ListWork = function* (list, _other, pace) {
  const values: Value[] = [];
  let compared = 0;
  for (const value of list) {
    compared += values.length;
    if (compared > LOOK_ELEMENTS) {
      compared = 0;
      if (pace.due()) yield;
    }
    if (!values.some((known) => equal(known, value))) values.push(value);
  }
  return new ArrayList(values);
};

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

/** cel-go's ext.Lists, version 3: in Kubernetes since 1.34. */
export const EXTENDED_LISTS: readonly Overload[] = [
  overload('list_slice', 'list(T)->slice(int, int) list(T)', slice),
  overload('list_flatten', 'list(list(T))->flatten() list(T)', flatten),
  overload('list_flatten_int', 'list(dyn)->flatten(int) list(dyn)', flatten),
  overList('list_distinct', 'list(T)->distinct() list(T)', distinct, pairs),
  overload(
    'list_reverse',
    'list(T)->reverse() list(T)',
    onList((list) => new ArrayList(list.toArray().reverse())),
  ),
  overload('lists_range', 'lists.range(int) list(int)', range),
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
