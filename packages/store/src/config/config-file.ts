/**
 * The configuration file: YAML whose keys are flag names, with nested blocks for TLS, sockets and
 * discovery. Durations are whole nanoseconds, URL lists are comma-separated text, lists are lists. As
 * in etcd, a key nobody knows is ignored, though here a warning names it; a value of the wrong type is
 * an error. Takes the text; reading the file is the caller's.
 */
import { createRequire } from 'node:module';

import { unreachable } from '@keelson/base';

import { setFeatureGates } from './feature-gates.ts';
import { type AnyFlagSpec, FLAGS } from './flag-table.ts';
import { type Settings, readOrigins, sortedSet } from './flags.ts';
import { type Parsed, goQuote, parsed, refused } from './go-values.ts';
import { parseUniqueUrls } from './urls.ts';

/** YAML 1.1 words that Go's reader takes for booleans and YAML 1.2's does not. */
const BOOLEAN_WORDS: Readonly<Record<string, boolean>> = {
  yes: true,
  on: true,
  y: true,
  no: false,
  off: false,
  n: false,
};

/**
 * Loads the YAML library when there is a file to read: it costs 13 ms, as much as everything else until
 * the first listener, and most members have no file.
 */
export function loadYaml(): typeof import('yaml') {
  return createRequire(import.meta.url)('yaml');
}

/** Aliases a file may expand to; more is an attack, not a configuration. */
const ALIASES_MAX = 100;

/** What was thrown, as an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

type YamlMap = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is YamlMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'bigint' || typeof value === 'number') return `number ${value}`;
  if (typeof value === 'boolean') return 'bool';
  return typeof value;
}

function mismatch<T>(key: string, value: unknown, goType: string): Parsed<T> {
  return refused(
    `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${typeName(value)} into Go struct field configYAML.${key} of type ${goType}`,
  );
}

function readString(key: string, value: unknown): Parsed<string> {
  if (typeof value === 'string') return parsed(value);
  // A bare 5 or true where text belongs is taken as written.
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') {
    return parsed(String(value));
  }
  return mismatch(key, value, 'string');
}

function readBool(key: string, value: unknown): Parsed<boolean> {
  if (typeof value === 'boolean') return parsed(value);
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  return Object.hasOwn(BOOLEAN_WORDS, word) ? parsed(BOOLEAN_WORDS[word]) : mismatch(key, value, 'bool');
}

function readInteger(key: string, value: unknown, min: bigint, max: bigint, goType: string): Parsed<bigint> {
  const integer =
    typeof value === 'bigint'
      ? value
      : typeof value === 'number' && Number.isSafeInteger(value)
        ? BigInt(value)
        : undefined;
  if (integer === undefined || integer < min || integer > max) return mismatch(key, value, goType);
  return parsed(integer);
}

function saturated(integer: Parsed<bigint>): Parsed<number> {
  if (!integer.ok) return integer;
  const bound = BigInt(Number.MAX_SAFE_INTEGER);
  if (integer.value > bound) return parsed(Number.MAX_SAFE_INTEGER);
  return parsed(Number(integer.value < -bound ? -bound : integer.value));
}

function readStrings(key: string, value: unknown): Parsed<readonly string[]> {
  if (!Array.isArray(value)) return mismatch(key, value, '[]string');
  const strings: string[] = [];
  for (const item of value as readonly unknown[]) {
    const text = readString(key, item);
    if (!text.ok) return text;
    strings.push(text.value);
  }
  return parsed(strings);
}

const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;

/** What etcd calls the flag when its URLs are bad; it has one of them wrong, and tools match the text. */
function urlLabel(name: string): string {
  return name === 'advertise-client-urls' ? 'advertise-peer-urls' : name;
}

