/**
 * A file that says which process uses a directory. A process that is gone holds nothing; one that only has the
 * same number as the holder had is told apart by when it started.
 */
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { errorCode, parseObject } from '../plain.ts';

/** How often a stale lock is replaced before giving up: others may be doing the same. */
const ATTEMPTS = 3;

/** Takes the lock for this process. @returns the process that holds it instead; @throws what the file system says */
export function takeLock(file: string): number | undefined {
  const content = JSON.stringify({ pid: process.pid, started: startedOf(process.pid) });
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(file, content, { flag: 'wx', mode: 0o600 });
      return undefined;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' || attempt === ATTEMPTS) throw error;
    }
    const found = readFileSync(file, 'utf8');
    const holder = holderOf(found);
    if (holder !== undefined) return holder;
    removeStale(file, found);
  }
}

/** Removes a lock, but not one that another process put in its place meanwhile. */
function removeStale(file: string, stale: string): void {
  const aside = `${file}.${process.pid}`;
  renameSync(file, aside);
  if (readFileSync(aside, 'utf8') !== stale) linkSync(aside, file);
  unlinkSync(aside);
}

/** The living process that a lock names. */
function holderOf(lock: string): number | undefined {
  const content = parseObject(lock);
  const pid = content?.['pid'];
  if (typeof pid !== 'number' || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and someone else's.
    if (errorCode(error) !== 'EPERM') return undefined;
  }
  return content?.['started'] === startedOf(pid) ? pid : undefined;
}

/** Field 22 of /proc/<pid>/stat, ticks since boot; empty where there is none. */
function startedOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold spaces: fields are counted after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
