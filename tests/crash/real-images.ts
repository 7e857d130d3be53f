/** Images of a real member's disk in real directories. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
