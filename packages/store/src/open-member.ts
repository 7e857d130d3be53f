/**
 * Opens what a member keeps on disk, as its configuration says, before there is a server to hang it on: the
 * callbacks are filled in later.
 */
import type { Disk, Logger } from '@keelson/base';
import type { StateMachine } from './apply/state-machine.ts';
import { NO_TOKENS, type SignedTokens } from './auth/secrets.ts';
import { parseTokenOptions } from './auth/token-options.ts';
import type { BackendHome } from './backend/home.ts';
import type { WriteBufferOptions } from './backend/write-buffer.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { openStorage, type MemberStorage } from './consensus/member-storage.ts';
import type { BeyondEtcd } from './beyond-etcd.ts';
import { makeDurableDirectory, parentOf, syncName, syncNames } from './disk/durable-directory.ts';
import { FatalError } from './errors.ts';
import { foundingOf } from './founding.ts';
import * as limits from './limits.ts';
import type { MembershipChange } from './membership/membership.ts';
import { adoptEtcdDatabase } from './transfer/etcd-database.ts';
import { CheckpointFile } from './mvcc/checkpoint-file.ts';
import type { WalOptions } from './wal/wal.ts';
import type { World } from './world.ts';

/** Callbacks of parts that are opened before the server object exists. */
export class Opening {
  /** False for a tool, which lets nobody in and needs no tokens. */
  readonly serves: boolean;
  home: BackendHome | undefined;
  onError: (error: Error) => void = () => {};
  onMembershipChange: (change: MembershipChange) => void = () => {};
  onCompaction: () => void = () => {};
  /** --auth-token=jwt…; undefined for simple tokens. */
  signedTokens: SignedTokens | undefined;
  onAuthChange: () => void = () => {};
  onUserInvalidated: (name: string) => void = () => {};
  /** Told how long writing takes. */
  walObservers: Pick<WalOptions, 'observeFsync' | 'observeWrite'> = {};
  bufferObservers: Pick<WriteBufferOptions, 'clock' | 'observeCommit'> = {};
  /** What flags beyond etcd's ask for. */
  beyond: BeyondEtcd | undefined;

  constructor(serves = true) {
    this.serves = serves;
  }
}

export function snapDirectory(config: ServerConfig): string {
  return `${config.dataDir}/member/snap`;
}

export function walDirectory(config: ServerConfig): string {
  return config.walDir === '' ? `${config.dataDir}/member/wal` : config.walDir;
}

/** What is left where the member writes; undefined where the disk does not know. */
export function freeBytesOf(disk: Disk, config: ServerConfig): (() => Promise<number>) | undefined {
  if (disk.freeBytes === undefined) return undefined;
  const free = disk.freeBytes.bind(disk);
  return async () => Math.min(await free(snapDirectory(config)), await free(walDirectory(config)));
}

export async function openMember(
  config: ServerConfig,
  world: World,
  opening: Opening,
): Promise<MemberStorage> {
  if (opening.serves) opening.signedTokens = await signedTokensOf(config, world);
  const limited = opening.beyond?.prefixLimits;
  const snap = snapDirectory(config);
  const wal = walDirectory(config);
  await makeDurableDirectory(world.disk, snap);
  await makeDurableDirectory(world.disk, parentOf(wal));
  // The log got its name by a rename: who did it may have been killed before that was durable.
  if (await world.disk.exists(wal)) await syncName(world.disk, wal);
  else for (const each of new Set([snap, parentOf(wal)])) await syncNames(world.disk, each);
  opening.home = world.home(snap);
  await adoptEtcdDatabase(world.disk, opening.home, { snap, wal }, config.maxLearners, world.logger);
  const walOptions: WalOptions = {
    keepSegments: config.maxWals,
    unsafeNoFsync: config.unsafeNoFsync,
    clock: world.clock,
    onError: (error) => opening.onError(error),
    ...opening.walObservers,
    ...(world.tuning?.walSegmentBytes !== undefined && { segmentBytes: world.tuning.walSegmentBytes }),
  };
  const storage = await openStorage(
    world.disk,
    opening.home,
    { snap, wal },
    {
      joins: config.initialClusterState === 'existing',
      alone: config.forceNewCluster,
      ask: () => foundingOf(config, world),
    },
    {
      wal: walOptions,
      writeBuffer: { onError: (error) => opening.onError(error), ...opening.bufferObservers },
      state: {
        leaseTtlSecondsMin: limits.leaseTtlSecondsMin(config.electionTimeoutMs),
        learnersMax: config.maxLearners,
        mvcc: {
          compactionBatchLimit: config.compactionBatchLimit || limits.COMPACTION_BATCH_REVISIONS_DEFAULT,
          keepCompactionHashes: config.featureGates.enabled.CompactHashCheck,
          // Limits count values, which a checkpoint does not know: with them a start reads everything.
          ...(limited === undefined
            ? { checkpoint: { file: new CheckpointFile(world.disk, snap), logger: world.logger } }
            : { census: () => limited.newCensus() }),
        },
        leaseCheckpoints: {
          intervalMs: config.featureGates.enabled.LeaseCheckpoint
            ? (world.tuning?.leaseCheckpointIntervalMs ?? limits.LEASE_CHECKPOINT_INTERVAL_MS)
            : Infinity,
          persistent: config.featureGates.enabled.LeaseCheckpointPersist,
        },
        auth: {
          tokenTtlSeconds: config.authTokenTtlSeconds,
          hashPlain: (password) => Buffer.from(world.secrets.hashNow(password, config.bcryptCost), 'latin1'),
          onChange: () => opening.onAuthChange(),
          onUserInvalidated: (name) => opening.onUserInvalidated(name),
        },
        onMembershipChange: (change) => opening.onMembershipChange(change),
        onCompaction: () => opening.onCompaction(),
      },
    },
    world.logger,
  );
  try {
    await defragmentIfWorth(storage.state, config.bootstrapDefragThresholdMegabytes, world.logger);
  } catch (error) {
    await storage.wal.close();
    await storage.state.backend.close();
    throw error;
  }
  return storage;
}

/** --bootstrap-defrag-threshold-megabytes: before anybody is served, if it frees so much. */
async function defragmentIfWorth(
  state: StateMachine,
  thresholdMegabytes: number,
  logger: Logger,
): Promise<void> {
  if (thresholdMegabytes === 0) return;
  const before = await state.sizes();
  const fields = {
    'current-db-size-bytes': before.totalBytes,
    'current-db-size-in-use-bytes': before.inUseBytes,
    'bootstrap-defrag-threshold-megabytes': thresholdMegabytes,
  };
  if (before.totalBytes - before.inUseBytes < thresholdMegabytes * 1024 * 1024) {
    logger.info('skipping defragmentation', fields);
    return;
  }
  await state.defragment();
  const { totalBytes } = await state.sizes();
  logger.info('finished defragmentation', { ...fields, 'db-size-bytes': totalBytes });
}

/** @throws FatalError for options that say nothing, or keys that are not there */
async function signedTokensOf(config: ServerConfig, world: World): Promise<SignedTokens | undefined> {
  const options = parseTokenOptions(config.authToken);
  if (options === undefined) throw new FatalError('auth: invalid auth options');
  if (options.kind === 'simple') {
    world.logger.warn('simple token is not cryptographically signed');
    return undefined;
  }
  if (options.kind === 'none') return NO_TOKENS;
  if (options.unknown.length > 0) world.logger.warn('unknown JWT options', { keys: options.unknown });
  return world.secrets.signedTokens(options.jwt, () => world.clock.nowMs());
}
