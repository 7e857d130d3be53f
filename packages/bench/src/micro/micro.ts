/**
 * Small benchmarks of the hot rooms, each alone in this process: what one operation of a room costs when
 * nothing else is in the way. They compare versions of one room on one machine, and a room with the obvious
 * way to do its work; never machines.
 */
import { cpus, loadavg } from 'node:os';
import { number } from '../text.ts';
import type { Body } from './body.ts';
import { codecBodies } from './codec.ts';
import { countEntries, type EntryCount } from './entries.ts';
import { type Effort, measureBody, type MicroResult } from './measure.ts';
import { quorumBodies } from './quorum.ts';
import { raftBodies } from './raft.ts';
import { ringBodies } from './ring.ts';
import { storeBodies } from './store.ts';

export interface MicroOptions {
  readonly short: boolean;
  /** Only bodies whose name contains it. */
  readonly filter: string;
  /** One object instead of the table. */
  readonly json: boolean;
}

export interface MicroReport {
  readonly node: string;
  readonly cpu: string;
  /** Of one minute, before the run: what others do shows in the spread. */
  readonly loadAverage: number;
  readonly results: readonly MicroResult[];
  readonly entries: EntryCount | undefined;
}

/** A round is long beside the clock's grain and short beside a scheduler's slice. */
const LONG: Effort = { rounds: 25, roundMs: 10 };
const SHORT: Effort = { rounds: 5, roundMs: 10 };
/** Proposed for the count of entry objects. */
const PROPOSED = 64_000;

export async function allBodies(): Promise<Body[]> {
  return [...ringBodies(), ...codecBodies(), ...quorumBodies(), ...raftBodies(), ...(await storeBodies())];
}

export async function runMicro(out: (text: string) => void, options: MicroOptions): Promise<MicroReport> {
  const { filter, json } = options;
  const loadAverage = loadavg()[0];
  const bodies = (await allBodies()).filter(({ name }) => name.includes(filter));
  if (!json) out(`${HEADER}\n`);
  const results: MicroResult[] = [];
  for (const body of bodies) {
    const result = measureBody(body, options.short ? SHORT : LONG, () => performance.now());
    results.push(result);
    if (!json) out(`${lineOf(result)}\n`);
  }
  const entries = 'raft: entries'.includes(filter) ? countEntries(PROPOSED) : undefined;
  const report = {
    node: process.versions.node,
    cpu: cpus()[0]?.model ?? 'unknown',
    loadAverage,
    results,
    entries,
  };
  if (json) out(`${JSON.stringify(report, undefined, 2)}\n`);
  else if (entries !== undefined) out(`${describeEntries(entries)}\n`);
  return report;
}

const WIDTHS = [42, 10, 10, 19, 13, 9] as const;

function line(cells: readonly string[], rest: string): string {
  const columns = cells.map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[i]) : cell.padStart(WIDTHS[i])));
  return `${columns.join(' ')}  ${rest}`.trimEnd();
}

const HEADER = line(
  ['room: operation', 'best ns', 'median ns', 'middle half, ns', 'a second', 'bytes'],
  'beside',
);

function lineOf(result: MicroResult): string {
  const { name, bestNs, medianNs, quartilesNs, perSecond, bytes, naive } = result;
  const half = quartilesNs.map(number).join(' … ');
  const beside = naive === undefined ? '' : `${naive.name}: ${number(naive.times)} ×`;
  return line([name, number(bestNs), number(medianNs), half, number(perSecond), number(bytes)], beside);
}

function describeEntries({ proposed, made, kept, heapBytes }: EntryCount): string {
  return (
    `${number(proposed)} proposals through 3 nodes: ${number(made)} entry objects made and ${number(kept)} kept, ` +
    `${number(heapBytes / proposed)} heap bytes kept an entry`
  );
}
