/**
 * Durations as tables show them: two units at most, coarser the older. Pure.
 *
 * Modelled on apimachinery's util/duration HumanDuration.
 */

import { parseTime, ZERO_SECONDS } from '../codec/times.ts';

/** `5s`, `3m20s`, `4h5m`, `2d3h`, `10d`, `2y30d`. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return withRest(`${minutes}m`, seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return withRest(`${days}d`, hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  if (days < 365 * 8) return withRest(`${years}y`, days % 365, 'd');
  return `${years}y`;
}

function withRest(text: string, rest: number, unit: string): string {
  return rest === 0 ? text : `${text}${rest}${unit}`;
}

/** A time in milliseconds since 1970; undefined for none: absent, not a time, or the zero of Go's. */
export function timeMs(time: string | null | undefined): number | undefined {
  const instant = parseTime(time ?? '');
  if (instant === undefined || instant.seconds === ZERO_SECONDS) return undefined;
  return instant.seconds * 1000 + instant.nanos / 1e6;
}

/** How long ago a time was; `<unknown>` for none. */
export function ageOf(time: string | null | undefined, nowMs: number): string {
  const at = timeMs(time);
  return at === undefined ? '<unknown>' : humanDuration(nowMs - at);
}