function readValue(flag: AnyFlagSpec, key: string, value: unknown, settings: Settings): Parsed<unknown> {
  const current = settings.get(flag);

  switch (flag.kind) {
    case 'string':
      return readString(key, value);
    case 'choice': {
      const text = readString(key, value);
      if (!text.ok || flag.choices?.includes(text.value) === true) return text;
      if (flag.name === 'v2-deprecation') return parsed(flag.default);
      if (flag.name !== 'initial-cluster-state') {
        return refused(`invalid value ${goQuote(text.value)} for ${key}: invalid value`);
      }
      return text.value === '' ? parsed('new') : refused(`unexpected clusterState ${goQuote(text.value)}`);
    }
    case 'bool':
      return readBool(key, value);
    case 'uint':
      return saturated(readInteger(key, value, 0n, (1n << 64n) - 1n, 'uint'));
    case 'uint32':
      return saturated(readInteger(key, value, 0n, (1n << 32n) - 1n, 'uint32'));
    case 'int':
      return saturated(readInteger(key, value, INT64_MIN, INT64_MAX, 'int64'));
    case 'duration': {
      const nanoseconds = readInteger(key, value, INT64_MIN, INT64_MAX, 'time.Duration');
      return nanoseconds.ok ? parsed(Number(nanoseconds.value) / 1e6) : nanoseconds;
    }
    case 'urls': {
      const text = readString(key, value);
      if (!text.ok) return text;
      if (text.value === '') return parsed(current);
      const urls = parseUniqueUrls(text.value);
      return urls.ok ? urls : refused(`unexpected error setting up ${urlLabel(flag.name)}: ${urls.error}`);
    }
    case 'origins': {
      const text = readString(key, value);
      if (!text.ok) return text;
      return text.value === '' ? parsed(current) : readOrigins(text.value);
    }
    case 'strings':
      return readStrings(key, value);
    case 'string-set': {
      if (flag.name === 'host-whitelist') {
        const text = readString(key, value);
        if (!text.ok) return text;
        return parsed(text.value === '' ? current : sortedSet(text.value.split(',')));
      }
      const strings = readStrings(key, value);
      return strings.ok ? parsed(sortedSet(strings.value)) : strings;
    }
    case 'feature-gates': {
      const text = readString(key, value);
      return text.ok ? setFeatureGates(settings.values.featureGates, text.value) : text;
    }
    default:
      return unreachable(flag);
  }
}

/** Rows by the path of their key, "socket-options.reuse-port" for nested ones. */
function rowsByPath(): Map<string, AnyFlagSpec> {
  const rows = new Map<string, AnyFlagSpec>();
  for (const flag of FLAGS as readonly AnyFlagSpec[]) {
    const path = flag.file ?? flag.name;
    if (path !== 'none') rows.set(path, flag);
  }
  return rows;
}

/**
 * Puts every setting of the file's text into `settings`.
 *
 * @returns the error that makes the file unusable, if any; warnings are appended
 */
export function applyConfigFile(settings: Settings, text: string, warnings: string[]): string | undefined {
  let root: unknown;
  try {
    root = loadYaml().parse(text, {
      uniqueKeys: false,
      intAsBigInt: true,
      maxAliasCount: ALIASES_MAX,
      logLevel: 'error',
    });
  } catch (error) {
    // The library throws for syntax and for too many aliases; both are the file's fault.
    return `error converting YAML to JSON: yaml: ${asError(error).message.split('\n', 1)[0]}`;
  }
  if (root === null || root === undefined) return undefined;
  if (!isMap(root)) {
    return `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${typeName(root)} into Go value of type embed.configYAML`;
  }
  const rows = rowsByPath();
  const blocks = new Set(
    [...rows.keys()].filter((path) => path.includes('.')).map((path) => path.split('.')[0]),
  );
  const put = (path: string, value: unknown): string | undefined => {
    // Go's JSON reader matches keys without regard to case.
    const flag = rows.get(path.toLowerCase());
    if (flag === undefined) {
      warnings.push(`unrecognized key ${goQuote(path)} in the configuration file is ignored`);
      return undefined;
    }
    if (value === null) return undefined;
    const read = readValue(flag, path, value, settings);
    if (!read.ok) return read.error;
    settings.put(flag, read.value);
    return undefined;
  };
  for (const [key, value] of Object.entries(root)) {
    if (!blocks.has(key.toLowerCase())) {
      const error = put(key, value);
      if (error !== undefined) return error;
      continue;
    }
    if (value === null) continue;
    if (!isMap(value)) {
      if (key.toLowerCase() === 'peer-transport-security') return 'invalid peer-transport-security';
      return `error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${typeName(value)} into Go struct field configYAML.${key} of type embed.securityConfig`;
    }
    for (const [inner, innerValue] of Object.entries(value)) {
      const error = put(`${key}.${inner}`, innerValue);
      if (error !== undefined) return error;
    }
  }
  return undefined;
}
