/**
 * A database at rest, whoever made it: a bbolt file (a saved snapshot, `member/snap/db` of a real etcd) or the
 * LevelDB of a stopped member of ours, both as the buckets of a bbolt file. For tools that read; what they do
 * with ours excludes the member meanwhile, since the lock of its data dir is taken.
 */
import type { Disk, Logger } from '@keelson/base';
import type { Backend } from '../backend/backend.ts';
import type { BackendHome } from '../backend/home.ts';
import { errorCodeOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { BboltReader, type BboltFile } from '../snapshot/bbolt-reader.ts';
import { planBbolt, writeBbolt } from '../snapshot/bbolt-writer.ts';
import { BboltError, type BucketSource } from '../snapshot/pages.ts';
import { exportBuckets, markOf } from '../snapshot/state-image.ts';

/** Opens the backend under a member's snap directory; World.home in production. */
export type HomeAt = (snapDirectory: string) => BackendHome;

/** What tools on files need of the machine. */
export interface OfflineWorld {
  readonly disk: Disk;
  readonly homeAt: HomeAt;
  readonly logger: Logger;
  /** Whether another process holds a file (disk/file-lock.ts). */
  readonly isLocked: (path: string) => Promise<boolean>;
  /** Addresses of host names, for comparing URLs; names that are not found are left out. */
  readonly resolve: (hosts: readonly string[]) => Promise<ReadonlyMap<string, string>>;
}

/** An open database. Buckets sorted by name, each to be read as often as needed. */
export interface Database {
  readonly layout: 'bbolt' | 'level';
  readonly buckets: readonly BucketSource[];
  /** As a bbolt file, in bytes. */
  readonly bytes: number;
}

/**
 * Opens what is at `path` for as long as `use` takes.
 *
 * @param path a bbolt file, a data dir, or its member/snap
 * @param checked whether every page of a bbolt file is checked first
 * @throws FatalError naming what is wrong with it
 */
export async function withDatabase<T>(
  { disk, homeAt }: OfflineWorld,
  path: string,
  checked: boolean,
  use: (database: Database) => Promise<T>,
): Promise<T> {
  const names = await namesIn(disk, path);
  if (names === undefined) return withFile(disk, path, checked, use);
  const snap = names.includes('member') ? `${path}/member/snap` : path;
  const inside = names.includes('member') ? ((await namesIn(disk, snap)) ?? []) : names;
  if (inside.includes('db')) return withFile(disk, `${snap}/db`, checked, use);
  if (!inside.some((name) => name.startsWith('db.level')))
    throw new FatalError(`no database in ${path}: neither ${snap}/db nor ${snap}/db.level`);
  const backend = await homeAt(snap).open();
  try {
    return await withBackend(backend, use);
  } finally {
    await backend.close();
  }
}

async function withBackend<T>(backend: Backend, use: (database: Database) => Promise<T>): Promise<T> {
  const view = backend.snapshot();
  try {
    const mark = await markOf(view);
    if (mark === undefined) throw new FatalError('nothing has been applied to the database yet');
    const buckets = exportBuckets(view, mark);
    const { bytes } = await planBbolt(buckets);
    return await use({ layout: 'level', buckets, bytes });
  } finally {
    await view.close();
  }
}

async function withFile<T>(
  disk: Disk,
  path: string,
  checked: boolean,
  use: (database: Database) => Promise<T>,
): Promise<T> {
  return withBbolt(disk, path, async (file) => {
    const reader = await BboltReader.open(file);
    if (checked) await checkPages(reader);
    const { pageSize, pageCount } = reader.meta;
    return use({ layout: 'bbolt', buckets: await reader.buckets(), bytes: pageSize * pageCount });
  });
}

/** Opens a file of pages for as long as `use` takes. */
export async function withBbolt<T>(
  disk: Disk,
  path: string,
  use: (file: BboltFile) => Promise<T>,
): Promise<T> {
  const file = await disk.open(path, 'read');
  try {
    const size = await file.size();
    return await use({
      read: (position, length) => file.read(position, length),
      size: () => Promise.resolve(size),
    });
  } finally {
    await file.close();
  }
}

/** Writes the buckets as a new bbolt file, durably but for its name. @returns its length in bytes */
export async function writeDatabase(
  disk: Disk,
  path: string,
  buckets: readonly BucketSource[],
): Promise<number> {
  const plan = await planBbolt(buckets);
  const file = await disk.open(path, 'create');
  try {
    let position = 0;
    for await (const chunk of writeBbolt(plan, buckets)) {
      await file.write(position, chunk);
      position += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return plan.bytes;
}

/** In the words of etcd's check of a snapshot, which counts errors; ours ends at the first. */
async function checkPages(reader: BboltReader): Promise<void> {
  try {
    await reader.check();
  } catch (error) {
    if (!(error instanceof BboltError)) throw error;
    throw new FatalError(`snapshot file integrity check failed. 1 errors found.\n${error.message}`, {
      cause: error,
    });
  }
}

/** Undefined for a file. */
async function namesIn(disk: Disk, path: string): Promise<string[] | undefined> {
  try {
    return await disk.list(path);
  } catch (error) {
    if (errorCodeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
