/**
 * Quantities: fixed-point numbers with a suffix (`100m`, `1.5Gi`, `12e6`), read, compared, added and written in
 * canonical form: no fraction, the largest suffix that needs none. An amount counts nanounits; what is finer is
 * rounded away from zero, what is larger than 2^63 − 1 units is cut to that.
 *
 * Modelled on apimachinery's api/resource; error texts are its own.
 */

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

const NANO = 1_000_000_000n;
const UNITS_MAX = 2n ** 63n - 1n;

const BINARY: Readonly<Record<string, bigint>> = {
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
  Ei: 2n ** 60n,
};
/** Powers of ten. */
const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const DECIMAL_SUFFIX: ReadonlyMap<number, string> = new Map(
  Object.entries(DECIMAL).map(([suffix, exponent]) => [exponent, suffix]),
);

/** A longer numeral is refused before it is read: no amount needs as many digits. */
const TEXT_LENGTH_MAX = 512;

export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const FORMAT_WRONG =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC_WRONG = 'unable to parse numeric part of quantity';
const SUFFIX_WRONG = "unable to parse quantity's suffix";

/** An amount and the kind of suffix it is written with. */
export class Quantity {
  /** In nanounits. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;

  constructor(nanos: bigint, format: QuantityFormat) {
    this.nanos = nanos;
    this.format = format;
  }

  /** @throws QuantityError with the original's text */
  static parse(text: string): Quantity {
    const plain = plainQuantity(text);
    if (plain !== undefined) return plain;
    if (text === '' || text.length > TEXT_LENGTH_MAX) throw new QuantityError(FORMAT_WRONG);
    const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(.*)$/s.exec(text);
    if (match === null) throw new QuantityError(FORMAT_WRONG);
    const [, sign, whole, fraction = '', suffix] = match;
    if (whole === '' && fraction === '') throw new QuantityError(FORMAT_WRONG);
    if (!/^[eEinumkKMGTP]*[-+]?[0-9]*$/.test(suffix)) {
      throw new QuantityError(suffix.startsWith('.') ? NUMERIC_WRONG : FORMAT_WRONG);
    }
    const { format, factor, exponent } = suffixOf(suffix);
    // digits × factor × 10^scale nanounits
    const digits = BigInt(whole + fraction) * factor;
    const scale = exponent - fraction.length + 9;
    const nanos = scale >= 0 ? grow(digits, scale) : divideUp(digits, 10n ** BigInt(Math.min(-scale, 2000)));
    const limit = UNITS_MAX * NANO;
    const size = nanos > limit ? limit : nanos;
    return new Quantity(sign === '-' ? -size : size, format);
  }

  /** A whole number of units. */
  static of(units: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(units) * NANO, format);
  }

  /** Whole units, rounded away from zero, as Go's Value(). */
  units(): bigint {
    return this.nanos < 0n ? -divideUp(-this.nanos, NANO) : divideUp(this.nanos, NANO);
  }

  /** Thousandths, rounded away from zero, as Go's MilliValue(). */
  millis(): bigint {
    return this.nanos < 0n ? -divideUp(-this.nanos, 1_000_000n) : divideUp(this.nanos, 1_000_000n);
  }

  /** Below, at or above zero as this amount is smaller, equal or larger. */
  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  /** The sum, written as this one; as the other when this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  subtract(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.nanos === 0n ? other.format : this.format);
  }

  /** The canonical text. */
  toString(): string {
    const { nanos } = this;
    if (nanos === 0n) return '0';
    const sign = nanos < 0n ? '-' : '';
    const size = nanos < 0n ? -nanos : nanos;
    // Below 1,024 a binary suffix says nothing: the amount is written with a decimal one.
    if (this.format === 'BinarySI' && size >= 1024n * NANO) {
      let units = divideUp(size, NANO);
      let power = 0;
      while (units % 1024n === 0n && power < 6) {
        units /= 1024n;
        power += 1;
      }
      return `${sign}${units}${['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'][power]}`;
    }
    let digits = size;
    let exponent = -9;
    while (digits % 1000n === 0n && (exponent < 18 || this.format === 'DecimalExponent')) {
      digits /= 1000n;
      exponent += 3;
    }
    const suffix =
      this.format === 'DecimalExponent'
        ? exponent === 0
          ? ''
          : `e${exponent}`
        : (DECIMAL_SUFFIX.get(exponent) ?? '');
    return `${sign}${digits}${suffix}`;
  }
}

/** Digits that are a safe whole number whatever stands behind them. */
const PLAIN_DIGITS_MAX = 9;

/** Nanounits of one, by suffix. */
const PLAIN_UNITS: ReadonlyMap<string, Quantity> = new Map([
  ...Object.entries(BINARY).map(
    ([suffix, factor]) => [suffix, new Quantity(factor * NANO, 'BinarySI')] as const,
  ),
  ...Object.entries(DECIMAL).map(
    ([suffix, exponent]) => [suffix, new Quantity(10n ** BigInt(exponent + 9), 'DecimalSI')] as const,
  ),
]);

/** What nearly all quantities are, a few digits and a suffix: undefined for others, right or wrong. */
function plainQuantity(text: string): Quantity | undefined {
  let count = 0;
  let units = 0;
  for (; count < text.length; count += 1) {
    const digit = text.charCodeAt(count) - 48;
    if (digit < 0 || digit > 9) break;
    units = units * 10 + digit;
  }
  if (count === 0 || count > PLAIN_DIGITS_MAX) return undefined;
  const unit = PLAIN_UNITS.get(count === text.length ? '' : text.slice(count));
  if (unit === undefined) return undefined;
  const nanos = BigInt(units) * unit.nanos;
  const limit = UNITS_MAX * NANO;
  return new Quantity(nanos > limit ? limit : nanos, unit.format);
}

/** The canonical text of a quantity. @throws QuantityError */
export function canonicalQuantity(text: string): string {
  return Quantity.parse(text).toString();
}

function suffixOf(suffix: string): { format: QuantityFormat; factor: bigint; exponent: number } {
  if (Object.hasOwn(BINARY, suffix)) return { format: 'BinarySI', factor: BINARY[suffix], exponent: 0 };
  if (Object.hasOwn(DECIMAL, suffix)) return { format: 'DecimalSI', factor: 1n, exponent: DECIMAL[suffix] };
  const match = /^[eE]([-+]?[0-9]+)$/.exec(suffix);
  if (match === null) throw new QuantityError(SUFFIX_WRONG);
  const exponent = Number(match[1]);
  if (!(Math.abs(exponent) < 2 ** 31)) throw new QuantityError(SUFFIX_WRONG);
  return { format: 'DecimalExponent', factor: 1n, exponent };
}

/** digits × 10^scale, or anything above the limit once it is above. */
function grow(digits: bigint, scale: number): bigint {
  if (digits === 0n) return 0n;
  return digits * 10n ** BigInt(Math.min(scale, 64));
}

/** The quotient, rounded up; both are not negative. */
function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}
