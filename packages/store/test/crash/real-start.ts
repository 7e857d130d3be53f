/** A start on a real directory: NodeDisk, LevelDB and all, in this process, serving nobody. */
import { DirectoryHome } from '../../src/backend/home.ts';
import { LevelBackend } from '../../src/backend/level-backend.ts';
import { parseServerConfig } from '../../src/config/config.ts';
import type { ServerConfig } from '../../src/config/flag-table.ts';
import { NodeDisk } from '../../src/disk/node-disk.ts';
import { offlineWorldOf, recover, type Recovered, type Refused } from './recovery.ts';
import type { Reference } from './reference.ts';

export type { ServerConfig };

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
