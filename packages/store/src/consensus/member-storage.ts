/**
 * A member's durable half, opened: backend, log and snapshot files brought to one consistent start, for a
 * member that is new or one that comes back. Everything that can be wrong with a data dir is found here,
 * before a port is served; each finding is one line that says what to do.
 *
 * Order: the backend first, since its lock is the data dir's; then the log, from the newest snapshot that
 * both have; then what a crash between their steps left unfinished.
 */
import { hexId, type Disk, type Logger } from '@keelson/base';
import { EMPTY_CONF_STATE, NONE, type HardState, type Snapshot } from '@keelson/raft';
import { StateMachine, type StateMachineOptions } from '../apply/state-machine.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendHome } from '../backend/home.ts';
import { BackendOpenError } from '../backend/open-error.ts';
import { WriteBuffer, type WriteBufferOptions } from '../backend/write-buffer.ts';
import { FatalError } from '../errors.ts';
import { SnapStore } from '../snap/snap-store.ts';
import { decodeMetadata, encodeMetadata } from '../wal/entry-codec.ts';
import { validSnapshotMarkers, Wal, type OpenedWal, type WalOptions } from '../wal/wal.ts';
import { WalError, type WalErrorCode } from '../wal/wal-error.ts';
import type { Member } from '../membership/member.ts';
import { bootstrapLog } from './bootstrap.ts';
import { decodeConfState } from './conf-state.ts';
import { forceNewCluster } from './force-new-cluster.ts';
import { LogTail } from './log-storage.ts';
import { cleanDatabases, recoverBackend } from './snapshotter.ts';

const DAMAGED_LOG: ReadonlySet<WalErrorCode> = new Set([
  'CORRUPT',
  'NOT_FOUND',
  'SNAPSHOT_NOT_FOUND',
  'SNAPSHOT_MISMATCH',
]);

/** What was acknowledged may be gone here, so the others must be asked for it: a member never mends its data alone. */
const ADVICE =
  'remove this member from the cluster, remove its data dir, and add it again, so that the others send it the data; ' +
  'where it is the only member, restore a backup';

/** Who a member without a log is. */
export interface Founding {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** The first members of a new cluster; none for a member that joins one and learns them from its log. */
  readonly members: readonly Member[];
}

export interface FoundingSource {
  /** A member that joins (--initial-cluster-state=existing): its log may stay empty for a while. */
  readonly joins: boolean;
  /** --force-new-cluster: a member that has a log goes on as the only one of its cluster. */
  readonly alone?: boolean;
  /** Asked only when the log has not begun. @throws FatalError when this member must not begin one */
  readonly ask: () => Promise<Founding>;
}

export interface StoragePaths {
  /** member/snap: .snap files and the backend. */
  readonly snap: string;
  /** member/wal or --wal-dir. */
  readonly wal: string;
}

export interface StorageOptions {
  readonly wal: WalOptions;
  readonly writeBuffer: WriteBufferOptions;
  readonly state: StateMachineOptions;
}

export interface MemberStorage {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  /** This start made the data dir. */
  readonly isNew: boolean;
  /** Ids of the cluster's first members; empty when it was founded at an earlier start. */
  readonly founderIds: readonly bigint[];
  readonly state: StateMachine;
  readonly wal: Wal;
  readonly tail: LogTail;
  readonly snapFiles: SnapStore;
  /** Index of the snapshot the log begins at; 0 for none. */
  readonly snapshotIndex: number;
}

export async function openStorage(
  disk: Disk,
  home: BackendHome,
  paths: StoragePaths,
  source: FoundingSource,
  options: StorageOptions,
  logger: Logger,
): Promise<MemberStorage> {
  let opened: Opened | undefined;
  try {
    // What is open is closed again when something is wrong; recovering may put another backend in its place.
    opened = { backend: await home.open(), wal: undefined };
    const snapFiles = new SnapStore(disk, paths.snap, logger);
    return (await hasLog(disk, paths.wal))
      ? await reopen(disk, home, opened, snapFiles, paths, source, options, logger)
      : await create(disk, opened, snapFiles, paths, await source.ask(), options);
  } catch (error) {
    await opened?.wal?.close().catch(() => {});
    await opened?.backend.close();
    advise(error);
    throw error;
  }
}

