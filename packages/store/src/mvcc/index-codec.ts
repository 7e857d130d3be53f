/**
 * One key of the index as bytes and back, for the index checkpoint. Keys come in ascending order and leave out
 * what they share with the one before; counts are varints. Byte by byte: docs/formats/index-checkpoint.md. It
 * knows neither files nor checksums.
 */
import { historyOf, KeyHistory, putOnce, type KeyIndex } from './key-index.ts';

/** Why a checkpoint is of no use. It is never fatal: the key bucket says all of it. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** In an entry's flags. */
const ONCE = 1;
const LEASED = 2;

const TWO_7 = 128;
const TWO_31 = 0x8000_0000;
const CAPACITY_MIN = 128 * 1024;

/** Bytes that grow at their end. */
export class ByteSink {
  private bytes = Buffer.allocUnsafe(CAPACITY_MIN);
  private used = 0;
  private previousKey = '';

  get length(): number {
    return this.used;
  }

  /** The bytes so far; valid until the next call of anything here. */
  get view(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  /** Begins anew; the next key shares nothing with the last. */
  clear(): void {
    this.used = 0;
    this.previousKey = '';
  }

  putVarint(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest >= TWO_31) {
      this.bytes[this.used++] = (rest % TWO_7) | 0x80;
      rest = Math.floor(rest / TWO_7);
    }
    while (rest >= TWO_7) {
      this.bytes[this.used++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.used++] = rest;
  }

  putBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  /** @param lease 0n for none */
  putKey(key: string, index: KeyIndex, lease: bigint): void {
    let shared = 0;
    const most = Math.min(key.length, this.previousKey.length);
    while (shared < most && key.charCodeAt(shared) === this.previousKey.charCodeAt(shared)) shared++;
    this.previousKey = key;
    this.putVarint(shared);
    this.putVarint(key.length - shared);
    this.reserve(key.length);
    if (shared === 0) this.used += this.bytes.write(key, this.used, 'latin1');
    else for (let i = shared; i < key.length; i++) this.bytes[this.used++] = key.charCodeAt(i);
    const leased = lease === 0n ? 0 : LEASED;
    if (typeof index === 'number') {
      const { main, sub } = historyOf(index);
      this.putVarint(ONCE | leased);
      this.putVarint(main);
      this.putVarint(sub);
    } else {
      this.putVarint(leased);
      this.putHistory(index);
    }
    if (leased !== 0) {
      this.reserve(8);
      this.used = this.bytes.writeBigInt64BE(lease, this.used);
    }
  }

  private putHistory(history: KeyHistory): void {
    const { closed, older } = history;
    this.putVarint(closed?.length ?? 0);
    for (const { created, version, revisions } of closed ?? []) {
      this.putVarint(created);
      this.putVarint(version);
      this.putPairs(revisions);
    }
    this.putVarint(history.version);
    if (history.version === 0) return;
    this.putVarint(history.created);
    this.putVarint(history.main);
    this.putVarint(history.sub);
    this.putPairs(older ?? []);
  }

  private putPairs(pairs: readonly number[]): void {
    this.putVarint(pairs.length / 2);
    let main = 0;
    for (let i = 0; i < pairs.length; i += 2) {
      this.putVarint(pairs[i] - main);
      this.putVarint(pairs[i + 1]);
      main = pairs[i];
    }
  }

  private reserve(count: number): void {
    if (this.used + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.used + count));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }
}

/** What ByteSink wrote, in the same order. @throws CheckpointError where the bytes end too early */
export class ByteSource {
  private readonly bytes: Buffer;
  private position = 0;
  /** Bytes of the key before, with room for longer ones. */
  private scratch = Buffer.allocUnsafe(1024);
  private previousLength = 0;
  /** Lease of the key that key() has read; 0n for none. */
  lease = 0n;
  /** Of the keys read so far. */
  revisionCount = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.position === this.bytes.length;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (this.position >= this.bytes.length || scale > 2 ** 49) throw cut();
      const byte = this.bytes[this.position++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= TWO_7;
    }
  }

  take(length: number): Buffer {
    if (this.position + length > this.bytes.length) throw cut();
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  /** The next key; what is known of it comes from index(), which must be called once. */
  key(): string {
    const shared = this.varint();
    const rest = this.varint();
    const length = shared + rest;
    if (shared > this.previousLength || this.position + rest > this.bytes.length) throw cut();
    if (length > this.scratch.length) {
      const larger = Buffer.allocUnsafe(length * 2);
      this.scratch.copy(larger, 0, 0, shared);
      this.scratch = larger;
    }
    for (let i = shared; i < length; i++) this.scratch[i] = this.bytes[this.position++];
    this.previousLength = length;
    // A string of its own: a slice of a larger one would keep that.
    return this.scratch.toString('latin1', 0, length);
  }

  index(): KeyIndex {
    const flags = this.varint();
    const index = (flags & ONCE) === 0 ? this.history() : putOnce(this.varint(), this.varint());
    if (typeof index === 'number' || index.version > 0) this.revisionCount++;
    this.lease = (flags & LEASED) === 0 ? 0n : this.take(8).readBigInt64BE();
    return index;
  }

  private history(): KeyHistory {
    const history = new KeyHistory(0, 0, 0, 0);
    const closedCount = this.varint();
    for (let i = 0; i < closedCount; i++) {
      const generation = { created: this.varint(), version: this.varint(), revisions: this.pairs() };
      if (history.closed === undefined) history.closed = [generation];
      else history.closed.push(generation);
    }
    history.version = this.varint();
    if (history.version === 0) return history;
    history.created = this.varint();
    history.main = this.varint();
    history.sub = this.varint();
    const older = this.pairs();
    if (older.length > 0) history.older = older;
    return history;
  }

  private pairs(): number[] {
    const count = this.varint();
    if (count > this.bytes.length) throw cut();
    this.revisionCount += count;
    const pairs: number[] = [];
    let main = 0;
    for (let i = 0; i < count; i++) {
      main += this.varint();
      pairs.push(main, this.varint());
    }
    // What push has filled has room to spare.
    return pairs.slice();
  }
}

function cut(): CheckpointError {
  return new CheckpointError('an entry is cut off');
}
