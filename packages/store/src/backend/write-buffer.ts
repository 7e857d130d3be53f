/**
 * Puts and deletes that are applied but not yet on disk: readable at once, written behind in batches. One
 * batch is filling while at most one is being written. Each batch carries its record (batch-record.ts), so
 * data and consistent index are never apart on disk. It never decides when to write: its owner calls
 * commit(), every 100 ms or once the pending operations or bytes reach its limits.
 *
 * Modelled on etcd's batch transaction and read buffer; the chain of batches is ours, because a LevelDB
 * batch can be lost where a bbolt page cannot.
 */
import { assert, crc32c, Deferred, type Clock } from '@keelson/base';
import type { Backend, BackendPair, BackendRange, BackendSnapshot, BatchOperation } from './backend.ts';
import {
  batchRecordKey,
  decodeBatchRecord,
  encodeBatchRecord,
  isBatchRecordKey,
  type AppliedMark,
  type BatchRecord,
} from './batch-record.ts';
import { bucketRange, Buckets, type Bucket } from './buckets.ts';
import { errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';

export type { AppliedMark } from './batch-record.ts';

/**
 * LevelDB's log holds what is not in its tables yet: two write buffers of 4 MiB, and a batch more. A damaged log
 * may lose a batch from its middle; so much is read again at every start, whatever else is known.
 */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
const ANCHOR_STEP_BYTES = 1024 * 1024;

/** Where the chain of batches can be taken up. */
interface Anchor {
  /** Newest revision of a sealed batch; '' for the beginning. */
  readonly revision: string;
  /** What was sealed up to it, since this buffer was made. */
  readonly bytes: number;
}

export interface WriteBufferCounters {
  /** Batches written and synced. */
  batches: number;
  /** Operations in them, the batch records not counted. */
  operations: number;
}

export interface WriteBufferOptions {
  /** Called once, when a batch could not be written: the member must stop. */
  readonly onError: (error: Error) => void;
  /** Counts what was written; the buffer's own when left out. */
  readonly counters?: WriteBufferCounters;
  /** Told the seconds each batch took (etcd_disk_backend_commit_duration_seconds); needs `clock`. */
  readonly observeCommit?: (seconds: number) => void;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
}

/** Bytes the checksum of a batch is computed over in one call. */
const CHECKSUM_BYTES = 64 * 1024;

/**
 * The puts of one batch into the key bucket. Revisions arrive in order, so arrays are map enough: a put is some
 * pushes, and a look-up, which is rare, searches. A value is a place in a block that it shares with others.
 */
class RevisionPuts {
  readonly keys: string[] = [];
  private readonly blocks: Buffer[] = [];
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];

  push(key: string, block: Buffer, start: number, end: number): void {
    this.keys.push(key);
    this.blocks.push(block);
    this.starts.push(start);
    this.ends.push(end);
  }

  /** The value at a position, as a view. */
  value(position: number): Buffer {
    return this.blocks[position].subarray(this.starts[position], this.ends[position]);
  }

  get(key: string): Buffer | undefined {
    const { keys } = this;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys[middle] < key) low = middle + 1;
      else high = middle;
    }
    return keys[low] === key ? this.value(low) : undefined;
  }

  /** CRC-32C over keys and values in order, gathered so that a call of it has much to do. */
  checksum(): number {
    const { keys, blocks, starts, ends } = this;
    const gathered = Buffer.allocUnsafe(CHECKSUM_BYTES);
    let checksum = 0;
    let length = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      const valueLength = ends[i] - starts[i];
      if (length + key.length + valueLength > CHECKSUM_BYTES) {
        checksum = crc32c(gathered.subarray(0, length), checksum);
        length = 0;
      }
      for (let at = 0; at < key.length; at++) gathered[length++] = key.charCodeAt(at);
      if (length + valueLength > CHECKSUM_BYTES) {
        checksum = crc32c(this.value(i), crc32c(gathered.subarray(0, length), checksum));
        length = 0;
      } else length += blocks[i].copy(gathered, length, starts[i], ends[i]);
    }
    return crc32c(gathered.subarray(0, length), checksum);
  }
}

