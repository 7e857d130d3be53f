/**
 * A saved snapshot as the data dir of the first start of a new cluster's member: its database as a backend of
 * ours, a log that founds the cluster with --initial-cluster's members, and a .snap file in which both meet.
 * Every member of the new cluster restores the same file. Modelled on etcdutl's restore, with its checks,
 * texts and log lines; a real etcd's snapshot and one of ours are the same to it.
 */
import { hexId, type Disk } from '@keelson/base';
import { Snapshot, type ConfState } from '@keelson/raft';
import { clusterId, memberId } from '../config/ids.ts';
import { formatInitialCluster, hostsToResolve, verifyBootstrap, type InitialCluster } from '../config/initial-cluster.ts'; // prettier-ignore
import { goQuote } from '../config/go-values.ts';
import { parseUrlList, urlTexts } from '../config/urls.ts';
import { bootstrapLog } from '../consensus/bootstrap.ts';
import { encodeConfState } from '../consensus/conf-state.ts';
import { imageMembership } from '../consensus/image-membership.ts';
import { errorCodeOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import type { Member } from '../membership/member.ts';
import { encodeV2Store } from '../membership/v2-store.ts';
import { SnapStore } from '../snap/snap-store.ts';
import type { BboltFile } from '../snapshot/bbolt-reader.ts';
import { importImage } from '../snapshot/state-image.ts';
import { encodeMetadata } from '../wal/entry-codec.ts';
import { Wal } from '../wal/wal.ts';
import { withBbolt, type OfflineWorld } from './database.ts';
import { databaseInside } from './saved-snapshot.ts';

export interface RestoreOptions {
  readonly snapshotPath: string;
  readonly name: string;
  /** Absent or empty. */
  readonly dataDir: string;
  /** Absent; '' for the one inside the data dir. */
  readonly walDir: string;
  readonly peerUrls: readonly string[];
  readonly initialCluster: string;
  readonly initialClusterToken: string;
  readonly skipHashCheck: boolean;
  /** By how much the newest revision is moved on, and everything before it compacted; 0 for not at all. */
  readonly bumpRevision: number;
}

const FIRST_TERM = 1;

/** @throws FatalError in etcd's words; nothing is left behind then */
export async function restoreSnapshot(options: RestoreOptions, world: OfflineWorld): Promise<void> {
  const { disk, logger } = world;
  const members = await checkRestore(options, world);
  const { dataDir } = options;
  const walDir = walDirOf(options);
  const fields = {
    path: options.snapshotPath,
    'wal-dir': walDir,
    'data-dir': dataDir,
    'snap-dir': `${dataDir}/member/snap`,
  };
  logger.info('restoring snapshot', fields);
  try {
    await withBbolt(disk, options.snapshotPath, async (file) => {
      const database = await databaseInside(file, options.skipHashCheck);
      await build(database, members, walDir, options, world);
    });
  } catch (error) {
    if (error instanceof FatalError || errorCodeOf(error) === undefined) throw error;
    if (errorCodeOf(error) === 'ENOENT' && !(await disk.exists(options.snapshotPath)))
      throw new FatalError(`open ${options.snapshotPath}: no such file or directory`, { cause: error });
    throw error;
  }
  logger.info('restored snapshot', fields);
}

/**
 * Everything that can be known to be wrong before the snapshot is looked at.
 * @returns the members of the new cluster
 * @throws FatalError in etcd's words
 */
export async function checkRestore(
  options: Omit<RestoreOptions, 'snapshotPath'>,
  world: OfflineWorld,
): Promise<readonly Member[]> {
  const cluster = await verified(options, world);
  if (await holdsSomething(world.disk, options.dataDir))
    throw new FatalError(`data-dir ${goQuote(options.dataDir)} not empty or could not be read`);
  const walDir = walDirOf(options);
  if (options.walDir !== '' && (await world.disk.exists(walDir)))
    throw new FatalError(`wal-dir ${goQuote(walDir)} exists`);
  return membersOf(cluster, options.initialClusterToken);
}

function walDirOf({ dataDir, walDir }: Pick<RestoreOptions, 'dataDir' | 'walDir'>): string {
  return walDir === '' ? `${dataDir}/member/wal` : walDir;
}

async function verified(
  options: Omit<RestoreOptions, 'snapshotPath'>,
  world: OfflineWorld,
): Promise<InitialCluster> {
  const urls = parseUrlList(options.peerUrls);
  if (!urls.ok) throw new FatalError(urls.error);
  const bootstrap = {
    name: options.name,
    initialAdvertisePeerUrls: urls.value,
    initialCluster: options.initialCluster,
  };
  const cluster = verifyBootstrap(bootstrap, await world.resolve(hostsToResolve(bootstrap)));
  if (!cluster.ok) throw new FatalError(cluster.error.replace('error setting up initial cluster: ', ''));
  if (cluster.value.size === 0)
    throw new FatalError(`invalid --initial-cluster ${formatInitialCluster(cluster.value)}`);
  return cluster.value;
}

/** By ascending id, each with its name already. */
function membersOf(cluster: InitialCluster, token: string): Member[] {
  const members = [...cluster].map(([name, urls]) => ({
    id: memberId(urlTexts(urls), token),
    peerUrls: urlTexts(urls),
    isLearner: false,
    name,
    clientUrls: [],
  }));
  return members.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function holdsSomething(disk: Disk, directory: string): Promise<boolean> {
  try {
    return (await disk.list(directory)).length > 0;
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return false;
    if (errorCodeOf(error) === 'ENOTDIR') return true;
    throw error;
  }
}

async function build(
  database: BboltFile,
  members: readonly Member[],
  walDir: string,
  options: RestoreOptions,
  world: OfflineWorld,
): Promise<void> {
  const { disk, logger } = world;
  const memberDir = `${options.dataDir}/member`;
  try {
    await disk.makeDirectory(`${memberDir}/snap`);
    const self = members.find(({ name }) => name === options.name)!;
    const cluster = clusterId(members.map(({ id }) => id));
    const { entries, hardState } = bootstrapLog(members);
    const confState: ConfState = {
      voters: members.map(({ id }) => id),
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    await fillBackend(database, members, confState, entries.length, options, world);
    for (const member of members)
      logger.info('added member', {
        'cluster-id': hexId(cluster),
        'local-member-id': '0',
        'added-peer-id': hexId(member.id),
        'added-peer-peer-urls': member.peerUrls,
        'added-peer-is-learner': false,
      });
    const snapshot = new Snapshot(entries.length, FIRST_TERM, confState, encodeV2Store(members, [], ''));
    const snapStore = new SnapStore(disk, `${memberDir}/snap`, logger);
    await makeParent(disk, walDir);
    const wal = await Wal.create(disk, walDir, encodeMetadata({ memberId: self.id, clusterId: cluster }));
    try {
      await wal.append({ entries, hardState: { ...hardState, vote: members[0].id }, mustSync: true });
      await snapStore.save(snapshot);
      await wal.saveSnapshotMarker({ index: snapshot.index, term: snapshot.term, confState });
    } finally {
      await wal.close();
    }
    await disk.syncDirectory(options.dataDir);
  } catch (error) {
    await disk.removeAll(memberDir);
    await disk.removeAll(walDir);
    throw error;
  }
}

async function makeParent(disk: Disk, directory: string): Promise<void> {
  const parent = directory.slice(0, Math.max(0, directory.lastIndexOf('/')));
  if (parent !== '') await disk.makeDirectory(parent);
}

async function fillBackend(
  database: BboltFile,
  members: readonly Member[],
  confState: ConfState,
  index: number,
  options: RestoreOptions,
  world: OfflineWorld,
): Promise<void> {
  const backend = await world.homeAt(`${options.dataDir}/member/snap`).open();
  try {
    await importImage(database, backend, {
      consistentIndex: index,
      term: FIRST_TERM,
      confState: encodeConfState(confState),
      membership: imageMembership({ members, removed: [], clusterVersion: '' }),
      bumpRevision: options.bumpRevision,
    });
  } finally {
    await backend.close();
  }
}
