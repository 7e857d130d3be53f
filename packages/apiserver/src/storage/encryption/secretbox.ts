/**
 * NaCl's secretbox, XSalsa20 with Poly1305, of which OpenSSL has neither: a 32-byte key, a 24-byte nonce that is never
 * used twice with a key, and a tag that stands before the text. For values of a store, some kilobytes at a time.
 *
 * Written after the papers (Bernstein: Salsa20 specification; Extending the Salsa20 nonce; The Poly1305-AES
 * message-authentication code) and checked against NaCl's published test vector.
 */

import { timingSafeEqual } from 'node:crypto';

export const SECRETBOX_KEY_BYTES = 32;
export const SECRETBOX_NONCE_BYTES = 24;
const TAG_BYTES = 16;
const BLOCK_BYTES = 64;
/** "expand 32-byte k", as four little-endian words. */
const SIGMA: readonly number[] = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

/** The text encrypted: 16 bytes of tag, then as many as the text has. */
export function sealBox(text: Buffer, nonce: Buffer, key: Buffer): Buffer {
  const sealed = Buffer.alloc(TAG_BYTES + text.length);
  const { first, stream } = streamOf(nonce, key);
  const body = sealed.subarray(TAG_BYTES);
  stream(text, body);
  poly1305(body, first).copy(sealed);
  return sealed;
}

/** The text; undefined where the box was made with another key or nonce, or was changed. */
export function openBox(sealed: Buffer, nonce: Buffer, key: Buffer): Buffer | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const body = sealed.subarray(TAG_BYTES);
  const { first, stream } = streamOf(nonce, key);
  if (!timingSafeEqual(poly1305(body, first), sealed.subarray(0, TAG_BYTES))) return undefined;
  const text = Buffer.alloc(body.length);
  stream(body, text);
  return text;
}

/** The stream's first 32 bytes, which key the tag, and the rest laid over a text. */
function streamOf(
  nonce: Buffer,
  key: Buffer,
): { readonly first: Buffer; readonly stream: (source: Buffer, target: Buffer) => void } {
  const derived = hsalsa(nonce, words(key, 8));
  const input = new Uint32Array(16);
  place(input, derived, words(nonce.subarray(16), 2));
  const block = Buffer.alloc(BLOCK_BYTES);
  keystream(input, block);
  const first = Buffer.from(block.subarray(0, 32));
  return {
    first,
    stream(source, target) {
      // The first block's second half is the text's.
      let used = 32;
      let blocks = 1;
      for (let at = 0; at < source.length; at += 1) {
        if (used === BLOCK_BYTES) {
          input[8] = blocks >>> 0;
          input[9] = Math.floor(blocks / 2 ** 32);
          blocks += 1;
          keystream(input, block);
          used = 0;
        }
        target[at] = source[at] ^ block[used];
        used += 1;
      }
    },
  };
}

/** The matrix of Salsa20: constants on the diagonal, key, nonce, a counter of zero. */
function place(input: Uint32Array, key: Uint32Array, nonce: Uint32Array): void {
  for (let at = 0; at < 4; at += 1) {
    input[at * 5] = SIGMA[at];
    input[1 + at] = key[at];
    input[11 + at] = key[4 + at];
  }
  input[6] = nonce[0];
  input[7] = nonce[1];
}

/** A key for the first 16 bytes of a nonce. */
function hsalsa(nonce: Buffer, key: Uint32Array): Uint32Array {
  const state = new Uint32Array(16);
  const inner = words(nonce, 4);
  place(state, key, inner);
  state[8] = inner[2];
  state[9] = inner[3];
  rounds(state);
  return Uint32Array.from([0, 5, 10, 15, 6, 7, 8, 9], (at) => state[at]);
}

function keystream(input: Uint32Array, block: Buffer): void {
  const state = Uint32Array.from(input);
  rounds(state);
  for (let at = 0; at < 16; at += 1) block.writeUInt32LE((state[at] + input[at]) >>> 0, at * 4);
}

/** Columns, then rows: which words a quarter of a round mixes. */
const QUARTERS: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14],
];

