/**
 * Writes JSON as Go's encoder does: `<`, `>`, `&`, U+2028 and U+2029 escaped, 64-bit integers whole, no space; or
 * indented by two spaces for people. Numbers need no care: ECMAScript and Go choose the same digits and the
 * same bounds for an exponent.
 *
 * The common case goes through JSON.stringify alone; only an integer beyond 2^53 makes the slower walk necessary.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';

const ESCAPED = /[<>&\u2028\u2029]/;
const EACH_ESCAPED = /[<>&\u2028\u2029]/g;
const ESCAPES: Readonly<Record<string, string>> = {
  '<': String.raw`\u003c`,
  '>': String.raw`\u003e`,
  '&': String.raw`\u0026`,
  '\u2028': String.raw`\u2028`,
  '\u2029': String.raw`\u2029`,
};

/** The value as JSON text. The escaped characters stand only inside strings, so the text is escaped as a whole. */
export function writeJson(value: Json, options: { readonly pretty?: boolean } = {}): string {
  const text = stringify(value, options.pretty ? 2 : undefined);
  return ESCAPED.test(text) ? text.replace(EACH_ESCAPED, (char) => ESCAPES[char]) : text;
}

/** Characters that are gathered before they become bytes. */
const CHUNK_LENGTH = 16 * 1024;

/** The bytes of writeJson(), which can be put down while they are made. @param end what stands behind the value */
export function* writeJsonInSlices(value: Json, end: string, pace: Pace): Sliced<Buffer> {
  const writer = new ChunkWriter();
  yield* writer.slicedValue(value, pace);
  return writer.finish(end);
}

/** Stands between quotes as it is. */
const BARE = /^[\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\x5b\x5d-\x7e]*$/;

class ChunkWriter {
  private readonly chunks: Buffer[] = [];
  private text = '';
  private count = 0;

  finish(end: string): Buffer {
    this.chunks.push(Buffer.from(this.text + end, 'utf8'));
    return this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
  }

  *slicedValue(value: Json, pace: Pace): Sliced<void> {
    if (isJsonList(value)) {
      this.text += '[';
      for (let at = 0; at < value.length; at += 1) {
        if (at > 0) this.text += ',';
        if (isContainer(value[at])) yield* this.slicedValue(value[at], pace);
        else this.text += scalarText(value[at]);
        if (this.isDue(pace)) yield;
      }
      this.text += ']';
    } else if (isJsonObject(value)) {
      let separator = '{';
      for (const name of namesOf(value)) {
        const member = value[name];
        if (member === undefined) continue;
        this.text += `${separator}${quoted(name)}:`;
        if (isContainer(member)) yield* this.slicedValue(member, pace);
        else this.text += scalarText(member);
        separator = ',';
        if (this.isDue(pace)) yield;
      }
      this.text += separator === '{' ? '{}' : '}';
    } else {
      this.text += scalarText(value);
    }
  }

  private isDue(pace: Pace): boolean {
    this.count += 1;
    if (this.count % LOOK_EVERY !== 0) return false;
    if (this.text.length > CHUNK_LENGTH) {
      this.chunks.push(Buffer.from(this.text, 'utf8'));
      this.text = '';
    }
    return pace.due();
  }
}

function isJsonList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isContainer(value: Json): boolean {
  return typeof value === 'object' && value !== null && !(value instanceof JsonFloat);
}

function scalarText(value: Json): string {
  return typeof value === 'string' ? quoted(value) : writeJson(value);
}

function quoted(text: string): string {
  return BARE.test(text) ? `"${text}"` : writeJson(text);
}

function stringify(value: Json, indent: number | undefined): string {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    // What JSON.stringify refuses is a bigint; anything else fails once more.
    if (!(error instanceof TypeError)) throw error;
    return JSON.stringify(value, wholeIntegers, indent);
  }
}

function wholeIntegers(_name: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's types do not know rawJSON yet
  return (JSON as unknown as RawJson).rawJSON(value.toString());
}

interface RawJson {
  rawJSON(text: string): unknown;
}
