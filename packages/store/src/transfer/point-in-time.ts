/**
 * Returns to a moment that a backup folder covers: its base becomes a state machine, and what the increments hold is
 * applied to it by the member's own applier, up to the revision or the time that is wanted. What comes out is a saved
 * snapshot, and from there it is restored as any other (restore.ts). It works beside the new data dir, and leaves nothing
 * behind when it fails.
 */
import { EMPTY, type Disk } from '@keelson/base';
import { Snapshot, type Entry } from '@keelson/raft';
import { Applier } from '../apply/applier.ts';
import { StateMachine } from '../apply/state-machine.ts';
import type { Backend } from '../backend/backend.ts';
import { WriteBuffer } from '../backend/write-buffer.ts';
import { defaultServerConfig } from '../config/config.ts';
import { ConfChanges } from '../consensus/conf-changes.ts';
import { decodeConfState } from '../consensus/conf-state.ts';
import { LogTail } from '../consensus/log-storage.ts';
import { FatalError } from '../errors.ts';
import * as limits from '../limits.ts';
import { exportBuckets, importImage, markOf } from '../snapshot/state-image.ts';
import { damageOf, entriesOf, isoTime, lastReachable, manifestIn, pointsOf } from './backup-chain.ts';
import { endOf, type BackupChain, type BackupPoint } from './backup-manifest.ts';
import { withBbolt, writeDatabase, type OfflineWorld } from './database.ts';
import { NO_WAITERS, stillNode } from './member-log.ts';
import { checkRestore, restoreSnapshot, type RestoreOptions } from './restore.ts';
import { databaseInside } from './saved-snapshot.ts';

/** Entries applied between two looks at what is pending. */
const APPLY_BATCH = 1_000;
const PENDING_BYTES_MAX = 8 * 1024 * 1024;

export type Moment =
  /** All there is. */
  | { readonly kind: 'end' }
  /** The last state of which this is the newest revision. */
  | { readonly kind: 'revision'; readonly revision: number }
  /** The last shipped state that is not later. */
  | { readonly kind: 'time'; readonly ms: number };

export interface BackupRestoreOptions extends Omit<RestoreOptions, 'snapshotPath'> {
  /** The backup folder. */
  readonly directory: string;
  readonly until: Moment;
  /** Hashes a password of an etcd before 3.5, which kept it plain in its log. */
  readonly hashPlain: (password: string) => Buffer;
}

/** The state that was restored. */
export interface Restored {
  readonly index: number;
  readonly revision: number;
}

/**
 * @throws FatalError when the moment is not in the folder, or what leads to it is damaged: the message names the last
 *   revision that can be reached
 */
export async function restoreBackup(options: BackupRestoreOptions, world: OfflineWorld): Promise<Restored> {
  const { disk, logger } = world;
  const { directory, until } = options;
  const { chains } = await manifestIn(disk, directory);
  const target = targetOf(chains, until);
  const end = endOf(target.chain);
  if (until.kind === 'time' && end.timeMs < until.ms)
    logger.warn('the backup ends before that time', { ends: isoTime(end.timeMs), until: isoTime(until.ms) });
  const temporary = `${options.dataDir}.replay`;
  const image = `${temporary}/image.db`;
  const restore: RestoreOptions = { ...options, snapshotPath: image, skipHashCheck: true };
  await checkRestore(restore, world);
  await disk.removeAll(temporary);
  try {
    await disk.makeDirectory(temporary);
    const restored = await replayed(target, temporary, image, options, world);
    logger.info('replayed the log', {
      ...restored,
      chain: target.chain.directory,
      base: target.chain.base.index,
    });
    await restoreSnapshot(restore, world);
    return restored;
  } finally {
    await disk.removeAll(temporary);
  }
}

/** Where to begin, and where to stop. */
interface Target {
  readonly chain: BackupChain;
  /** The last entry; Infinity where only the revision counts. */
  readonly index: number;
  /** Infinity where only the entry counts. */
  readonly revision: number;
}

/** @throws FatalError for a moment that the folder does not cover */
function targetOf(chains: readonly BackupChain[], until: Moment): Target {
  const first = chains[0].base;
  if (until.kind === 'end') {
    const chain = chains[chains.length - 1];
    return { chain, index: endOf(chain).index, revision: Infinity };
  }
  if (until.kind === 'time') {
    const chain = chains.findLast(({ base }) => base.timeMs <= until.ms);
    if (chain === undefined)
      throw new FatalError(
        `the backup begins at ${isoTime(first.timeMs)}, after ${isoTime(until.ms)}: nothing before it can be restored`,
      );
    const later = pointsOf(chain).findIndex(({ timeMs }) => timeMs > until.ms);
    const point = later < 0 ? endOf(chain) : pointsOf(chain)[later - 1];
    return { chain, index: point.index, revision: Infinity };
  }
  const { revision } = until;
  const chain = chains.findLast(({ base }) => base.revision <= revision);
  if (chain === undefined)
    throw new FatalError(
      `the backup begins at revision ${first.revision}, after ${revision}: nothing before it can be restored`,
    );
  const end = endOf(chain);
  if (end.revision < revision) {
    const next = chains[chains.indexOf(chain) + 1];
    const gap =
      next === undefined ? '' : `, and the next base is of revision ${next.base.revision}: there is a gap`;
    throw new FatalError(`revision ${revision} is not in the backup: ${lastReachable(end)}${gap}`);
  }
  return { chain, index: Infinity, revision };
}

