/**
 * The operators of the language: arithmetic with overflow errors, comparison (of unlike numbers too), membership,
 * indexing, size. Overload names and error texts are CEL-go's: costs and clients go by them.
 */

import { INT_MAX, INT_MIN, UINT_MAX } from './literals.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import { OPERATOR } from './ast.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { makeDuration, makeTimestamp } from './times.ts';
import {
  CelError,
  CelList,
  CelMap,
  CelObject,
  compare,
  Comparison,
  costSize,
  Duration,
  equal,
  isComposite,
  ListBuilder,
  LOOK_ELEMENTS,
  noSuchOverload,
  Opaque,
  Optional,
  RESULT_LENGTH_MAX,
  stringSize,
  Timestamp,
  typeName,
  typeOf,
  Uint,
  type Result,
  type Value,
} from './values.ts';

export function makeInt(value: bigint): bigint | CelError {
  return value < INT_MIN || value > INT_MAX ? new CelError('integer overflow') : value;
}

export function makeUint(value: bigint): Uint | CelError {
  return value < 0n || value > UINT_MAX ? new CelError('unsigned integer overflow') : new Uint(value);
}

type IntOperation = (a: bigint, b: bigint) => bigint;

const onInts =
  (operation: IntOperation, byZero?: string): Implementation =>
  (a, b) => {
    if (typeof a !== 'bigint' || typeof b !== 'bigint') return noSuchOverload();
    return byZero !== undefined && b === 0n ? new CelError(byZero) : makeInt(operation(a, b));
  };

const onUints =
  (operation: IntOperation, byZero?: string): Implementation =>
  (a, b) => {
    if (!(a instanceof Uint) || !(b instanceof Uint)) return noSuchOverload();
    return byZero !== undefined && b.value === 0n
      ? new CelError(byZero)
      : makeUint(operation(a.value, b.value));
  };

const onDoubles =
  (operation: (a: number, b: number) => number): Implementation =>
  (a, b) =>
    typeof a === 'number' && typeof b === 'number' ? operation(a, b) : noSuchOverload();

const DIVIDE_BY_ZERO = 'division by zero';
const MODULUS_BY_ZERO = 'modulus by zero';

function addTimes(a: Value, b: Value): Result {
  if (a instanceof Timestamp && b instanceof Duration) return makeTimestamp(a.nanos + b.nanos);
  if (a instanceof Duration && b instanceof Timestamp) return makeTimestamp(a.nanos + b.nanos);
  if (a instanceof Duration && b instanceof Duration) return makeDuration(a.nanos + b.nanos);
  return noSuchOverload();
}

function subtractTimes(a: Value, b: Value): Result {
  if (a instanceof Timestamp && b instanceof Timestamp) return makeDuration(a.nanos - b.nanos);
  if (a instanceof Timestamp && b instanceof Duration) return makeTimestamp(a.nanos - b.nanos);
  if (a instanceof Duration && b instanceof Duration) return makeDuration(a.nanos - b.nanos);
  return noSuchOverload();
}

// A sum of what is `dyn` costs one, however long it is, and so does one of lists: twenty sums in a row make of a
// thousand a thousand million.
const tooLong = (): CelError => new CelError('add: the result is too long');

function addStrings(a: Value, b: Value): Result {
  if (typeof a !== 'string' || typeof b !== 'string') return noSuchOverload();
  return a.length + b.length > RESULT_LENGTH_MAX ? tooLong() : a + b;
}

