/** Directories that are there after a loss of power. */
import type { Disk } from '@keelson/base';
import { errorCodeOf } from './error-code.ts';

/** Makes a directory and the parents it lacks; none of them is lost with power afterwards. */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  const made: string[] = [];
  for (let at = path; at !== '' && !(await disk.exists(at)); at = parentOf(at)) made.push(at);
  await disk.makeDirectory(path);
  for (const each of made) await disk.syncDirectory(parentOf(each) || '/');
}

/**
 * Syncs the names of a directory and of all above it: whoever made them may have been killed before he did. Asked
 * once, before anything is promised that depends on them.
 */
export async function syncNames(disk: Disk, path: string): Promise<void> {
  for (let at = path; at !== ''; at = parentOf(at)) if (!(await syncName(disk, at))) return;
}

/** The same for one name. @returns whether it could be done: who has made it could */
export async function syncName(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.syncDirectory(parentOf(path) || '/');
    return true;
  } catch (error) {
    // A directory we may not read is not one we have made, and neither is any above it.
    const code = errorCodeOf(error);
    if (code !== 'EACCES' && code !== 'EPERM') throw error;
    return false;
  }
}

/** '' above the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
