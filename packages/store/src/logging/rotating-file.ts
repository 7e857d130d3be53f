/**
 * A log file that gives way to a new one when it is full. Lines are written at once, since the last ones before
 * an end are those that matter; removing and compressing old files happens beside, and what goes wrong there is
 * told once, never thrown into whoever logs.
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  openSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { backupName, backupsOf, expendable, type RotationPolicy } from './rotation.ts';

const MODE = 0o600;

export class RotatingFile {
  private readonly path: string;
  private readonly policy: RotationPolicy;
  private readonly nowMs: () => number;
  private readonly onError: (error: unknown) => void;
  private file: number;
  private bytes: number;
  private tidying: Promise<void> = Promise.resolve();

  /** @throws node's error when the file cannot be opened */
  constructor(
    path: string,
    policy: RotationPolicy,
    nowMs: () => number,
    onError: (error: unknown) => void = () => {},
  ) {
    this.path = path;
    this.policy = policy;
    this.nowMs = nowMs;
    this.onError = onError;
    this.file = openSync(path, 'a', MODE);
    this.bytes = fstatSync(this.file).size;
  }

  /** @throws node's error when the disk does not take it */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.bytes > 0 && this.bytes + bytes > this.policy.bytesMax) this.rotate();
    writeSync(this.file, line);
    this.bytes += bytes;
  }

  private rotate(): void {
    const folder = dirname(this.path);
    const backup = join(folder, backupName(basename(this.path), this.nowMs(), this.policy.localTime));
    // Where somebody took the file away there is nothing to keep.
    if (existsSync(this.path)) renameSync(this.path, backup);
    const next = openSync(this.path, 'a', MODE);
    closeSync(this.file);
    this.file = next;
    this.bytes = 0;
    this.tidying = this.tidying
      .then(() => tidyBackups(this.path, this.policy, this.nowMs()))
      .catch(this.onError);
  }

  /** Resolves when nothing is being removed or compressed. */
  idle(): Promise<void> {
    return this.tidying;
  }

  close(): void {
    closeSync(this.file);
  }
}

/** Removes and compresses what a policy says of the old files of `path`. @throws node's error */
export async function tidyBackups(path: string, policy: RotationPolicy, nowMs: number): Promise<void> {
  const folder = dirname(path);
  const backups = backupsOf(basename(path), await readdir(folder), policy.localTime);
  const gone = new Set(expendable(backups, policy, nowMs));
  for (const backup of backups) {
    const old = join(folder, backup.name);
    if (gone.has(backup)) await rm(old, { force: true });
    else if (policy.compress && !backup.name.endsWith('.gz')) await compressed(old);
  }
}

/** Whole or not at all: the compressed file appears under its name when it is complete. */
async function compressed(path: string): Promise<void> {
  const partial = `${path}.gz.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(partial, { mode: MODE }));
  await rename(partial, `${path}.gz`);
  await rm(path);
}
