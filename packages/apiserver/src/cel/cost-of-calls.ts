/**
 * What a call may cost, from the sizes its arguments may have: Kubernetes' estimates first, then CEL-go's. A number
 * here decides which rules may be written to a CRD: a change, up or down, breaks somebody.
 *
 * Source: kubernetes apiserver pkg/cel/library/cost.go (EstimateCallCost) and cel-go checker/cost.go.
 */

import { type Expr } from './ast.ts';
import { exactly, ONE, product, scaled, sum, UNBOUNDED, UNKNOWN, ZERO, type Range } from './cost-range.ts';
import {
  AUTHORIZATION_CHECK_COST,
  LIST_CALL,
  REGEX_FACTOR,
  SELECTOR,
  STRING_FACTOR,
} from './runtime-cost.ts';
import { type CelType } from './types.ts';

/** An operand as the estimate sees it. */
export interface Operand {
  readonly type: CelType;
  readonly expr: Expr | undefined;
  /** The fields from a variable to it, where it is one of data; `@items`, `@keys`, `@values` for what is in it. */
  readonly path: readonly string[] | undefined;
  /** Undefined where nothing is known. */
  readonly size: Range | undefined;
}

export interface CallEstimate {
  /** Without what the arguments cost. */
  readonly cost: Range;
  /** Of a result that is a string, bytes, a list or a map. */
  readonly size?: Range | undefined;
}

/** Looks up what the schema says of data at a path. */
export type SizeOf = (operand: Omit<Operand, 'size'>) => Range | undefined;

/** A format's pattern and name may be this long at most. */
const FORMAT_REGEX_MAX = 128;
const FORMAT_NAME_MAX = 64;
/** The bytes of an address: 4 or 16. */
const ADDRESS: Range = { min: 4, max: 16 };

const sizeOrUnknown = (operand: Operand): Range => operand.size ?? UNKNOWN;
const walk = (operand: Operand, factor = 1): Range => scaled(sizeOrUnknown(operand), factor * STRING_FACTOR);

function matchCost(text: Operand, pattern: Operand): Range {
  const textCost = scaled(sum(sizeOrUnknown(text), ONE), STRING_FACTOR);
  return product(textCost, scaled(sizeOrUnknown(pattern), REGEX_FACTOR));
}

/** The element of a list: what the schema says of it, or what its type says. */
function elementOf(list: Operand, sizeOf: SizeOf): Operand | undefined {
  const [type] = list.type.params;
  if (type === undefined) return undefined;
  const path = list.path === undefined ? undefined : [...list.path, '@items'];
  return { type, expr: undefined, path, size: sizeOf({ type, expr: undefined, path }) };
}

function overElements(target: Operand, sizeOf: SizeOf): CallEstimate {
  const element = elementOf(target, sizeOf);
  if (element === undefined) return { cost: walk(target) };
  const { kind } = element.type;
  const each = kind === 'string' || kind === 'bytes' ? sum(ONE, walk(element)) : ONE;
  return { cost: product(sizeOrUnknown(target), each) };
}

function replaced(target: Operand, from: Operand, to: Operand): CallEstimate {
  const size = sizeOrUnknown(target);
  const old = sizeOrUnknown(from);
  const fresh = sizeOrUnknown(to);
  let [most, kept] = [0, 0];
  if (old.min === 0) {
    most = Math.min(size.max + 1, UNBOUNDED);
    kept = size.max;
  } else if (fresh.max <= old.min) {
    kept = size.max;
  } else {
    most = Math.ceil(size.max / old.min);
  }
  let [least, keptLeast] = [0, 0];
  if (old.max === 0) {
    least = Math.min(size.min + 1, UNBOUNDED);
    keptLeast = size.min;
  } else if (old.max <= fresh.min) {
    keptLeast = size.min;
  } else {
    least = Math.ceil(size.min / old.max);
  }
  return {
    cost: walk(target, 2),
    size: sum(product({ min: least, max: most }, fresh), { min: keptLeast, max: kept }),
  };
}

function joined(target: Operand, separator: Operand | undefined, sizeOf: SizeOf): CallEstimate {
  const list = sizeOrUnknown(target);
  const element = elementOf(target, sizeOf);
  let size = element === undefined ? ZERO : product(list, sizeOrUnknown(element));
  if (separator !== undefined) {
    const count = { min: Math.max(list.min - 1, 0), max: Math.max(list.max - 1, 0) };
    size = sum(size, product(sizeOrUnknown(separator), count));
  }
  return { cost: scaled(size, STRING_FACTOR), size };
}

