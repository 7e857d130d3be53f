/**
 * The command line and the environment: Go's flag syntax, etcd's ETCD_ variables, and the errors and
 * warnings of both. Turns text into settings and knows nothing of what settings mean together.
 */
import { unreachable } from '@keelson/base';

import { setFeatureGates } from './feature-gates.ts';
import {
  type AnyFlagSpec,
  FLAGS,
  IGNORED_FLAGS,
  type ServerConfig,
  findFlag,
  tableDefaults,
} from './flag-table.ts';
import {
  type Parsed,
  goQuote,
  parseGoBool,
  parseGoDuration,
  parseGoInt,
  parseGoUint,
  parsed,
  refused,
} from './go-values.ts';
import { parseUniqueUrls, urlTexts } from './urls.ts';

/** Settings while they are collected; only this file and config-file.ts fill one. */
export class Settings {
  readonly values: { -readonly [F in keyof ServerConfig]: ServerConfig[F] } = tableDefaults();
  /** Names of flags somebody set, whatever the value. */
  readonly explicit: Set<string> = new Set();

  /** Puts a value the row's kind allows. */
  put(flag: AnyFlagSpec, value: unknown): void {
    (this.values as Record<string, unknown>)[flag.field] = value;
    this.explicit.add(flag.name);
  }

  get(flag: AnyFlagSpec): unknown {
    return (this.values as Record<string, unknown>)[flag.field];
  }

  /** Reads `text` as the flag's kind; the error is what Go's flag.Value.Set returns. */
  putText(flag: AnyFlagSpec, text: string): string | undefined {
    const value = readText(flag, text, this);
    if (!value.ok) return value.error;
    this.put(flag, value.value);
    return undefined;
  }
}

/** flag.numError: the two causes the flag package tells apart. */
function integerError(error: string): string {
  return error === 'value out of range' ? error : 'parse error';
}

export function sortedSet(items: readonly string[]): readonly string[] {
  return [...new Set(items)].sort();
}

/** "*" alone, or a list of URLs. */
export function readOrigins(text: string): Parsed<readonly string[]> {
  if (text === '*') return parsed(['*']);
  const urls = parseUniqueUrls(text);
  return urls.ok ? parsed(urlTexts(urls.value)) : urls;
}

function readText(flag: AnyFlagSpec, text: string, settings: Settings): Parsed<unknown> {
  switch (flag.kind) {
    case 'string':
      return parsed(text);
    case 'bool': {
      const value = parseGoBool(text);
      return value.ok ? value : refused('parse error');
    }
    case 'uint': {
      const value = parseGoUint(text, 64);
      return value.ok ? value : refused(integerError(value.error));
    }
    case 'uint32': {
      const value = parseGoUint(text, 32);
      return value.ok ? value : refused(`strconv.ParseUint: parsing ${goQuote(text)}: ${value.error}`);
    }
    case 'int': {
      const value = parseGoInt(text);
      return value.ok ? value : refused(integerError(value.error));
    }
    case 'duration': {
      const value = parseGoDuration(text);
      return value.ok ? value : refused('parse error');
    }
    case 'urls':
      // An empty list leaves the default in place; init systems pass unset variables that way.
      return text === '' ? parsed(settings.get(flag)) : parseUniqueUrls(text);
    case 'origins':
      return readOrigins(text);
    case 'strings':
      return parsed(text.split(','));
    case 'string-set':
      return parsed(sortedSet(text.split(',')));
    case 'choice':
      return flag.choices?.includes(text) === true ? parsed(text) : refused('invalid value');
    case 'feature-gates':
      return setFeatureGates(settings.values.featureGates, text);
    default:
      return unreachable(flag);
  }
}

