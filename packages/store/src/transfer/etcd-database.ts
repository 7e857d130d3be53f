/**
 * Opens the data dir of a real etcd in place. Its database, `member/snap/db`, is a bbolt file: it is read once
 * into a backend of ours, beside whatever is there, and then kept under another name; log and .snap files are
 * used as they are. The log is replayed from the consistent index the database gives, so nothing that etcd
 * acknowledged is lost, also when it was killed.
 *
 * A crash at any moment starts over or goes on: the backend is adopted whole, and the database is renamed
 * only after that. The quorum at the consistent index is what .snap file and log say; the members are those of
 * the database where it is one of 3.5 or newer and they are that quorum, else those of .snap file and log.
 */
import { assert, type Disk, type Logger } from '@keelson/base';
import { EMPTY_CONF_STATE } from '@keelson/raft';
import type { Backend } from '../backend/backend.ts';
import type { BackendHome } from '../backend/home.ts';
import { decodeConfState } from '../consensus/conf-state.ts';
import { areMembersOf, hasTrueMembers } from '../consensus/image-membership.ts';
import type { StoragePaths } from '../consensus/member-storage.ts';
import { errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { BboltReader, type BboltFile } from '../snapshot/bbolt-reader.ts';
import { importImage, markOf, readImageFacts, type ImportOverride } from '../snapshot/state-image.ts'; // prettier-ignore
import { withBbolt } from './database.ts';
import { membershipAt, readMemberLog } from './member-log.ts';

/** etcd's name of its database, and what it is called once it has been read. */
const DATABASE = 'db';
const KEPT = 'db.imported';

/**
 * Brings the data dir to where openStorage can go on from it. Does nothing without a bbolt database.
 *
 * @param learnersMax --max-learners
 * @throws FatalError naming the file when it is damaged or does not belong to the log beside it; the lock's error
 */
export async function adoptEtcdDatabase(
  disk: Disk,
  home: BackendHome,
  paths: StoragePaths,
  learnersMax: number,
  logger: Logger,
): Promise<void> {
  const path = `${paths.snap}/${DATABASE}`;
  if (!(await disk.exists(path))) return;
  // The lock of the data dir comes with it.
  const current = await home.open();
  try {
    const verdict = await readDatabase(disk, path, (database) =>
      bringIn(disk, home, database, current, paths, learnersMax, logger),
    );
    if (verdict === 'later') return;
    const kept = await freeName(disk, paths.snap);
    await disk.rename(path, kept);
    await disk.syncDirectory(paths.snap);
    logger.info('kept the database of another etcd aside', { path: kept });
  } finally {
    await current.close();
  }
}

async function readDatabase<T>(
  disk: Disk,
  path: string,
  use: (database: BboltFile) => Promise<T>,
): Promise<T> {
  try {
    return await withBbolt(disk, path, use);
  } catch (error) {
    if (error instanceof FatalError) throw error;
    throw new FatalError(`${path} cannot be imported: ${errorMessageOf(error)}`, { cause: error });
  }
}

async function bringIn(
  disk: Disk,
  home: BackendHome,
  database: BboltFile,
  current: Backend,
  paths: StoragePaths,
  learnersMax: number,
  logger: Logger,
): Promise<Verdict['kind']> {
  const verdict = await judge(disk, database, current, paths, learnersMax);
  if (verdict.kind === 'import') {
    logger.info('importing the database of another etcd', {
      path: `${paths.snap}/${DATABASE}`,
      bytes: await database.size(),
      'consistent-index': verdict.override.consistentIndex,
    });
    await fill(home, database, verdict.override);
  }
  return verdict.kind;
}

type Verdict =
  /** Into a backend of ours, then aside. */
  | { readonly kind: 'import'; readonly override: ImportOverride }
  /** Ours has all of it already: the crash came before it was put aside, or it is an old one. */
  | { readonly kind: 'known' }
  /** The log begins after it, at a snapshot whose own database is there and is taken instead. */
  | { readonly kind: 'later' };

async function judge(
  disk: Disk,
  database: BboltFile,
  current: Backend,
  paths: StoragePaths,
  learnersMax: number,
): Promise<Verdict> {
  const reader = await BboltReader.open(database);
  const index = (await readImageFacts(reader)).consistentIndex;
  const ours = await appliedIndex(current);
  if (ours !== undefined && ours >= index) return { kind: 'known' };
  const log = await readMemberLog(disk, paths);
  if (log === undefined) {
    // An etcd that was stopped before it had written its log leaves an empty database.
    if (index === 0) return { kind: 'known' };
    throw new FatalError(
      `${paths.snap}/${DATABASE} has data but ${paths.wal} has no log: put the log back, or restore a snapshot`,
    );
  }
  const first = log.snapshot?.index ?? 0;
  if (index < first) return { kind: 'later' };
  const last = first + log.entries.length;
  if (index > last)
    throw new FatalError(
      `${paths.snap}/${DATABASE} has applied entry ${index}, but the log in ${paths.wal} ends at ${last}: ` +
        'log records are lost; remove this member from the cluster and add it again',
    );
  const { term, confState, membership } = membershipAt(log, index, learnersMax);
  const override = { consistentIndex: index, term, confState };
  const quorum = confState === '' ? EMPTY_CONF_STATE : decodeConfState(confState);
  if (await hasTrueMembers(reader, quorum)) return { kind: 'import', override };
  if (membership === undefined || !areMembersOf(quorum, membership.members.keys()))
    throw new FatalError(
      `${paths.snap}/${DATABASE}: neither its members nor those of the .snap file are the voters of the log at entry ${index}`,
    );
  return { kind: 'import', override: { ...override, membership } };
}

/** Undefined when nothing was ever written there. */
async function appliedIndex(backend: Backend): Promise<number | undefined> {
  const view = backend.snapshot();
  try {
    return (await markOf(view))?.consistentIndex;
  } finally {
    await view.close();
  }
}

async function fill(home: BackendHome, database: BboltFile, override: ImportOverride): Promise<void> {
  const incoming = await home.openIncoming();
  try {
    const mark = await importImage(database, incoming, override);
    assert(mark.consistentIndex === override.consistentIndex, 'an image imported at its own index');
    await home.adopt(incoming);
  } catch (error) {
    await home.discard(incoming);
    throw error;
  }
  await incoming.close();
}

async function freeName(disk: Disk, directory: string): Promise<string> {
  for (let number = 0; ; number++) {
    const path = `${directory}/${KEPT}${number === 0 ? '' : `.${number}`}`;
    if (!(await disk.exists(path))) return path;
  }
}
