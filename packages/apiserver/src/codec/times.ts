/**
 * Times and durations between their text, as objects carry it, and the numbers protobuf carries: RFC 3339 in UTC
 * and Go's duration text. A time is seconds and nanoseconds since 1970; its years go from 0 to 9999.
 */

export interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})$/;

/** The zero of Go's time.Time, which stands for no time at all: the first second of year 1. */
export const ZERO_SECONDS = -62135596800;

/** Reads RFC 3339 with any offset; undefined for what is no such time. */
export function parseTime(text: string): Instant | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return undefined;
  date.setUTCHours(hour, minute, second);
  const zone = match[8];
  let offset = 0;
  if (zone.length > 1) {
    const hours = Number(zone.slice(1, 3));
    const minutes = Number(zone.slice(4));
    if (hours > 23 || minutes > 59) return undefined;
    offset = (hours * 60 + minutes) * 60 * (zone.startsWith('-') ? -1 : 1);
  }
  return { seconds: date.getTime() / 1000 - offset, nanos: Number((match[7] ?? '').padEnd(9, '0')) };
}

/** `2006-01-02T15:04:05Z`. */
export function formatTime(seconds: number): string {
  const text = new Date(seconds * 1000).toISOString();
  // Years of four digits, as good as all: no pattern is needed.
  if (text.length === 24) return `${text.slice(0, 19)}Z`;
  return text.replace(/\.\d+Z$/, 'Z').replace(/^\+0+(\d{4}-)/, '$1');
}

/** `2006-01-02T15:04:05.000000Z`: always six digits. */
export function formatMicroTime({ seconds, nanos }: Instant): string {
  const micros = String(Math.floor(nanos / 1000)).padStart(6, '0');
  return formatTime(seconds).replace(/Z$/, `.${micros}Z`);
}

const UNIT_NANOS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Nanoseconds of Go's duration text (`1h2m0.5s`, `-3ms`, `0`); undefined for what is none. */
export function parseDuration(text: string): bigint | undefined {
  const match = /^([-+]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.exec(text);
  if (match === null) return /^[-+]?0$/.test(text) ? 0n : undefined;
  let total = 0n;
  for (const [, whole, fraction = '', unit] of text.matchAll(/(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g)) {
    const scale = UNIT_NANOS[unit];
    total += BigInt(whole || '0') * scale;
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (total > 2n ** 63n - 1n) return undefined;
  return match[1] === '-' ? -total : total;
}

/** Go's text of a duration: `1h0m0s`, `1.5s`, `100µs`, `0s`. */
export function formatDuration(nanos: bigint): string {
  if (nanos === 0n) return '0s';
  const sign = nanos < 0n ? '-' : '';
  const size = nanos < 0n ? -nanos : nanos;
  if (size < 1_000_000_000n) {
    const [unit, scale] =
      size < 1_000n
        ? (['ns', 1n] as const)
        : size < 1_000_000n
          ? (['µs', 1_000n] as const)
          : (['ms', 1_000_000n] as const);
    return `${sign}${decimal(size, scale)}${unit}`;
  }
  const hours = size / 3_600_000_000_000n;
  const minutes = (size / 60_000_000_000n) % 60n;
  const seconds = `${decimal(size % 60_000_000_000n, 1_000_000_000n)}s`;
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0n ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

function decimal(value: bigint, scale: bigint): string {
  const fraction = (value % scale)
    .toString()
    .padStart(scale.toString().length - 1, '0')
    .replace(/0+$/, '');
  return `${value / scale}${scale === 1n || fraction === '' ? '' : `.${fraction}`}`;
}