function rounds(x: Uint32Array): void {
  for (let round = 0; round < 20; round += 2) {
    for (const [a, b, c, d] of QUARTERS) {
      x[b] ^= rotated(x[a] + x[d], 7);
      x[c] ^= rotated(x[b] + x[a], 9);
      x[d] ^= rotated(x[c] + x[b], 13);
      x[a] ^= rotated(x[d] + x[c], 18);
    }
  }
}

function rotated(sum: number, by: number): number {
  return (sum << by) | (sum >>> (32 - by));
}

function words(bytes: Buffer, count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, at) => bytes.readUInt32LE(at * 4));
}

/** Numbers modulo 2^130 − 5 are ten limbs of 13 bits: a product's sum stays below 2^31. */
const LIMBS = 10;
const LIMB_BITS = 13;
const LIMB_MASK = 0x1fff;

/** @param key 32 bytes, used for this message alone */
function poly1305(message: Buffer, key: Buffer): Buffer {
  const clamped = Buffer.from(key.subarray(0, 16));
  for (const at of [3, 7, 11, 15]) clamped[at] &= 15;
  for (const at of [4, 8, 12]) clamped[at] &= 252;
  const r = limbsOf(clamped, 0);
  const h = new Uint32Array(LIMBS);
  const sum = new Float64Array(LIMBS);
  const block = Buffer.alloc(17);
  for (let start = 0; start < message.length; start += 16) {
    const size = Math.min(16, message.length - start);
    block.fill(0);
    message.copy(block, 0, start, start + size);
    block[size] = 1;
    const m = limbsOf(block, block[16]);
    for (let at = 0; at < LIMBS; at += 1) h[at] += m[at];
    for (let at = 0; at < LIMBS; at += 1) {
      let total = 0;
      for (let from = 0; from < LIMBS; from += 1) {
        total += h[from] * (from <= at ? r[at - from] : 5 * r[at + LIMBS - from]);
      }
      sum[at] = total;
    }
    carry(sum, h);
  }
  return tagOf(h, key);
}

/** Brings sums back below 2^13 a limb; what leaves at the top comes in fivefold at the bottom. */
function carry(sum: Float64Array, h: Uint32Array): void {
  let over = 0;
  for (let at = 0; at < LIMBS; at += 1) {
    const total = sum[at] + over;
    over = Math.floor(total / 2 ** LIMB_BITS);
    h[at] = total - over * 2 ** LIMB_BITS;
  }
  for (let at = 0, rest = over * 5; rest > 0; at = (at + 1) % LIMBS) {
    const total = h[at] + rest;
    h[at] = total & LIMB_MASK;
    rest = Math.floor(total / 2 ** LIMB_BITS) * (at === LIMBS - 1 ? 5 : 1);
  }
}

/** The limbs' number modulo 2^130 − 5 plus the key's second half, 16 bytes of it. */
function tagOf(h: Uint32Array, key: Buffer): Buffer {
  let value = 0n;
  for (let at = LIMBS - 1; at >= 0; at -= 1) value = (value << BigInt(LIMB_BITS)) | BigInt(h[at]);
  value %= (1n << 130n) - 5n;
  value += key.readBigUInt64LE(16) | (key.readBigUInt64LE(24) << 64n);
  const tag = Buffer.alloc(TAG_BYTES);
  tag.writeBigUInt64LE(BigInt.asUintN(64, value), 0);
  tag.writeBigUInt64LE(BigInt.asUintN(64, value >> 64n), 8);
  return tag;
}

/** 16 bytes and a 17th as limbs, least first. */
function limbsOf(bytes: Buffer, top: number): Uint32Array {
  const limbs = new Uint32Array(LIMBS);
  for (let at = 0; at < LIMBS; at += 1) {
    const bit = at * LIMB_BITS;
    const byte = bit >> 3;
    const low = bytes[byte];
    const middle = byteAt(bytes, byte + 1, top);
    const high = byteAt(bytes, byte + 2, top);
    limbs[at] = ((low | (middle << 8) | (high << 16)) >>> (bit & 7)) & LIMB_MASK;
  }
  return limbs;
}

function byteAt(bytes: Buffer, at: number, top: number): number {
  return at < 16 ? bytes[at] : at === 16 ? top : 0;
}