/** The operations of one batch. */
class Batch {
  readonly revisions = new RevisionPuts();
  /** Revisions that nobody will read again. */
  private readonly dropped: string[] = [];
  /** All others by bucket; an operation without a value is a delete, which hides a put of a revision. */
  private readonly buckets = new Map<Bucket, Map<string, BatchOperation>>();
  count = 0;
  bytes = 0;

  get(bucket: Bucket, key: string): BatchOperation | undefined {
    const operation = this.buckets.get(bucket)?.get(key);
    if (operation !== undefined || bucket !== Buckets.key) return operation;
    const value = this.revisions.get(key);
    return value === undefined ? undefined : { key, value };
  }

  putRevision(key: string, block: Buffer, start: number, end: number): void {
    this.revisions.push(key, block, start, end);
    this.count++;
    this.bytes += key.length + end - start;
  }

  drop(key: string): void {
    this.dropped.push(key);
    this.count++;
    this.bytes += key.length;
  }

  set(bucket: Bucket, key: string, value: Buffer | undefined): void {
    let operations = this.buckets.get(bucket);
    if (operations === undefined) {
      operations = new Map();
      this.buckets.set(bucket, operations);
    }
    operations.set(key, { key: bucket.prefix + key, value });
    this.count++;
    this.bytes += key.length + (value === undefined ? 0 : value.length);
  }

  /** In the order of their effect: a revision's delete comes after its put. */
  toOperations(): BatchOperation[] {
    const all: BatchOperation[] = [];
    const { revisions } = this;
    const { keys } = revisions;
    for (let i = 0; i < keys.length; i++)
      all.push({ key: Buckets.key.prefix + keys[i], value: revisions.value(i) });
    for (const key of this.dropped) all.push({ key: Buckets.key.prefix + key, value: undefined });
    for (const operations of this.buckets.values())
      for (const operation of operations.values()) all.push(operation);
    return all;
  }
}

export class WriteBuffer {
  readonly counters: WriteBufferCounters;
  private readonly backend: Backend;
  private readonly options: WriteBufferOptions;
  private filling = new Batch();
  private writing: Batch | undefined = undefined;
  /** Settles with the batch being written. */
  private written: Promise<void> = Promise.resolve();
  /** For commits that came while a batch was being written: settles with the one after it. */
  private following: Deferred<void> | undefined = undefined;
  private failure: Error | undefined = undefined;
  private appliedMark: AppliedMark | undefined;
  /** The mark or the filling batch has changed since the last seal. */
  private dirty = false;
  /** A put into the key bucket that no mark covers yet. */
  private uncovered = false;
  private lastPutKey: string;
  /** The record of the last sealed batch. */
  private lastRecord: BatchRecord | undefined;
  private lastDurableIndex: number;
  private sealedBytes = 0;
  /** Oldest first. */
  private readonly anchors: Anchor[];

  /** @param newest the newest batch record on disk, as load() finds it; undefined for an empty backend */
  constructor(backend: Backend, options: WriteBufferOptions, newest?: BatchRecord) {
    this.backend = backend;
    this.options = options;
    this.counters = options.counters ?? { batches: 0, operations: 0 };
    this.appliedMark = newest?.mark;
    this.lastRecord = newest;
    this.lastPutKey = newest?.mark.newestRevision ?? '';
    this.lastDurableIndex = newest?.mark.consistentIndex ?? 0;
    // What was there when the backend was opened is in tables, which have checksums of their own.
    this.anchors = [{ revision: this.lastPutKey, bytes: 0 }];
  }

  /**
   * A buffer that goes on where the backend's newest batch ended.
   * @throws FatalError when the key bucket does not end with a batch record, or the record is damaged
   */
  static async load(backend: Backend, options: WriteBufferOptions): Promise<WriteBuffer> {
    let newest: BatchRecord | undefined;
    for await (const pairs of backend.iterate({ ...bucketRange(Buckets.key), reverse: true, limit: 1 })) {
      for (const pair of pairs) {
        if (!isBatchRecordKey(pair.key)) {
          throw new FatalError('backend: the newest revision has no batch record after it');
        }
        newest = decodeBatchRecord(pair.key, pair.value);
      }
    }
    return new WriteBuffer(backend, options, newest);
  }

