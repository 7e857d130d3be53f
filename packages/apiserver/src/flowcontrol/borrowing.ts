/**
 * How the seats of a server are shared between its priority levels: by shares first, then anew every ten seconds by what
 * each level wanted meanwhile, within what it may lend and borrow. Pure.
 *
 * Modelled on apiserver's util/flowcontrol: updateBorrowing, the seat demand's statistics, and the allocation in which
 * all levels that are not at a bound get the same fraction of their target.
 */

import type { PriorityLevel } from './flow-schema.ts';

/** Time between adjustments, as the original. */
export const ADJUST_MS = 10_000;
/** How slowly a demand that fell is forgotten: half of it in about five minutes. */
const DECAY = 0.977;

export interface Limits {
  readonly nominal: number;
  readonly lower: number;
  readonly upper: number;
}

/** What each level has by its shares, and may be left with or come to. */
export function limitsOf(levels: readonly PriorityLevel[], serverSeats: number): Map<string, Limits> {
  const sum = levels.reduce((total, { shares }) => total + shares, 0);
  return new Map(
    levels.map((level) => {
      const nominal = sum === 0 ? 0 : Math.ceil((serverSeats * level.shares) / sum);
      const lower = nominal - Math.round((nominal * level.lendablePercent) / 100);
      const percent = level.borrowingLimitPercent;
      const upper = percent === undefined ? serverSeats : nominal + Math.round((nominal * percent) / 100);
      return [level.name, { nominal, lower, upper: Math.max(nominal, upper) }];
    }),
  );
}

/** Seats a level wanted over time. */
export class Demand {
  private value = 0;
  private sinceMs: number;
  private startMs: number;
  private sum = 0;
  private squares = 0;
  private high = 0;
  smoothed = 0;

  constructor(nowMs: number) {
    this.sinceMs = nowMs;
    this.startMs = nowMs;
  }

  set(seats: number, nowMs: number): void {
    this.pass(nowMs);
    this.value = seats;
    this.high = Math.max(this.high, seats);
  }

  /** Ends a period. */
  period(nowMs: number): { readonly high: number; readonly average: number; readonly deviation: number } {
    this.pass(nowMs);
    const lasted = Math.max(nowMs - this.startMs, 1e-9);
    const average = this.sum / lasted;
    const deviation = Math.sqrt(Math.max(0, this.squares / lasted - average * average));
    const result = { high: this.high, average, deviation };
    const envelope = average + deviation;
    this.smoothed = Math.max(envelope, DECAY * this.smoothed + (1 - DECAY) * envelope);
    this.startMs = nowMs;
    this.sum = 0;
    this.squares = 0;
    this.high = this.value;
    return result;
  }

  private pass(nowMs: number): void {
    const passed = nowMs - this.sinceMs;
    this.sinceMs = nowMs;
    if (passed <= 0) return;
    this.sum += this.value * passed;
    this.squares += this.value * this.value * passed;
  }
}

export interface Claim {
  readonly lower: number;
  readonly upper: number;
  readonly target: number;
}

/**
 * Shares `total` out: each claim gets the same fraction of its target, as far as its bounds let it.
 *
 * @returns whole seats, one for each claim, and the fraction
 */
export function shareOut(total: number, claims: readonly Claim[]): { seats: number[]; fraction: number } {
  const at = (fraction: number): number[] =>
    claims.map(({ lower, upper, target }) => Math.min(upper, Math.max(lower, fraction * target)));
  const sumAt = (fraction: number): number => at(fraction).reduce((sum, seats) => sum + seats, 0);
  let low = 0;
  let high = 1;
  if (sumAt(0) >= total) return { seats: at(0).map(Math.round), fraction: 0 };
  // Beyond this every claim with a target is at its upper bound.
  const most = Math.max(1, ...claims.map(({ upper, target }) => (target > 0 ? upper / target : 0)));
  if (sumAt(most) <= total) return { seats: at(most).map(Math.round), fraction: most };
  high = most;
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (sumAt(middle) < total) low = middle;
    else high = middle;
  }
  return { seats: at(high).map(Math.round), fraction: high };
}
