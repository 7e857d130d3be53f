/**
 * Changes to a stopped member's database as a whole: defragmentation, and migration of the storage version, for
 * both layouts. A bbolt file is never changed in place: a new one is written beside it, synced, and takes its
 * name. Texts and log lines are etcdutl's.
 */
import type { Disk, Logger } from '@keelson/base';
import { membershippb } from '@keelson/proto';
import { EntryType } from '@keelson/raft';
import { CommandKind, decodeCommand } from '../apply/command.ts';
import { Buckets } from '../backend/buckets.ts';
import { FatalError } from '../errors.ts';
import { BboltReader } from '../snapshot/bbolt-reader.ts';
import type { BucketSource, KeyValuePair } from '../snapshot/pages.ts';
import { STORAGE_VERSION } from '../snapshot/state-image.ts';
import { withBbolt, writeDatabase, type OfflineWorld } from './database.ts';
import { readMemberLog } from './member-log.ts';

/** Gives the space of what was removed back. @throws FatalError, BboltError, the disk's errors */
export async function defragment(world: OfflineWorld, dataDir: string): Promise<void> {
  const { disk, homeAt } = world;
  const snap = `${dataDir}/member/snap`;
  if (await disk.exists(`${snap}/db`)) {
    await rewrite(world, `${snap}/db`, (buckets) => buckets);
    return;
  }
  await requireOurs(disk, snap);
  const backend = await homeAt(snap).open();
  try {
    await backend.compact('', '\xff');
  } finally {
    await backend.close();
  }
}

/** "3.6". */
export interface StorageVersion {
  readonly major: number;
  readonly minor: number;
}

/** The first version that is written into a database. */
const FIRST_WRITTEN: StorageVersion = { major: 3, minor: 6 };
const FIRST_DETECTED: StorageVersion = { major: 3, minor: 5 };
const NEWEST = versionOf(STORAGE_VERSION);

/**
 * Makes a data dir one of another version of etcd.
 *
 * @param force writes the version whatever stands against it
 * @throws FatalError in etcdutl's words
 */
export async function migrate(
  world: OfflineWorld,
  dataDir: string,
  target: StorageVersion,
  force: boolean,
): Promise<void> {
  const { disk, logger } = world;
  const snap = `${dataDir}/member/snap`;
  if (!(await disk.exists(`${snap}/db`))) {
    await requireOurs(disk, snap);
    if (compare(target, NEWEST) === 0) return upToDate(target, logger);
    throw new FatalError(
      `${snap} is in Keelson's own layout, of version ${textOf(NEWEST)}: ` +
        '`keelson store export` makes a data dir that every etcd from 3.4 on starts from',
    );
  }
  const current = await detect(disk, `${snap}/db`);
  if (current.kind === 'found' && compare(current.version, target) === 0) return upToDate(target, logger);
  const reason =
    current.kind === 'found'
      ? await against(disk, dataDir, current.version, target)
      : `cannot determine storage version: ${current.reason}`;
  if (reason !== undefined) {
    if (!force) throw new FatalError(reason);
    logger.info('normal migrate failed, trying with force', { error: reason });
  }
  const written = compare(target, FIRST_WRITTEN) >= 0;
  await rewrite(world, `${snap}/db`, (buckets) =>
    withStorageVersion(buckets, written ? `${textOf(target)}.0` : undefined),
  );
  if (reason === undefined)
    logger.info('updated storage version', { 'new-storage-version': `${textOf(target)}.0` });
  else if (written) logger.warn('forcefully set storage version', { 'storage-version': textOf(target) });
  else logger.warn('forcefully cleared storage version');
}

/** Why it cannot go from one version to the other in order; undefined when it can. */
async function against(
  disk: Disk,
  dataDir: string,
  current: StorageVersion,
  target: StorageVersion,
): Promise<string | undefined> {
  if (current.major !== target.major)
    return 'cannot create migration plan: changing major storage version is not supported';
  if (compare(target, NEWEST) > 0)
    return `cannot create migration plan: version "${textOf(target)}.0" is not supported`;
  if (compare(target, current) > 0) return undefined;
  const log = await logVersion(disk, dataDir);
  return compare(target, log) < 0 ? 'cannot downgrade storage, WAL contains newer entries' : undefined;
}

