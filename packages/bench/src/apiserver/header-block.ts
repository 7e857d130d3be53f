/**
 * Header blocks of HTTP/2 (RFC 7541) as the generator needs them: requests as literals that no table remembers, and of an
 * answer its status. The server is told to keep no table either, so that no block depends on one before it.
 */

/** Pairs in the order they are sent, pseudo fields first; names in lower case. */
export function encodeHeaders(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    const nameBytes = Buffer.from(name, 'latin1');
    const valueBytes = Buffer.from(value, 'latin1');
    parts.push(LITERAL, lengthOf(nameBytes), nameBytes, lengthOf(valueBytes), valueBytes);
  }
  return Buffer.concat(parts);
}

/** A literal field with a literal name, without indexing. */
const LITERAL = Buffer.from([0]);

/** An integer with a prefix of seven bits (RFC 7541 5.1), for a text that is not Huffman coded. */
function lengthOf({ length }: Buffer): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** `:status` of the static table, from index 8. */
const STATUSES: readonly number[] = [200, 204, 206, 304, 400, 404, 500];
const FIRST_STATUS = 8;

/**
 * The status of an answer; it stands first.
 *
 * @throws RangeError when it does not, or stands there in a way that no server needs
 */
export function statusOf(block: Buffer): number {
  let at = 0;
  // Updates of the table's size, 001xxxxx: ours is zero, which takes one byte.
  while ((block[at] & 0xe0) === 0x20) at += 1;
  const first = block[at];
  if ((first & 0x80) !== 0) {
    const status = STATUSES[(first & 0x7f) - FIRST_STATUS];
    if (status !== undefined) return status;
    throw new RangeError('an answer does not begin with its status');
  }
  // A literal whose name is that of `:status`: with, without or never indexed.
  const index = (first & 0xc0) === 0x40 ? first & 0x3f : first & 0x0f;
  if (index < FIRST_STATUS || index >= FIRST_STATUS + STATUSES.length) {
    throw new RangeError('an answer does not begin with its status');
  }
  const coded = (block[at + 1] & 0x80) !== 0;
  const length = block[at + 1] & 0x7f;
  const text = block.subarray(at + 2, at + 2 + length);
  return Number(coded ? digitsOf(text) : text.toString('latin1'));
}

/** Three digits out of their Huffman code (RFC 7541, appendix B): 0 to 2 have five bits, the others six. */
function digitsOf(coded: Buffer): string {
  let bits = '';
  for (const byte of coded) bits += byte.toString(2).padStart(8, '0');
  let text = '';
  for (let at = 0; text.length < 3;) {
    const short = parseInt(bits.slice(at, at + 5), 2);
    if (short <= 2) {
      text += short;
      at += 5;
    } else {
      text += parseInt(bits.slice(at, at + 6), 2) - 0x19 + 3;
      at += 6;
    }
  }
  return text;
}
