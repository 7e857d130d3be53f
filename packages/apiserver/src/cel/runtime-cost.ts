/**
 * What calls cost while an expression runs: CEL-go's standard costs and those of Kubernetes' libraries. Every number
 * here is part of the API: a cost that changes lets an expression pass, or stops one that ran.
 *
 * Source: cel-go interpreter/runtimecost.go and kubernetes apiserver pkg/cel/library/cost.go (CallCost).
 */

import type { Pace, Sliced } from '../api/sliced.ts';
import { NamedFormat } from './named-format.ts';
import {
  CelError,
  CelList,
  CelMap,
  CelObject,
  costSize,
  LOOK_ELEMENTS,
  Opaque,
  type Result,
} from './values.ts';

/** A character costs a tenth to walk over; a regular expression a quarter of its length for each of those. */
export const STRING_FACTOR = 0.1;
export const REGEX_FACTOR = 0.25;

/** A selector is parsed, and each requirement of it (two characters at least) is kept. */
export const SELECTOR = { base: 10, requirement: 50 } as const;

/** One check() of an authorizer: two fit into one expression. */
export const AUTHORIZATION_CHECK_COST = 350_000;

export type CallCost = (args: readonly Result[], result: Result) => number;

const traversal = (value: Result, factor = 1): number => Math.ceil(costSize(value) * factor * STRING_FACTOR);

const ONE: CallCost = () => 1;
const WALK_FIRST: CallCost = (args) => traversal(args[0]);
const WALK_TWICE: CallCost = (args) => traversal(args[0], 2);
const MIN_OF_TWO: CallCost = (args) =>
  Math.ceil(Math.min(costSize(args[0]), costSize(args[1])) * STRING_FACTOR);
const SUM_OF_TWO: CallCost = (args) => Math.ceil((costSize(args[0]) + costSize(args[1])) * STRING_FACTOR);
const MATCH: CallCost = (args) =>
  Math.ceil((1 + costSize(args[0])) * STRING_FACTOR) * Math.ceil(costSize(args[1]) * REGEX_FACTOR);

/** The cost of walking over a value as a tree: a tenth of each string in it, one for each scalar. */
function treeCost(value: Result): number {
  if (typeof value === 'string') return Math.floor(new TextEncoder().encode(value).length * STRING_FACTOR);
  if (value instanceof Uint8Array) return Math.floor(value.length * STRING_FACTOR);
  let cost = 0;
  if (value instanceof CelList) {
    for (const element of value) cost += treeCost(element);
    return cost;
  }
  if (value instanceof CelMap) {
    for (const key of value.keys()) cost += treeCost(key) + treeCost(value.get(key) ?? null);
    return cost;
  }
  if (value instanceof CelObject) {
    for (const name of value.names()) {
      const field = value.field(name);
      if (!(field instanceof CelError)) cost += treeCost(name) + treeCost(field);
    }
    return cost;
  }
  return 1;
}

/** The same of a list that holds many, which can be put down. */
function* treeCostInSlices(value: Result, pace: Pace): Sliced<number> {
  if (!(value instanceof CelList)) return treeCost(value);
  let cost = 0;
  for (let i = 0; i < value.size; i++) {
    if (i % LOOK_ELEMENTS === 0 && pace.due()) yield;
    cost += treeCost(value.at(i));
  }
  return cost;
}

const contains =
  (compareCidrs: boolean, fromString: boolean): CallCost =>
  (args) => {
    const size = costSize(args[0]);
    let cost = Math.ceil((size + size) * STRING_FACTOR);
    if (compareCidrs) cost += Math.ceil(size * STRING_FACTOR) + 1;
    if (fromString) cost += traversal(args[1]);
    return cost;
  };

/** Sets: each element of one is compared with each of the other, once or in both directions. */
const cross =
  (factor: number): CallCost =>
  (args) =>
    costSize(args[0]) * costSize(args[1]) * factor + 1;

const selector: CallCost = (args) =>
  SELECTOR.base + Math.ceil(costSize(args[1]) / 2) * SELECTOR.requirement + traversal(args[1]);

const validation: CallCost = ([format, text]) =>
  format instanceof NamedFormat
    ? Math.ceil((1 + costSize(text)) * STRING_FACTOR) * Math.ceil(format.regexSize * REGEX_FACTOR)
    : 1;

/** Equality of a library's own types does not depend on their size. */
const equality: CallCost = (args) => (args[0] instanceof Opaque ? 1 : MIN_OF_TWO(args, null));

/** A call that makes a list: one for itself, ten for the list. */
export const LIST_CALL = 11;
/** One for each element of the result. */
const output: CallCost = (_args, result) => LIST_CALL + costSize(result);
const flattening: CallCost = ([list, depth]) =>
  LIST_CALL + costSize(list) * (typeof depth === 'bigint' ? Number(depth) : 1);
