/**
 * raft: how many entry objects a proposal costs on its way from the call into three logs. What is made is
 * known from the engine's own count of calls of the constructor; what is kept, by looking into the logs.
 */
import { Session } from 'node:inspector';
import { Entry, type MemoryStorage } from '@keelson/raft';
import { collectGarbage } from './measure.ts';
import { Trio } from './trio.ts';

export interface EntryCount {
  readonly proposed: number;
  /** Objects made, whether kept or not. */
  readonly made: number;
  /** Different objects in the three logs. */
  readonly kept: number;
  /** What three logs and their entries keep on the heap. */
  readonly heapBytes: number;
}

const BATCH = 64;

/** @param proposals a multiple of 64 */
export function countEntries(proposals: number): EntryCount {
  const data = Array.from({ length: BATCH }, () => Buffer.alloc(16, 7));
  const propose = (): Trio => {
    const trio = new Trio({ compacts: false });
    for (let done = 0; done < proposals; done += BATCH) trio.batch(data);
    return trio;
  };
  const made = callsOf(Entry.name, () => void propose());
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const trio = propose();
  collectGarbage();
  const heapBytes = process.memoryUsage().heapUsed - before;
  const kept = new Set(trio.nodes.flatMap(({ storage }) => wholeLog(storage))).size;
  // The leader's empty entry at the start of its term was not proposed.
  return { proposed: trio.nodes[0].applied - 1, made, kept, heapBytes };
}

function wholeLog(storage: MemoryStorage): readonly Entry[] {
  const entries = storage.entries(storage.firstIndex(), storage.lastIndex() + 1, Infinity);
  if (!Array.isArray(entries)) throw new TypeError(`a whole log is ${entries}`);
  return entries;
}

/** How often a function or constructor of that name was called while `run` ran. */
function callsOf(name: string, run: () => void): number {
  const session = new Session();
  session.connect();
  try {
    session.post('Profiler.enable');
    session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    run();
    let calls = 0;
    session.post('Profiler.takePreciseCoverage', (_error, coverage) => {
      for (const script of coverage?.result ?? []) {
        for (const { functionName, ranges } of script.functions) {
          if (functionName === name) calls += ranges[0].count;
        }
      }
    });
    session.post('Profiler.stopPreciseCoverage');
    return calls;
  } finally {
    session.disconnect();
  }
}
