/**
 * Lists of amounts by resource name (`cpu` 500m, `pods` 3) and their arithmetic, as quotas and limit ranges need it.
 * A list is never changed in place. Pure.
 *
 * Modelled on apiserver's pkg/quota/v1/resources.go.
 */

import type { JsonObject } from '../api/json.ts';
import { Quantity } from '../api/quantity.ts';
import { quantity } from '../validation/scalars.ts';

export type Amounts = ReadonlyMap<string, Quantity>;

export const NOTHING: ReadonlyMap<string, Quantity> = new Map();
const ZERO = Quantity.of(0);
export const ONE = Quantity.of(1);

export function amountsOf(value: JsonObject): Amounts {
  return new Map(Object.entries(value).map(([name, amount]) => [name, quantity(amount)]));
}

export function jsonOf(amounts: Amounts): JsonObject {
  return Object.fromEntries([...amounts].map(([name, amount]) => [name, amount.toString()]));
}

/** The sum; a name that stands in one list only is in it. */
export function sum(a: Amounts, b: Amounts): Amounts {
  const total = new Map(a);
  for (const [name, amount] of b) total.set(name, total.get(name)?.add(amount) ?? amount);
  return total;
}

/** The larger of both, name by name. */
export function largest(a: Amounts, b: Amounts): Amounts {
  const most = new Map(a);
  for (const [name, amount] of b) {
    const other = most.get(name);
    if (other === undefined || amount.compare(other) > 0) most.set(name, amount);
  }
  return most;
}

/** What is more in `a` than in `b`, never below zero; names of `b` alone are in it with zero. */
export function excess(a: Amounts, b: Amounts): Amounts {
  const rest = new Map<string, Quantity>();
  for (const [name, amount] of a) {
    const left = amount.subtract(b.get(name) ?? ZERO);
    rest.set(name, left.nanos < 0n ? ZERO : left);
  }
  for (const name of b.keys()) if (!rest.has(name)) rest.set(name, ZERO);
  return rest;
}

/** Only these names. */
export function only(amounts: Amounts, names: Iterable<string>): Amounts {
  const wanted = new Set(names);
  return new Map([...amounts].filter(([name]) => wanted.has(name)));
}

export function withoutZeros(amounts: Amounts): Amounts {
  return new Map([...amounts].filter(([, amount]) => amount.nanos !== 0n));
}

/** Names whose amount is above what `limits` says of them; a name without a limit is not. */
export function exceeding(amounts: Amounts, limits: Amounts): string[] {
  return [...amounts].flatMap(([name, amount]) => {
    const limit = limits.get(name);
    return limit !== undefined && amount.compare(limit) > 0 ? [name] : [];
  });
}

export function equalAmounts(a: Amounts, b: Amounts): boolean {
  if (a.size !== b.size) return false;
  for (const [name, amount] of a) {
    const other = b.get(name);
    if (other === undefined || amount.compare(other) !== 0) return false;
  }
  return true;
}

/** `cpu=1,memory=2Gi`, in order of names. */
export function amountsText(amounts: Amounts): string {
  return [...amounts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, amount]) => `${name}=${amount.toString()}`)
    .join(',');
}