  /** The last mark: from the applier, or before its first from disk. Undefined for a new member. */
  get newestMark(): AppliedMark | undefined {
    return this.appliedMark;
  }

  /** Operations in the filling batch. */
  get pendingOperations(): number {
    return this.filling.count;
  }

  /** Bytes of keys and values in the filling batch. */
  get pendingBytes(): number {
    return this.filling.bytes;
  }

  /** Consistent index of the last batch known to be synced. */
  get durableIndex(): number {
    return this.lastDurableIndex;
  }

  /**
   * Newest revision (17 bytes) of a batch before all that LevelDB's log may still hold; '' for none. Of what
   * comes after it a start must check the chain.
   */
  get anchor(): string {
    return this.anchors[0].revision;
  }

  /** The newest value, written or not. Not to be changed by the caller. */
  get(bucket: Bucket, key: string): Buffer | undefined {
    const operation = this.filling.get(bucket, key) ?? this.writing?.get(bucket, key);
    return operation === undefined ? this.backend.getSync(bucket.prefix + key) : operation.value;
  }

  /**
   * Takes over `value` (not copied). In the key bucket keys are revisions and only grow.
   */
  put(bucket: Bucket, key: string, value: Buffer): void {
    if (bucket === Buckets.key) this.putRevision(key, value, 0, value.length);
    else {
      this.filling.set(bucket, key, value);
      this.dirty = true;
    }
  }

  /** put() into the key bucket of block[start, end), which must stay as it is; the rest of the block is not touched. */
  putRevision(key: string, block: Buffer, start: number, end: number): void {
    assert(key > this.lastPutKey, 'revisions are written in order and once');
    this.lastPutKey = key;
    assert(key.length === 17 || key.length === 18, 'a revision is 17 or 18 bytes');
    this.uncovered = true;
    this.filling.putRevision(key, block, start, end);
    this.dirty = true;
  }

  delete(bucket: Bucket, key: string): void {
    this.filling.set(bucket, key, undefined);
    this.dirty = true;
  }

  /**
   * Deletes from the key bucket a revision that nobody will read again: until its batch is written, get() may still
   * find it. Cheaper than delete(), for a compaction drops as many as were ever put.
   */
  drop(key: string): void {
    this.filling.drop(key);
    this.dirty = true;
  }

  /**
   * Says up to where the puts so far are included. Called after each applied turn, in the same
   * synchronous stretch as the turn's puts: a batch is never sealed between a put and its mark.
   */
  mark(mark: AppliedMark): void {
    const last = this.appliedMark;
    assert(mark.newestRevision.length === 17, 'newest revision is 17 bytes');
    assert(
      last === undefined ||
        (mark.consistentIndex >= last.consistentIndex && mark.newestRevision >= last.newestRevision),
      'the applied mark goes back',
    );
    assert(this.lastPutKey.slice(0, 17) <= mark.newestRevision, 'a put newer than the newest revision');
    this.appliedMark = mark;
    this.uncovered = false;
    if (
      last === undefined ||
      last.consistentIndex !== mark.consistentIndex ||
      last.term !== mark.term ||
      last.newestRevision !== mark.newestRevision ||
      last.confState !== mark.confState
    ) {
      this.dirty = true;
    }
  }

