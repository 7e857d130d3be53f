/**
 * Whether another process has locked a file. Node cannot lock files, and a real etcd locks its database and its
 * log only in that way; Linux lists all locks in /proc/locks, so a data dir that an etcd still runs on can be
 * told. It only looks, and can be late: it guards against mistakes, not against a race. Where there is no such
 * list, nothing is ever locked.
 */
import { promises as fs } from 'node:fs';
import { errorCodeOf } from './error-code.ts';

const LOCKS = '/proc/locks';
/** "3: FLOCK  ADVISORY  WRITE 23589 fe:00:10248505 0 EOF"; "->" marks one who waits. */
const LINE = /^\d+: (?!->)\S+ +\S+ +\S+ +-?\d+ +([0-9a-f]+):([0-9a-f]+):(\d+) /;

/** False for a file that is not there. */
export async function isLocked(path: string, locksPath: string = LOCKS): Promise<boolean> {
  let locks: string;
  let held: string;
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true });
    held = `${majorOf(dev)}:${minorOf(dev)}:${ino}`;
    locks = await fs.readFile(locksPath, 'utf8');
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR') return false;
    throw error;
  }
  return locks.split('\n').some((line) => {
    const match = LINE.exec(line);
    if (match === null) return false;
    const [major, minor] = [match[1], match[2]].map((hex) => Number.parseInt(hex, 16));
    return `${major}:${minor}:${match[3]}` === held;
  });
}

/** The two halves of Linux's device numbers (glibc: gnu_dev_major, gnu_dev_minor). */
function majorOf(device: bigint): bigint {
  return ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
}

function minorOf(device: bigint): bigint {
  return (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);
}
