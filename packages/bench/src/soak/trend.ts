/**
 * Whether a figure stays level: the median of the slopes between points (Theil and Sen), which one bad moment does not
 * bend; and only between points far apart, so that the teeth of a garbage collector do not either. What follows the load's
 * own rhythm is averaged over whole periods first. Pure arithmetic.
 */
import { median } from '../compare.ts';

export interface Trend {
  /** Median of the points looked at. */
  readonly level: number;
  /** Per hour, in the figure's unit. */
  readonly perHour: number;
  /** What the slope adds over the span looked at. */
  readonly growth: number;
}

/** How much a figure may grow over the span and be called level: the larger of the two. */
export interface Allowance {
  /** Of the level. */
  readonly share: number;
  /** In the figure's unit. */
  readonly least: number;
}

const HOUR_SECONDS = 3600;
/** Pairs grow with the square; more points say no more. */
const POINTS_MAX = 400;

/** A load has settled behind so much of it. What is left is as long as can be: few points follow their scatter. */
const SETTLING = 1 / 4;

/** Of the points behind the first quarter, where a load has settled. @param points seconds and value, in order of time */
export function trendOf(points: readonly (readonly [number, number])[]): Trend | undefined {
  const [first, last] = [points[0], points[points.length - 1]];
  if (points.length < 4) return undefined;
  const from = first[0] + (last[0] - first[0]) * SETTLING;
  const settled = points.filter(([seconds]) => seconds >= from);
  const every = Math.ceil(settled.length / POINTS_MAX);
  const looked = settled.filter((_, i) => i % every === 0);
  const apart = (last[0] - from) / 2;
  const slopes: number[] = [];
  for (let i = 0; i < looked.length; i++) {
    for (let j = i + 1; j < looked.length; j++) {
      const seconds = looked[j][0] - looked[i][0];
      if (seconds >= apart && seconds > 0) slopes.push((looked[j][1] - looked[i][1]) / seconds);
    }
  }
  if (slopes.length === 0) return undefined;
  const slope = median(slopes);
  return {
    level: median(looked.map(([, value]) => value)),
    perHour: slope * HOUR_SECONDS,
    growth: slope * (last[0] - from),
  };
}

/**
 * One point for each period: the mean of what lies in it. A last period that is not whole joins the one before.
 * @param points seconds and value, in order of time
 */
export function meansOf(
  points: readonly (readonly [number, number])[],
  periodSeconds: number,
): (readonly [number, number])[] {
  if (points.length === 0) return [];
  const [start] = points[0];
  const periods = Math.max(1, Math.floor((points[points.length - 1][0] - start) / periodSeconds));
  const sums = Array.from({ length: periods }, () => ({ seconds: 0, value: 0, count: 0 }));
  for (const [seconds, value] of points) {
    const sum = sums[Math.min(periods - 1, Math.floor((seconds - start) / periodSeconds))];
    sum.seconds += seconds;
    sum.value += value;
    sum.count++;
  }
  return sums.flatMap(({ seconds, value, count }) =>
    count === 0 ? [] : [[seconds / count, value / count] as const],
  );
}

/** Falling is level too. */
export function isLevel({ level, growth }: Trend, { share, least }: Allowance): boolean {
  return growth <= Math.max(level * share, least);
}
