/**
 * Reads the JSON of user objects: what JSON.parse leaves out is kept. Integers have 64 bits, a whole number
 * that was written as a fraction stays one, a repeated member is reported with its path, nesting is bounded, and
 * a member called `__proto__` is a member.
 *
 * Of two equal members the last one counts, as in Go. Modelled on sigs.k8s.io/json, whose error texts are kept
 * where they reach clients.
 */

import { JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';

export interface JsonReadOptions {
  /** Told the path of each repeated member, `spec.containers[0].name`, once per path. */
  readonly duplicate?: (path: string) => void;
}

/**
 * Deepest nesting. Go's decoder stops at 10,000; a tenth of that is deeper than any schema lets an object be, and all
 * that walks an object here may recurse without fear for the stack.
 */
const DEPTH_MAX = 1_000;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const UINT64_MAX = 2n ** 64n - 1n;

/** Text that is no JSON; the message is Go's. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/**
 * Reads one JSON value; only white space may follow it.
 *
 * @param text the decoded text (a byte order mark is refused, as Go refuses it)
 * @throws JsonSyntaxError
 */
export function readJson(text: string, options: JsonReadOptions = {}): Json {
  const reader = new JsonReader(text, options);
  while (!reader.read(Number.MAX_SAFE_INTEGER));
  return reader.result;
}

/** The same, which can be put down. @throws JsonSyntaxError */
export function* readJsonInSlices(text: string, options: JsonReadOptions, pace: Pace): Sliced<Json> {
  const reader = new JsonReader(text, options, true);
  while (!reader.read(LOOK_EVERY)) if (pace.due()) yield;
  return reader.result;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** An object or a list that is being read. */
class Open {
  readonly object: Record<string, Json> | undefined;
  readonly items: Json[] | undefined;
  readonly names: NameKeeper | undefined;
  /** Of the member that is read now. */
  name = '';

  constructor(
    object: Record<string, Json> | undefined,
    items: Json[] | undefined,
    names: NameKeeper | undefined,
  ) {
    this.object = object;
    this.items = items;
    this.names = names;
  }

  put(value: Json): void {
    const { object, items, name } = this;
    if (object === undefined) {
      items?.push(value);
    } else if (name === '__proto__') {
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
    } else {
      object[name] = value;
    }
  }

  get value(): Json {
    return this.object ?? this.items ?? null;
  }
}

class JsonReader {
  /** What was read, when all of it was. */
  result: Json = null;
  private readonly text: string;
  private readonly options: JsonReadOptions;
  private readonly keepsNames: boolean;
  private at = 0;
  /** What is being read, from the outside in. */
  private readonly open: Open[] = [];
  private readonly repeated = new Set<string>();

  /** @param keepsNames for a text that is long */
  constructor(text: string, options: JsonReadOptions, keepsNames = false) {
    this.text = text;
    this.options = options;
    this.keepsNames = keepsNames;
    this.space();
  }

  /** Reads so many values more; @returns whether all is read */
  read(values: number): boolean {
    for (let left = values; left > 0; left -= 1) {
      const value = this.value();
      if (value !== undefined && this.place(value)) return true;
    }
    return false;
  }

  private space(): void {
    const { text } = this;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  /** @returns undefined where one was begun that has something in it */
  private value(): Json | undefined {
    const { text } = this;
    const code = text.charCodeAt(this.at);
    switch (code) {
      case 0x7b:
        return this.beginObject();
      case 0x5b:
        return this.beginList();
      case QUOTE:
        return this.string();
      case 0x74:
        return this.word('true', true);
      case 0x66:
        return this.word('false', false);
      case 0x6e:
        return this.word('null', null);
      default:
        if (code === 0x2d || (code >= 0x30 && code <= 0x39)) return this.number();
        throw this.unexpected('looking for beginning of value');
    }
  }

  private beginObject(): JsonObject | undefined {
    this.enter();
    this.at += 1;
    this.space();
    const object: Record<string, Json> = {};
    if (this.text.charCodeAt(this.at) === 0x7d) {
      this.at += 1;
      return object;
    }
    const open = new Open(object, undefined, this.keepsNames ? new NameKeeper() : undefined);
    this.open.push(open);
    this.name(open);
    return undefined;
  }

  private beginList(): Json[] | undefined {
    this.enter();
    this.at += 1;
    this.space();
    const items: Json[] = [];
    if (this.text.charCodeAt(this.at) === 0x5d) {
      this.at += 1;
      return items;
    }
    this.open.push(new Open(undefined, items, undefined));
    return undefined;
  }

  /** The name of the next member, up to where its value begins. */
  private name(open: Open): void {
    if (this.text.charCodeAt(this.at) !== QUOTE) {
      throw this.unexpected('looking for beginning of object key string');
    }
    open.name = this.string();
    this.space();
    if (this.text.charCodeAt(this.at) !== 0x3a) throw this.unexpected('after object key');
    this.at += 1;
    this.space();
    if (open.object === undefined || (open.names ?? this.options.duplicate) === undefined) return;
    if (Object.hasOwn(open.object, open.name)) this.report();
    else open.names?.add(open.name);
  }

  /** Puts a value where it belongs, and what ends behind it too; @returns whether that was all */
  private place(read: Json): boolean {
    let value = read;
    for (;;) {
      const open = this.open.at(-1);
      this.space();
      if (open === undefined) {
        if (this.at < this.text.length) throw this.unexpected('after top-level value');
        this.result = value;
        return true;
      }
      open.put(value);
      const code = this.text.charCodeAt(this.at);
      if (code === 0x2c) {
        this.at += 1;
        this.space();
        if (open.object !== undefined) this.name(open);
        return false;
      }
      if (code !== (open.object === undefined ? 0x5d : 0x7d)) {
        throw this.unexpected(
          open.object === undefined ? 'after array element' : 'after object key:value pair',
        );
      }
      this.at += 1;
      this.open.pop();
      if (open.object !== undefined) open.names?.keep(open.object);
      ({ value } = open);
    }
  }

  private enter(): void {
    if (this.open.length >= DEPTH_MAX) throw new JsonSyntaxError('exceeded max depth');
  }

  private word<T>(word: string, value: T): T {
    if (this.text.startsWith(word, this.at)) {
      this.at += word.length;
      return value;
    }
    let same = 1;
    while (this.text[this.at + same] === word[same]) same += 1;
    this.at += same;
    throw this.unexpected(`in literal ${word} (expecting '${word[same]}')`);
  }

  private number(): Json {
    const { text } = this;
    const start = this.at;
    if (text.charCodeAt(this.at) === 0x2d) this.at += 1;
    if (text.charCodeAt(this.at) === 0x30) this.at += 1;
    else if (!this.digits()) throw this.unexpected('in numeric literal');
    let fraction = false;
    if (text.charCodeAt(this.at) === 0x2e) {
      fraction = true;
      this.at += 1;
      if (!this.digits()) throw this.unexpected('after decimal point in numeric literal');
    }
    const code = text.charCodeAt(this.at);
    if (code === 0x65 || code === 0x45) {
      fraction = true;
      this.at += 1;
      const sign = text.charCodeAt(this.at);
      if (sign === 0x2b || sign === 0x2d) this.at += 1;
      if (!this.digits()) throw this.unexpected('in exponent of numeric literal');
    }
    const literal = text.slice(start, this.at);
    const value = Number(literal);
    if (!fraction) {
      if (Number.isSafeInteger(value)) return Object.is(value, -0) ? 0 : value;
      const exact = BigInt(literal);
      if (exact >= INT64_MIN && exact <= (exact > INT64_MAX ? UINT64_MAX : INT64_MAX)) return exact;
    }
    if (!Number.isFinite(value)) {
      throw new JsonSyntaxError(`json: cannot unmarshal number ${literal} into Go value of type float64`);
    }
    return Number.isInteger(value) ? new JsonFloat(value) : value;
  }

  private digits(): boolean {
    const start = this.at;
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (!(code >= 0x30 && code <= 0x39)) return this.at > start;
      this.at += 1;
    }
  }

  private string(): string {
    const { text } = this;
    this.at += 1;
    const start = this.at;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code === QUOTE) return text.slice(start, this.at++);
      if (code === BACKSLASH) return this.escaped(start);
      if (!(code >= SPACE)) throw this.unexpected('in string literal');
      this.at += 1;
    }
  }

  /** The rest of a string from its first escape on. */
  private escaped(start: number): string {
    const { text } = this;
    let result = '';
    let from = start;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code === QUOTE) {
        result += text.slice(from, this.at);
        this.at += 1;
        // Go replaces what is no Unicode character; a lone half of a pair is none.
        return wellFormed(result);
      }
      if (code === BACKSLASH) {
        result += text.slice(from, this.at) + this.escape();
        from = this.at;
      } else if (code >= SPACE) {
        this.at += 1;
      } else {
        throw this.unexpected('in string literal');
      }
    }
  }

  private escape(): string {
    const letter = this.text[this.at + 1];
    const plain = letter === undefined ? undefined : ESCAPES[letter];
    if (plain !== undefined) {
      this.at += 2;
      return plain;
    }
    if (letter === 'u') {
      const hex = this.text.slice(this.at + 2, this.at + 6);
      if (/^[0-9a-fA-F]{4}$/.test(hex)) {
        this.at += 6;
        return String.fromCharCode(Number.parseInt(hex, 16));
      }
      this.at += 2;
      while (/[0-9a-fA-F]/.test(this.text[this.at] ?? '')) this.at += 1;
      throw this.unexpected('in \\u hexadecimal character escape');
    }
    this.at += 1;
    throw this.unexpected('in string escape code');
  }

  private report(): void {
    const path = describePath(this.open.map(({ items, name }) => items?.length ?? name));
    if (this.repeated.has(path)) return;
    this.repeated.add(path);
    this.options.duplicate?.(path);
  }

  private unexpected(where: string): JsonSyntaxError {
    if (this.at >= this.text.length) return new JsonSyntaxError('unexpected end of JSON input');
    return new JsonSyntaxError(`invalid character ${describeCharacter(this.text, this.at)} ${where}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Text with each lone half of a pair replaced (String.toWellFormed, which the library's types do not name yet). */
function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
}

/** A character in single quotes as Go's %q prints it. */
function describeCharacter(text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
  if (char === "'") return String.raw`'\''`;
  if (char === '"') return `'"'`;
  const quoted = JSON.stringify(char).slice(1, -1);
  const code = char.codePointAt(0) ?? 0;
  if (quoted.startsWith('\\u')) {
    return code < 0x100 ? `'\\x${code.toString(16).padStart(2, '0')}'` : `'${quoted}'`;
  }
  return `'${quoted}'`;
}

/** `spec.containers[0].name`, as strict decoding errors name a place. */
export function describePath(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}
