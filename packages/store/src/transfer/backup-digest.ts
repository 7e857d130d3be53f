/** SHA-256 of files of a backup, as the manifest keeps it. */
import { createHash, type Hash } from 'node:crypto';
import type { Disk } from '@keelson/base';
import { errorCodeOf } from '../disk/error-code.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Of a file that grows: it can be asked at any time, and goes on. */
export class GrowingDigest {
  private hash: Hash = createHash('sha256');
  private kept: Hash = this.hash.copy();

  update(bytes: Buffer): void {
    this.hash.update(bytes);
  }

  /** Of all so far, in hex. */
  current(): string {
    return this.hash.copy().digest('hex');
  }

  /** From here rollBack() goes on. */
  keep(): void {
    this.kept = this.hash.copy();
  }

  /** Forgets what came since keep(). */
  rollBack(): void {
    this.hash = this.kept.copy();
  }
}

/**
 * Compares the first `bytes` of a file with what they should be.
 * @returns what is wrong with it; undefined when nothing is
 */
export async function differenceOf(
  disk: Disk,
  path: string,
  { bytes, sha256 }: { readonly bytes: number; readonly sha256: string },
): Promise<string | undefined> {
  let file;
  try {
    file = await disk.open(path, 'read');
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return 'it is missing';
    throw error;
  }
  try {
    const size = await file.size();
    if (size < bytes) return `it has ${size} bytes of ${bytes}`;
    const hash = createHash('sha256');
    for (let at = 0; at < bytes; at += CHUNK_BYTES)
      hash.update(await file.read(at, Math.min(CHUNK_BYTES, bytes - at)));
    const found = hash.digest('hex');
    return found === sha256 ? undefined : `its sha256 is ${found}, not ${sha256}`;
  } finally {
    await file.close();
  }
}