export type CommandLine =
  | {
      readonly kind: 'settings';
      readonly settings: Settings;
      readonly version: boolean;
      readonly configFile: string;
      /** Everything after the last flag; etcd accepts none of it. */
      readonly rest: readonly string[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'help' }
  | { readonly kind: 'usage-error'; readonly message: string };

function ignoredWarning(name: string): string {
  return `flag "-${name}" is no longer supported - ignoring.`;
}

/**
 * Reads the arguments (without the program's name) as Go's flag package does: -x or --x, the value after
 * "=" or as the next argument, booleans only after "="; the last of repeated flags wins; "--" or the
 * first argument that is no flag ends the flags.
 */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const settings = new Settings();
  const warnings: string[] = [];
  let version = false;
  let configFile = '';
  let next = 0;
  const usage = (message: string): CommandLine => ({ kind: 'usage-error', message });
  while (next < argv.length) {
    const argument = argv[next];
    if (argument.length < 2 || !argument.startsWith('-')) break;
    next++;
    if (argument === '--') break;
    const body = argument.slice(argument.startsWith('--') ? 2 : 1);
    if (body === '' || body.startsWith('-') || body.startsWith('=')) {
      return usage(`bad flag syntax: ${argument}`);
    }
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    let value = equals < 0 ? undefined : body.slice(equals + 1);
    if (IGNORED_FLAGS.includes(name)) {
      warnings.push(ignoredWarning(name));
      continue;
    }
    const flag = findFlag(name);
    if (flag === undefined && name !== 'version' && name !== 'config-file') {
      if (name === 'help' || name === 'h') return { kind: 'help' };
      return usage(`flag provided but not defined: -${name}`);
    }
    if (name === 'version' || flag?.kind === 'bool') {
      value ??= 'true';
      const bool = parseGoBool(value);
      if (!bool.ok) return usage(`invalid boolean value ${goQuote(value)} for -${name}: parse error`);
      if (flag === undefined) version = bool.value;
      else settings.put(flag, bool.value);
      continue;
    }
    if (value === undefined) {
      if (next >= argv.length) return usage(`flag needs an argument: -${name}`);
      value = argv[next++]!;
    }
    if (flag === undefined) configFile = value;
    else {
      const error = settings.putText(flag, value);
      if (error !== undefined) return usage(`invalid value ${goQuote(value)} for flag -${name}: ${error}`);
    }
  }
  return { kind: 'settings', settings, version, configFile, rest: argv.slice(next), warnings };
}

export function envName(flag: string): string {
  return `ETCD_${flag.toUpperCase().replaceAll('-', '_')}`;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What people put secrets in, also where no flag of ours has that name (ETCD_ROOT_PASSWORD of a container image). */
const SECRET_NAME = /PASS|SECRET|TOKEN|KEY|CREDENTIAL/;

/** As a warning tells it: etcd tells every value. */
function toldValue(key: string, value: string): string {
  return SECRET_NAME.test(key) ? '***' : value;
}

/** Variables that are not flags and not worth a warning: read elsewhere, or by tools. */
const SPECIAL_VARIABLES: readonly string[] = ['ETCD_UNSUPPORTED_ARCH'];

/**
 * Adds what the environment says about flags the command line left alone. An empty variable counts as
 * not set (and, as in etcd, as unrecognized).
 *
 * @returns the fatal error, if any; warnings are appended
 */
export function applyEnvironment(
  settings: Settings,
  env: Environment,
  onCommandLine: ReadonlySet<string>,
  warnings: string[],
): string | undefined {
  let error: string | undefined;
  const used = new Set<string>();
  const rows: readonly AnyFlagSpec[] = FLAGS;
  const flags = rows.filter((flag) => flag.fileOnly !== true).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const flag of flags) {
    const key = envName(flag.name);
    const value = env[key];
    if (onCommandLine.has(flag.name) || value === undefined || value === '') continue;
    used.add(key);
    const problem = settings.putText(flag, value);
    if (problem !== undefined) error = `invalid value ${goQuote(value)} for ${key}: ${problem}`;
  }
  for (const name of IGNORED_FLAGS) {
    const key = envName(name);
    if (env[key] === undefined || env[key] === '') continue;
    used.add(key);
    warnings.push(ignoredWarning(name));
  }
  const shadowed = new Set([...onCommandLine].map(envName));
  for (const [key, value] of Object.entries(env)) {
    if (value === undefined || used.has(key) || SPECIAL_VARIABLES.includes(key)) continue;
    if (shadowed.has(key)) {
      return `conflicting environment variable ${goQuote(key)} is shadowed by corresponding command-line flag (either unset environment variable or disable flag)`;
    }
    if (key === 'ETCD_VERSION') {
      if (value !== '') warnings.push(`cannot set special environment variable ${key}=${value}`);
    } else if (key.startsWith('ETCD_'))
      warnings.push(`unrecognized environment variable ${key}=${toldValue(key, value)}`);
  }
  return error;
}
