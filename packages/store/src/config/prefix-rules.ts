/**
 * --prefix-limits and --prefix-limits-file: what clients may keep and write below a prefix, as text. Takes the text and
 * returns rules or what is wrong with it; reading the file, and what a rule means, are others' affairs.
 */
import { asError, loadYaml } from './config-file.ts';
import { goQuote, parsed, refused, type Parsed } from './go-values.ts';

/** Limits of the keys that begin with a prefix; Infinity where there is none. */
export interface PrefixRule {
  /** In the form of keys in memory (latin1); '' is every key. */
  readonly prefix: string;
  /** Keys that exist. */
  readonly keysMax: number;
  /** Lengths of those keys and of their values. */
  readonly bytesMax: number;
  /** Puts and deletes a second, at each member. */
  readonly writesPerSecond: number;
  /** So many at once after a pause; the least is 1. */
  readonly burst: number;
}

/** Each rule is looked at in every scrape of the metrics, and kept sorted; what needs more wants another design. */
const RULES_MAX = 1_000;

/** "prefix=/a/,keys=100,bytes=64MiB,writes-per-second=50,burst=100;prefix=/b/,…" */
export function parsePrefixLimits(text: string): Parsed<readonly PrefixRule[]> {
  const rows: Record<string, unknown>[] = [];
  for (const part of text.split(';')) {
    if (part.trim() === '') continue;
    const row: Record<string, unknown> = {};
    for (const field of part.split(',')) {
      const equals = field.indexOf('=');
      const name = field.slice(0, Math.max(equals, 0)).trim();
      if (name === '') return refused(`${goQuote(field)} is not name=value`);
      if (Object.hasOwn(row, name)) return refused(`${name} is given twice in ${goQuote(part)}`);
      row[name] = field.slice(equals + 1).trim();
    }
    rows.push(row);
  }
  return rulesOf(rows);
}

/** YAML or JSON: a list of maps with the same names, or a map whose "limits" is that list. */
export function parsePrefixLimitsFile(text: string): Parsed<readonly PrefixRule[]> {
  let root: unknown;
  try {
    root = loadYaml().parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    return refused(`not YAML: ${asError(error).message.split('\n', 1)[0]}`);
  }
  const rows: unknown = isMap(root) ? root['limits'] : root;
  if (rows === null || rows === undefined) return parsed([]);
  if (!Array.isArray(rows)) return refused('the limits are no list');
  return rulesOf(rows);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function rulesOf(rows: readonly unknown[]): Parsed<readonly PrefixRule[]> {
  if (rows.length > RULES_MAX) return refused(`more than ${RULES_MAX} limits`);
  const rules = new Map<string, PrefixRule>();
  for (const row of rows) {
    if (!isMap(row)) return refused('a limit is no list of names and values');
    const rule = ruleOf(row);
    if (!rule.ok) return rule;
    if (rules.has(rule.value.prefix)) return refused('two limits of one prefix');
    rules.set(rule.value.prefix, rule.value);
  }
  return parsed([...rules.values()]);
}

const NAMES: readonly string[] = ['prefix', 'prefix-base64', 'keys', 'bytes', 'writes-per-second', 'burst'];

function ruleOf(row: Readonly<Record<string, unknown>>): Parsed<PrefixRule> {
  const unknown = Object.keys(row).find((name) => !NAMES.includes(name));
  if (unknown !== undefined) return refused(`unknown name ${goQuote(unknown)}`);
  const prefix = prefixOf(row['prefix'], row['prefix-base64']);
  if (!prefix.ok) return prefix;
  const keys = amountOf(row, 'keys', false);
  if (!keys.ok) return keys;
  const bytes = amountOf(row, 'bytes', true);
  if (!bytes.ok) return bytes;
  const rate = amountOf(row, 'writes-per-second', false);
  if (!rate.ok) return rate;
  const burst = amountOf(row, 'burst', false);
  if (!burst.ok) return burst;
  if ([keys, bytes, rate].every(({ value }) => value === Infinity))
    return refused('a prefix without keys, bytes or writes-per-second has no limit');
  if (rate.value === 0) return refused('writes-per-second must be above 0');
  if (burst.value !== Infinity && rate.value === Infinity) return refused('burst needs writes-per-second');
  return parsed({
    prefix: prefix.value,
    keysMax: keys.value,
    bytesMax: bytes.value,
    writesPerSecond: rate.value,
    burst:
      rate.value === Infinity ? Infinity : Math.max(1, burst.value === Infinity ? rate.value : burst.value),
  });
}

function prefixOf(text: unknown, base64: unknown): Parsed<string> {
  if ((text === undefined) === (base64 === undefined))
    return refused('each limit names one of prefix and prefix-base64');
  if (typeof base64 === 'string') {
    const bytes = Buffer.from(base64, 'base64');
    const same = bytes.toString('base64').replaceAll('=', '') === base64.replaceAll('=', '');
    return same ? parsed(bytes.toString('latin1')) : refused(`${goQuote(base64)} is not base64`);
  }
  if (typeof text === 'string') return parsed(Buffer.from(text, 'utf8').toString('latin1'));
  // In YAML a bare 5 is a number, and as a prefix means its digits.
  if (typeof text === 'number') return parsed(String(text));
  return refused('a prefix is text');
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
};

/** Infinity where the row has none. */
function amountOf(row: Readonly<Record<string, unknown>>, name: string, sized: boolean): Parsed<number> {
  const value = row[name];
  if (value === undefined || value === null) return parsed(Infinity);
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  const match = /^([0-9]+(?:\.[0-9]+)?) *([a-z]*)$/i.exec(text);
  const unit = match === null ? undefined : UNITS[match[2].toLowerCase()];
  if (match === null || unit === undefined || (!sized && match[2] !== ''))
    return refused(`${name} is ${sized ? 'a size such as 64MiB' : 'a number'}, not ${goQuote(text)}`);
  const amount = Number(match[1]) * unit;
  if (name !== 'writes-per-second' && !Number.isSafeInteger(amount))
    return refused(`${name} is no whole number: ${goQuote(text)}`);
  return parsed(amount);
}
