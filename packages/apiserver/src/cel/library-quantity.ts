/** Kubernetes' quantity (1.28) and semver (1.33) libraries. */

import { Quantity, QuantityError } from '../api/quantity.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { compareSemver, normalizeSemver, parseSemver, type Semver } from './semver.ts';
import { opaque, type CelType } from './types.ts';
import { CelError, noSuchOverload, Opaque, type Result, type Value } from './values.ts';
import { INT_MAX, INT_MIN } from './literals.ts';

const QUANTITY_TYPE = opaque('kubernetes.Quantity');
const SEMVER_TYPE = opaque('kubernetes.Semver');
const NANO = 1_000_000_000n;

class QuantityValue extends Opaque {
  override readonly type: CelType = QUANTITY_TYPE;
  /** In nanounits. */
  readonly nanos: bigint;
  /** What it is kept as; undefined: as a decimal of any length, which is never taken for an integer. */
  readonly small: SmallAmount | undefined;

  constructor(nanos: bigint, small: SmallAmount | undefined) {
    super();
    this.nanos = nanos;
    this.small = small;
  }

  override equals(other: Opaque): boolean {
    return other instanceof QuantityValue && this.nanos === other.nanos;
  }
}

/** An int64 times a power of ten: what short quantities are kept as. */
interface SmallAmount {
  readonly value: bigint;
  readonly scale: number;
}

const isInt = (value: bigint): boolean => value >= INT_MIN && value <= INT_MAX;

/** Digits that are sure to be few enough: of a decimal amount, and of one with a binary suffix. */
const DECIMAL_DIGITS_MAX = 18;
const BINARY_DIGITS_MAX = 14;
const BINARY_POWERS = 'KMGTPE';
/** From a billionth on, each a thousand times the one before. */
const DECIMAL_POWERS = 'num kMGTPE';

/** The short form of a text that is a quantity; undefined where it is kept as a decimal. */
function smallAmount(text: string): SmallAmount | undefined {
  const [, sign, whole, fraction = '', suffix] = /^([+-]?)0*(\d*)(?:\.(\d*))?(.*)$/.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const number = whole === '' ? '0' : whole;
  const digits = BigInt(number + fraction) * (sign === '-' ? -1n : 1n);
  if (suffix.endsWith('i')) {
    const power = 10 * (BINARY_POWERS.indexOf(suffix[0]) + 1);
    if (fraction !== '' || BINARY_DIGITS_MAX - number.length - Math.trunc(power * 0.3) < 0) return undefined;
    const value = digits << BigInt(power);
    return isInt(value) ? { value, scale: 0 } : undefined;
  }
  const [, exponent] = /^[eE]([+-]?\d+)$/.exec(suffix) ?? [];
  const power = exponent === undefined ? DECIMAL_POWERS.indexOf(suffix || ' ') * 3 - 9 : Number(exponent);
  const scale = power - fraction.length;
  if (number.length + fraction.length > DECIMAL_DIGITS_MAX || scale < -9) return undefined;
  return { value: digits, scale };
}

function smallSum(a: SmallAmount, b: SmallAmount): SmallAmount | undefined {
  if (b.value === 0n) return a;
  if (a.value === 0n) return b;
  const scale = Math.min(a.scale, b.scale);
  const [x, y] = [a, b].map((amount) =>
    amount.scale - scale > 18 ? INT_MAX + 1n : amount.value * 10n ** BigInt(amount.scale - scale),
  );
  return isInt(x) && isInt(y) && isInt(x + y) ? { value: x + y, scale } : undefined;
}

const ofInt = (value: bigint): QuantityValue => new QuantityValue(value * NANO, { value, scale: 0 });

/** `a + sign × b`. */
function plus(a: QuantityValue, b: QuantityValue, sign: 1n | -1n): QuantityValue {
  const other = b.small && { value: sign * b.small.value, scale: b.small.scale };
  return new QuantityValue(a.nanos + sign * b.nanos, a.small && other && smallSum(a.small, other));
}

class SemverValue extends Opaque {
  override readonly type: CelType = SEMVER_TYPE;
  readonly version: Semver;

  constructor(version: Semver) {
    super();
    this.version = version;
  }

  override equals(other: Opaque): boolean {
    return other instanceof SemverValue && compareSemver(this.version, other.version) === 0;
  }
}

function readQuantity(text: string): QuantityValue | CelError {
  try {
    return new QuantityValue(Quantity.parse(text).nanos, smallAmount(text));
  } catch (error) {
    if (error instanceof QuantityError) return new CelError(error.message);
    throw error;
  }
}

const onQuantity =
  (run: (quantity: QuantityValue, other: Value) => Result): Implementation =>
  (value, other) =>
    value instanceof QuantityValue ? run(value, other) : noSuchOverload();