function selectorCost(size: Range): Range {
  const cost = (length: number): number =>
    Math.min(
      SELECTOR.base + Math.ceil(length / 2) * SELECTOR.requirement + Math.ceil(length * STRING_FACTOR),
      UNBOUNDED,
    );
  return { min: cost(size.min), max: cost(size.max) };
}

function splitSize(target: Operand, limit: Operand | undefined): Range {
  const expr = limit?.expr;
  const max =
    expr?.kind === 'const' && expr.constant.kind === 'int' && expr.constant.value >= 0n
      ? Number(expr.constant.value)
      : sizeOrUnknown(target).max;
  return { min: 0, max };
}

function contained(overloadId: string, cidr: boolean, other: Operand): Range {
  let cost = scaled(sum(ADDRESS, ADDRESS), STRING_FACTOR);
  if (cidr) cost = sum(cost, scaled(ADDRESS, STRING_FACTOR), ONE);
  return overloadId.endsWith('_string') ? sum(cost, walk(other)) : cost;
}

/** An int that stands there, no less than 0; `otherwise` for anything else. */
function constantInt({ expr }: Operand, otherwise: number): number {
  if (expr?.kind !== 'const' || expr.constant.kind !== 'int') return otherwise;
  return Math.max(Number(expr.constant.value), 0);
}

/** A call that makes a list, by the steps it takes and what they cost; the list may be as long as they are many. */
const listCall = (size: Range, factor = 1): CallEstimate => ({
  cost: sum(scaled(size, factor), exactly(LIST_CALL)),
  size,
});

/** Elements are compared with each other, texts for a little more. */
function pairwise(keys: Operand, overloadId: string): CallEstimate {
  const size = sizeOrUnknown(keys);
  const isText = /^list_(?:string|bytes)_/.test(overloadId);
  return listCall(product(size, size), isText ? 2 + STRING_FACTOR : 2);
}

/** cel-go's own estimate of its extended lists, which is asked first. */
export function listCallEstimate(
  overloadId: string,
  target: Operand | undefined,
  args: readonly Operand[],
): CallEstimate | undefined {
  const [first, second] = args;
  if (overloadId === 'lists_range') return listCall(exactly(constantInt(first, UNBOUNDED)));
  if (target === undefined) return undefined;
  switch (overloadId) {
    case 'list_slice': {
      const length = constantInt(second, sizeOrUnknown(target).max) - constantInt(first, 0);
      // Counted without a sign, as there.
      return listCall(exactly(length < 0 ? UNBOUNDED + length : length));
    }
    case 'list_flatten':
    case 'list_flatten_int':
      return listCall(sizeOrUnknown(target), first === undefined ? 1 : constantInt(first, UNBOUNDED));
    case 'list_reverse':
      return listCall(sizeOrUnknown(target));
    case 'list_distinct':
      return pairwise(target, '');
    default:
      if (overloadId.endsWith('_sort')) return pairwise(target, overloadId);
      return overloadId.endsWith('_sortByAssociatedKeys') ? pairwise(first, overloadId) : undefined;
  }
}

/** Equality of the types libraries bring. */
function equalOpaque(a: Operand, b: Operand): Range | undefined {
  if (a.type.kind !== 'opaque' || !a.type.equals(b.type) || a.type.name === 'optional_type') return undefined;
  switch (a.type.name) {
    case 'kubernetes.NamedFormat':
      return scaled({ min: 1, max: FORMAT_NAME_MAX }, STRING_FACTOR);
    case 'kubernetes.URL':
      // Of both sides the right one's size is taken, as the original does.
      return scaled({ min: 1, max: b.size?.max ?? 1 }, STRING_FACTOR);
    default:
      return ONE;
  }
}

/** Functions that only read a part of a value, or note something in one. */
const NOMINAL: ReadonlySet<string> = new Set(
  (
    'serviceAccount path group resource subresource namespace name allowed reason error errored ' +
    'masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast isGlobalUnicast ' +
    'sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan compareTo add sub major minor patch ' +
    'format.named getScheme getHostname getHost getPort getEscapedPath getQuery'
  ).split(' '),
);

