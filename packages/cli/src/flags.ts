/**
 * Command-line flags as etcdctl's users know them (the pflag dialect): --name value, --name=value, -w json,
 * -wjson, flags and arguments in any order, "--" ends the flags. Parsing only; what a flag means is its
 * command's business. Error texts are pflag's.
 */
import {
  GoTextError,
  countOf,
  parseBool,
  parseDurationMs,
  parseInt64,
  parseUint64,
  quoteText,
} from './go-text.ts';

export interface FlagSpec {
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly kind: 'bool' | 'string' | 'int' | 'uint' | 'duration' | 'strings';
  /** As it would be typed. */
  readonly initial: string;
  readonly usage: string;
  /** Accepted, but not shown in help. */
  readonly hidden?: boolean;
}

/** A flag that does not exist or a value it cannot have; the message is for the user. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

export class FlagValues {
  private readonly specs: ReadonlyMap<string, FlagSpec>;
  private readonly texts = new Map<string, string>();

  constructor(specs: readonly FlagSpec[]) {
    this.specs = new Map(specs.map((spec) => [spec.name, spec]));
  }

  /** Checks the value by its flag's kind. @throws FlagError with pflag's text */
  set(spec: FlagSpec, text: string): void {
    try {
      if (spec.kind === 'bool') parseBool(text);
      else if (spec.kind === 'int') parseInt64(text);
      else if (spec.kind === 'uint') parseUint64(text);
      else if (spec.kind === 'duration') parseDurationMs(text);
    } catch (error) {
      if (!(error instanceof GoTextError)) throw error;
      const shown = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
      throw new FlagError(`invalid argument ${quoteText(text)} for "${shown}" flag: ${error.message}`);
    }
    const before = this.texts.get(spec.name);
    this.texts.set(spec.name, spec.kind === 'strings' && before !== undefined ? `${before},${text}` : text);
  }

  /** Whether the flag was given, or set from the environment. */
  changed(name: string): boolean {
    return this.texts.has(name);
  }

  string(name: string): string {
    return this.text(name);
  }
  bool(name: string): boolean {
    return parseBool(this.text(name));
  }
  int(name: string): number {
    return countOf(parseInt64(this.text(name)));
  }
  durationMs(name: string): number {
    return parseDurationMs(this.text(name));
  }
  strings(name: string): string[] {
    const text = this.text(name);
    return text === '' ? [] : text.split(',');
  }

  private text(name: string): string {
    const spec = this.specs.get(name);
    if (spec === undefined) throw new TypeError(`no flag --${name} is declared`);
    return this.texts.get(name) ?? spec.initial;
  }
}

export interface ParsedFlags {
  readonly values: FlagValues;
  /** What is no flag, in order; what follows "--" included. */
  readonly args: string[];
  /** What follows "--"; undefined when there is none. */
  readonly afterDashes: string[] | undefined;
  readonly help: boolean;
}

/** @throws FlagError */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[]): ParsedFlags {
  const values = new FlagValues(specs);
  const args: string[] = [];
  let afterDashes: string[] | undefined;
  let help = false;
  const pending = [...argv];
  for (let word = pending.shift(); word !== undefined; word = pending.shift()) {
    if (word === '--') {
      afterDashes = pending.splice(0);
      args.push(...afterDashes);
    } else if (word.startsWith('--')) {
      const [name = '', ...rest] = word.slice(2).split('=');
      const value = rest.length > 0 ? rest.join('=') : undefined;
      const spec = specs.find((candidate) => candidate.name === name);
      if (spec === undefined && name === 'help') help = true;
      else if (spec === undefined) throw new FlagError(`unknown flag: --${name}`);
      else values.set(spec, valueOf(spec, value, pending, `flag needs an argument: --${name}`));
    } else if (word.startsWith('-') && word.length > 1) {
      help = parseShort(specs, word, pending, values) || help;
    } else args.push(word);
  }
  return { values, args, afterDashes, help };
}

/** A word of one-letter flags. @returns whether it asks for help */
function parseShort(
  specs: readonly FlagSpec[],
  word: string,
  pending: string[],
  values: FlagValues,
): boolean {
  let rest = word.slice(1);
  let help = false;
  while (rest !== '') {
    const letter = rest.charAt(0);
    const spec = specs.find((candidate) => candidate.short === letter);
    rest = rest.slice(1);
    if (spec === undefined && letter === 'h') {
      help = true;
      continue;
    }
    if (spec === undefined) throw new FlagError(`unknown shorthand flag: '${letter}' in ${word}`);
    if (spec.kind === 'bool' && !rest.startsWith('=')) {
      values.set(spec, 'true');
      continue;
    }
    const value = rest === '' ? undefined : rest.replace(/^=/, '');
    values.set(spec, valueOf(spec, value, pending, `flag needs an argument: '${letter}' in ${word}`));
    rest = '';
  }
  return help;
}

function valueOf(spec: FlagSpec, given: string | undefined, pending: string[], missing: string): string {
  if (given !== undefined) return given;
  if (spec.kind === 'bool') return 'true';
  const next = pending.shift();
  if (next === undefined) throw new FlagError(missing);
  return next;
}

/**
 * Splits a command line at its command: the words that are neither flags nor flags' values, as far as
 * `known` accepts them. Flags before the command stay with the rest.
 */
export function splitCommand(
  specs: readonly FlagSpec[],
  argv: readonly string[],
  known: (path: readonly string[]) => boolean,
): { path: string[]; rest: string[] } {
  const path: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '--' || (!word.startsWith('-') && !known([...path, word]))) {
      rest.push(...argv.slice(at));
      break;
    }
    if (!word.startsWith('-')) {
      path.push(word);
      continue;
    }
    rest.push(word);
    const spec = specs.find(
      (candidate) =>
        word === `--${candidate.name}` || (candidate.short !== undefined && word === `-${candidate.short}`),
    );
    const value = argv[at + 1];
    if (spec !== undefined && spec.kind !== 'bool' && value !== undefined) {
      rest.push(value);
      at++;
    }
  }
  return { path, rest };
}

/** The lines of a help text for these flags, aligned. */
export function describeFlags(specs: readonly FlagSpec[]): string {
  const shown = specs.filter((spec) => spec.hidden !== true);
  const names = shown.map((spec) => {
    const short = spec.short === undefined ? '      ' : `  -${spec.short}, `;
    const initial = spec.kind === 'string' ? quoteText(spec.initial) : spec.initial;
    const value =
      spec.kind === 'bool' ? `[=${initial}]` : `=${spec.kind === 'strings' ? `[${initial}]` : initial}`;
    return `${short}--${spec.name}${value}`;
  });
  const width = Math.max(0, ...names.map((name) => name.length));
  return shown.map((spec, index) => `${(names[index] ?? '').padEnd(width)}  ${spec.usage}\n`).join('');
}
