/**
 * Reads a chain of a backup folder and judges it: whether its files are what the manifest says, whether they follow each
 * other, and how far one can go back to them. It changes nothing, also while somebody adds to the folder.
 */
import type { Disk } from '@keelson/base';
import type { Entry } from '@keelson/raft';
import { FatalError } from '../errors.ts';
import { decodeEntry } from '../wal/entry-codec.ts';
import { RecordType } from '../wal/record.ts';
import { RecordStream } from '../wal/record-stream.ts';
import { differenceOf } from './backup-digest.ts';
import { MANIFEST, readManifest, type BackupChain, type BackupIncrement, type BackupManifest, type BackupPoint } from './backup-manifest.ts'; // prettier-ignore

/** @throws FatalError for a directory that is no backup folder */
export async function manifestIn(disk: Disk, directory: string): Promise<BackupManifest> {
  const manifest = await readManifest(disk, directory);
  if (manifest === undefined || manifest.chains.length === 0)
    throw new FatalError(`${directory} is no backup folder: it has no ${MANIFEST}`);
  return manifest;
}

/** All states of a chain that its manifest names, oldest first. */
export function pointsOf({ base, increments }: BackupChain): BackupPoint[] {
  return [base, ...increments.flatMap(({ points }) => points)];
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** What a damaged increment leaves, in words. */
export function lastReachable(point: BackupPoint | undefined): string {
  return point === undefined
    ? 'nothing of this chain can be restored'
    : `the last reachable revision is ${point.revision} (entry ${point.index}, ${isoTime(point.timeMs)})`;
}

/**
 * One increment, after the one before it.
 * @param before where that ended
 * @returns what is wrong; undefined when nothing is
 */
export async function damageOf(
  disk: Disk,
  path: string,
  increment: BackupIncrement,
  before: BackupPoint,
): Promise<string | undefined> {
  const { first } = increment;
  if (first.index !== before.index + 1)
    return `it begins with entry ${first.index}, and the one before it ends with ${before.index}: there is a gap`;
  return differenceOf(disk, path, increment);
}

/**
 * The entries of an increment, some at a time.
 * @throws FatalError when they are not those the manifest speaks of; WalError
 */
export async function* entriesOf(
  disk: Disk,
  path: string,
  { bytes, first, points }: BackupIncrement,
): AsyncGenerator<readonly Entry[], void, undefined> {
  const file = await disk.open(path, 'read');
  try {
    const stream = new RecordStream(file, { end: bytes });
    let next = first.index;
    for (let records = await stream.next(); records !== undefined; records = await stream.next()) {
      const entries: Entry[] = [];
      for (const { type, data } of records) {
        if (type !== RecordType.Entry || data === undefined) continue;
        const entry = decodeEntry(Buffer.from(data));
        if (entry.index !== next++)
          throw new FatalError(`${path} holds entry ${entry.index} after ${next - 2}`);
        entries.push(entry);
      }
      if (entries.length > 0) yield entries;
    }
    const last = points.at(-1)?.index;
    if (next - 1 !== last)
      throw new FatalError(`${path} ends with entry ${next - 1}, and should with ${last}`);
  } finally {
    await file.close();
  }
}
