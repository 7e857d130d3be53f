/**
 * Small benchmarks of the hot rooms, each alone in this process: what one operation of a room costs when
 * nothing else is in the way. Each body runs in rounds sized to a few milliseconds; the fastest round is the
 * room's cost, the median shows how noisy the machine was. They compare versions of one room on one machine,
 * never machines.
 */
import { number } from '../text.ts';
import type { Body } from './body.ts';
import { codecBodies } from './codec.ts';
import { raftBodies } from './raft.ts';
import { ringBodies } from './ring.ts';
import { storeBodies } from './store.ts';

export interface MicroResult {
  readonly name: string;
  readonly bestNs: number;
  readonly medianNs: number;
}

const ROUND_MS = 10;

/** @param rounds after one for warm-up */
export function measureBody(body: Body, rounds: number, nowMs: () => number): MicroResult {
  let repeats = 1;
  let sink: unknown;
  const round = (): number => {
    const start = nowMs();
    for (let i = 0; i < repeats; i++) sink = body.run();
    return nowMs() - start;
  };
  // Warm-up and sizing at once.
  for (let spent = round(); spent < ROUND_MS && repeats < 1e7; spent = round()) {
    repeats = spent <= 0.1 ? repeats * 10 : Math.ceil((repeats * ROUND_MS * 1.2) / spent);
  }
  const times = Array.from({ length: rounds }, () => (round() * 1e6) / (repeats * body.operations));
  if (sink === undefined) throw new TypeError(`${body.name} returns nothing`);
  const sorted = times.toSorted((a, b) => a - b);
  return { name: body.name, bestNs: sorted[0], medianNs: sorted[sorted.length >> 1] };
}

export async function runMicro(out: (text: string) => void, short: boolean): Promise<void> {
  const rounds = short ? 5 : 25;
  out(`${'room: operation'.padEnd(46)} ${'best ns'.padStart(12)} ${'median ns'.padStart(12)}\n`);
  for (const body of [...ringBodies(), ...codecBodies(), ...raftBodies(), ...(await storeBodies())]) {
    const { name, bestNs, medianNs } = measureBody(body, rounds, () => performance.now());
    out(`${name.padEnd(46)} ${number(bestNs).padStart(12)} ${number(medianNs).padStart(12)}\n`);
  }
}