/** To an error that says what is damaged: what to do about it. */
function advise(error: unknown): void {
  const damaged =
    error instanceof WalError
      ? DAMAGED_LOG.has(error.code)
      : error instanceof BackendOpenError
        ? error.code === 'DAMAGED'
        : error instanceof FatalError && error.message.startsWith('backend');
  if (damaged && error instanceof Error) error.message = `${error.message}; ${ADVICE}`;
}

/** @throws FatalError when the place of the log is taken by something else */
async function hasLog(disk: Disk, directory: string): Promise<boolean> {
  if (!(await disk.exists(directory))) return false;
  const names = await disk.list(directory);
  if (names.some((name) => name.endsWith('.wal'))) return true;
  if (names.length > 0)
    throw new FatalError(`${directory} holds other files (${names.slice(0, 3).join(', ')}) and no log`);
  // An empty directory made beforehand gives way to the whole log that is renamed into its place.
  await disk.removeAll(directory);
  return false;
}

interface Opened {
  backend: Backend;
  wal: Wal | undefined;
}

async function openState(backend: Backend, options: StorageOptions): Promise<StateMachine> {
  const buffer = await WriteBuffer.load(backend, options.writeBuffer);
  return StateMachine.load({ backend, buffer }, options.state);
}

async function create(
  disk: Disk,
  opened: Opened,
  snapFiles: SnapStore,
  paths: StoragePaths,
  founding: Founding,
  options: StorageOptions,
): Promise<MemberStorage> {
  const state = await openState(opened.backend, options);
  if (state.consistentIndex > 0)
    throw new FatalError(
      `${paths.snap} has data but ${paths.wal} has no log: put the log back, or remove the data dir and ` +
        'add this member to the cluster again',
    );
  const { memberId, clusterId } = founding;
  const wal = await Wal.create(disk, paths.wal, encodeMetadata({ memberId, clusterId }), options.wal);
  opened.wal = wal;
  return begin(wal, state, founding, snapFiles);
}

/** Writes the first entries of a log: all of them or, after a crash, none that count. */
async function begin(
  wal: Wal,
  state: StateMachine,
  founding: Founding,
  snapFiles: SnapStore,
): Promise<MemberStorage> {
  const { memberId, clusterId } = founding;
  let tail: LogTail;
  if (founding.members.length === 0) {
    tail = new LogTail(undefined, { term: 0, vote: NONE, commit: 0 }, [], EMPTY_CONF_STATE);
  } else {
    const { entries, hardState } = bootstrapLog(founding.members);
    await wal.append({ entries, hardState, mustSync: true });
    tail = new LogTail(undefined, hardState, entries, EMPTY_CONF_STATE);
  }
  const founderIds = founding.members.map((member) => member.id);
  return { memberId, clusterId, isNew: true, founderIds, state, wal, tail, snapFiles, snapshotIndex: 0 };
}

async function reopen(
  disk: Disk,
  home: BackendHome,
  opened: Opened,
  snapFiles: SnapStore,
  paths: StoragePaths,
  source: FoundingSource,
  options: StorageOptions,
  logger: Logger,
): Promise<MemberStorage> {
  const snapshot = await newestSnapshot(disk, snapFiles, paths.wal);
  const log = await Wal.open(
    disk,
    paths.wal,
    { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 },
    options.wal,
  );
  opened.wal = log.wal;
  if (log.tornReason !== undefined)
    logger.warn('repaired the log: an unfinished write at its end was cut', { reason: log.tornReason });
  const { memberId, clusterId } = decodeMetadata(log.metadata);
  let state = await openState(opened.backend, options);
  // A crash came while the member was being founded: without a hard state none of its entries counts.
  const isEmpty = snapshot === undefined && state.consistentIndex === 0 && log.hardState.term === 0;
  if (isEmpty && !source.joins) {
    const founding = await source.ask();
    if (founding.memberId !== memberId || founding.clusterId !== clusterId)
      throw new FatalError(
        `${paths.wal} is the empty log of member ${hexId(memberId)} of cluster ${hexId(clusterId)}, but the ` +
          `flags found member ${hexId(founding.memberId)} of cluster ${hexId(founding.clusterId)}: remove the ` +
          'data dir, or start with the flags of its first start',
      );
    return begin(log.wal, state, founding, snapFiles);
  }
  if (snapshot !== undefined && state.consistentIndex < snapshot.index) {
    opened.backend = await recoverBackend(home, disk, paths.snap, opened.backend, snapshot);
    state = await openState(opened.backend, options);
  }
  const survived = tailOf(log, snapshot, state);
  const tail =
    source.alone === true ? await goOnAlone(log, snapshot, survived, memberId, state, logger) : survived;
  await cleanDatabases(disk, paths.snap, state.consistentIndex);
  return {
    memberId,
    clusterId,
    isNew: false,
    founderIds: [],
    state,
    wal: log.wal,
    tail,
    snapFiles,
    snapshotIndex: snapshot?.index ?? 0,
  };
}

