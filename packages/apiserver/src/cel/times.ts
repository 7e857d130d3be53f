/**
 * Timestamps and durations: their texts (RFC 3339, Go's durations), their bounds, and the parts of a timestamp in
 * a time zone. No clock: an expression cannot ask what time it is.
 */

import { goQuote } from '@keelson/base';
import { CelError, Duration, Timestamp } from './values.ts';
import { INT_MAX, INT_MIN } from './literals.ts';

const SECOND = 1_000_000_000n;
/** 0001-01-01T00:00:00Z and the last nanosecond of year 9999. */
const TIMESTAMP_MIN = -62_135_596_800n * SECOND;
const TIMESTAMP_MAX = 253_402_300_799n * SECOND + 999_999_999n;

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3_600n * SECOND,
};

export function makeTimestamp(nanos: bigint): Timestamp | CelError {
  return nanos < TIMESTAMP_MIN || nanos > TIMESTAMP_MAX
    ? new CelError('timestamp overflow')
    : new Timestamp(nanos);
}

export function makeDuration(nanos: bigint): Duration | CelError {
  return nanos < INT_MIN || nanos > INT_MAX ? new CelError('integer overflow') : new Duration(nanos);
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/** The day that a text begins with; undefined where no calendar has it. */
function parseDay(text: string): Date | undefined {
  const [year, month, day] = text.slice(0, 10).split('-').map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isThere = month >= 1 && month <= 12 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isThere ? date : undefined;
}

/** Undefined when the text is no RFC 3339 time. Digits beyond the ninth are dropped. */
export function parseTimestamp(text: string): Timestamp | CelError | undefined {
  const parts = RFC3339.exec(text);
  if (parts === null) return undefined;
  const [hour, minute, second] = parts.slice(4, 7).map(Number);
  const date = parseDay(text);
  if (date === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const offsetHour = Number(parts[9] ?? '0');
  const offsetMinute = Number(parts[10] ?? '0');
  if (offsetHour > 24 || offsetMinute > 60) return undefined;
  const offset = (parts[8] === '-' ? -1 : 1) * (offsetHour * 60 + offsetMinute) * 60;
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - offset;
  const fraction = BigInt((parts[7] ?? '').padEnd(9, '0').slice(0, 9));
  return makeTimestamp(BigInt(seconds) * SECOND + fraction);
}

/** A day as Go reads `2006-01-02`. */
export function isDate(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && parseDay(text) !== undefined;
}

/** A time as kube-openapi's formats take it: behind a second `t` nothing is looked at, and a zone may be any. */
export function isDateTime(text: string): boolean {
  const [day, time] = text.toLowerCase().split('t', 2);
  const [, hour, minute, second] =
    /^(\d\d):(\d\d):(\d\d)(?:.\d+)?(?:z|[+-]\d\d:\d\d)$/.exec(time ?? '') ?? [];
  return isDate(day) && hour !== undefined && hour <= '23' && minute <= '59' && second <= '59';
}

function fractionText(nanos: bigint): string {
  return nanos === 0n ? '' : `.${nanos.toString().padStart(9, '0').replace(/0+$/, '')}`;
}

export function formatTimestamp(timestamp: Timestamp): string {
  const nanos = ((timestamp.nanos % SECOND) + SECOND) % SECOND;
  const seconds = (timestamp.nanos - nanos) / SECOND;
  const text = new Date(Number(seconds) * 1000).toISOString();
  return `${text.slice(0, 19)}${fractionText(nanos)}Z`;
}

const DURATION_PART = /^(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/;

/** Go's time.ParseDuration. Undefined when the text is none; an error when it is out of bounds. */
export function parseDuration(text: string): Duration | CelError | undefined {
  const negative = text.startsWith('-');
  let rest = negative || text.startsWith('+') ? text.slice(1) : text;
  if (rest === '0') return new Duration(0n);
  if (rest === '') return undefined;
  let nanos = 0n;
  while (rest !== '') {
    const part = DURATION_PART.exec(rest);
    if (part === null || (part[1] === '' && (part[2] ?? '') === '')) return undefined;
    const unit = UNITS[part[3]];
    nanos += BigInt(part[1] === '' ? 0 : part[1]) * unit;
    const fraction = part[2] ?? '';
    if (fraction !== '') nanos += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    rest = rest.slice(part[0].length);
  }
  return makeDuration(negative ? -nanos : nanos);
}

/** As CEL's string(): seconds as the nearest double has them (`3730.05s`). */
export function formatDuration(duration: Duration): string {
  const seconds = Number(duration.nanos / SECOND) + Number(duration.nanos % SECOND) / 1e9;
  const text = Math.abs(seconds) < 1e-6 ? seconds.toFixed(9).replace(/\.?0+$/, '') : String(seconds);
  return `${text}s`;
}

export interface CalendarParts {
  readonly year: number;
  /** From 0. */
  readonly month: number;
  /** From 1. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** From 0. */
  readonly yearday: number;
}

/** A zone written as hours and minutes; undefined where it has no colon. */
function fixedOffset(zone: string): number | CelError | undefined {
  const colon = zone.indexOf(':');
  if (colon < 0) return undefined;
  const parts: number[] = [];
  for (const text of [zone.slice(0, colon), zone.slice(colon + 1)]) {
    if (!/^[+-]?\d{1,9}$/.test(text)) {
      return new CelError(`strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`);
    }
    parts.push(Number(text));
  }
  const [hours, minutes] = parts;
  return (hours * 60 + (zone.startsWith('-') ? -minutes : minutes)) * 60;
}

const zoneParts = (milliseconds: number, zone: string): Intl.DateTimeFormatPart[] | undefined => {
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      era: 'short',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    const { timeZone } = format.resolvedOptions();
    // A name is that of a file where the original looks: case counts there.
    if (timeZone !== zone && timeZone.toLowerCase() === zone.toLowerCase()) return undefined;
    return format.formatToParts(milliseconds);
  } catch {
    // Intl throws a RangeError for a zone it does not know; nothing else can fail here.
    return undefined;
  }
};

/** Seconds east of UTC at that time. */
function zoneOffset(milliseconds: number, zone: string): number | CelError {
  if (zone === '' || zone === 'UTC' || zone === 'Local') return 0;
  const fixed = fixedOffset(zone);
  if (fixed !== undefined) return fixed;
  if (/^[/\\]|\.\./.test(zone)) return new CelError('time: invalid location name');
  const known = /^[A-Z]/.test(zone) ? zoneParts(milliseconds, zone) : undefined;
  if (known === undefined) return new CelError(`unknown time zone ${zone}`);
  const parts = new Map(known.map((part) => [part.type, part.value]));
  const number = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  const local = new Date(0);
  local.setUTCFullYear(number('year'), number('month') - 1, number('day'));
  local.setUTCHours(number('hour'), number('minute'), number('second'));
  return (local.getTime() - Math.floor(milliseconds / 1000) * 1000) / 1000;
}

/** The parts of a timestamp in a zone: an IANA name, `+hh:mm`, `-hh:mm`, or '' for UTC. */
export function calendarParts(timestamp: Timestamp, zone: string): CalendarParts | CelError {
  const nanosInSecond = ((timestamp.nanos % SECOND) + SECOND) % SECOND;
  const seconds = Number((timestamp.nanos - nanosInSecond) / SECOND);
  const offset = zoneOffset(seconds * 1000, zone);
  if (offset instanceof CelError) return offset;
  const local = new Date((seconds + offset) * 1000);
  const newYear = new Date(0);
  newYear.setUTCFullYear(local.getUTCFullYear(), 0, 1);
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth(),
    day: local.getUTCDate(),
    hour: local.getUTCHours(),
    minute: local.getUTCMinutes(),
    second: local.getUTCSeconds(),
    millisecond: Number(nanosInSecond / 1_000_000n),
    weekday: local.getUTCDay(),
    yearday: Math.floor((local.getTime() - newYear.getTime()) / 86_400_000),
  };
}
