/**
 * Go's text forms of values: booleans, integers, durations and quoted strings, with the error texts of
 * its strconv, time and flag packages. Operators know these texts from etcd, so they are part of the
 * contract. Knows no flag and no configuration; never throws for bad input.
 */

/** A value, or why the text is none (without the text's own context, which the caller adds). */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export function parsed<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused<T>(error: string): Parsed<T> {
  return { ok: false, error };
}

const TRUE_WORDS: readonly string[] = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE_WORDS: readonly string[] = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/** strconv.ParseBool. */
export function parseGoBool(text: string): Parsed<boolean> {
  if (TRUE_WORDS.includes(text)) return parsed(true);
  if (FALSE_WORDS.includes(text)) return parsed(false);
  return refused('invalid syntax');
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** Go's %q of a string. */
export function goQuote(text: string): string {
  let out = '"';
  for (const char of text) {
    const short = SHORT_ESCAPES[char];
    if (short !== undefined) out += short;
    else if (char < ' ' || char === '\u007f') {
      out += `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
    } else out += char;
  }
  return `${out}"`;
}

/** The digits of each prefix, with Go's rule for underscores: only between digits or after the prefix. */
const INTEGER_FORMS: readonly (readonly [RegExp, string])[] = [
  [/^0[xX]((?:_?[0-9a-fA-F])+)$/, '0x'],
  [/^0[bB]((?:_?[01])+)$/, '0b'],
  [/^0[oO]((?:_?[0-7])+)$/, '0o'],
  [/^0((?:_?[0-7])+)$/, '0o'],
  [/^([0-9](?:_?[0-9])*)$/, ''],
];

function parseMagnitude(text: string): bigint | undefined {
  for (const [form, prefix] of INTEGER_FORMS) {
    const match = form.exec(text);
    if (match === null) continue;
    // "08" is octal with a bad digit to Go, so the decimal form must not take it.
    if (prefix === '' && text.length > 1 && text.startsWith('0')) return undefined;
    return BigInt(prefix + match[1].replaceAll('_', ''));
  }
  return undefined;
}

/** Counts are numbers here: what is beyond 2^53-1 saturates, which no comparison can tell. */
function saturate(value: bigint): number {
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > bound) return Number.MAX_SAFE_INTEGER;
  if (value < -bound) return -Number.MAX_SAFE_INTEGER;
  return Number(value);
}

/** strconv.ParseUint(text, 0, bits); beyond 2^53-1 saturates. */
export function parseGoUint(text: string, bits: 32 | 64): Parsed<number> {
  const magnitude = parseMagnitude(text);
  if (magnitude === undefined) return refused('invalid syntax');
  if (magnitude >= 1n << BigInt(bits)) return refused('value out of range');
  return parsed(saturate(magnitude));
}

/** strconv.ParseInt(text, 0, 64); beyond ±(2^53-1) saturates. */
export function parseGoInt(text: string): Parsed<number> {
  const negative = text.startsWith('-');
  const magnitude = parseMagnitude(negative || text.startsWith('+') ? text.slice(1) : text);
  if (magnitude === undefined) return refused('invalid syntax');
  if (magnitude > (negative ? 1n << 63n : (1n << 63n) - 1n)) return refused('value out of range');
  return parsed(saturate(negative ? -magnitude : magnitude));
}

/** strconv.Atoi: base ten only, for values that fall back to another form. */
export function parseGoDecimal(text: string): Parsed<number> {
  if (!/^[+-]?[0-9]+$/.test(text)) return refused('invalid syntax');
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (value > (1n << 63n) - 1n || value < -(1n << 63n)) return refused('value out of range');
  return parsed(saturate(value));
}

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * time.ParseDuration: signed decimal numbers, each with a unit ("300ms", "1.5h", "2h45m").
 *
 * @returns milliseconds, with a fraction below one millisecond
 */
export function parseGoDuration(text: string): Parsed<number> {
  const invalid = `time: invalid duration ${goQuote(text)}`;
  const negative = text.startsWith('-');
  let rest = negative || text.startsWith('+') ? text.slice(1) : text;
  if (rest === '0') return parsed(0);
  if (rest === '') return refused(invalid);
  let nanoseconds = 0;
  while (rest !== '') {
    const match = /^([0-9]*(?:\.[0-9]*)?)([^0-9.]*)/.exec(rest)!;
    const [whole, amount, unit] = [match[0], match[1], match[2]];
    if (amount === '' || amount === '.') return refused(invalid);
    if (unit === '') return refused(`time: missing unit in duration ${goQuote(text)}`);
    const scale = Object.hasOwn(NANOSECONDS, unit) ? NANOSECONDS[unit] : undefined;
    if (scale === undefined) {
      return refused(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`);
    }
    nanoseconds += Number(amount) * scale;
    rest = rest.slice(whole.length);
  }
  if (nanoseconds >= 2 ** 63) return refused(invalid);
  const milliseconds = Math.trunc(nanoseconds) / 1e6;
  return parsed(negative && milliseconds !== 0 ? -milliseconds : milliseconds);
}

/** time.Duration's String, from milliseconds: "0s", "1.5ms", "2m0s". */
export function formatGoDuration(durationMs: number): string {
  const nanoseconds = BigInt(Math.round(Math.abs(durationMs) * 1e6));
  const sign = durationMs < 0 ? '-' : '';
  if (nanoseconds === 0n) return '0s';
  const decimal = (unit: bigint, name: string, amount = nanoseconds): string => {
    const fraction = (amount % unit).toString().padStart(unit.toString().length - 1, '0');
    const trimmed = fraction.replace(/0+$/, '');
    return `${amount / unit}${trimmed === '' ? '' : `.${trimmed}`}${name}`;
  };
  if (nanoseconds < 1_000n) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1_000_000n) return sign + decimal(1_000n, '\u00b5s');
  if (nanoseconds < 1_000_000_000n) return sign + decimal(1_000_000n, 'ms');
  const minutes = nanoseconds / 60_000_000_000n;
  const seconds = decimal(1_000_000_000n, 's', nanoseconds % 60_000_000_000n);
  if (minutes === 0n) return `${sign}${seconds}`;
  if (minutes < 60n) return `${sign}${minutes}m${seconds}`;
  return `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}
