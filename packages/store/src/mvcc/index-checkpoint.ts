/**
 * The index checkpoint: all that a start would learn about the keys by reading the key bucket up to a revision,
 * written to a file while the member serves, so that the next start reads only what came after. The key bucket
 * stays the truth: a checkpoint that is missing, damaged or another backend's is not used.
 *
 * It describes one revision exactly although writes go on meanwhile: the index keeps older revisions, and of
 * each key only what was known at that revision is written. The backend names the files that describe it, in a
 * batch that is durable before the file takes its place; so a file can only meet the backend it was made from, at
 * its revision or later. Byte by byte: docs/formats/index-checkpoint.md; why: docs/adr/0018-index-checkpoint.md.
 */
import { Buckets } from '../backend/buckets.ts';
import {
  decodeIdentities,
  encodeIdentities,
  type CheckpointFile,
  type CheckpointIdentity,
  type CheckpointReader,
  type CheckpointWriter,
} from './checkpoint-file.ts';
import { ChangeCounts } from './change-counts.ts';
import { ByteSink, ByteSource, CheckpointError } from './index-codec.ts';
import { REVISION_LENGTH, revisionSub } from './revision.ts';
import type { MvccState } from './state.ts';
import { TreeIndexBuilder, type TreeIndex } from './tree-index.ts';

const IDENTITIES_KEY = 'indexCheckpoint';

/** What a block holds: its first byte. */
const HEADER = 0;
const KEYS = 1;
const COUNTS = 2;
const END = 3;

/** A block, and so a slice, ends after either: 1 to 2 ms of work. */
const BLOCK_BYTES = 64 * 1024;
const SLICE_KEYS = 4096;
const BLOCK_COUNTS = 32_768;

/** What a checkpoint says of itself. */
export interface CheckpointFacts {
  /** The main revision it describes, and the sub revision of the newest change then. */
  readonly revision: number;
  readonly newestSub: number;
  /** The newest compaction whose work was finished; -1 for none. */
  readonly compactRevision: number;
  /** No batch record on disk was at a main revision below it. */
  readonly recordsFrom: number;
  /** Of the revisions that were stored, as MvccState counts them. */
  readonly storedBytes: number;
  /** See WriteBuffer.anchor. */
  readonly anchor: string;
}

export interface LoadedCheckpoint extends CheckpointFacts {
  readonly index: TreeIndex;
  /** Revisions in it. */
  readonly revisionCount: number;
  readonly changeCounts: ChangeCounts;
  /** Keys that exist, with their lease. */
  readonly leases: Map<string, bigint>;
  readonly identity: CheckpointIdentity;
}

/** The files the backend says describe it, newest first. */
export function readIdentities(state: MvccState): CheckpointIdentity[] {
  return decodeIdentities(state.buffer.get(Buckets.local, IDENTITIES_KEY));
}

export interface CheckpointSource {
  readonly recordsFrom: number;
  /** The lease a key is attached to now; 0n for none. */
  readonly leaseOf: (key: string) => bigint;
  readonly sliceKeys: number | undefined;
  /** The file that is there now; undefined for none that is known. */
  readonly current: CheckpointIdentity | undefined;
}

/**
 * Writes the current revision's checkpoint in slices. Compaction may not work on the index meanwhile.
 * @param pause waits between slices; rejects to give up
 * @returns undefined when a compaction was begun meanwhile: nothing was changed
 * @throws the disk's errors: the file there before stays
 */
