/**
 * The doors for tools that work on files of members that do not run: what they need of the world is the
 * machine's own, and a member's data is opened as a start opens it. Nothing here serves anybody.
 */
import type { Logger } from '@keelson/base';
import { DirectoryHome } from './backend/home.ts';
import { LevelBackend } from './backend/level-backend.ts';
import { defaultServerConfig, parseServerConfig } from './config/config.ts';
import { isLocked } from './disk/file-lock.ts';
import { NodeDisk } from './disk/node-disk.ts';
import { FatalError } from './errors.ts';
import { addressesOf } from './founding.ts';
import { Opening, openMember } from './open-member.ts';
import { exportDirectory } from './transfer/export-directory.ts';
import type { OfflineWorld } from './transfer/database.ts';
import { systemSecrets } from './secrets/system-secrets.ts';
import { restoreBackup, type BackupRestoreOptions, type Restored } from './transfer/point-in-time.ts';
import { realWorld } from './world.ts';

/** The machine's, for tools. */
export function offlineWorld(logger: Logger): OfflineWorld {
  const disk = new NodeDisk();
  return {
    disk,
    homeAt: (directory) =>
      new DirectoryHome(disk, directory, (path) => LevelBackend.open(disk, path, isLocked)),
    logger,
    isLocked,
    resolve: addressesOf,
  };
}

/** Restores a moment of a backup folder; see transfer/point-in-time.ts. @throws FatalError, BboltError */
export function restoreIncremental(
  options: Omit<BackupRestoreOptions, 'hashPlain'>,
  logger: Logger,
): Promise<Restored> {
  const { bcryptCost } = defaultServerConfig();
  return restoreBackup(
    {
      ...options,
      hashPlain: (password) => Buffer.from(systemSecrets.hashNow(password, bcryptCost), 'latin1'),
    },
    offlineWorld(logger),
  );
}

export interface ExportOptions {
  readonly dataDir: string;
  /** '' for the one inside the data dir. */
  readonly walDir: string;
  readonly target: string;
}

/**
 * Writes a stopped member's data as the data dir of a real etcd.
 * @throws FatalError, WalError or BackendOpenError: one line for a person
 */
export async function exportMember(options: ExportOptions, logger: Logger): Promise<void> {
  const parsed = parseServerConfig(
    [`--data-dir=${options.dataDir}`, `--wal-dir=${options.walDir}`],
    {},
    () => '',
  );
  if (parsed.kind !== 'config') throw new FatalError(`data dir ${options.dataDir} cannot be used`);
  const world = realWorld(parsed.config, logger);
  // Without a log, opening would found a cluster.
  const wal = options.walDir === '' ? `${options.dataDir}/member/wal` : options.walDir;
  const names = (await world.disk.exists(wal)) ? await world.disk.list(wal) : [];
  if (!names.some((name) => name.endsWith('.wal')))
    throw new FatalError(`${options.dataDir} is not the data dir of a member: no log in ${wal}`);
  const storage = await openMember(parsed.config, world, new Opening(false));
  try {
    await exportDirectory(storage, world.disk, options.target, logger);
  } finally {
    await storage.wal.close();
    await storage.state.backend.close();
  }
}
