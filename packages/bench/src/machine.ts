/**
 * Where a run took place: without it a figure means nothing. The disk is asked for the time of a small
 * fdatasync, since that bounds every write with one client.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type as systemType } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly system: string;
  readonly node: string;
  readonly commit: string;
  readonly date: string;
  /** 1 minute average before the run: others' work shows here. */
  readonly loadAverage: number;
  readonly syncs: number;
  readonly syncMeanMs: number;
  readonly syncMaxMs: number;
}

const SYNCS = 50;
const SYNC_BYTES = 4096;

/** @param directory on the disk to ask */
export function describeMachine(directory: string): Machine {
  const times = syncTimes(directory);
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cpus: all.length,
    memoryMb: totalmem() / 2 ** 20,
    system: `${systemType()} ${release()}`,
    node: process.versions.node,
    commit: commit(),
    date: new Date().toISOString(),
    loadAverage: loadavg()[0] ?? 0,
    syncs: SYNCS,
    syncMeanMs: times.reduce((sum, ms) => sum + ms, 0) / times.length,
    syncMaxMs: Math.max(...times),
  };
}

function syncTimes(directory: string): number[] {
  const home = mkdtempSync(path.join(directory, 'keelson-bench-disk-'));
  try {
    const file = openSync(path.join(home, 'probe'), 'w');
    const bytes = Buffer.alloc(SYNC_BYTES, 1);
    const times = Array.from({ length: SYNCS }, () => {
      writeSync(file, bytes);
      const startMs = performance.now();
      fdatasyncSync(file);
      return performance.now() - startMs;
    });
    closeSync(file);
    return times;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], {
      cwd: path.dirname(fileURLToPath(import.meta.url)),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown'; // Not a clone, or no git: the report says so.
  }
}
