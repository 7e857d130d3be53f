/** Directories that are there after a loss of power. */
import type { Disk } from '@keelson/base';

/** Makes a directory and the parents it lacks; none of them is lost with power afterwards. */
export async function makeDurableDirectory(disk: Disk, path: string): Promise<void> {
  const made: string[] = [];
  for (let at = path; at !== '' && !(await disk.exists(at)); at = parentOf(at)) made.push(at);
  await disk.makeDirectory(path);
  for (const each of made) await disk.syncDirectory(parentOf(each) || '/');
}

/** '' above the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