/** On a quantity and another, or an int as one. */
const onQuantities = (run: (a: QuantityValue, b: QuantityValue) => Result): Implementation =>
  onQuantity((quantity, other) => {
    if (other instanceof QuantityValue) return run(quantity, other);
    return typeof other === 'bigint' ? run(quantity, ofInt(other)) : noSuchOverload();
  });

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** An amount with a fraction in its writing is none, were it nothing but zeros. */
function integerOf({ small }: QuantityValue): bigint | undefined {
  if (small === undefined || small.scale < 0) return undefined;
  if (small.value === 0n || small.scale === 0) return small.value;
  const value = small.scale > 18 ? INT_MAX + 1n : small.value * 10n ** BigInt(small.scale);
  return isInt(value) ? value : undefined;
}

const floatOf = ({ nanos, small }: QuantityValue): number =>
  small === undefined ? Number(nanos) / 1e9 : Number(small.value) * Number(`1e${small.scale}`);

const Q = 'kubernetes.Quantity';

export const QUANTITY_LIBRARY: readonly Overload[] = [
  overload('string_to_quantity', `quantity(string) ${Q}`, (text) =>
    typeof text === 'string' ? readQuantity(text) : noSuchOverload(),
  ),
  overload('is_quantity_string', 'isQuantity(string) bool', (text) =>
    typeof text === 'string' ? !(readQuantity(text) instanceof CelError) : noSuchOverload(),
  ),
  overload(
    'quantity_sign',
    `sign(${Q}) int`,
    onQuantity(({ nanos }) => BigInt(order(nanos, 0n))),
  ),
  overload(
    'quantity_is_greater_than',
    `${Q}->isGreaterThan(${Q}) bool`,
    onQuantities((a, b) => a.nanos > b.nanos),
  ),
  overload(
    'quantity_is_less_than',
    `${Q}->isLessThan(${Q}) bool`,
    onQuantities((a, b) => a.nanos < b.nanos),
  ),
  overload(
    'quantity_compare_to',
    `${Q}->compareTo(${Q}) int`,
    onQuantities((a, b) => BigInt(order(a.nanos, b.nanos))),
  ),
  overload('quantity_get_float', `${Q}->asApproximateFloat() double`, onQuantity(floatOf)),
  overload(
    'quantity_get_int',
    `${Q}->asInteger() int`,
    onQuantity((quantity) => integerOf(quantity) ?? new CelError('cannot convert value to integer')),
  ),
  overload(
    'quantity_is_integer',
    `${Q}->isInteger() bool`,
    onQuantity((quantity) => integerOf(quantity) !== undefined),
  ),
  overload(
    'quantity_add',
    `${Q}->add(${Q}) ${Q}`,
    onQuantities((a, b) => plus(a, b, 1n)),
  ),
  overload(
    'quantity_add_int',
    `${Q}->add(int) ${Q}`,
    onQuantities((a, b) => plus(a, b, 1n)),
  ),
  overload(
    'quantity_sub',
    `${Q}->sub(${Q}) ${Q}`,
    onQuantities((a, b) => plus(a, b, -1n)),
  ),
  overload(
    'quantity_sub_int',
    `${Q}->sub(int) ${Q}`,
    onQuantities((a, b) => plus(a, b, -1n)),
  ),
];

function readSemver(text: Value, normalize: Value): SemverValue | CelError {
  if (typeof text !== 'string') return noSuchOverload();
  const normal = normalize === true ? normalizeSemver(text) : text;
  if (normal instanceof CelError) return normal;
  const version = parseSemver(normal);
  return version instanceof CelError ? version : new SemverValue(version);
}

const onSemver =
  (run: (version: Semver) => Result): Implementation =>
  (value) =>
    value instanceof SemverValue ? run(value.version) : noSuchOverload();

const onSemvers =
  (run: (order: number) => Result): Implementation =>
  (a, b) =>
    a instanceof SemverValue && b instanceof SemverValue
      ? run(compareSemver(a.version, b.version))
      : noSuchOverload();

const S = 'kubernetes.Semver';
const isSemver: Implementation = (text, normalize) => !(readSemver(text, normalize) instanceof CelError);

export const SEMVER_LIBRARY: readonly Overload[] = [
  overload('string_to_semver', `semver(string) ${S}`, (text) => readSemver(text, false)),
  overload('string_bool_to_semver', `semver(string, bool) ${S}`, readSemver),
  overload(
    'is_semver_string',
    'isSemver(string) bool',
    (text) => !(readSemver(text, false) instanceof CelError),
  ),
  overload('is_semver_string_bool', 'isSemver(string, bool) bool', isSemver),
  overload(
    'semver_is_greater_than',
    `${S}->isGreaterThan(${S}) bool`,
    onSemvers((sign) => sign > 0),
  ),
  overload(
    'semver_is_less_than',
    `${S}->isLessThan(${S}) bool`,
    onSemvers((sign) => sign < 0),
  ),
  overload(
    'semver_compare_to',
    `${S}->compareTo(${S}) int`,
    onSemvers((sign) => BigInt(sign)),
  ),
  overload(
    'semver_major',
    `${S}->major() int`,
    onSemver((version) => BigInt.asIntN(64, version.major)),
  ),
  overload(
    'semver_minor',
    `${S}->minor() int`,
    onSemver((version) => BigInt.asIntN(64, version.minor)),
  ),
  overload(
    'semver_patch',
    `${S}->patch() int`,
    onSemver((version) => BigInt.asIntN(64, version.patch)),
  ),
];
