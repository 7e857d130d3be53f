/** Resident memory of a process as Linux tells it, in MB: all, what is its own, and what maps files. */
import { readFileSync } from 'node:fs';

export interface Memory {
  readonly rss: number;
  readonly anon: number;
  readonly file: number;
}

/** Undefined when the process is gone, or this is no Linux. */
export function memoryOf(pid: number | undefined): Memory | undefined {
  if (pid === undefined) return undefined;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const read = (field: string): number => {
      const kB = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
      return Number(kB ?? NaN) / 1024;
    };
    return { rss: read('VmRSS'), anon: read('RssAnon'), file: read('RssFile') };
  } catch {
    return undefined;
  }
}

export function memoryText(memory: Memory | undefined): string {
  if (memory === undefined) return 'gone';
  const f = (mb: number): string => mb.toFixed(0);
  return `${f(memory.rss)} MB (own ${f(memory.anon)}, files ${f(memory.file)})`;
}