const isText = (value: Result | undefined): boolean =>
  typeof value === 'string' || value instanceof Uint8Array;
/** Elements are compared with each other, texts for a little more. */
const pairwise =
  (keys: 0 | 1): CallCost =>
  (args) => {
    const list = args[keys];
    const factor = list instanceof CelList && list.size > 0 && isText(list.at(0)) ? 2 + STRING_FACTOR : 2;
    return LIST_CALL + Math.trunc(costSize(list) ** 2 * factor);
  };

/** By function: what Kubernetes says of its own and of extended libraries. */
const BY_FUNCTION: Readonly<Record<string, CallCost>> = {
  check: () => AUTHORIZATION_CHECK_COST,
  isSorted: (args) => treeCost(args[0]),
  sum: (args) => treeCost(args[0]),
  max: (args) => treeCost(args[0]),
  min: (args) => treeCost(args[0]),
  indexOf: (args) => treeCost(args[0]),
  lastIndexOf: (args) => treeCost(args[0]),
  url: WALK_FIRST,
  lowerAscii: WALK_FIRST,
  upperAscii: WALK_FIRST,
  substring: WALK_FIRST,
  trim: WALK_FIRST,
  replace: WALK_TWICE,
  split: WALK_TWICE,
  join: (_args, result) => (result instanceof CelError ? 1 : traversal(result, 2)),
  find: MATCH,
  findAll: MATCH,
  cidr: WALK_FIRST,
  isIP: WALK_FIRST,
  isCIDR: WALK_FIRST,
  ip: WALK_FIRST,
  'ip.isCanonical': WALK_TWICE,
  quantity: WALK_FIRST,
  isQuantity: WALK_FIRST,
  validate: validation,
  fieldSelector: selector,
  labelSelector: selector,
  'jsonpatch.escapeKey': WALK_FIRST,
  semver: WALK_FIRST,
  isSemver: WALK_FIRST,
  'sets.contains': cross(1),
  'sets.intersects': cross(1),
  'sets.equivalent': cross(2),
};

/** By overload: CEL-go's own, and where a function's overloads differ. */
const BY_OVERLOAD: Readonly<Record<string, CallCost>> = {
  cidr_ip: ONE,
  cidr_contains_ip_string: contains(false, true),
  cidr_contains_ip_ip: contains(false, false),
  cidr_contains_cidr_string: contains(true, true),
  cidr_contains_cidr: contains(true, false),
  starts_with_string: WALK_FIRST,
  ends_with_string: WALK_FIRST,
  string_to_bytes: WALK_FIRST,
  bytes_to_string: WALK_FIRST,
  in_list: (args) => costSize(args[1]),
  add_string: SUM_OF_TWO,
  add_bytes: SUM_OF_TWO,
  matches_string: MATCH,
  contains_string: (args) => traversal(args[0]) * traversal(args[1]),
  equals: equality,
  string_format: WALK_FIRST,
  strings_quote: WALK_FIRST,
  not_equals: MIN_OF_TWO,
  list_slice: output,
  list_flatten: flattening,
  list_flatten_int: flattening,
  list_reverse: output,
  lists_range: output,
  list_distinct: pairwise(0),
};
const SORTED = /^list_\w+_(sort|sortByAssociatedKeys)$/;
const COMPARED = /^(?:less|less_equals|greater|greater_equals)_(?:string|bytes)$/;

/** These cost by what they give; all others can be charged before they run. */
const BY_RESULT: ReadonlySet<string> = new Set(['join', 'slice', 'reverse', 'lists.range']);

/** Whose cost is that of the tree which the first argument is. */
const BY_TREE: ReadonlySet<string> = new Set(['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf']);

export interface Charge {
  readonly cost: CallCost;
  /** Where working it out may take as long as the call; it needs no result. */
  readonly costInSlices?: ((args: readonly Result[], pace: Pace) => Sliced<number>) | undefined;
  /** Whether the result is needed to know the cost: such a call takes no longer than its result is large. */
  readonly byResult: boolean;
}

export function callCost(name: string, overloadId: string): Charge {
  const charge = { cost: costOf(name, overloadId), byResult: BY_RESULT.has(name) };
  if (!BY_TREE.has(name)) return charge;
  return { ...charge, costInSlices: ([list], pace) => treeCostInSlices(list, pace) };
}

function costOf(name: string, overloadId: string): CallCost {
  const known = Object.hasOwn(BY_OVERLOAD, overloadId) ? BY_OVERLOAD[overloadId] : undefined;
  if (known !== undefined) return known;
  if (COMPARED.test(overloadId)) return MIN_OF_TWO;
  const sorted = SORTED.exec(overloadId);
  if (sorted !== null) return pairwise(sorted[1] === 'sort' ? 0 : 1);
  return Object.hasOwn(BY_FUNCTION, name) ? BY_FUNCTION[name] : ONE;
}
