/**
 * Conversions between types, the parts of times, and what the language itself does with strings. Texts of errors
 * are CEL-go's (its own and Go's strconv), since clients show them.
 */

import { INT_MAX, INT_MIN, UINT_MAX } from './literals.ts';
import { doubleText } from './format-text.ts';
import { overload, type Implementation, type Overload, type SlicedImplementation } from './functions.ts';
import { type RegexCache } from './regex.ts';
import { indexIn } from './substring.ts';
import {
  calendarParts,
  formatDuration,
  formatTimestamp,
  makeDuration,
  makeTimestamp,
  parseDuration,
  parseTimestamp,
  type CalendarParts,
} from './times.ts';
import {
  CelError,
  Duration,
  noSuchOverload,
  Timestamp,
  typeOf,
  TypeValue,
  Uint,
  type Result,
  type Value,
} from './values.ts';

const identity: Implementation = (value) => value;

function doubleToInt(value: number): Result {
  const whole = Math.trunc(value);
  // 2^63 − 1 is no double; the bound that is, is excluded on both sides, as the original does.
  if (!(whole > -(2 ** 63) && whole < 2 ** 63)) return new CelError('integer overflow');
  return BigInt(whole);
}

/** What CEL-go says of a text that is none of a type's. */
const unlike = (type: string): CelError => new CelError(`type conversion error from 'string' to '${type}'`);

const toInt: Implementation = (value) => {
  if (value instanceof Uint) return value.value > INT_MAX ? new CelError('integer overflow') : value.value;
  if (typeof value === 'number') return doubleToInt(value);
  if (value instanceof Timestamp)
    return (
      (value.nanos - (((value.nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n
    );
  if (value instanceof Duration) return value.nanos;
  if (typeof value !== 'string') return noSuchOverload();
  if (!/^[+-]?\d+$/.test(value)) return unlike('int');
  const parsed = BigInt(value.replace(/^\+/, ''));
  return parsed < INT_MIN || parsed > INT_MAX ? unlike('int') : parsed;
};

const toUint: Implementation = (value) => {
  if (typeof value === 'bigint')
    return value < 0n ? new CelError('unsigned integer overflow') : new Uint(value);
  if (typeof value === 'number') {
    const whole = Math.trunc(value);
    if (!(value >= 0 && whole < 2 ** 64)) return new CelError('unsigned integer overflow');
    return new Uint(BigInt(whole));
  }
  if (typeof value !== 'string') return noSuchOverload();
  if (!/^\d+$/.test(value)) return unlike('uint');
  const parsed = BigInt(value);
  return parsed > UINT_MAX ? unlike('uint') : new Uint(parsed);
};

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

const toDouble: Implementation = (value) => {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint) return Number(value.value);
  if (typeof value !== 'string') return noSuchOverload();
  const special = /^([+-]?)(?:(inf(?:inity)?)|nan)$/i.exec(value);
  if (special !== null) {
    if (special[2] !== undefined)
      return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    if (special[1] === '') return Number.NaN;
  }
  if (!DECIMAL.test(value)) return unlike('double');
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : unlike('double');
};

const BOOLS: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  T: true,
  true: true,
  TRUE: true,
  True: true,
  '0': false,
  f: false,
  F: false,
  false: false,
  FALSE: false,
  False: false,
};

const toBool: Implementation = (value) =>
  typeof value !== 'string' ? noSuchOverload() : (BOOLS[value] ?? unlike('bool'));

const toString: Implementation = (value) => {
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint) return value.value.toString();
  if (typeof value === 'number') return doubleText(value);
  if (value instanceof Timestamp) return formatTimestamp(value);
  if (value instanceof Duration) return formatDuration(value);
  if (!(value instanceof Uint8Array)) return noSuchOverload();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    // The decoder throws for bytes that are no UTF-8, and for nothing else.
    return new CelError('invalid UTF-8 in bytes, cannot convert to string');
  }
};

const toTimestamp: Implementation = (value) => {
  if (typeof value === 'bigint') return makeTimestamp(value * 1_000_000_000n);
  if (typeof value !== 'string') return noSuchOverload();
  return parseTimestamp(value) ?? unlike('google.protobuf.Timestamp');
};

const toDuration: Implementation = (value) => {
  if (typeof value === 'bigint') return makeDuration(value);
  if (typeof value !== 'string') return noSuchOverload();
  return parseDuration(value) ?? unlike('google.protobuf.Duration');
};

