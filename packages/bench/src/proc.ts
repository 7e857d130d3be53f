/**
 * What the kernel says of a process: CPU time spent and memory resident, from /proc. Linux only; where there
 * is no /proc, or the process has gone, the answer is undefined and reports leave the figure out.
 */
import { readFileSync } from 'node:fs';

/** Linux gives user space its times in hundredths of a second on every architecture (USER_HZ). */
const TICKS_PER_SECOND = 100;

export interface Memory {
  readonly rssBytes: number;
  /** Heap and stacks. */
  readonly rssAnonBytes: number;
  /** Mapped files: the program itself, and tables that a store maps. */
  readonly rssFileBytes: number;
}

/** CPU seconds from the text of /proc/<pid>/stat; the name in parentheses may hold anything. */
export function parseCpuSeconds(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** From the text of /proc/<pid>/status. */
export function parseMemory(status: string): Memory {
  const bytes = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
    return found === null ? 0 : Number(found[1]) * 1024;
  };
  return { rssBytes: bytes('VmRSS'), rssAnonBytes: bytes('RssAnon'), rssFileBytes: bytes('RssFile') };
}

export function cpuSeconds(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseCpuSeconds(stat);
}

export function memory(pid: number): Memory | undefined {
  const status = read(`/proc/${pid}/status`);
  return status === undefined ? undefined : parseMemory(status);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
