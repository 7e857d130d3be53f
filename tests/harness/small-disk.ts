/**
 * A data directory on a small file system of its own (tmpfs), which can be filled to its last byte and freed again while
 * the member runs. Needs root. What a run that was killed left mounted is found by the directory it lies in.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

/** The file that takes the room. */
const BALLAST = '.ballast';
const CHUNK = Buffer.alloc(64 * 1024, 1);

export class SmallDisk {
  readonly directory: string;
  private mounted = false;

  /** @throws Error when it cannot be mounted */
  constructor(directory: string, megabytes: number) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    const { status, stderr, error } = spawnSync(
      'mount',
      ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'keelson-small-disk', directory],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`no tmpfs: ${error?.message ?? stderr}`, { cause: error });
    this.mounted = true;
  }

  /** Until nothing more fits. @returns the bytes it took */
  fill(): number {
    const file = openSync(path.join(this.directory, BALLAST), 'a');
    let taken = 0;
    try {
      for (let size = CHUNK.length; size >= 512;) {
        try {
          taken += writeSync(file, CHUNK, 0, size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          size /= 2;
        }
      }
    } finally {
      closeSync(file);
    }
    return taken;
  }

  free(): void {
    rmSync(path.join(this.directory, BALLAST), { force: true });
  }

  /** Takes the file system away, with all that is on it. Does nothing the second time. */
  unmount(): void {
    if (this.mounted) spawnSync('umount', ['-l', this.directory]);
    this.mounted = false;
  }
}

/** Takes away what is mounted below `parent`. */
export function unmountBelow(parent: string): void {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, directory] = line.split(' ');
    if (directory?.startsWith(`${parent}/`)) spawnSync('umount', ['-l', directory]);
  }
}