  /**
   * Seals the filling batch and writes it; while one is being written, calls join the one after it.
   * Resolves once everything put before the call is durable. Nothing to write: no write.
   * @throws FatalError with the backend's error as cause; from then on every call throws it
   */
  commit(): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (!this.dirty) return this.written;
    if (this.writing !== undefined) {
      this.following ??= new Deferred<void>();
      return this.following.promise;
    }
    this.written = this.writeFilling();
    return this.written;
  }

  /**
   * Pairs of one bucket as they are on disk: commit() first. Keys are raw, with the bucket's byte.
   * @param gte first key, without the bucket's byte; the bucket's first when undefined
   * @param lt end, excluded; the bucket's end when undefined
   */
  range(
    bucket: Bucket,
    gte?: string,
    lt?: string,
    options: Pick<BackendRange, 'reverse' | 'limit'> = {},
  ): AsyncIterable<readonly BackendPair[]> {
    const whole = bucketRange(bucket);
    return this.backend.iterate({
      ...options,
      gte: gte === undefined ? whole.gte : bucket.prefix + gte,
      lt: lt === undefined ? whole.lt : bucket.prefix + lt,
    });
  }

  /** What a range of a bucket takes in the files, approximately: commit() first. Bounds as in range(). */
  bytesOnDisk(bucket: Bucket, gte: string, lt: string): Promise<number> {
    return this.backend.rangeSizeBytes(bucket.prefix + gte, bucket.prefix + lt);
  }

  /** Writes a range of a bucket anew, so that what was deleted gives its space back: commit() first. */
  rewrite(bucket: Bucket, gte: string, lt: string): Promise<void> {
    return this.backend.compact(bucket.prefix + gte, bucket.prefix + lt);
  }

  /** A frozen view with everything put before the call. */
  async snapshot(): Promise<BackendSnapshot> {
    await this.commit();
    return this.backend.snapshot();
  }

  private async writeFilling(): Promise<void> {
    const batch = this.filling;
    this.writing = batch;
    this.filling = new Batch();
    this.dirty = false;
    const mark = this.appliedMark;
    const startMs = this.options.clock?.monotonicMs() ?? 0;
    try {
      const operations = batch.toOperations();
      if (mark !== undefined) operations.push(this.sealRecord(batch, mark));
      await this.backend.write(operations);
    } catch (error) {
      throw this.fail(
        new FatalError(`backend: batch not written: ${errorMessageOf(error)}`, { cause: error }),
      );
    }
    if (this.options.clock !== undefined) {
      this.options.observeCommit?.((this.options.clock.monotonicMs() - startMs) / 1000);
    }
    this.counters.batches++;
    this.counters.operations += batch.count;
    if (mark !== undefined) this.lastDurableIndex = mark.consistentIndex;
    this.writing = undefined;
    const following = this.following;
    if (following !== undefined) {
      this.following = undefined;
      this.written = this.writeFilling();
      this.written.then(following.resolve, following.reject);
    }
  }

  private sealRecord(batch: Batch, mark: AppliedMark): BatchOperation {
    assert(!this.uncovered, 'a batch is sealed between a put and its mark');
    const last = this.lastRecord;
    const number = (last?.number ?? 0) + 1;
    const sameKey = last !== undefined && last.mark.newestRevision === mark.newestRevision;
    const putCount = batch.revisions.keys.length;
    let record: BatchRecord;
    if (sameKey) {
      // No new revision: the record replaces the last one and goes on vouching for that one's puts.
      assert(putCount === 0, 'puts without a new revision');
      record = { ...last, number, mark };
    } else {
      const checksum = batch.revisions.checksum();
      record = { number, previous: last?.number ?? 0, checksum, putCount, mark };
    }
    this.lastRecord = record;
    this.moveAnchor(mark.newestRevision, batch.bytes);
    return { key: batchRecordKey(mark.newestRevision), value: encodeBatchRecord(record) };
  }

  private moveAnchor(revision: string, bytes: number): void {
    const { anchors } = this;
    this.sealedBytes += bytes;
    if (this.sealedBytes - anchors[anchors.length - 1].bytes >= ANCHOR_STEP_BYTES)
      anchors.push({ revision, bytes: this.sealedBytes });
    while (anchors.length > 1 && this.sealedBytes - anchors[1].bytes >= LOG_BYTES_MAX) anchors.shift();
  }

  private fail(failure: FatalError): FatalError {
    this.failure = failure;
    this.following?.reject(failure);
    this.following = undefined;
    this.options.onError(failure);
    return failure;
  }
}
