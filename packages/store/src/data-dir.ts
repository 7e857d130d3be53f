/**
 * Whether a data dir is one this server may use: absent, empty, or made by itself or by another etcd (whose
 * database is then imported, see transfer/). What it cannot use is refused with one line before anything in it
 * is touched.
 */
import type { Disk } from '@keelson/base';
import { errorCodeOf, errorMessageOf } from './disk/error-code.ts';
import { FatalError } from './errors.ts';

/** What file systems put at their root, and the certificates of --auto-tls, which are made first. */
const HARMLESS: ReadonlySet<string> = new Set(['lost+found', 'fixtures']);

/**
 * @param isLocked whether another process holds a file (disk/file-lock.ts)
 * @throws FatalError naming the directory and what to do
 */
export async function checkDataDir(
  disk: Disk,
  dataDir: string,
  isLocked: (path: string) => Promise<boolean>,
): Promise<void> {
  let names: string[];
  try {
    names = await disk.list(dataDir);
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === 'ENOENT') return;
    if (code === 'ENOTDIR') throw new FatalError(`data dir ${dataDir} is not a directory`);
    throw new FatalError(`cannot read data dir ${dataDir}: ${errorMessageOf(error)}`, { cause: error });
  }
  const present = names.filter((name) => !HARMLESS.has(name));
  if (present.length === 0) return;
  if (!present.includes('member'))
    throw new FatalError(
      `data dir ${dataDir} holds other files (${present.slice(0, 3).join(', ')}): choose an empty directory`,
    );
  // A real etcd's: ours has another lock, taken when it is opened.
  const database = `${dataDir}/member/snap/db`;
  if (await isLocked(database))
    throw new FatalError(`data dir ${dataDir} is in use: another process holds ${database}`);
}
