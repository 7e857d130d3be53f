/**
 * A file of `etcdctl snapshot save`: a bbolt database and, behind it, the SHA-256 of all its bytes. What a
 * copied `db` lacks is told by the length alone, as etcd tells it (etcd: etcdutl/snapshot).
 */
import { createHash } from 'node:crypto';
import { FatalError } from '../errors.ts';
import type { BboltFile } from '../snapshot/bbolt-reader.ts';

const DIGEST_BYTES = 32;
/** A database ends with a page, and pages with a sector. */
const SECTOR_BYTES = 512;
const CHUNK_BYTES = 1024 * 1024;

/**
 * The database inside, its digest compared.
 *
 * @param skipHashCheck for a file without a digest, or in spite of one that is wrong
 * @throws FatalError in etcd's words
 */
export async function databaseInside(file: BboltFile, skipHashCheck: boolean): Promise<BboltFile> {
  const size = await file.size();
  const hasDigest = size % SECTOR_BYTES === DIGEST_BYTES;
  const bytes = hasDigest ? size - DIGEST_BYTES : size;
  if (!hasDigest && !skipHashCheck) throw new FatalError('snapshot missing hash but --skip-hash-check=false');
  if (hasDigest && !skipHashCheck) {
    const want = await file.read(bytes, DIGEST_BYTES);
    const got = await digestOf(file, bytes);
    if (!got.equals(want)) throw new FatalError(`expected sha256 ${goBytes(want)}, got ${goBytes(got)}`);
  }
  return {
    read: (position, length) => file.read(position, Math.max(0, Math.min(length, bytes - position))),
    size: () => Promise.resolve(bytes),
  };
}

async function digestOf(file: BboltFile, bytes: number): Promise<Buffer> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes; at += CHUNK_BYTES)
    hash.update(await file.read(at, Math.min(CHUNK_BYTES, bytes - at)));
  return hash.digest();
}

/** Go's %v of bytes. */
function goBytes(bytes: Buffer): string {
  return `[${[...bytes].join(' ')}]`;
}
