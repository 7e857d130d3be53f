/**
 * Snapshots, both ways. Outward: every so many entries the point the log may be cut at moves on (.snap
 * file, WAL marker, shorter tail), and a follower that needs what was cut gets the whole state as a bbolt
 * file. Inward: a leader's file is saved, becomes the backend, and replaces the state machine's content.
 *
 * Law: log is released only up to an index whose state is durable in the backend (decision 8).
 */
import { assert, toError, type Disk, type Logger } from '@keelson/base';
import { Message, Snapshot, type AppendWork } from '@keelson/raft';
import type { OpenedState, StateMachine } from '../apply/state-machine.ts';
import type { Backend, BackendSnapshot } from '../backend/backend.ts';
import type { BackendHome } from '../backend/home.ts';
import { BackendOpenError } from '../backend/open-error.ts';
import { WriteBuffer, type WriteBufferOptions } from '../backend/write-buffer.ts';
import { FatalError } from '../errors.ts';
import { decodeV2Store, encodeV2Store } from '../membership/v2-store.ts';
import { BboltReader, type BboltFile } from '../snapshot/bbolt-reader.ts';
import { planBbolt, writeBbolt, type Turn } from '../snapshot/bbolt-writer.ts';
import { BboltError } from '../snapshot/pages.ts';
import { exportBuckets, importImage, markOf } from '../snapshot/state-image.ts';
import type { SnapshotMarker } from '../wal/entry-codec.ts';
import { decodeConfState, encodeConfState } from './conf-state.ts';
import { hasTrueMembers, imageMembership } from './image-membership.ts';
import type { LogTail } from './log-storage.ts';

/**
 * Payload of entries kept for followers, and applied between two snapshots, whatever the counts say: with the
 * default counts it binds entries of more than 6 KiB, and 200,000 puts of 256 B are far more than 5,000 entries.
 */
const TAIL_BYTES_MAX = 64 * 1024 * 1024;

/** Where .snap files are kept; snap/snap-files.ts in production. */
export interface SnapshotFiles {
  save(snapshot: Snapshot): Promise<void>;
  /** Removes all but the newest few. */
  purge(): Promise<void>;
}

/** The parts of the WAL a snapshot touches. */
export interface ReleasableLog {
  append(batch: Pick<AppendWork, 'entries' | 'hardState' | 'mustSync'>): Promise<void>;
  saveSnapshotMarker(marker: SnapshotMarker): Promise<void>;
  release(index: number): Promise<void>;
}

export interface SnapshotSender {
  sendSnapshot(message: Message, body: AsyncIterable<Buffer>, bytes: number): void;
}

export interface SnapshotterParts {
  readonly state: StateMachine;
  readonly tail: LogTail;
  readonly log: ReleasableLog;
  readonly files: SnapshotFiles;
  readonly home: BackendHome;
  readonly disk: Disk;
  readonly sender: SnapshotSender;
  readonly logger: Logger;
  readonly onError: (error: Error) => void;
  /** Between slices of long work; the event loop's own when left out. */
  readonly turn?: Turn;
  /** The state machine's content was replaced; resolves when nobody works on the one before any more. */
  readonly onReplaced: () => Promise<unknown>;
}

export interface SnapshotterOptions {
  /** The member's snap directory. */
  readonly directory: string;
  /** Applied entries between snapshots (etcd --snapshot-count). */
  readonly snapshotCount: number;
  /** Entries kept in the tail behind a snapshot for slow followers. */
  readonly catchUpEntries: number;
  /** Payload of them, and of what is applied between snapshots; a default when left out. */
  readonly tailBytesMax?: number | undefined;
  readonly writeBuffer: WriteBufferOptions;
}

