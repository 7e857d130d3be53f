/**
 * The state machine as a bbolt database and back: bucket by bucket, what a real etcd keeps in
 * member/snap/db. Out: a frozen view of the backend becomes the buckets of a file (the batch record turns
 * into meta's consistent_index, term and confState). In: a file's buckets become raw keys of an empty
 * backend, closed by one batch record. Both ways go in slices; nothing is held whole.
 */
import { assert, crc32c, EMPTY } from '@keelson/base';
import type { Backend, BackendSnapshot, BatchOperation } from '../backend/backend.ts';
import {
  batchRecordKey,
  decodeBatchRecord,
  encodeBatchRecord,
  isBatchRecordKey,
  type AppliedMark,
} from '../backend/batch-record.ts';
import { bucketRange, Buckets, type Bucket } from '../backend/buckets.ts';
import { FatalError } from '../errors.ts';
import { BboltReader, type BboltFile } from './bbolt-reader.ts';
import type { BucketSource, KeyValuePair } from './pages.ts';

/** What etcd 3.6 and newer check before they open a database; written into bucket meta. */
export const STORAGE_VERSION = '3.7.0';

/** Operations, and bytes in them, written to a backend at a time while importing; one leaf more at most. */
const IMPORT_BATCH = 5_000;
const IMPORT_BATCH_BYTES = 8 * 1024 * 1024;

/** Buckets that leave in a snapshot, by name as bbolt sorts them. */
const EXPORTED: readonly Bucket[] = Object.values(Buckets)
  .filter((bucket) => bucket.name !== '')
  .sort((a, b) => (a.name < b.name ? -1 : 1));

const REVISION_LENGTH = 17;
const TOMBSTONE_LENGTH = 18;

/** The newest mark inside a view: up to which entry it reaches. */
export async function markOf(view: BackendSnapshot): Promise<AppliedMark | undefined> {
  for await (const pairs of view.iterate({ ...bucketRange(Buckets.key), reverse: true, limit: 1 })) {
    for (const pair of pairs) {
      assert(isBatchRecordKey(pair.key), 'a view ends with a batch record');
      return decodeBatchRecord(pair.key, pair.value).mark;
    }
  }
  return undefined;
}

export interface ExportOptions {
  /**
   * Without what ties the database to a version (of the storage, of the cluster, a downgrade under way), so
   * that an etcd of any version starts from it and settles them itself.
   */
  readonly portable?: boolean;
}

/** A view as the buckets of a bbolt file; each can be read as often as needed while the view is open. */
export function exportBuckets(
  view: BackendSnapshot,
  mark: AppliedMark,
  { portable = false }: ExportOptions = {},
): BucketSource[] {
  return EXPORTED.map((bucket) => ({
    name: Buffer.from(bucket.name, 'latin1'),
    entries: () =>
      bucket === Buckets.meta ? metaEntries(view, mark, portable) : bucketEntries(view, bucket, portable),
  }));
}

async function* bucketEntries(
  view: BackendSnapshot,
  bucket: Bucket,
  portable: boolean,
): AsyncGenerator<KeyValuePair[]> {
  if (portable && bucket === Buckets.cluster) return;
  for await (const pairs of view.iterate(bucketRange(bucket))) {
    const batch: KeyValuePair[] = [];
    for (const pair of pairs) {
      if (bucket === Buckets.key && isBatchRecordKey(pair.key)) continue;
      batch.push({ key: Buffer.from(pair.key.slice(1), 'latin1'), value: pair.value });
    }
    yield batch;
  }
}

async function* metaEntries(
  view: BackendSnapshot,
  mark: AppliedMark,
  portable: boolean,
): AsyncGenerator<KeyValuePair[]> {
  const entries = new Map<string, Buffer>();
  for await (const pairs of view.iterate(bucketRange(Buckets.meta)))
    for (const pair of pairs) entries.set(pair.key.slice(1), pair.value);
  entries.set('consistent_index', u64(mark.consistentIndex));
  entries.set('term', u64(mark.term));
  entries.set('confState', Buffer.from(mark.confState));
  if (portable) entries.delete('storageVersion');
  else entries.set('storageVersion', Buffer.from(STORAGE_VERSION));
  yield [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key: Buffer.from(key, 'latin1'), value }));
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** What an image says of itself, where the log does not say it better. */
export interface ImageFacts {
  readonly consistentIndex: number;
  readonly term: number;
  /** JSON; empty in databases older than etcd 3.5. */
  readonly confState: string;
}

/** The membership as the buckets keep it: member id in hex → JSON, removed ids in hex, the version or ''. */
export interface ImageMembership {
  readonly members: ReadonlyMap<string, Buffer>;
  readonly removed: readonly string[];
  readonly clusterVersion: string;
}

export interface ImportOverride extends Partial<ImageFacts> {
  /**
   * Takes the place of the image's own. Needed where it has no conf state: an etcd before 3.5 keeps its
   * members there, but does not believe them (a restored one still has those of the old cluster).
   */
  readonly membership?: ImageMembership;
  /**
   * By how much the newest revision is moved on, with all before it marked as compacted, so that no client
   * meets an old revision again with other content (etcdutl: --bump-revision, --mark-compacted).
   */
  readonly bumpRevision?: number;
}