/** The newest .snap file that the log speaks of as committed; undefined for none. */
async function newestSnapshot(disk: Disk, snapFiles: SnapStore, wal: string): Promise<Snapshot | undefined> {
  const indexes = (await snapFiles.list()).map(({ index }) => index);
  // The newest file's marker is behind its entries: the log before them is read only if that file is of no use.
  const froms = indexes.length === 0 ? [0] : [Math.max(...indexes), Math.min(...indexes)];
  for (const from of new Set(froms)) {
    const markers = await validSnapshotMarkers(disk, wal, from);
    const snapshot = await snapFiles.loadNewest((name) =>
      markers.some((marker) => marker.index === name.index && marker.term === name.term),
    );
    if (snapshot !== undefined) return snapshot;
  }
  return undefined;
}

/** The log's tail, held against what the backend says it has applied. */
function tailOf(log: OpenedWal, snapshot: Snapshot | undefined, state: StateMachine): LogTail {
  const applied = state.consistentIndex;
  const last = log.entries[log.entries.length - 1]?.index ?? snapshot?.index ?? 0;
  if (applied > last)
    throw new FatalError(
      `the backend has applied entry ${applied}, but the log ends at ${last}: log records are lost; ` +
        'remove this member from the cluster and add it again',
    );
  // What was applied was committed, whether or not the log's last hard state had heard of it yet.
  const commit = Math.min(Math.max(log.hardState.commit, applied), last);
  // A write torn between its entries and its hard state leaves entries of a term in which no vote left here.
  const lastTerm = log.entries[log.entries.length - 1]?.term ?? snapshot?.term ?? 0;
  const hardState: HardState =
    lastTerm > log.hardState.term ? { term: lastTerm, vote: NONE, commit } : { ...log.hardState, commit };
  const confState = state.confState === '' ? EMPTY_CONF_STATE : decodeConfState(state.confState);
  return new LogTail(snapshot, hardState, log.entries, confState);
}

/** The tail without what was not committed, and without all other members. Durable before anything is served. */
async function goOnAlone(
  log: OpenedWal,
  snapshot: Snapshot | undefined,
  tail: LogTail,
  memberId: bigint,
  state: StateMachine,
  logger: Logger,
): Promise<LogTail> {
  const { hardState, confState } = tail.initialState();
  const { commit } = hardState;
  const forced = forceNewCluster({
    memberId,
    members: state.membership.list(),
    hardState,
    entries: log.entries,
    applied: state.consistentIndex,
  });
  await log.wal.append({ entries: forced.entries, hardState: forced.hardState, mustSync: true });
  logger.warn(
    'a new cluster of this member alone is made by force; start without --force-new-cluster from now on',
    {
      'local-member-id': hexId(memberId),
      'removed-member-ids': forced.removed.map(hexId),
      'commit-index': commit,
      'discarded-uncommitted-entries': forced.droppedCount,
    },
  );
  const kept = log.entries.filter((entry) => entry.index <= commit);
  return new LogTail(snapshot, forced.hardState, [...kept, ...forced.entries], confState);
}
