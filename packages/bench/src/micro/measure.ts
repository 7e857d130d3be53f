/**
 * Times a body and weighs what it allocates. Rounds of a few milliseconds after a warm-up; a naive peer's
 * rounds stand between the body's own, so that a busy machine spoils both alike. Allocation is what the heap
 * grows by over many small stretches; a stretch with a collection in it shows too little, and the median
 * leaves it out. Buffers' bytes lie outside the heap and are not in it.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Body } from './body.ts';

export interface MicroResult {
  readonly name: string;
  readonly bestNs: number;
  readonly medianNs: number;
  /** A quarter of all rounds took less than the first and more than the second. */
  readonly quartilesNs: readonly [number, number];
  /** Of the median. */
  readonly perSecond: number;
  /** Heap bytes an operation. */
  readonly bytes: number;
  readonly naive: { readonly name: string; readonly medianNs: number; readonly times: number } | undefined;
}

export interface Effort {
  /** Rounds after those of the warm-up. */
  readonly rounds: number;
  readonly roundMs: number;
}

/** Stretches over which the heap is weighed, and how much each should grow it: less than a scavenge takes. */
const STRETCHES = 15;
const STRETCH_BYTES = 256 * 1024;

export function measureBody(body: Body, effort: Effort, nowMs: () => number): MicroResult {
  const own = new Rounds(() => body.run(), effort.roundMs, nowMs);
  const peer = body.naive;
  const other = peer === undefined ? undefined : new Rounds(() => peer.run(), effort.roundMs, nowMs);
  const times: number[] = [];
  const otherTimes: number[] = [];
  for (let i = 0; i < effort.rounds; i++) {
    times.push(own.nsPerRun() / body.operations);
    if (other !== undefined) otherTimes.push(other.nsPerRun() / body.operations);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const medianNs = middle(sorted);
  const naiveNs = middle(otherTimes.toSorted((a, b) => a - b));
  return {
    name: body.name,
    bestNs: sorted[0],
    medianNs,
    quartilesNs: [sorted[sorted.length >> 2], sorted[(sorted.length * 3) >> 2]],
    perSecond: 1e9 / medianNs,
    bytes: allocated(body),
    naive: peer && { name: peer.name, medianNs: naiveNs, times: naiveNs / medianNs },
  };
}

function middle(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1];
}

/** A function with the number of repeats that fills a round. */
class Rounds {
  private repeats = 1;
  private readonly run: () => unknown;
  private readonly nowMs: () => number;

  constructor(run: () => unknown, roundMs: number, nowMs: () => number) {
    this.run = run;
    this.nowMs = nowMs;
    // Warm-up and sizing at once.
    for (let spent = this.spend(); spent < roundMs && this.repeats < 1e7; spent = this.spend()) {
      this.repeats =
        spent <= roundMs / 100 ? this.repeats * 10 : Math.ceil((this.repeats * roundMs * 1.2) / spent);
    }
  }

  nsPerRun(): number {
    return (this.spend() * 1e6) / this.repeats;
  }

  private spend(): number {
    let sink: unknown;
    const start = this.nowMs();
    for (let i = 0; i < this.repeats; i++) sink = this.run();
    const spent = this.nowMs() - start;
    if (sink === undefined) throw new TypeError('a body returns nothing');
    return spent;
  }
}

/** Heap bytes an operation, once warm. */
function allocated(body: Body): number {
  const used = (): number => getHeapStatistics().used_heap_size;
  const stretch = (repeats: number): number => {
    const before = used();
    for (let i = 0; i < repeats; i++) body.run();
    return used() - before;
  };
  let repeats = 1;
  collectGarbage();
  // One that allocates nothing is given up after so many operations.
  while (stretch(repeats) < STRETCH_BYTES && repeats * body.operations < 1e5) repeats *= 2;
  const grown: number[] = [];
  for (let i = 0; i < STRETCHES; i++) grown.push(stretch(repeats));
  // Asking for the figure allocates a little itself.
  const asking = stretch(0);
  const bytes = (middle(grown.toSorted((a, b) => a - b)) - asking) / (repeats * body.operations);
  return Math.max(0, bytes);
}

/** A full collection, whether or not the process was started with --expose-gc. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new TypeError('this engine collects when it likes');
  Reflect.apply(collect, undefined, []);
}