/** The newest version whose features the log needs: that of the cluster, as far as it is set in the log. */
async function logVersion(disk: Disk, dataDir: string): Promise<StorageVersion> {
  const log = await readMemberLog(disk, { snap: `${dataDir}/member/snap`, wal: `${dataDir}/member/wal` });
  if (log === undefined) throw new FatalError('failed to open wal: no log in the data dir');
  let newest = FIRST_DETECTED;
  for (const entry of log.entries) {
    if (entry.type !== EntryType.Normal || entry.data.length === 0) continue;
    const { kind, body } = decodeCommand(entry.data);
    if (kind !== CommandKind.ClusterVersionSet) continue;
    const version = versionOf(membershippb.decodeClusterVersionSetRequest(body).ver);
    if (compare(version, newest) > 0) newest = version;
  }
  return newest;
}

type Detected =
  | { readonly kind: 'found'; readonly version: StorageVersion }
  | { readonly kind: 'unknown'; readonly reason: string };

async function detect(disk: Disk, path: string): Promise<Detected> {
  return withBbolt(disk, path, async (file) => {
    const meta = (await (await BboltReader.open(file)).bucket(Buckets.meta.name))?.entries() ?? [];
    const found = new Map<string, string>();
    for await (const pairs of meta)
      for (const { key, value } of pairs) found.set(key.toString('latin1'), value.toString('latin1'));
    const stored = found.get(STORAGE_VERSION_KEY);
    if (stored !== undefined) return { kind: 'found', version: versionOf(stored) };
    if (!found.has('confState')) return { kind: 'unknown', reason: 'missing confstate information' };
    if (!found.has('term')) return { kind: 'unknown', reason: 'missing term information' };
    return { kind: 'found', version: FIRST_DETECTED };
  });
}

const STORAGE_VERSION_KEY = 'storageVersion';

function upToDate(version: StorageVersion, logger: Logger): void {
  logger.info('storage version up-to-date', { 'storage-version': textOf(version) });
}

async function requireOurs(disk: Disk, snap: string): Promise<void> {
  const names = (await disk.exists(snap)) ? await disk.list(snap) : [];
  if (!names.some((name) => name.startsWith('db.level')))
    throw new FatalError(`open ${snap}/db: no such file or directory`);
}

/** Puts a new file in the place of a bbolt database. */
async function rewrite(
  { disk, isLocked }: OfflineWorld,
  path: string,
  change: (buckets: readonly BucketSource[]) => readonly BucketSource[],
): Promise<void> {
  if (await isLocked(path)) throw new FatalError(`another process holds ${path}`);
  const temporary = `${path}.tmp`;
  await disk.removeAll(temporary);
  await withBbolt(disk, path, async (file) => {
    const reader = await BboltReader.open(file);
    await reader.check();
    await writeDatabase(disk, temporary, change(await reader.buckets()));
  });
  await disk.rename(temporary, path);
  await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')));
}

function withStorageVersion(buckets: readonly BucketSource[], version: string | undefined): BucketSource[] {
  return buckets.map((bucket) =>
    bucket.name.toString('latin1') === Buckets.meta.name
      ? { name: bucket.name, entries: () => metaWith(bucket, version) }
      : bucket,
  );
}

async function* metaWith(
  meta: BucketSource,
  version: string | undefined,
): AsyncGenerator<readonly KeyValuePair[]> {
  const key = Buffer.from(STORAGE_VERSION_KEY);
  const all: KeyValuePair[] = [];
  for await (const pairs of meta.entries())
    for (const pair of pairs) if (!pair.key.equals(key)) all.push(pair);
  if (version !== undefined) all.push({ key, value: Buffer.from(version) });
  yield all.sort((a, b) => Buffer.compare(a.key, b.key));
}

function textOf({ major, minor }: StorageVersion): string {
  return `${major}.${minor}`;
}

function versionOf(text: string): StorageVersion {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return { major, minor };
}

function compare(a: StorageVersion, b: StorageVersion): number {
  return a.major !== b.major ? a.major - b.major : a.minor - b.minor;
}
