/**
 * Images of a real member's disk in real directories, and a start on each: NodeDisk, LevelDB and all, in this process,
 * serving nobody.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LevelBackend } from '../../packages/store/src/backend/level-backend.ts';
import { DirectoryHome } from '../../packages/store/src/backend/home.ts';
import { parseServerConfig } from '../../packages/store/src/config/config.ts';
import type { ServerConfig } from '../../packages/store/src/config/flag-table.ts';
import { NodeDisk } from '../../packages/store/src/disk/node-disk.ts';
import {
  offlineWorldOf,
  recover,
  type Recovered,
  type Refused,
} from '../../packages/store/test/crash/recovery.ts';
import type { Reference } from '../../packages/store/test/crash/reference.ts';
import type { Image } from '../../packages/store/test/crash/volume.ts';

/** Where syncs cost nothing: what is durable is ours to say. */
export function scratch(): Promise<string> {
  return mkdtemp(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'keelson-crash-'));
}

/** Writes what lies below `dataDir` in the image into `target`. */
export async function materialize(image: Image, dataDir: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true, mode: 0o700 });
  for (const directory of [...image.directories].sort())
    if (directory.startsWith(`${dataDir}/`))
      await mkdir(target + directory.slice(dataDir.length), { recursive: true, mode: 0o700 });
  for (const [name, bytes] of image.files)
    if (name.startsWith(`${dataDir}/`))
      await writeFile(target + name.slice(dataDir.length), bytes, { mode: 0o600 });
}

export function configOf(flags: readonly string[]): ServerConfig {
  const parsed = parseServerConfig([...flags], {}, () => '');
  if (parsed.kind !== 'config') throw new Error('flags that are none');
  return parsed.config;
}

/** Starts a member on a directory, as production does, but for its ports. */
export function startOn(config: ServerConfig, reference: Reference): Promise<Recovered | Refused> {
  const disk = new NodeDisk();
  const home = (directory: string): DirectoryHome =>
    new DirectoryHome(disk, directory, (each) => LevelBackend.open(disk, each));
  return recover(config, offlineWorldOf({ disk, home }), reference);
}
