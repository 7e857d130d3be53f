/**
 * Flags of the two commands as etcd reads them: their values, checked by kind, and the list of them. Texts of errors
 * and the look of the list are pflag's. What a flag means is its command's business.
 */
import { FlagError, readFlagWords, type FlagShape } from '@keelson/base';
import { goQuote, parseGoBool, parseGoDuration, parseGoInt, parseGoUint, type Parsed } from '@keelson/store';

export { FlagError };

export interface FlagSpec extends FlagShape {
  readonly kind: 'bool' | 'string' | 'strings' | 'duration' | 'int' | 'uint' | 'uint32';
  /** As it would be typed. */
  readonly initial: string;
  readonly usage: string;
  /** Understood, and not shown. */
  readonly hidden?: boolean;
}

/** Every command has it. */
const HELP: FlagSpec = { name: 'help', short: 'h', kind: 'bool', initial: 'false', usage: '' };

/** What reads a value, and how its complaint begins. */
interface Check {
  readonly parse: (text: string) => Parsed<unknown>;
  readonly prefix: (text: string) => string;
}

const strconv = (name: string) => (text: string) => `strconv.${name}: parsing ${goQuote(text)}: `;

const CHECKS: Readonly<Record<FlagSpec['kind'], Check | undefined>> = {
  bool: { parse: parseGoBool, prefix: strconv('ParseBool') },
  string: undefined,
  strings: undefined,
  duration: { parse: parseGoDuration, prefix: () => '' },
  int: { parse: parseGoInt, prefix: strconv('ParseInt') },
  uint: { parse: (text) => parseGoUint(text, 64), prefix: strconv('ParseUint') },
  uint32: { parse: (text) => parseGoUint(text, 32), prefix: strconv('ParseUint') },
};

export class FlagValues {
  private readonly texts: Map<string, string>;
  private readonly given = new Set<string>();

  constructor(specs: readonly FlagSpec[]) {
    this.texts = new Map(specs.map(({ name, initial }) => [name, initial]));
  }

  /** @throws FlagError with pflag's text */
  set({ name, short, kind }: FlagSpec, text: string): void {
    const check = CHECKS[kind];
    const checked = check?.parse(text);
    if (check !== undefined && checked?.ok === false) {
      const problem = check.prefix(text) + checked.error;
      const shown = short === undefined ? `--${name}` : `-${short}, --${name}`;
      throw new FlagError(`invalid argument ${goQuote(text)} for "${shown}" flag: ${problem}`);
    }
    // The first list takes the default's place, each further one is added.
    const adds = kind === 'strings' && this.given.has(name);
    this.texts.set(name, adds ? [...this.strings(name), text].join(',') : text);
    this.given.add(name);
  }

  changed(name: string): boolean {
    return this.given.has(name);
  }
  string(name: string): string {
    const text = this.texts.get(name);
    if (text === undefined) throw new TypeError(`no flag --${name} is declared`);
    return text;
  }
  strings(name: string): string[] {
    const text = this.string(name);
    return text === '' ? [] : text.split(',');
  }
  bool(name: string): boolean {
    return valueOf(parseGoBool(this.string(name)));
  }
  int(name: string): number {
    return valueOf(parseGoInt(this.string(name)));
  }
  durationMs(name: string): number {
    return valueOf(parseGoDuration(this.string(name)));
  }
}

function valueOf<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new TypeError(`a default that cannot be read: ${parsed.error}`);
  return parsed.value;
}

/**
 * Words without a dash mean nothing to either command: they are passed over, as etcd does.
 * @throws FlagError
 */
export function parseFlags(specs: readonly FlagSpec[], argv: readonly string[]): FlagValues | 'help' {
  const all = [...specs, HELP];
  const values = new FlagValues(all);
  readFlagWords(all, argv, (spec, text) => values.set(spec, text));
  return values.bool('help') ? 'help' : values;
}

const KIND_WORDS: Readonly<Record<FlagSpec['kind'], string>> = {
  bool: '',
  string: ' string',
  strings: ' strings',
  duration: ' duration',
  int: ' int',
  uint: ' uint',
  uint32: ' uint32',
};
const ZEROS: ReadonlySet<string> = new Set(['', '0', 'false', '0s']);

/** A line a flag, by name, aligned; --help, which every command has, among them. */
export function flagLines(command: string, specs: readonly FlagSpec[]): string {
  const shown = specs
    .filter(({ hidden }) => hidden !== true)
    .map((spec) => ({ sort: spec.name, ...lineOf(spec) }));
  shown.push({ sort: 'help', name: '  -h, --help', usage: `help for ${command}` });
  shown.sort((a, b) => (a.sort < b.sort ? -1 : 1));
  const width = Math.max(...shown.map(({ name }) => name.length));
  return shown.map(({ name, usage }) => `${name.padEnd(width)}   ${usage}\n`).join('');
}

function lineOf({ name, kind, initial, usage }: FlagSpec): { name: string; usage: string } {
  const shown = kind === 'string' ? goQuote(initial) : kind === 'strings' ? `[${initial}]` : initial;
  return {
    name: `      --${name}${KIND_WORDS[kind]}`,
    usage: ZEROS.has(initial) ? usage : `${usage} (default ${shown})`,
  };
}
