/**
 * The Huffman code of header strings (RFC 7541 §5.2 and Appendix B), pure. The code is canonical: codes of
 * one length are consecutive and in order of their symbols, so the lengths alone define it and everything
 * else is computed here, once. Bytes become latin1 strings, as everywhere in this package.
 */
import { assert } from '@keelson/base';

/** Code length of each byte 0-255, and of the end-of-string symbol 256. */
const LENGTHS = Uint8Array.from([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]);
const END_OF_STRING = 256;
const LENGTH_MIN = 5;
const LENGTH_MAX = 30;

interface Code {
  /** Code of each symbol, right-aligned. */
  readonly codes: Uint32Array;
  /** Symbols by (length, symbol), which is also the order of their codes. */
  readonly symbols: Uint16Array;
  /** Per length: the first code, its place in `symbols`, and how many codes there are. */
  readonly firstCode: Uint32Array;
  readonly firstPlace: Uint16Array;
  readonly count: Uint16Array;
}

function canonicalCode(lengths: Uint8Array): Code {
  const codes = new Uint32Array(lengths.length);
  const symbols = new Uint16Array(lengths.length);
  const firstCode = new Uint32Array(LENGTH_MAX + 1);
  const firstPlace = new Uint16Array(LENGTH_MAX + 1);
  const count = new Uint16Array(LENGTH_MAX + 1);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= LENGTH_MAX; length++) {
    code *= 2;
    firstCode[length] = code;
    firstPlace[length] = place;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      codes[symbol] = code++;
      symbols[place++] = symbol;
    }
    count[length] = place - firstPlace[length];
  }
  assert(code === 2 ** LENGTH_MAX, 'the code is complete');
  return { codes, symbols, firstCode, firstPlace, count };
}

const CODE = canonicalCode(LENGTHS);

/** 8 bits ahead → symbol << 4 | length, for codes of at most 8 bits; 0 for longer ones. */
const SHORT = shortCodes();

function shortCodes(): Uint16Array {
  const table = new Uint16Array(256);
  for (let symbol = 0; symbol < END_OF_STRING; symbol++) {
    const length = LENGTHS[symbol];
    if (length > 8) continue;
    const first = CODE.codes[symbol] << (8 - length);
    table.fill((symbol << 4) | length, first, first + (1 << (8 - length)));
  }
  return table;
}

/**
 * The string coded in bytes[start, end).
 * @returns undefined when it is no such code: end-of-string inside, padding of 8 bits or more, or padding
 *   that is not all ones (each a decoding error by §5.2)
 */
export function huffmanDecode(bytes: Buffer, start: number, end: number): string | undefined {
  let text = '';
  /** The next `held` bits, right-aligned; never more than 30 + 8. */
  let bits = 0;
  let held = 0;
  let at = start;
  for (;;) {
    while (held < 8 && at < end) {
      bits = ((bits << 8) | bytes[at++]) >>> 0;
      held += 8;
    }
    if (held === 0) return text;
    const ahead = held >= 8 ? (bits >>> (held - 8)) & 0xff : ((bits << (8 - held)) | (0xff >>> held)) & 0xff;
    const short = SHORT[ahead];
    const length = short & 15;
    if (short !== 0 && length <= held) {
      text += String.fromCharCode(short >>> 4);
      held -= length;
      bits &= (1 << held) - 1;
      continue;
    }
    if (at === end && held < 8) return bits === (1 << held) - 1 ? text : undefined;
    // A code of more than 8 bits: one bit at a time from here; such symbols are rare in headers.
    let code = 0;
    let size = 0;
    for (;;) {
      if (held === 0) {
        if (at === end) return undefined;
        bits = bytes[at++];
        held = 8;
      }
      held--;
      code = code * 2 + ((bits >>> held) & 1);
      size++;
      if (size > LENGTH_MAX) return undefined;
      if (size < LENGTH_MIN) continue;
      const offset = code - CODE.firstCode[size];
      if (offset >= 0 && offset < CODE.count[size]) {
        const symbol = CODE.symbols[CODE.firstPlace[size] + offset];
        if (symbol === END_OF_STRING) return undefined;
        text += String.fromCharCode(symbol);
        break;
      }
    }
    bits &= (1 << held) - 1;
  }
}

/** The code of each symbol 0-256 as digits of two: for tests. */
export function huffmanCodes(): string[] {
  return [...LENGTHS].map((length, symbol) => CODE.codes[symbol].toString(2).padStart(length, '0'));
}

/** Bytes that `text` (latin1) takes when coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i)];
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) coded; `target` has room for huffmanLength(text) bytes. @returns the end offset */
export function huffmanEncode(text: string, target: Buffer, offset: number): number {
  let at = offset;
  let held = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    // Most significant bits first, byte by byte: 7 bits held and a code of 30 would not fit 32 at once.
    for (let left = LENGTHS[symbol]; left > 0;) {
      const take = Math.min(left, 8 - held);
      left -= take;
      bits = (bits << take) | ((CODE.codes[symbol] >>> left) & ((1 << take) - 1));
      held += take;
      if (held === 8) {
        target[at++] = bits;
        bits = 0;
        held = 0;
      }
    }
  }
  if (held > 0) target[at++] = (bits << (8 - held)) | (0xff >>> held);
  return at;
}