export class Snapshotter {
  private readonly parts: SnapshotterParts;
  private readonly options: SnapshotterOptions;
  private lastIndex: number;
  /** Of the tail's appendedBytes, when the last snapshot was taken. */
  private lastBytes: number;
  private readonly tailBytesMax: number;
  private saving: Promise<void> | undefined;
  private installing: Promise<void> | undefined;
  /** Snapshots on their way to followers: the tail must keep what comes after them. */
  private sendingCount = 0;
  private receivedCount = 0;

  /** @param lastIndex of the newest .snap file; 0 for none */
  constructor(parts: SnapshotterParts, options: SnapshotterOptions, lastIndex: number) {
    this.parts = parts;
    this.options = options;
    this.lastIndex = lastIndex;
    this.lastBytes = parts.tail.appendedBytes;
    this.tailBytesMax = options.tailBytesMax ?? TAIL_BYTES_MAX;
  }

  /** Called after each applied batch: takes a snapshot when enough has been applied since the last. */
  afterApply(): void {
    const { state, tail } = this.parts;
    const count = state.consistentIndex - this.lastIndex;
    const full = count > 0 && tail.appendedBytes - this.lastBytes > this.tailBytesMax;
    if (this.saving !== undefined || (count < this.options.snapshotCount && !full)) return;
    this.lastBytes = tail.appendedBytes;
    this.saving = this.save()
      .catch((error: unknown) => this.parts.onError(toError(error)))
      .finally(() => {
        this.saving = undefined;
      });
  }

  /** Resolves when no snapshot is being taken or installed. */
  async idle(): Promise<void> {
    await this.saving;
    await this.installing?.catch(() => {}); // its failure is the driver's to handle
  }

  private async save(): Promise<void> {
    const { state, tail, log, files, home, logger } = this.parts;
    const index = state.consistentIndex;
    const confState = decodeConfState(state.confState);
    const data = this.membersData();
    await state.buffer.commit();
    assert(state.buffer.durableIndex >= index, 'a committed buffer covers what was applied before');
    await home.syncNames(state.backend);
    const term = tail.term(index);
    // A snapshot from the leader replaced the log meanwhile: it is the newer one.
    if (typeof term !== 'number') return;
    await files.save(new Snapshot(index, term, confState, data));
    await log.saveSnapshotMarker({ index, term, confState });
    if (tail.createSnapshot(index, confState, data) === undefined) return;
    this.lastIndex = index;
    logger.info('saved snapshot', { 'snapshot-index': index });
    await log.release(index);
    await files.purge();
    await purgeDatabases(this.parts.disk, this.options.directory, index);
    this.cutTail(index);
  }

  /** Drops entries from memory that a follower is not expected to need. */
  private cutTail(snapshotIndex: number): void {
    if (this.sendingCount > 0) return;
    const { tail, logger } = this.parts;
    const first = Math.max(snapshotIndex - this.options.catchUpEntries + 1, tail.firstIndex());
    const cut = tail.firstWithin(first, snapshotIndex, this.tailBytesMax) - 1;
    if (cut < tail.firstIndex()) return;
    tail.compact(cut);
    logger.info('compacted Raft logs', { 'compact-index': cut });
  }

  private membersData(): Buffer {
    const { membership } = this.parts.state;
    return encodeV2Store(membership.list(), membership.removed(), membership.clusterVersion);
  }

  /** Answers raft's wish to bring a follower up by snapshot with the whole state as it is now. */
  send(asked: Message): void {
    this.sendingCount++;
    this.prepare(asked)
      .catch((error: unknown) => this.parts.onError(toError(error)))
      .finally(() => {
        this.sendingCount--;
      });
  }

