/**
 * What a flag of kube-apiserver is, and a command line read into values: their texts, checked by kind as pflag does. What
 * a flag means is config.ts's; which flags there are is the tables'. Never touches a file.
 */

import { isIP } from 'node:net';

import { FlagError, readFlagWords, type FlagShape } from '@keelson/base';

import { formatDuration, parseDuration } from '../codec/times.ts';

export { FlagError };

export type FlagKind = 'bool' | 'int' | 'float' | 'duration' | 'ip' | 'string' | 'strings' | 'map';

/**
 * What giving the flag does: it acts; it is understood and told to have no effect in this build; or it asks for
 * something whose silent absence would be a hole (a disk that is not encrypted), so that the start is refused.
 */
export type FlagEffect = 'acts' | 'no effect' | 'refused';

export interface FlagSpec extends FlagShape {
  readonly kind: FlagKind;
  /** As it would be typed; empty: not set. */
  readonly initial: string;
  readonly usage: string;
  readonly effect: FlagEffect;
}

/** Flags under one heading of the help. */
export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly FlagSpec[];
}

/** Makes the functions that a table is written with. */
export function flagOf(
  effect: FlagEffect,
): (name: string, kind: FlagKind, initial: string, usage: string) => FlagSpec {
  return (name, kind, initial, usage) => ({ name, kind, initial, usage, effect });
}

export class FlagValues {
  private readonly specs: ReadonlyMap<string, FlagSpec>;
  private readonly texts = new Map<string, string[]>();

  constructor(specs: readonly FlagSpec[]) {
    this.specs = new Map(specs.map((spec) => [spec.name, spec]));
  }

  /** @throws FlagError with pflag's text */
  set(spec: FlagSpec, text: string): void {
    const problem = problemOf(spec.kind, text);
    if (problem !== undefined) {
      const shown = spec.short === undefined ? `--${spec.name}` : `-${spec.short}, --${spec.name}`;
      throw new FlagError(`invalid argument ${JSON.stringify(text)} for "${shown}" flag: ${problem}`);
    }
    const before = this.texts.get(spec.name);
    if (before === undefined || (spec.kind !== 'strings' && spec.kind !== 'map')) {
      this.texts.set(spec.name, [text]);
    } else before.push(text);
  }

  /** Whether the flag was given. */
  changed(name: string): boolean {
    return this.texts.has(name);
  }

  /** Flags that were given, as the table has them. */
  given(): FlagSpec[] {
    return [...this.texts.keys()].flatMap((name) => this.specs.get(name) ?? []);
  }

  string(name: string): string {
    return this.all(name).at(-1) ?? '';
  }
  bool(name: string): boolean {
    return parseBool(this.string(name)) ?? false;
  }
  int(name: string): number {
    return Number(this.string(name) === '' ? 0 : this.string(name));
  }
  float(name: string): number {
    return Number(this.string(name));
  }
  durationMs(name: string): number {
    return Number((parseDuration(this.string(name)) ?? 0n) / 1_000_000n);
  }
  /** All values of a list, whether told at once or one after the other. */
  strings(name: string): string[] {
    return this.all(name).flatMap((text) => (text === '' ? [] : text.split(',')));
  }
  /** `a=1,b=2`; a name without a value has an empty one. */
  map(name: string): Map<string, string> {
    return new Map(
      this.strings(name).map((item) => {
        const equals = item.indexOf('=');
        return equals < 0 ? [item.trim(), ''] : [item.slice(0, equals).trim(), item.slice(equals + 1).trim()];
      }),
    );
  }

  /** All flags as pflag writes their values: `1m0s`, `[a,b]`. */
  printed(): Map<string, string> {
    return new Map([...this.specs.values()].map((spec) => [spec.name, this.printedOf(spec)]));
  }

  private printedOf({ name, kind }: FlagSpec): string {
    switch (kind) {
      case 'bool':
        return String(this.bool(name));
      case 'duration':
        return formatDuration(parseDuration(this.string(name)) ?? 0n);
      case 'strings':
        return `[${this.strings(name).join(',')}]`;
      case 'map':
        return this.strings(name).toSorted().join(',');
      case 'int':
      case 'float':
      case 'ip':
      case 'string':
        return this.string(name);
    }
  }

  /** Each value as it was given, one for each time. */
  all(name: string): readonly string[] {
    const spec = this.specs.get(name);
    if (spec === undefined) throw new TypeError(`no flag --${name} is declared`);
    return this.texts.get(name) ?? [spec.initial];
  }
}

/** As strconv.ParseBool. */
export function parseBool(text: string): boolean | undefined {
  return Object.hasOwn(BOOLS, text) ? BOOLS[text] : undefined;
}

const BOOLS: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  T: true,
  true: true,
  True: true,
  TRUE: true,
  '0': false,
  f: false,
  F: false,
  false: false,
  False: false,
  FALSE: false,
};

function problemOf(kind: FlagKind, text: string): string | undefined {
  const quoted = JSON.stringify(text);
  switch (kind) {
    case 'bool':
      return parseBool(text) !== undefined
        ? undefined
        : `strconv.ParseBool: parsing ${quoted}: invalid syntax`;
    case 'int':
      return /^[+-]?\d{1,15}$/.test(text) ? undefined : `strconv.ParseInt: parsing ${quoted}: invalid syntax`;
    case 'float':
      return text.trim() !== '' && Number.isFinite(Number(text))
        ? undefined
        : `strconv.ParseFloat: parsing ${quoted}: invalid syntax`;
    case 'duration':
      return parseDuration(text) === undefined ? `time: invalid duration ${quoted}` : undefined;
    case 'map': {
      const odd = text.split(',').find((item) => item.trim() !== '' && !item.includes('='));
      // --runtime-config takes a bare name; the gates refuse one by themselves.
      return odd === undefined || /^[\w./-]+$/.test(odd.trim())
        ? undefined
        : `malformed pair, expect string=string`;
    }
    case 'ip':
      return text === '' || isAddress(text.trim()) ? undefined : `failed to parse IP: ${quoted}`;
    case 'string':
    case 'strings':
      return undefined;
  }
}

/** Without a zone, as Go's net.ParseIP. */
function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

export interface ParsedFlags {
  readonly values: FlagValues;
  /** Words that are no flags; the program takes none. */
  readonly args: readonly string[];
}

/** @throws FlagError */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[]): ParsedFlags {
  const values = new FlagValues(specs);
  const { args } = readFlagWords(specs, argv, (spec, text) => values.set(spec, text));
  return { values, args };
}

const KIND_NAMES: Readonly<Record<FlagKind, string>> = {
  bool: '',
  int: ' int',
  float: ' float',
  duration: ' duration',
  ip: ' ip',
  string: ' string',
  strings: ' strings',
  map: ' mapStringString',
};

/** One heading of --help with its flags. */
export function groupHelp({ title, flags }: FlagGroup): string {
  const shown = flags.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const blocks = shown.map((spec) => {
    const short = spec.short === undefined ? '     ' : ` -${spec.short},`;
    const { initial, kind } = spec;
    const isNothing = initial === '' || (kind === 'bool' && initial === 'false') || initial === '0';
    const tail = isNothing
      ? ''
      : ` (default ${kind === 'string' ? JSON.stringify(initial) : kind === 'strings' ? `[${initial}]` : initial})`;
    const idle = spec.effect === 'no effect' ? ' Has no effect in this build.' : '';
    return ` ${short} --${spec.name}${KIND_NAMES[kind]}\n            ${spec.usage}${tail}${idle}\n`;
  });
  return `\n${title} flags:\n\n${blocks.join('')}`;
}