export async function writeCheckpoint(
  state: MvccState,
  file: CheckpointFile,
  source: CheckpointSource,
  pause: () => Promise<void>,
): Promise<CheckpointIdentity | undefined> {
  const facts: CheckpointFacts = {
    revision: state.currentRevision,
    newestSub: revisionSub(state.newestRevision),
    compactRevision: state.finishedCompactRevision,
    recordsFrom: source.recordsFrom,
    storedBytes: state.storedBytes,
    anchor: state.buffer.anchor,
  };
  const scheduled = state.compactRevision;
  const dropped = state.counters.compactedRevisions;
  const writer = await file.create();
  try {
    const sink = new ByteSink();
    await writeHeader(writer, sink, facts);
    let keyCount = 0;
    let next: string | undefined = '';
    while (next !== undefined) {
      await pause();
      if (state.compactRevision !== scheduled || state.counters.compactedRevisions !== dropped) {
        await writer.discard();
        return undefined;
      }
      sink.clear();
      sink.putVarint(KEYS);
      const slice = putKeys(state, sink, next, facts.revision, source);
      keyCount += slice.count;
      next = slice.next;
      await writer.write(sink.view);
    }
    await writeCounts(state, writer, sink, facts, pause);
    sink.clear();
    sink.putVarint(END);
    sink.putVarint(keyCount);
    await writer.write(sink.view);
    const identity = await writer.finish(facts.revision);
    // Both names while the files change places. This batch also brings to disk every change a slice has seen.
    const identities = source.current === undefined ? [identity] : [identity, source.current];
    state.buffer.put(Buckets.local, IDENTITIES_KEY, encodeIdentities(identities));
    await state.buffer.commit();
    await writer.publish();
    return identity;
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function writeHeader(writer: CheckpointWriter, sink: ByteSink, facts: CheckpointFacts): Promise<void> {
  sink.putVarint(HEADER);
  sink.putVarint(facts.revision);
  sink.putVarint(facts.newestSub);
  sink.putVarint(facts.compactRevision + 1);
  sink.putVarint(facts.recordsFrom);
  sink.putVarint(facts.storedBytes);
  sink.putVarint(facts.anchor.length);
  sink.putBytes(Buffer.from(facts.anchor, 'latin1'));
  return writer.write(sink.view);
}

/** One block of keys from `from` on; `next` is undefined when there are no more. */
function putKeys(
  state: MvccState,
  sink: ByteSink,
  from: string,
  revision: number,
  { leaseOf, sliceKeys = SLICE_KEYS }: CheckpointSource,
): { count: number; next: string | undefined } {
  let seen = 0;
  let count = 0;
  let next: string | undefined;
  state.index.visit(from, (key, index) => {
    if (seen++ === sliceKeys || sink.length >= BLOCK_BYTES) {
      next = key;
      return false;
    }
    if (typeof index === 'number') {
      if (Math.floor(index) > revision) return true;
      sink.putKey(key, index, leaseOf(key));
    } else {
      const past = index.asOf(revision);
      if (past === undefined) return true;
      sink.putKey(key, past, past.version === 0 ? 0n : leaseOf(key));
    }
    count++;
    return true;
  });
  return { count, next };
}

async function writeCounts(
  state: MvccState,
  writer: CheckpointWriter,
  sink: ByteSink,
  { revision, compactRevision }: CheckpointFacts,
  pause: () => Promise<void>,
): Promise<void> {
  for (let first = Math.max(compactRevision, 1); first <= revision; first += BLOCK_COUNTS) {
    await pause();
    sink.clear();
    sink.putVarint(COUNTS);
    sink.putVarint(first);
    const end = Math.min(first + BLOCK_COUNTS, revision + 1);
    for (let main = first; main < end; main++) sink.putVarint(state.changeCounts.get(main));
    await writer.write(sink.view);
  }
}

/**
 * Reads the file, if it is one of `identities`.
 * @throws CheckpointError when it is not, or is damaged; the disk's errors
 */
export async function loadCheckpoint(
  file: CheckpointFile,
  identities: readonly CheckpointIdentity[],
): Promise<LoadedCheckpoint> {
  const reader = await file.open();
  if (reader === undefined) throw new CheckpointError('the file is missing');
  try {
    if (!identities.some(({ bytes }) => bytes === reader.bytes))
      throw new CheckpointError('the file is not one that the backend names');
    const loaded = await readBlocks(reader);
    const identity = identities.find(
      ({ revision, bytes, checksum }) =>
        revision === loaded.revision && bytes === reader.bytes && checksum === reader.checksumSoFar,
    );
    if (identity === undefined) throw new CheckpointError('the file is not one that the backend names');
    return { ...loaded, identity };
  } finally {
    await reader.close();
  }
}

async function readBlocks(reader: CheckpointReader): Promise<Omit<LoadedCheckpoint, 'identity'>> {
  const header = await blockOf(reader);
  if (header.kind !== HEADER) throw new CheckpointError('no header');
  const facts = readHeader(header.source);
  const builder = new TreeIndexBuilder();
  const changeCounts = new ChangeCounts();
  const leases = new Map<string, bigint>();
  const progress: Progress = { key: undefined, main: -1 };
  let keyCount = 0;
  let revisionCount = 0;
  for (;;) {
    const { kind, source } = await blockOf(reader);
    if (kind === KEYS) {
      keyCount += readKeys(source, builder, leases, progress);
      revisionCount += source.revisionCount;
    } else if (kind === COUNTS) readCounts(source, changeCounts, facts.revision, progress);
    else if (kind === END && source.varint() === keyCount) break;
    else throw new CheckpointError('an unknown block, or keys are missing');
  }
  if ((await reader.next()) !== undefined) throw new CheckpointError('the file does not end where it should');
  return { ...facts, index: builder.finish(), revisionCount, changeCounts, leases };
}

async function blockOf(reader: CheckpointReader): Promise<{ kind: number; source: ByteSource }> {
  const payload = await reader.next();
  if (payload === undefined) throw new CheckpointError('the file ends too early');
  const source = new ByteSource(payload);
  return { kind: source.varint(), source };
}

function readHeader(source: ByteSource): CheckpointFacts {
  const facts = {
    revision: source.varint(),
    newestSub: source.varint(),
    compactRevision: source.varint() - 1,
    recordsFrom: source.varint(),
    storedBytes: source.varint(),
    anchor: source.take(source.varint()).toString('latin1'),
  };
  if (facts.anchor !== '' && facts.anchor.length !== REVISION_LENGTH)
    throw new CheckpointError('a damaged header');
  return facts;
}

/** What blocks have in common: each goes on where the one before ended. */
interface Progress {
  key: string | undefined;
  /** The newest main revision with a count. */
  main: number;
}

function readKeys(
  source: ByteSource,
  builder: TreeIndexBuilder,
  leases: Map<string, bigint>,
  progress: Progress,
): number {
  let count = 0;
  for (; !source.done; count++) {
    const key = source.key();
    if (progress.key !== undefined && key <= progress.key) throw new CheckpointError('keys are out of order');
    progress.key = key;
    builder.add(key, source.index());
    if (source.lease !== 0n) leases.set(key, source.lease);
  }
  return count;
}

function readCounts(
  source: ByteSource,
  changeCounts: ChangeCounts,
  revision: number,
  progress: Progress,
): void {
  for (let main = source.varint(); !source.done; main++) {
    const count = source.varint();
    // Room is taken for all revisions in between, so none may be beyond those there are.
    if (main > revision) throw new CheckpointError('counts of revisions that are not there');
    if (count === 0) continue;
    if (main <= progress.main) throw new CheckpointError('counts are out of order');
    progress.main = main;
    changeCounts.append(main, count);
  }
}
