/**
 * Command-line flags as etcdctl's users know them: their values, checked by kind, and their help. Parsing only; what a
 * flag means is its command's business. Error texts are pflag's.
 */
import { FlagError, readFlagWords, type FlagShape, type FlagWords } from '@keelson/base';
import {
  GoTextError,
  countOf,
  parseBool,
  parseDurationMs,
  parseInt64,
  parseUint64,
  quoteText,
} from './go-text.ts';

export { FlagError };

export interface FlagSpec extends FlagShape {
  readonly kind: 'bool' | 'string' | 'int' | 'uint' | 'duration' | 'strings';
  /** As it would be typed. */
  readonly initial: string;
  readonly usage: string;
  /** Accepted, but not shown in help. */
  readonly hidden?: boolean;
}

/** Every command has it. */
const HELP: FlagSpec = { name: 'help', short: 'h', kind: 'bool', initial: 'false', usage: '' };

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

export interface ParsedFlags extends FlagWords {
  readonly values: FlagValues;
  readonly help: boolean;
}

/** @throws FlagError */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[]): ParsedFlags {
  const all = [...specs, HELP];
  const values = new FlagValues(all);
  const words = readFlagWords(all, argv, (spec, text) => values.set(spec, text));
  return { ...words, values, help: values.bool('help') };
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