/** Makes the image of the moment. */
async function replayed(
  target: Target,
  temporary: string,
  image: string,
  options: BackupRestoreOptions,
  world: OfflineWorld,
): Promise<Restored> {
  const snap = `${temporary}/member/snap`;
  await world.disk.makeDirectory(snap);
  const backend = await world.homeAt(snap).open();
  try {
    await importBase(target.chain, backend, options, world);
    const replay = await Replay.begin(backend, target, options.hashPlain);
    await replay.run(world.disk, `${options.directory}/${target.chain.directory}`);
    const view = backend.snapshot();
    try {
      const mark = await markOf(view);
      if (mark === undefined) throw new FatalError('the base holds nothing');
      await writeDatabase(world.disk, image, exportBuckets(view, mark));
      return { index: mark.consistentIndex, revision: replay.revision };
    } finally {
      await view.close();
    }
  } finally {
    await backend.close();
  }
}

async function importBase(
  { directory, base }: BackupChain,
  backend: Backend,
  options: BackupRestoreOptions,
  { disk }: OfflineWorld,
): Promise<void> {
  const path = `${options.directory}/${directory}/${base.file}`;
  if (!(await disk.exists(path))) throw new FatalError(`${path} is missing: ${lastReachable(undefined)}`);
  await withBbolt(disk, path, async (file) => {
    const mark = await importImage(await databaseInside(file, options.skipHashCheck), backend);
    if (mark.consistentIndex !== base.index || mark.term !== base.term)
      throw new FatalError(
        `${path} reaches entry ${mark.consistentIndex}, and not ${base.index} as the manifest says`,
      );
  });
}

class Replay {
  /** Of the state that is on disk. */
  revision: number;
  private readonly target: Target;
  private readonly state: StateMachine;
  private readonly applier: Applier;
  private point: BackupPoint;

  static async begin(
    backend: Backend,
    target: Target,
    hashPlain: (password: string) => Buffer,
  ): Promise<Replay> {
    // A failed write is thrown at the commit that wrote.
    const buffer = await WriteBuffer.load(backend, { onError: () => {} });
    const state = await StateMachine.load(
      { backend, buffer },
      {
        leaseTtlSecondsMin: target.chain.leaseTtlSecondsMin,
        learnersMax: defaultServerConfig().maxLearners,
        mvcc: {},
        auth: {
          tokenTtlSeconds: limits.AUTH_TOKEN_TTL_SECONDS_DEFAULT,
          hashPlain,
          onChange: () => {},
          onUserInvalidated: () => {},
        },
        onMembershipChange: () => {},
        onCompaction: () => {},
      },
    );
    return new Replay(state, target);
  }

  private constructor(state: StateMachine, target: Target) {
    this.state = state;
    this.target = target;
    this.point = target.chain.base;
    this.revision = state.mvcc.currentRevision;
    const { base } = target.chain;
    const confState = decodeConfState(state.confState);
    const tail = new LogTail(
      new Snapshot(base.index, base.term, confState, EMPTY),
      { term: base.term, vote: 0n, commit: base.index },
      [],
      confState,
    );
    const node = stillNode(base.memberId, tail, base.index);
    this.applier = new Applier(
      state,
      NO_WAITERS,
      new ConfChanges({
        membership: () => state.membership,
        waiters: NO_WAITERS,
        applyToRaft: (change) => node.applyConfChange(change),
        idOf: () => ({ owner: 0, sequence: 0 }),
        revision: () => state.mvcc.currentRevision,
        removedSelf: () => {},
      }),
    );
  }

  /** Applies what is wanted, and leaves it on disk. @param chainDirectory its files are there */
  async run(disk: Disk, chainDirectory: string): Promise<void> {
    for (const increment of this.target.chain.increments) {
      if (increment.first.index > this.target.index) break;
      const path = `${chainDirectory}/${increment.file}`;
      const damage = await damageOf(disk, path, increment, this.point);
      if (damage !== undefined) {
        // What is wanted is there already; whether more of it was to come cannot be known.
        if (this.state.mvcc.currentRevision === this.target.revision) break;
        throw new FatalError(`${path} is damaged: ${damage}; ${lastReachable(this.point)}`);
      }
      for await (const entries of entriesOf(disk, path, increment)) if (!(await this.apply(entries))) return;
      this.point = increment.points.at(-1) ?? this.point;
    }
    await this.keep();
  }

  /** @returns whether to go on; if not, what is wanted is on disk */
  private async apply(entries: readonly Entry[]): Promise<boolean> {
    const { state, target } = this;
    for (let at = 0; at < entries.length;) {
      // An entry makes one revision or none.
      const revisionsLeft = target.revision - state.mvcc.currentRevision;
      const entriesLeft = target.index - state.consistentIndex;
      if (entriesLeft === 0) {
        await this.keep();
        return false;
      }
      if (revisionsLeft === 0) {
        // Whether an entry goes beyond is known once it is applied: then what is on disk counts, and not it.
        await this.keep();
        this.applier.applyBatch([entries[at++]]);
        if (state.mvcc.currentRevision > target.revision) return false;
        continue;
      }
      const count = Math.min(APPLY_BATCH, revisionsLeft, entriesLeft, entries.length - at);
      this.applier.applyBatch(entries.slice(at, at + count));
      at += count;
      const { pendingOperations, pendingBytes } = state.buffer;
      if (pendingOperations >= limits.BACKEND_BATCH_OPERATIONS_DEFAULT || pendingBytes >= PENDING_BYTES_MAX)
        await this.keep();
      if (state.mvcc.compactionPending) await this.compact();
    }
    return true;
  }

  /** What a member does behind a compaction: a long log would otherwise leave all its history to the first start. */
  private async compact(): Promise<void> {
    await this.state.mvcc.runCompaction(() => Promise.resolve());
    await this.keep();
  }

  private async keep(): Promise<void> {
    await this.state.buffer.commit();
    this.revision = this.state.mvcc.currentRevision;
  }
}