export const CONVERSIONS: readonly Overload[] = [
  overload('bool_to_bool', 'bool(bool) bool', identity),
  overload('string_to_bool', 'bool(string) bool', toBool),
  overload('bytes_to_bytes', 'bytes(bytes) bytes', identity),
  overload('string_to_bytes', 'bytes(string) bytes', (value) =>
    typeof value === 'string' ? new TextEncoder().encode(value) : noSuchOverload(),
  ),
  overload('double_to_double', 'double(double) double', identity),
  overload('int64_to_double', 'double(int) double', toDouble),
  overload('string_to_double', 'double(string) double', toDouble),
  overload('uint64_to_double', 'double(uint) double', toDouble),
  overload('duration_to_duration', 'duration(duration) duration', identity),
  overload('int64_to_duration', 'duration(int) duration', toDuration),
  overload('string_to_duration', 'duration(string) duration', toDuration),
  overload('int64_to_int64', 'int(int) int', identity),
  overload('double_to_int64', 'int(double) int', toInt),
  overload('duration_to_int64', 'int(duration) int', toInt),
  overload('string_to_int64', 'int(string) int', toInt),
  overload('timestamp_to_int64', 'int(timestamp) int', toInt),
  overload('uint64_to_int64', 'int(uint) int', toInt),
  overload('string_to_string', 'string(string) string', identity),
  overload('bool_to_string', 'string(bool) string', toString),
  overload('bytes_to_string', 'string(bytes) string', toString),
  overload('double_to_string', 'string(double) string', toString),
  overload('duration_to_string', 'string(duration) string', toString),
  overload('int64_to_string', 'string(int) string', toString),
  overload('timestamp_to_string', 'string(timestamp) string', toString),
  overload('uint64_to_string', 'string(uint) string', toString),
  overload('timestamp_to_timestamp', 'timestamp(timestamp) timestamp', identity),
  overload('int64_to_timestamp', 'timestamp(int) timestamp', toTimestamp),
  overload('string_to_timestamp', 'timestamp(string) timestamp', toTimestamp),
  overload('uint64_to_uint64', 'uint(uint) uint', identity),
  overload('double_to_uint64', 'uint(double) uint', toUint),
  overload('int64_to_uint64', 'uint(int) uint', toUint),
  overload('string_to_uint64', 'uint(string) uint', toUint),
  overload('to_dyn', 'dyn(A) dyn', identity),
  overload('type', 'type(A) type(A)', (value) => new TypeValue(typeOf(value))),
];

/** `timestamp_to_year` and `timestamp_to_year_with_tz`. */
function calendarPart(name: string, id: string, part: (parts: CalendarParts) => number): Overload[] {
  const run: Implementation = (value, zone) => {
    if (!(value instanceof Timestamp)) return noSuchOverload();
    const parts = calendarParts(value, typeof zone === 'string' ? zone : '');
    return parts instanceof CelError ? parts : BigInt(part(parts));
  };
  return [
    overload(`timestamp_to_${id}`, `timestamp->${name}() int`, run),
    overload(`timestamp_to_${id}_with_tz`, `timestamp->${name}(string) int`, run),
  ];
}

function durationPart(name: string, id: string, nanosEach: bigint): Overload {
  return overload(`duration_to_${id}`, `duration->${name}() int`, (value) =>
    value instanceof Duration ? value.nanos / nanosEach : noSuchOverload(),
  );
}

export const TIME_PARTS: readonly Overload[] = [
  ...calendarPart('getFullYear', 'year', (parts) => parts.year),
  ...calendarPart('getMonth', 'month', (parts) => parts.month),
  ...calendarPart('getDayOfYear', 'day_of_year', (parts) => parts.yearday),
  ...calendarPart('getDayOfMonth', 'day_of_month', (parts) => parts.day - 1),
  ...calendarPart('getDate', 'day_of_month_1_based', (parts) => parts.day),
  ...calendarPart('getDayOfWeek', 'day_of_week', (parts) => parts.weekday),
  ...calendarPart('getHours', 'hours', (parts) => parts.hour),
  ...calendarPart('getMinutes', 'minutes', (parts) => parts.minute),
  ...calendarPart('getSeconds', 'seconds', (parts) => parts.second),
  ...calendarPart('getMilliseconds', 'milliseconds', (parts) => parts.millisecond),
  durationPart('getHours', 'hours', 3_600_000_000_000n),
  durationPart('getMinutes', 'minutes', 60_000_000_000n),
  durationPart('getSeconds', 'seconds', 1_000_000_000n),
  // All of it, as CEL-go counts; cel-spec wants what is left over a second.
  durationPart('getMilliseconds', 'milliseconds', 1_000_000n),
];

const onStrings =
  (test: (text: string, other: string) => Result): Implementation =>
  (a: Value, b: Value) =>
    typeof a === 'string' && typeof b === 'string' ? test(a, b) : noSuchOverload();

export function stringFunctions(regexes: RegexCache): readonly Overload[] {
  const matches = onStrings((text, pattern) => {
    const regex = regexes.compile(pattern);
    return regex instanceof CelError ? regex : regex.test(text);
  });
  const slicedMatches: SlicedImplementation = ([text, pattern], pace) => {
    if (typeof text !== 'string' || typeof pattern !== 'string') return undefined;
    const regex = regexes.compile(pattern);
    return regex instanceof CelError || !regex.isLong(text) ? undefined : regex.slicedTest(text, pace);
  };
  return [
    overload(
      'contains_string',
      'string->contains(string) bool',
      onStrings((a, b) => indexIn(a, b) >= 0),
    ),
    overload(
      'ends_with_string',
      'string->endsWith(string) bool',
      onStrings((a, b) => a.endsWith(b)),
    ),
    overload(
      'starts_with_string',
      'string->startsWith(string) bool',
      onStrings((a, b) => a.startsWith(b)),
    ),
    overload('matches', 'matches(string, string) bool', matches, slicedMatches),
    overload('matches_string', 'string->matches(string) bool', matches, slicedMatches),
  ];
}
