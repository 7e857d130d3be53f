/**
 * A member's durable half, opened: backend, log and snapshot files brought to one consistent start, for a
 * member that is new or one that comes back. Everything that can be wrong with a data dir is found here,
 * before a port is served; each finding is one line that says what to do.
 *
 * Order: the backend first, since its lock is the data dir's; then the log, from the newest snapshot that
 * both have; then what a crash between their steps left unfinished.
 */
import { assert, type Disk, type Logger } from '@keelson/base';
import { EMPTY_CONF_STATE, type HardState, type Snapshot } from '@keelson/raft';
import { StateMachine, type StateMachineOptions } from '../apply/state-machine.ts';
import type { Backend } from '../backend/backend.ts';
import type { BackendHome } from '../backend/home.ts';
import { WriteBuffer, type WriteBufferOptions } from '../backend/write-buffer.ts';
import { FatalError } from '../errors.ts';
import { SnapStore } from '../snap/snap-store.ts';
import { decodeMetadata, encodeMetadata } from '../wal/entry-codec.ts';
import { validSnapshotMarkers, Wal, type OpenedWal, type WalOptions } from '../wal/wal.ts';
import type { Member } from '../membership/member.ts';
import { bootstrapLog } from './bootstrap.ts';
import { decodeConfState } from './conf-state.ts';
import { LogTail } from './log-storage.ts';
import { recoverBackend } from './snapshotter.ts';

/** The founding members of a new cluster and which of them this is; asked for only when there is no log. */
export interface Founding {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly members: readonly Member[];
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
  found: () => Founding | Promise<Founding>,
  options: StorageOptions,
  logger: Logger,
): Promise<MemberStorage> {
  const backend = await home.open();
  try {
    const snapFiles = new SnapStore(disk, paths.snap, logger);
    return (await disk.exists(paths.wal))
      ? await reopen(disk, home, backend, snapFiles, paths, options, logger)
      : await create(disk, backend, snapFiles, paths, await found(), options);
  } catch (error) {
    await backend.close();
    throw error;
  }
}

async function openState(backend: Backend, options: StorageOptions): Promise<StateMachine> {
  const buffer = await WriteBuffer.load(backend, options.writeBuffer);
  return StateMachine.load({ backend, buffer }, options.state);
}

async function create(
  disk: Disk,
  backend: Backend,
  snapFiles: SnapStore,
  paths: StoragePaths,
  founding: Founding,
  options: StorageOptions,
): Promise<MemberStorage> {
  const state = await openState(backend, options);
  if (state.consistentIndex > 0)
    throw new FatalError(
      `${paths.snap} has data but ${paths.wal} has no log: put the log back, or remove the data dir and ` +
        'add this member to the cluster again',
    );
  const { memberId, clusterId } = founding;
  const wal = await Wal.create(disk, paths.wal, encodeMetadata({ memberId, clusterId }), options.wal);
  const { entries, hardState } = bootstrapLog(founding.members);
  await wal.append({ entries, hardState, mustSync: true });
  const tail = new LogTail(undefined, hardState, entries, EMPTY_CONF_STATE);
  const founderIds = founding.members.map((member) => member.id);
  return { memberId, clusterId, isNew: true, founderIds, state, wal, tail, snapFiles, snapshotIndex: 0 };
}

async function reopen(
  disk: Disk,
  home: BackendHome,
  opened: Backend,
  snapFiles: SnapStore,
  paths: StoragePaths,
  options: StorageOptions,
  logger: Logger,
): Promise<MemberStorage> {
  let backend = opened;
  const markers = await validSnapshotMarkers(disk, paths.wal);
  const snapshot = await snapFiles.loadNewest((name) =>
    markers.some((marker) => marker.index === name.index && marker.term === name.term),
  );
  const log = await Wal.open(
    disk,
    paths.wal,
    { index: snapshot?.index ?? 0, term: snapshot?.term ?? 0 },
    options.wal,
  );
  try {
    if (log.tornReason !== undefined)
      logger.warn('repaired the log: an unfinished write at its end was cut', { reason: log.tornReason });
    const { memberId, clusterId } = decodeMetadata(log.metadata);
    let state = await openState(backend, options);
    if (snapshot !== undefined && state.consistentIndex < snapshot.index) {
      backend = await recoverBackend(home, disk, paths.snap, backend, snapshot);
      state = await openState(backend, options);
    }
    const tail = tailOf(log, snapshot, state);
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
  } catch (error) {
    await log.wal.close();
    throw error;
  }
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
  const hardState: HardState = { ...log.hardState, commit: Math.max(log.hardState.commit, applied) };
  const commit = Math.min(hardState.commit, last);
  assert(hardState.term >= (log.entries[log.entries.length - 1]?.term ?? 0), 'a log newer than its term');
  const confState = state.confState === '' ? EMPTY_CONF_STATE : decodeConfState(state.confState);
  return new LogTail(snapshot, { ...hardState, commit }, log.entries, confState);
}
