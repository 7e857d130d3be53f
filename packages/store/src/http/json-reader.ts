/**
 * Reads JSON into values that keep what JSON.parse loses: numbers as they were written (a 64-bit integer has
 * more digits than a double) and where each value stood. Pure; errors are told in the words of Go's
 * encoding/json, which people know from etcd's gateway. It knows nothing of messages.
 */

/** A value and the offset of its first character. */
export type JsonValue =
  | { readonly kind: 'null'; readonly at: number }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'number'; readonly at: number; readonly text: string }
  | { readonly kind: 'string'; readonly at: number; readonly value: string }
  | { readonly kind: 'array'; readonly at: number; readonly items: readonly JsonValue[] }
  | { readonly kind: 'object'; readonly at: number; readonly members: readonly JsonMember[] };

export interface JsonMember {
  readonly name: string;
  readonly at: number;
  readonly value: JsonValue;
}

export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** What a truncated text is called. */
export const UNEXPECTED_END = 'unexpected EOF';

/** A transaction nested to the limit of the API needs some 200 levels. */
const DEPTH_MAX = 500;

const LITERALS = ['true', 'false', 'null'] as const;
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

/**
 * The first value of `text`; what follows it is not looked at, as Go's decoder of streams does.
 * @throws JsonError
 */
export function readJson(text: string): JsonValue {
  return new JsonReader(text).value(0, 'looking for beginning of value');
}

class JsonReader {
  // Each looks at one place, which it keeps in itself: so each reader has its own.
  private readonly number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
  // oxlint-disable-next-line no-control-regex -- exactly these may not stand in a string as they are
  private readonly plainString = /[^"\\\u0000-\u001f]*/y;
  private readonly blank = /[ \t\r\n]*/y;
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  value(depth: number, where: string): JsonValue {
    if (depth > DEPTH_MAX) throw new JsonError('exceeded max depth');
    this.skipBlank();
    const { at, text } = this;
    const char = text[at];
    if (char === '{') return this.object(depth);
    if (char === '[') return this.array(depth);
    if (char === '"') return { kind: 'string', at, value: this.string() };
    for (const literal of LITERALS) if (char === literal[0]) return this.literal(literal);
    this.number.lastIndex = at;
    const number = this.number.exec(text)?.[0];
    if (number === undefined) {
      if (char === '-') this.at++;
      throw this.unexpected(char === '-' ? 'in numeric literal' : where);
    }
    this.at += number.length;
    return { kind: 'number', at, text: number };
  }

  private object(depth: number): JsonValue {
    const at = this.at++;
    const members: JsonMember[] = [];
    let where = 'looking for beginning of object key string';
    for (;;) {
      this.skipBlank();
      if (members.length === 0 && this.take('}')) return { kind: 'object', at, members };
      const nameAt = this.at;
      if (this.text[nameAt] !== '"') throw this.unexpected(where);
      const name = this.string();
      this.skipBlank();
      if (!this.take(':')) throw this.unexpected('after object key');
      members.push({ name, at: nameAt, value: this.value(depth + 1, 'looking for beginning of value') });
      this.skipBlank();
      if (this.take('}')) return { kind: 'object', at, members };
      if (!this.take(',')) throw this.unexpected('after object key:value pair');
      where = 'looking for beginning of object key string';
    }
  }

  private array(depth: number): JsonValue {
    const at = this.at++;
    const items: JsonValue[] = [];
    this.skipBlank();
    if (this.take(']')) return { kind: 'array', at, items };
    for (;;) {
      items.push(this.value(depth + 1, 'looking for beginning of value'));
      this.skipBlank();
      if (this.take(']')) return { kind: 'array', at, items };
      if (!this.take(',')) throw this.unexpected('after array element');
    }
  }

  private string(): string {
    const { text } = this;
    let value = '';
    this.at++;
    for (;;) {
      this.plainString.lastIndex = this.at;
      const plain = this.plainString.exec(text)![0];
      value += plain;
      this.at += plain.length;
      const char = text[this.at];
      if (char === '"') {
        this.at++;
        return value;
      }
      if (char !== '\\') throw this.unexpected('in string literal');
      this.at++;
      value += this.escape();
    }
  }

  private escape(): string {
    const { text } = this;
    const char = text[this.at];
    if (char === 'u') {
      const digits = text.slice(this.at + 1, this.at + 5);
      for (let i = 0; i < 4; i++) {
        if (/^[0-9a-fA-F]$/.test(digits[i] ?? '')) continue;
        this.at += 1 + i;
        throw this.unexpected('in \\u hexadecimal character escape');
      }
      this.at += 5;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const plain = Object.hasOwn(ESCAPES, char ?? '') ? ESCAPES[char] : undefined;
    if (plain === undefined) throw this.unexpected('in string escape code');
    this.at++;
    return plain;
  }

  private literal(word: (typeof LITERALS)[number]): JsonValue {
    const at = this.at;
    for (let i = 1; i < word.length; i++) {
      if (this.text[at + i] === word[i]) continue;
      this.at += i;
      throw this.unexpected(`in literal ${word} (expecting '${word[i]}')`);
    }
    this.at += word.length;
    return word === 'null' ? { kind: 'null', at } : { kind: 'boolean', at, value: word === 'true' };
  }

  private skipBlank(): void {
    this.blank.lastIndex = this.at;
    this.at += this.blank.exec(this.text)![0].length;
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private unexpected(where: string): JsonError {
    const char = this.text[this.at];
    if (char === undefined) return new JsonError(UNEXPECTED_END);
    const quoted = char === "'" ? "'\\''" : char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`;
    return new JsonError(`invalid character ${quoted} ${where}`);
  }
}
