/**
 * What a session saw, in a form two servers can be compared by: a line of text for each step, in which ids, terms and
 * sizes have become words. It also counts which public methods of the package were called, read from the package's
 * own declarations, so that none is forgotten.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Etcd3Module } from './etcd3-api.ts';

export interface Step {
  readonly name: string;
  readonly outcome: string;
}

/** What no two clusters have in common, by the name of its field. */
const VOLATILE: ReadonlySet<string> = new Set([
  'raft_term',
  'raftTerm',
  'raftIndex',
  'raftAppliedIndex',
  'dbSize',
  'dbSizeInUse',
  'version',
  'blob',
]);
/** Fields that hold an id others chose at random. */
const IDS: ReadonlySet<string> = new Set(['ID', 'lease', 'leader', 'member_id', 'memberID', 'cluster_id']);

export class Tape {
  readonly steps: Step[] = [];
  private readonly ids = new Map<string, string>();

  /** Writes `word` wherever `id` would stand. */
  name(id: string, word: string): void {
    this.ids.set(id, `<${word}>`);
  }

  /** Runs a step and writes down what it answered, or the error's class and message. */
  async step<T>(name: string, body: () => Promise<T> | PromiseLike<T> | T): Promise<T | undefined> {
    let answer: T;
    try {
      answer = await inTime(body());
    } catch (error) {
      const { constructor, message } = error as Error;
      this.note(name, `${constructor.name}: ${message}`);
      return undefined;
    }
    this.note(name, answer);
    return answer;
  }

  note(name: string, seen: unknown): void {
    this.steps.push({ name, outcome: this.plain(seen) });
  }

  private plain(seen: unknown): string {
    let text = JSON.stringify(seen, (key, value: unknown) => this.field(key, value)) ?? 'undefined';
    // Elections have keys that are the ids of leases.
    for (const [id, word] of this.ids) text = text.replaceAll(id, word);
    return text;
  }

  private field(key: string, value: unknown): unknown {
    if (isJsonOfBuffer(value)) return readable(Buffer.from(value.data));
    if (typeof value !== 'string') return Number.isNaN(value) ? 'NaN' : value;
    // A key's version is a count; a server's has dots.
    if (VOLATILE.has(key) && (key !== 'version' || value.includes('.'))) return `<${key}>`;
    if (IDS.has(key) && value !== '0' && !this.ids.has(value)) this.name(value, `id ${this.ids.size + 1}`);
    return value;
  }
}

/** Longer than any step takes, the client's own second attempts included. */
const STEP_MS = 15_000;

function inTime<T>(answer: Promise<T> | PromiseLike<T> | T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${STEP_MS} ms`)), STEP_MS);
    const settled = Promise.resolve(answer).finally(() => clearTimeout(timer));
    settled.then(resolve, reject);
  });
}

/** Buffers have become this before a replacer sees them. */
function isJsonOfBuffer(value: unknown): value is { readonly data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
  );
}

function readable(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  return /^[\x20-\x7e]*$/.test(text) ? text : `0x${bytes.toString('hex')}`;
}

/** Public methods of every exported class, as "Class.method", with whether they were called since. */
export class MethodCount {
  private readonly calls = new Map<string, number>();

  /** @param directory the package's */
  constructor(directory: string, module: Etcd3Module) {
    for (const name of publicMethods(directory, module)) this.wrap(module, name);
  }

  get all(): string[] {
    return [...this.calls.keys()].sort();
  }

  get uncalled(): string[] {
    return this.all.filter((name) => this.calls.get(name) === 0);
  }

  private wrap(module: Etcd3Module, name: string): void {
    const [className, method] = name.split('.');
    const class_ = module[className] as { readonly prototype: object };
    const holder = (method in class_.prototype ? class_.prototype : class_) as Record<string, unknown>;
    const original = holder[method] as (...values: unknown[]) => unknown;
    const count = (): void => {
      this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    };
    this.calls.set(name, 0);
    holder[method] = function counted(this: unknown, ...values: unknown[]): unknown {
      count();
      return original.apply(this, values);
    };
  }
}

/** From lib/*.d.ts: methods of classes that the package exports, without those it calls private or protected. */
function publicMethods(directory: string, module: Etcd3Module): Set<string> {
  const found = new Set<string>();
  const lib = path.join(directory, 'lib');
  for (const file of readdirSync(lib)) {
    if (!file.endsWith('.d.ts')) continue;
    const text = readFileSync(path.join(lib, file), 'utf8');
    for (const [, className, body] of text.matchAll(
      /^export declare (?:abstract )?class (\w+)[^{]*\{\n(.*?)^\}/gms,
    )) {
      if (!(className in module)) continue;
      for (const [, method] of body.matchAll(/^ {4}(?:static )?(\w+)(?:<[^(]*>)?\(/gm))
        if (method !== 'constructor') found.add(`${className}.${method}`);
    }
  }
  return found;
}