function addBytes(a: Value, b: Value): Result {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return noSuchOverload();
  if (a.length + b.length > RESULT_LENGTH_MAX) return tooLong();
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

function addLists(a: Value, b: Value): Result {
  if (!(a instanceof CelList) || !(b instanceof CelList)) return noSuchOverload();
  if (a instanceof ListBuilder) {
    for (const value of b) a.values.push(value);
    return a;
  }
  return a.size + b.size > RESULT_LENGTH_MAX ? tooLong() : a.joined(b);
}

const add = OPERATOR.add;
const subtract = OPERATOR.subtract;
const multiply = OPERATOR.multiply;
const divide = OPERATOR.divide;
const modulo = OPERATOR.modulo;

export const ARITHMETIC: readonly Overload[] = [
  overload('add_bytes', `${add}(bytes, bytes) bytes`, addBytes),
  overload(
    'add_double',
    `${add}(double, double) double`,
    onDoubles((a, b) => a + b),
  ),
  overload('add_duration_duration', `${add}(duration, duration) duration`, addTimes),
  overload('add_duration_timestamp', `${add}(duration, timestamp) timestamp`, addTimes),
  overload('add_timestamp_duration', `${add}(timestamp, duration) timestamp`, addTimes),
  overload(
    'add_int64',
    `${add}(int, int) int`,
    onInts((a, b) => a + b),
  ),
  overload('add_list', `${add}(list(A), list(A)) list(A)`, addLists),
  overload('add_string', `${add}(string, string) string`, addStrings),
  overload(
    'add_uint64',
    `${add}(uint, uint) uint`,
    onUints((a, b) => a + b),
  ),
  overload(
    'subtract_double',
    `${subtract}(double, double) double`,
    onDoubles((a, b) => a - b),
  ),
  overload('subtract_duration_duration', `${subtract}(duration, duration) duration`, subtractTimes),
  overload(
    'subtract_int64',
    `${subtract}(int, int) int`,
    onInts((a, b) => a - b),
  ),
  overload('subtract_timestamp_duration', `${subtract}(timestamp, duration) timestamp`, subtractTimes),
  overload('subtract_timestamp_timestamp', `${subtract}(timestamp, timestamp) duration`, subtractTimes),
  overload(
    'subtract_uint64',
    `${subtract}(uint, uint) uint`,
    onUints((a, b) => a - b),
  ),
  overload(
    'multiply_double',
    `${multiply}(double, double) double`,
    onDoubles((a, b) => a * b),
  ),
  overload(
    'multiply_int64',
    `${multiply}(int, int) int`,
    onInts((a, b) => a * b),
  ),
  overload(
    'multiply_uint64',
    `${multiply}(uint, uint) uint`,
    onUints((a, b) => a * b),
  ),
  overload(
    'divide_double',
    `${divide}(double, double) double`,
    onDoubles((a, b) => a / b),
  ),
  overload(
    'divide_int64',
    `${divide}(int, int) int`,
    onInts((a, b) => a / b, DIVIDE_BY_ZERO),
  ),
  overload(
    'divide_uint64',
    `${divide}(uint, uint) uint`,
    onUints((a, b) => a / b, DIVIDE_BY_ZERO),
  ),
  overload(
    'modulo_int64',
    `${modulo}(int, int) int`,
    // The smallest int has no negative, and Go's own remainder by −1 would need it.
    onInts((a, b) => (a === INT_MIN && b === -1n ? INT_MAX + 1n : a % b), MODULUS_BY_ZERO),
  ),
  overload(
    'modulo_uint64',
    `${modulo}(uint, uint) uint`,
    onUints((a, b) => a % b, MODULUS_BY_ZERO),
  ),
  overload('negate_double', `${OPERATOR.negate}(double) double`, (a) =>
    typeof a === 'number' ? -a : noSuchOverload(),
  ),
  overload('negate_int64', `${OPERATOR.negate}(int) int`, (a) =>
    typeof a === 'bigint' ? makeInt(-a) : noSuchOverload(),
  ),
  overload('logical_not', `${OPERATOR.not}(bool) bool`, (a) =>
    typeof a === 'boolean' ? !a : noSuchOverload(),
  ),
];

const ordered =
  (holds: (order: number) => boolean): Implementation =>
  (a, b) => {
    const order = compare(a, b);
    if (order !== undefined) return holds(order);
    return Number.isNaN(a) || Number.isNaN(b)
      ? new CelError('NaN values cannot be ordered')
      : noSuchOverload();
  };

/** `less_int64`, `less_int64_double` …: the same order for each pair of types. */
function comparisons(
  name: string,
  operator: string,
  holds: (order: number) => boolean,
  crossType: boolean,
): Overload[] {
  const run = ordered(holds);
  const same = [
    ['bool', 'bool'],
    ['int64', 'int'],
    ['uint64', 'uint'],
    ['double', 'double'],
    ['string', 'string'],
    ['bytes', 'bytes'],
    ['timestamp', 'timestamp'],
    ['duration', 'duration'],
  ].map(([id, type]) => overload(`${name}_${id}`, `${operator}(${type}, ${type}) bool`, run));
  if (!crossType) return same;
  const cross = [
    ['int64_double', 'int, double'],
    ['int64_uint64', 'int, uint'],
    ['uint64_double', 'uint, double'],
    ['uint64_int64', 'uint, int'],
    ['double_int64', 'double, int'],
    ['double_uint64', 'double, uint'],
  ].map(([id, types]) => overload(`${name}_${id}`, `${operator}(${types}) bool`, run));
  return [...same, ...cross];
}

/** @param crossType whether an int may be compared with a double (since 1.28) */
export function comparisonFunctions(crossType: boolean): readonly Overload[] {
  return [
    ...comparisons('less', OPERATOR.less, (order) => order < 0, crossType),
    ...comparisons('less_equals', OPERATOR.lessEquals, (order) => order <= 0, crossType),
    ...comparisons('greater', OPERATOR.greater, (order) => order > 0, crossType),
    ...comparisons('greater_equals', OPERATOR.greaterEquals, (order) => order >= 0, crossType),
  ];
}

function index(container: Value, key: Value): Result {
  if (container instanceof CelList) {
    const whole = key instanceof Uint ? key.value : key;
    if (typeof whole !== 'bigint' && !(typeof whole === 'number' && Number.isInteger(whole))) {
      return typeof whole === 'number'
        ? new CelError(`unsupported index value ${whole} in list`)
        : new CelError(`unsupported index type '${typeName(typeOf(key))}' in list`);
    }
    const at = Number(whole);
    return at < 0 || at >= container.size ? new CelError(`index out of bounds: ${at}`) : container.at(at);
  }
  if (container instanceof CelMap) {
    const value = container.get(key);
    if (value !== undefined) return value;
    if (typeof key === 'object' && !(key instanceof Uint)) return noSuchOverload();
    return new CelError(`no such key: ${keyText(key)}`);
  }
  if (container instanceof CelObject && typeof key === 'string') return container.field(key);
  return new CelError(`no such key: ${keyText(key)}`);
}

export function keyText(key: Value): string {
  if (key instanceof Uint) return key.value.toString();
  return typeof key === 'object' ? '' : String(key);
}

function contains(value: Value, container: Value): Result {
  if (container instanceof CelList) {
    for (let i = 0; i < container.size; i++) if (equal(container.at(i), value)) return true;
    return false;
  }
  return container instanceof CelMap ? container.get(value) !== undefined : noSuchOverload();
}

/** `in` a list that holds many, or values that do. */
function seldomContains([value, container]: readonly Value[], pace: Pace): Sliced<Result> | undefined {
  if (!(container instanceof CelList) || (container.size < LOOK_ELEMENTS && !isComposite(value))) {
    return undefined;
  }
  return containsInSlices(value, container, pace);
}

function* containsInSlices(value: Value, container: CelList, pace: Pace): Sliced<Result> {
  const comparison = new Comparison(pace);
  for (let i = 0; i < container.size; i++) {
    if (comparison.due()) yield;
    const element = container.at(i);
    if (isComposite(element) ? yield* comparison.equal(element, value) : equal(element, value)) return true;
  }
  return false;
}

const size: Implementation = (value) => {
  if (typeof value === 'string') return BigInt(stringSize(value));
  return value instanceof CelList || value instanceof CelMap || value instanceof Uint8Array
    ? BigInt(costSize(value))
    : noSuchOverload();
};

const never: Implementation = () => noSuchOverload();

/** A library's own value is compared with its like only, and authorizers with nothing. */
function equality(a: Value, b: Value): boolean | CelError {
  if (a instanceof Optional && b instanceof Optional && a.value !== undefined && b.value !== undefined) {
    return equality(a.value, b.value);
  }
  if (!(a instanceof Opaque) || b === null) return equal(a, b);
  const comparable =
    b instanceof Opaque &&
    a.type.name === b.type.name &&
    !a.type.name.startsWith('kubernetes.authorization.');
  return comparable ? equal(a, b) : noSuchOverload();
}

/** Equality of values that hold values. */
const seldomEqual =
  (wanted: boolean) =>
  ([a, b]: readonly Value[], pace: Pace): Sliced<Result> | undefined => {
    const composite = isComposite(a) && !(a instanceof Optional) && isComposite(b);
    return composite ? equalInSlices(a, b, wanted, pace) : undefined;
  };

function* equalInSlices(a: Value, b: Value, wanted: boolean, pace: Pace): Sliced<Result> {
  return (yield* new Comparison(pace).equal(a, b)) === wanted;
}

export const CONTAINERS: readonly Overload[] = [
  // The evaluator has its own ways for these three: they do not evaluate all arguments.
  overload('conditional', `${OPERATOR.conditional}(bool, A, A) A`, never),
  overload('logical_and', `${OPERATOR.and}(bool, bool) bool`, never),
  overload('logical_or', `${OPERATOR.or}(bool, bool) bool`, never),
  overload('not_strictly_false', `${OPERATOR.notStrictlyFalse}(bool) bool`, never),
  {
    ...overload('equals', `${OPERATOR.equals}(A, A) bool`, (a, b) => equality(a, b)),
    seldom: seldomEqual(true),
  },
  {
    ...overload('not_equals', `${OPERATOR.notEquals}(A, A) bool`, (a, b) => !equal(a, b)),
    seldom: seldomEqual(false),
  },
  { ...overload('in_list', `${OPERATOR.in}(A, list(A)) bool`, contains), seldom: seldomContains },
  overload('in_map', `${OPERATOR.in}(A, map(A, B)) bool`, contains),
  overload('index_list', `${OPERATOR.index}(list(A), int) A`, index),
  overload('index_map', `${OPERATOR.index}(map(A, B), A) B`, index),
  overload('size_bytes', 'size(bytes) int', size),
  overload('bytes_size', 'bytes->size() int', size),
  overload('size_list', 'size(list(A)) int', size),
  overload('list_size', 'list(A)->size() int', size),
  overload('size_map', 'size(map(A, B)) int', size),
  overload('map_size', 'map(A, B)->size() int', size),
  overload('size_string', 'size(string) int', size),
  overload('string_size', 'string->size() int', size),
];

/** What an index finds, for who has no overload at hand. */
export const indexValue = index;
