/**
 * Bytes and the two forms a key takes: a Buffer on the wire, a latin1 string in memory (one code unit
 * a byte, so that native string order is byte order).
 */
export const EMPTY: Buffer = Buffer.alloc(0);

/** Views any bytes as a Buffer without copying. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The same bytes in memory of their own, for what stays while all around it goes: a small Buffer shares a pool of 64 kB
 * with others, and a part of a larger one keeps all of it alive.
 */
export function ownBytes(bytes: Uint8Array): Buffer {
  if (bytes.buffer.byteLength === bytes.length) return asBuffer(bytes);
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Key bytes to the in-memory form. */
export function keyFromBytes(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1');
}

/** The in-memory form back to bytes; a fresh Buffer. */
export function keyToBytes(key: string): Buffer {
  return Buffer.from(key, 'latin1');
}

/**
 * The end of the range of all keys that start with `prefix`: its last byte below 0xff incremented and
 * the rest cut. A prefix of 0xff bytes only (or empty) has no end: '\0', etcd's "from key on".
 */
export function prefixEnd(prefix: string): string {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i);
    if (code < 0xff) return prefix.slice(0, i) + String.fromCharCode(code + 1);
  }
  return '\0';
}

/** Largest count we keep in a number. */
export const COUNT_MAX: number = Number.MAX_SAFE_INTEGER;

/** Big-endian u64 at `offset`; throws RangeError past 2^53-1. */
export function readU64BE(bytes: Buffer, offset: number): number {
  const high = bytes.readUInt32BE(offset);
  if (high > 0x1f_ffff) throw new RangeError(`64-bit integer beyond 2^53-1 at offset ${offset}`);
  return high * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4);
}

/** Writes a safe, non-negative integer as big-endian u64. */
export function writeU64BE(bytes: Buffer, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  bytes.writeUInt32BE(high, offset);
  bytes.writeUInt32BE(value - high * 0x1_0000_0000, offset + 4);
}

/** Lower-case hex of an id without leading zeros, as Go's %x prints it. */
export function hexId(id: bigint): string {
  return BigInt.asUintN(64, id).toString(16);
}