  private async prepare(asked: Message): Promise<void> {
    const view = await this.parts.state.buffer.snapshot();
    const data = this.membersData();
    let handedOver = false;
    try {
      const mark = await markOf(view);
      assert(mark !== undefined, 'a member that leads has applied something');
      const buckets = exportBuckets(view, mark);
      const plan = await planBbolt(buckets, this.parts.turn);
      const message = new Message(asked.type, {
        // oxlint-disable-next-line typescript/no-misused-spread -- the same message with another snapshot
        ...asked,
        snapshot: new Snapshot(mark.consistentIndex, mark.term, decodeConfState(mark.confState), data),
      });
      this.parts.logger.info('sending database snapshot', {
        'snapshot-index': mark.consistentIndex,
        'remote-peer-id': asked.to,
        bytes: plan.bytes,
      });
      await new Promise<void>((resolve) => {
        handedOver = true;
        const chunks = writeBbolt(plan, buckets, this.parts.turn);
        this.parts.sender.sendSnapshot(message, bodyOf(chunks, view, resolve), plan.bytes);
      });
    } finally {
      if (!handedOver) await view.close();
    }
  }

  /** Where an incoming snapshot's database is kept until it is installed (etcd's name). */
  private databasePath(index: number): string {
    return databasePath(this.options.directory, index);
  }

  /** Saves a leader's database file; resolves when it is durable. */
  async receive(message: Message, body: AsyncIterable<Buffer>): Promise<void> {
    const { disk, logger } = this.parts;
    const index = message.snapshot?.index ?? 0;
    const path = this.databasePath(index);
    // A name of its own: two members may send the same one at a time.
    const temporary = `${path}.${this.receivedCount++}.tmp`;
    await disk.removeAll(temporary);
    let position = 0;
    try {
      const file = await disk.open(temporary, 'create');
      try {
        for await (const chunk of body) {
          await file.write(position, chunk);
          position += chunk.length;
        }
        await file.sync();
      } finally {
        await file.close();
      }
      await disk.rename(temporary, path);
      await disk.syncDirectory(this.options.directory);
    } catch (error) {
      await disk.removeAll(temporary);
      throw error;
    }
    logger.info('received and saved database snapshot', { 'snapshot-index': index, bytes: position });
  }

  /**
   * Makes a received snapshot, and what was appended with it, this member's log and state. A crash after
   * any step starts either from before or from the snapshot: the log speaks of it before the backend is
   * it, since a backend ahead of its log could not start.
   */
  install(work: AppendWork): Promise<void> {
    assert(this.installing === undefined, 'one snapshot is installed at a time');
    this.installing = this.installNow(work).finally(() => {
      this.installing = undefined;
    });
    return this.installing;
  }

  private async installNow(work: AppendWork): Promise<void> {
    const snapshot = work.snapshot;
    assert(snapshot !== undefined, 'installing without a snapshot');
    const { home, disk, files, log, state, logger } = this.parts;
    const { index, term, confState } = snapshot;
    await this.saving;
    logger.info('applying snapshot', { 'snapshot-index': index });
    const incoming = await home.openIncoming();
    try {
      await fillFromDatabase(disk, this.databasePath(index), incoming, snapshot);
    } catch (error) {
      await home.discard(incoming);
      throw error;
    }
    await files.save(snapshot);
    await log.saveSnapshotMarker({ index, term, confState });
    // With the commit index on disk a restart begins at the snapshot: from its database, until it is adopted. To raft a
    // commit index alone may be lost; here a backend would be ahead of its log.
    await log.append({ entries: work.entries, hardState: work.hardState, mustSync: true });
    await home.adopt(incoming);
    const previous: OpenedState = { backend: state.backend, buffer: state.buffer };
    await state.replace({
      backend: incoming,
      buffer: await WriteBuffer.load(incoming, this.options.writeBuffer),
    });
    this.lastIndex = index;
    await this.parts.onReplaced();
    await previous.buffer.commit();
    await home.discard(previous.backend);
    await log.release(index);
    await purgeDatabases(disk, this.options.directory, index);
    logger.info('applied snapshot', { 'snapshot-index': index });
  }
}

/** Databases as they come with snapshots, by index; with a number behind while one is being received. */
const DATABASE = /^([0-9a-f]{16})\.snap\.db(\.[0-9]+\.tmp)?$/;

