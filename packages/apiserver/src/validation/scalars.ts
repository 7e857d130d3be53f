/**
 * Checks of single values that many kinds share: numbers that may not be negative, texts from a list, counts or
 * percentages, quantities, names at a path, and fields that never change. Texts as upstream's core validation.
 */

import { Quantity, QuantityError } from '../api/quantity.ts';
import { networkErrors, addressErrors } from './addresses.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import {
  dnsLabelErrors,
  dnsSubdomainErrors,
  percentErrors,
  portNameErrors,
  portNumberErrors,
  qualifiedNameErrors,
} from './names.ts';
import { asNumber, same } from './value.ts';

const NOT_NEGATIVE = 'must be greater than or equal to 0';
export const POSITIVE = 'must be greater than 0';
/** The same in words: which of the two it is depends on the field. */
export const ABOVE_ZERO = 'must be greater than zero';
export const IMMUTABLE = 'field is immutable';

export function checkNotNegative(errors: FieldErrors, path: FieldPath, value: number | undefined): void {
  if (value !== undefined && value < 0) errors.invalid(path, value, NOT_NEGATIVE);
}

export function checkPositive(errors: FieldErrors, path: FieldPath, value: number | undefined): void {
  if (value !== undefined && value <= 0) errors.invalid(path, value, POSITIVE);
}

/** One of these texts; empty is Required. `supported` is sorted. */
export function checkEnum(
  errors: FieldErrors,
  path: FieldPath,
  value: string,
  supported: readonly string[],
): void {
  if (value === '') errors.required(path);
  else if (!supported.includes(value)) errors.notSupported(path, value, supported);
}

/** One of these texts, or nothing. */
export function checkOptionalEnum(
  errors: FieldErrors,
  path: FieldPath,
  value: string | undefined,
  supported: readonly string[],
): void {
  if (value !== undefined && !supported.includes(value)) errors.notSupported(path, value, supported);
}

export function checkImmutable(errors: FieldErrors, path: FieldPath, value: unknown, old: unknown): void {
  if (!same(value, old)) errors.invalid(path, value, IMMUTABLE);
}

export function checkDnsLabel(errors: FieldErrors, path: FieldPath, value: string): void {
  errors.invalids(path, value, dnsLabelErrors(value));
}

export function checkDnsSubdomain(errors: FieldErrors, path: FieldPath, value: string): void {
  errors.invalids(path, value, dnsSubdomainErrors(value));
}

export function checkQualifiedName(errors: FieldErrors, path: FieldPath, value: string): void {
  errors.invalids(path, value, qualifiedNameErrors(value));
}

export function checkAddress(errors: FieldErrors, path: FieldPath, value: string): void {
  errors.invalids(path, value, addressErrors(value));
}

export function checkNetwork(errors: FieldErrors, path: FieldPath, value: string): void {
  errors.invalids(path, value, networkErrors(value));
}

/** A port as a number or as the name of a container's port. */
export function checkPort(errors: FieldErrors, path: FieldPath, value: unknown): void {
  if (typeof value === 'string') errors.invalids(path, value, portNameErrors(value));
  else errors.invalids(path, asNumber(value) ?? 0, portNumberErrors(asNumber(value) ?? 0));
}

/** A whole number or a percentage, neither negative. */
export function checkCountOrPercent(errors: FieldErrors, path: FieldPath, value: unknown): void {
  if (typeof value === 'string') errors.invalids(path, value, percentErrors(value));
  else checkNotNegative(errors, path, asNumber(value) ?? 0);
}

/** A percentage above the whole. */
export function checkNotMoreThanWhole(errors: FieldErrors, path: FieldPath, value: unknown): void {
  const percent = percentOf(value);
  if (percent !== undefined && percent > 100) errors.invalid(path, value, 'must not be greater than 100%');
}

/** The number before a percent sign; undefined for whole numbers and what is no percentage. */
function percentOf(value: unknown): number | undefined {
  return typeof value === 'string' && percentErrors(value).length === 0
    ? Number.parseInt(value, 10)
    : undefined;
}

/** The number a whole number or percentage stands for where only its being zero matters. */
export function countOrPercentValue(value: unknown): number {
  return percentOf(value) ?? asNumber(value) ?? 0;
}

/** A quantity that conformed; zero where it does not parse, which the codec has refused already. */
export function quantity(value: unknown): Quantity {
  try {
    return Quantity.parse(typeof value === 'string' ? value : '0');
  } catch (error) {
    if (error instanceof QuantityError) return Quantity.of(0);
    throw error;
  }
}

export function checkQuantityNotNegative(errors: FieldErrors, path: FieldPath, value: unknown): void {
  if (quantity(value).nanos < 0n) errors.invalid(path, value, NOT_NEGATIVE);
}