/** Kubernetes' own estimate; undefined for what it leaves to CEL-go. */
export function kubernetesCall(
  name: string,
  overloadId: string,
  target: Operand | undefined,
  args: readonly Operand[],
  sizeOf: SizeOf,
): CallEstimate | undefined {
  if (overloadId === 'cidr_ip' || NOMINAL.has(name)) return { cost: ONE };
  const [first, second] = args;
  switch (name) {
    case 'check':
      return { cost: exactly(AUTHORIZATION_CHECK_COST) };
    case 'fieldSelector':
    case 'labelSelector':
      return { cost: selectorCost(sizeOrUnknown(first)) };
    case 'isSorted':
    case 'sum':
    case 'max':
    case 'min':
    case 'indexOf':
    case 'lastIndexOf':
      return target === undefined ? undefined : overElements(target, sizeOf);
    case 'url':
    case 'jsonpatch.escapeKey':
      return { cost: walk(first), size: sizeOrUnknown(first) };
    case 'lowerAscii':
    case 'upperAscii':
    case 'substring':
    case 'trim':
      return target === undefined ? undefined : { cost: walk(target), size: sizeOrUnknown(target) };
    case 'replace':
      return target === undefined ? undefined : replaced(target, first, second);
    case 'split':
      return target === undefined ? undefined : { cost: walk(target, 2), size: splitSize(target, second) };
    case 'join':
      return target === undefined ? undefined : joined(target, first, sizeOf);
    case 'find':
    case 'findAll':
      if (target === undefined) return undefined;
      return { cost: matchCost(target, first), size: { min: 0, max: sizeOrUnknown(target).max } };
    case 'cidr':
    case 'ip':
    case 'isIP':
    case 'isCIDR':
    case 'quantity':
    case 'isQuantity':
    case 'semver':
    case 'isSemver':
      return { cost: walk(first) };
    case 'ip.isCanonical':
      return { cost: walk(first, 2) };
    case 'containsIP':
    case 'containsCIDR':
      return { cost: contained(overloadId, name === 'containsCIDR', first) };
    case 'validate':
      return { cost: scaled(walk(first), FORMAT_REGEX_MAX * REGEX_FACTOR) };
    case 'sets.contains':
    case 'sets.intersects':
      return { cost: sum(product(sizeOrUnknown(first), sizeOrUnknown(second)), ONE) };
    case 'sets.equivalent':
      return { cost: sum(product(product(sizeOrUnknown(first), sizeOrUnknown(second)), exactly(2)), ONE) };
    case '_==_': {
      const cost = equalOpaque(first, second);
      return cost === undefined ? undefined : { cost };
    }
    default:
      return undefined;
  }
}

const COMPARED = /^(?:less|less_equals|greater|greater_equals)_(?:string|bytes)$/;

/** CEL-go's own estimate of its standard functions. */
export function standardCall(
  overloadId: string,
  target: Operand | undefined,
  args: readonly Operand[],
): CallEstimate {
  const [first, second] = args;
  switch (overloadId) {
    case 'string_format': {
      if (target === undefined) break;
      return { cost: walk(target), size: UNKNOWN };
    }
    case 'strings_quote': {
      const size = sizeOrUnknown(first);
      return { cost: walk(first), size: sum({ min: size.min, max: size.max * 2 }, exactly(2)) };
    }
    case 'string_to_bytes': {
      const size = sizeOrUnknown(first);
      return { cost: walk(first), size: { min: size.min, max: Math.min(size.max * 4, UNBOUNDED) } };
    }
    case 'bytes_to_string': {
      const size = sizeOrUnknown(first);
      return { cost: walk(first), size: { min: Math.floor(size.min / 4), max: size.max } };
    }
    case 'starts_with_string':
    case 'ends_with_string':
      return { cost: walk(first) };
    case 'in_list':
      return { cost: sizeOrUnknown(second) };
    case 'matches_string':
      return target === undefined ? { cost: ONE } : { cost: matchCost(target, first) };
    case 'contains_string':
      return target === undefined ? { cost: ONE } : { cost: product(walk(target), walk(first)) };
    case 'add_list':
      return { cost: ONE, size: sum(sizeOrUnknown(first), sizeOrUnknown(second)) };
    case 'add_string':
    case 'add_bytes': {
      const size = sum(sizeOrUnknown(first), sizeOrUnknown(second));
      return { cost: scaled(size, STRING_FACTOR), size };
    }
    default:
      if (overloadId === 'equals' || overloadId === 'not_equals' || COMPARED.test(overloadId)) {
        const max = Math.min(sizeOrUnknown(first).max, sizeOrUnknown(second).max);
        return { cost: scaled({ min: max > 0 ? 1 : 0, max }, STRING_FACTOR) };
      }
  }
  return { cost: ONE };
}