function databasePath(directory: string, index: number): string {
  return `${directory}/${index.toString(16).padStart(16, '0')}.snap.db`;
}

/** Removes databases of snapshots at or below `index`: they are installed, or will never be. */
async function purgeDatabases(disk: Disk, directory: string, index: number): Promise<void> {
  for (const name of await disk.list(directory)) {
    const match = DATABASE.exec(name);
    if (match !== null && Number.parseInt(match[1], 16) <= index)
      await disk.removeAll(`${directory}/${name}`);
  }
}

/** At start: removes what was being received when the member ended, and databases it has no use for. */
export async function cleanDatabases(disk: Disk, directory: string, appliedIndex: number): Promise<void> {
  for (const name of await disk.list(directory))
    if (name.endsWith('.tmp') && DATABASE.test(name)) await disk.removeAll(`${directory}/${name}`);
  await purgeDatabases(disk, directory, appliedIndex);
}

/**
 * Brings a member whose log begins at a snapshot its backend does not reach to that snapshot: the crash
 * came before the new backend was adopted. `current` is closed then.
 * @throws FatalError when the database that came with the snapshot is not there; BackendOpenError when it is damaged
 */
export async function recoverBackend(
  home: BackendHome,
  disk: Disk,
  directory: string,
  current: Backend,
  snapshot: Snapshot,
): Promise<Backend> {
  const path = databasePath(directory, snapshot.index);
  if (!(await disk.exists(path)))
    throw new FatalError(
      `the log begins at snapshot index ${snapshot.index}, but the backend is older and ${path} is missing: ` +
        'remove this member from the cluster and add it again',
    );
  const incoming = await home.openIncoming();
  try {
    await fillFromDatabase(disk, path, incoming, snapshot);
    await home.adopt(incoming);
  } catch (error) {
    await incoming.close();
    throw error;
  }
  await home.discard(current);
  return incoming;
}

/** @throws BackendOpenError for a damaged file */
async function fillFromDatabase(
  disk: Disk,
  path: string,
  backend: Backend,
  snapshot: Snapshot,
): Promise<void> {
  const file = await disk.open(path, 'read');
  try {
    const size = await file.size();
    const database: BboltFile = {
      read: (position, length) => file.read(position, length),
      size: () => Promise.resolve(size),
    };
    const ownMembers = await hasTrueMembers(await BboltReader.open(database), snapshot.confState);
    await importImage(database, backend, {
      consistentIndex: snapshot.index,
      term: snapshot.term,
      confState: encodeConfState(snapshot.confState),
      ...(ownMembers ? {} : { membership: imageMembership(decodeV2Store(snapshot.data)) }),
    });
  } catch (error) {
    if (!(error instanceof BboltError)) throw error;
    const text = `the database of the snapshot at index ${snapshot.index}, ${path}, is damaged: ${error.message}`;
    throw new BackendOpenError('DAMAGED', text, { cause: error });
  } finally {
    await file.close();
  }
}

/**
 * Chunks of the file, closing the view they are read from when they are done with, however that is: at their
 * end, on an error, or by return(), also before the first one was asked for (a generator's `finally` would
 * not run then).
 */
function bodyOf(
  chunks: AsyncGenerator<Buffer>,
  view: BackendSnapshot,
  onDone: () => void,
): AsyncIterable<Buffer> {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll());
  const closeAll = async (): Promise<void> => {
    try {
      await chunks.return(undefined);
      await view.close();
    } finally {
      onDone();
    }
  };
  const iterator: AsyncIterator<Buffer, undefined> = {
    async next() {
      if (closing !== undefined) return { done: true, value: undefined };
      try {
        const step = await chunks.next();
        if (step.done !== true) return { done: false, value: step.value };
      } catch (error) {
        await close();
        throw error;
      }
      await close();
      return { done: true, value: undefined };
    },
    async return() {
      await close();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
