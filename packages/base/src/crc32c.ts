/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of WAL records and snapshots. Long inputs
 * go to a native implementation; short ones to a table, where the call itself would cost more.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';
import { asBuffer } from './bytes.ts';

/** Below this many bytes the table beats the native call (measured: break-even near 60 bytes). */
const NATIVE_BYTES_MIN = 64;

const TABLE = /* @__PURE__ */ (() => {
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    table[n] = c;
  }
  return table;
})();

/** The checksum of `bytes` continued from `previous` (0 at the start); unsigned 32-bit. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  if (bytes.length >= NATIVE_BYTES_MIN) return nativeCrc32c(asBuffer(bytes), previous);
  let c = ~previous;
  for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return ~c >>> 0;
}
