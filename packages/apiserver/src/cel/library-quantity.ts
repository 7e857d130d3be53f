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

  constructor(nanos: bigint) {
    super();
    this.nanos = nanos;
  }

  override equals(other: Opaque): boolean {
    return other instanceof QuantityValue && this.nanos === other.nanos;
  }
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
    return new QuantityValue(Quantity.parse(text).nanos);
  } catch (error) {
    if (error instanceof QuantityError) return new CelError(error.message);
    throw error;
  }
}

const onQuantity =
  (run: (nanos: bigint, other: Value) => Result): Implementation =>
  (value, other) =>
    value instanceof QuantityValue ? run(value.nanos, other) : noSuchOverload();

/** On a quantity and another, or an int as one. */
const onQuantities = (run: (a: bigint, b: bigint) => Result): Implementation =>
  onQuantity((nanos, other) => {
    if (other instanceof QuantityValue) return run(nanos, other.nanos);
    return typeof other === 'bigint' ? run(nanos, other * NANO) : noSuchOverload();
  });

const order = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

function integerOf(nanos: bigint): bigint | undefined {
  const whole = nanos / NANO;
  return nanos % NANO === 0n && whole >= INT_MIN && whole <= INT_MAX ? whole : undefined;
}

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
    onQuantity((nanos) => BigInt(order(nanos, 0n))),
  ),
  overload(
    'quantity_is_greater_than',
    `${Q}->isGreaterThan(${Q}) bool`,
    onQuantities((a, b) => a > b),
  ),
  overload(
    'quantity_is_less_than',
    `${Q}->isLessThan(${Q}) bool`,
    onQuantities((a, b) => a < b),
  ),
  overload(
    'quantity_compare_to',
    `${Q}->compareTo(${Q}) int`,
    onQuantities((a, b) => BigInt(order(a, b))),
  ),
  overload(
    'quantity_get_float',
    `${Q}->asApproximateFloat() double`,
    onQuantity((nanos) => Number(nanos) / 1e9),
  ),
  overload(
    'quantity_get_int',
    `${Q}->asInteger() int`,
    onQuantity((nanos) => integerOf(nanos) ?? new CelError('cannot convert value to integer')),
  ),
  overload(
    'quantity_is_integer',
    `${Q}->isInteger() bool`,
    onQuantity((nanos) => integerOf(nanos) !== undefined),
  ),
  overload(
    'quantity_add',
    `${Q}->add(${Q}) ${Q}`,
    onQuantities((a, b) => new QuantityValue(a + b)),
  ),
  overload(
    'quantity_add_int',
    `${Q}->add(int) ${Q}`,
    onQuantities((a, b) => new QuantityValue(a + b)),
  ),
  overload(
    'quantity_sub',
    `${Q}->sub(${Q}) ${Q}`,
    onQuantities((a, b) => new QuantityValue(a - b)),
  ),
  overload(
    'quantity_sub_int',
    `${Q}->sub(int) ${Q}`,
    onQuantities((a, b) => new QuantityValue(a - b)),
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
    onSemver((version) => version.major),
  ),
  overload(
    'semver_minor',
    `${S}->minor() int`,
    onSemver((version) => version.minor),
  ),
  overload(
    'semver_patch',
    `${S}->patch() int`,
    onSemver((version) => version.patch),
  ),
];

export const AMOUNT_TYPES = { quantity: QUANTITY_TYPE, semver: SEMVER_TYPE } as const;
