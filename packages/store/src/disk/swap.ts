/**
 * Whether the system may move this process's memory to a swap device, for --memory-mlock. The runtime cannot lock
 * memory (mlockall does not survive exec either), but where nothing can be swapped there is nothing to lock. Linux
 * only: elsewhere the answer is unknown.
 */

/** Reads a small file of /proc or /sys; undefined when there is none. */
export type ReadText = (path: string) => string | undefined;

export type Swapping = 'possible' | 'impossible' | 'unknown';

const CGROUPS = '/sys/fs/cgroup';

export function swapping(read: ReadText): Swapping {
  const swaps = read('/proc/swaps');
  if (swaps === undefined) return 'unknown';
  // A line of titles, then one for each device.
  if (swaps.trim().split('\n').length <= 1) return 'impossible';
  return swapLimit(read) === 0 ? 'impossible' : 'possible';
}

/** The least memory.swap.max of the process's control group (version 2) and those around it; Infinity for none. */
function swapLimit(read: ReadText): number {
  const line = read('/proc/self/cgroup')
    ?.split('\n')
    .find((each) => each.startsWith('0::/'));
  if (line === undefined) return Infinity;
  let least = Infinity;
  for (
    let path = line.slice('0::'.length);
    path !== '' && path !== '/';
    path = path.slice(0, path.lastIndexOf('/'))
  ) {
    const text = read(`${CGROUPS}${path}/memory.swap.max`)?.trim() ?? 'max';
    if (/^\d+$/.test(text)) least = Math.min(least, Number(text));
  }
  // Inside a namespace the group is the root of what can be seen.
  const own = read(`${CGROUPS}/memory.swap.max`)?.trim() ?? 'max';
  return /^\d+$/.test(own) ? Math.min(least, Number(own)) : least;
}