/** Reads what an image says of itself, without its content. @throws BboltError */
export async function readImageFacts(reader: BboltReader): Promise<ImageFacts> {
  const meta = new Map<string, Buffer>();
  for await (const pairs of (await reader.bucket(Buckets.meta.name))?.entries() ?? [])
    for (const { key, value } of pairs)
      if (OURS_IN_RECORD.has(key.toString('latin1'))) meta.set(key.toString('latin1'), Buffer.from(value));
  return factsOf(meta);
}

function factsOf(meta: ReadonlyMap<string, Buffer>): ImageFacts {
  return {
    consistentIndex: readU64(meta.get('consistent_index')),
    term: readU64(meta.get('term')),
    confState: meta.get('confState')?.toString('utf8') ?? '',
  };
}

/**
 * Fills an empty backend from a bbolt file, checked while it is read.
 *
 * @param override settles index, term, conf state and members where a raft snapshot or the log knows them
 * @throws FatalError for a key no etcd writes; BboltError for a damaged file. The backend is then of no use
 */
export async function importImage(
  file: BboltFile,
  backend: Backend,
  override: ImportOverride = {},
): Promise<AppliedMark> {
  const reader = await BboltReader.open(file);
  await reader.check();
  const byName = new Map(EXPORTED.map((bucket) => [bucket.name, bucket]));
  const meta = new Map<string, Buffer>();
  let newestRevision = '\0'.repeat(8) + '_' + '\0'.repeat(8);
  let operations: BatchOperation[] =
    override.membership === undefined ? [] : operationsOf(override.membership);
  let bytes = 0;
  // As BatchRecord counts a batch: the whole image is the first one.
  let checksum = 0;
  let putCount = 0;
  for (const source of await reader.buckets()) {
    const bucket = byName.get(source.name.toString('latin1'));
    // Buckets of other times (v2 leftovers, "test") carry nothing that is served.
    if (bucket === undefined) continue;
    if (
      override.membership !== undefined &&
      (bucket === Buckets.members || bucket === Buckets.membersRemoved)
    )
      continue;
    for await (const pairs of source.entries()) {
      for (const pair of pairs) {
        const key = pair.key.toString('latin1');
        if (bucket === Buckets.key) {
          if (!isRevision(key)) throw new FatalError(`snapshot: key bucket holds a key that is no revision`);
          if (key.slice(0, REVISION_LENGTH) > newestRevision) newestRevision = key.slice(0, REVISION_LENGTH);
          checksum = crc32c(pair.value, crc32c(pair.key, checksum));
          putCount++;
        }
        if (bucket === Buckets.meta) {
          if (OURS_IN_RECORD.has(key)) {
            meta.set(key, Buffer.from(pair.value));
            continue;
          }
        }
        if (bucket === Buckets.cluster && key === CLUSTER_VERSION && override.membership !== undefined)
          continue;
        operations.push({ key: bucket.prefix + key, value: Buffer.from(pair.value) });
        bytes += pair.key.length + pair.value.length;
      }
      if (operations.length >= IMPORT_BATCH || bytes >= IMPORT_BATCH_BYTES) {
        await backend.write(operations);
        operations = [];
        bytes = 0;
      }
    }
  }
  const { bumpRevision = 0 } = override;
  if (bumpRevision > 0) {
    const bumped = Buffer.from(newestRevision, 'latin1');
    bumped.writeBigUInt64BE(bumped.readBigUInt64BE(0) + BigInt(bumpRevision), 0);
    bumped.fill(0, 9);
    newestRevision = bumped.toString('latin1');
    // As etcd writes it: a revision with nothing in it.
    operations.push({ key: Buckets.key.prefix + newestRevision, value: EMPTY });
    operations.push({ key: `${Buckets.meta.prefix}scheduledCompactRev`, value: bumped });
    checksum = crc32c(bumped, checksum);
    putCount++;
  }
  const facts = { ...factsOf(meta), ...override };
  const mark: AppliedMark = {
    consistentIndex: facts.consistentIndex,
    term: facts.term,
    newestRevision,
    confState: facts.confState,
  };
  operations.push({
    key: batchRecordKey(newestRevision),
    value: encodeBatchRecord({ number: 1, previous: 0, checksum, putCount, mark }),
  });
  await backend.write(operations);
  return mark;
}

const CLUSTER_VERSION = 'clusterVersion';
const REMOVED = Buffer.from('removed');

function operationsOf({ members, removed, clusterVersion }: ImageMembership): BatchOperation[] {
  const operations: BatchOperation[] = [...members].map(([id, value]) => ({
    key: Buckets.members.prefix + id,
    value,
  }));
  for (const id of removed) operations.push({ key: Buckets.membersRemoved.prefix + id, value: REMOVED });
  if (clusterVersion !== '')
    operations.push({
      key: Buckets.cluster.prefix + CLUSTER_VERSION,
      value: Buffer.from(clusterVersion, 'utf8'),
    });
  return operations;
}

/** Meta keys whose content lives in the batch record on our side. */
const OURS_IN_RECORD: ReadonlySet<string> = new Set(['consistent_index', 'term', 'confState']);

function isRevision(key: string): boolean {
  return (
    (key.length === REVISION_LENGTH || (key.length === TOMBSTONE_LENGTH && key.endsWith('t'))) &&
    key[8] === '_'
  );
}

function readU64(bytes: Buffer | undefined): number {
  return bytes === undefined || bytes.length !== 8 ? 0 : Number(bytes.readBigUInt64BE(0));
}
