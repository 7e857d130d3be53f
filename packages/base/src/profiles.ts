/**
 * Profiles of this process by V8's inspector, in the form Go's pprof reads: one at a time, and nothing is measured while
 * nobody asks. Compresses nothing.
 */

import type { HeapProfiler, Profiler, Session } from 'node:inspector/promises';

import type { Clock } from './clock.ts';
import { pause } from './pause.ts';
import { encodeProfile, type CallFrame, type StackNode } from './profile-encoding.ts';

/** Go's 100 a second. */
const CPU_PERIOD_MICROSECONDS = 10_000;
/** Go's half a megabyte; V8's own default is 32 KiB. */
const HEAP_PERIOD_BYTES = 512 * 1024;

export class Profiles {
  private readonly clock: Pick<Clock, 'setTimer' | 'nowMs'>;
  private busy = false;

  constructor(clock: Pick<Clock, 'setTimer' | 'nowMs'>) {
    this.clock = clock;
  }

  /**
   * Where the time goes in so many seconds, or until the signal.
   *
   * @throws Error when a profile is being taken
   */
  cpu(seconds: number, signal?: AbortSignal): Promise<Buffer> {
    return this.alone(async (session) => {
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: CPU_PERIOD_MICROSECONDS });
      await session.post('Profiler.start');
      await this.wait(seconds, signal);
      const { profile } = await session.post('Profiler.stop');
      return encodeProfile(cpuTree(profile), {
        kinds: [
          { type: 'samples', unit: 'count' },
          { type: 'cpu', unit: 'nanoseconds' },
        ],
        period: CPU_PERIOD_MICROSECONDS * 1_000,
        timeMs: this.clock.nowMs(),
        durationMs: seconds * 1_000,
      });
    });
  }

  /**
   * What is allocated meanwhile and alive at the end.
   *
   * @throws Error when a profile is being taken
   */
  heap(seconds: number, signal?: AbortSignal): Promise<Buffer> {
    return this.alone(async (session) => {
      await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_PERIOD_BYTES });
      await this.wait(seconds, signal);
      const { profile } = await session.post('HeapProfiler.stopSampling');
      return encodeProfile(heapTree(profile.head), {
        kinds: [{ type: 'inuse_space', unit: 'bytes' }],
        period: HEAP_PERIOD_BYTES,
        timeMs: this.clock.nowMs(),
        durationMs: seconds * 1_000,
      });
    });
  }

  private async alone(take: (session: Session) => Promise<Buffer>): Promise<Buffer> {
    if (this.busy) throw new Error('profiling already in use');
    this.busy = true;
    // Loaded when somebody asks: few processes ever are.
    const { Session } = await import('node:inspector/promises');
    const session = new Session();
    try {
      session.connect();
      return await take(session);
    } finally {
      session.disconnect();
      this.busy = false;
    }
  }

  private wait(seconds: number, signal: AbortSignal | undefined): Promise<void> {
    return pause(this.clock, seconds * 1_000, signal ?? new AbortController().signal);
  }
}

/** V8 gives nodes by number; samples are counted where they hit. */
function cpuTree({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): StackNode {
  interface Place {
    readonly frame: CallFrame;
    readonly values: [count: number, nanoseconds: number];
    readonly children: Place[];
  }
  const places = new Map<number, Place>();
  for (const { id, callFrame } of nodes) places.set(id, { frame: callFrame, values: [0, 0], children: [] });
  for (const { id, children = [] } of nodes)
    for (const child of children) places.get(id)!.children.push(places.get(child)!);
  samples.forEach((id, i) => {
    const place = places.get(id);
    // Time without work is nothing to look at.
    if (place === undefined || place.frame.functionName === '(idle)') return;
    place.values[0]++;
    place.values[1] += Math.max(0, timeDeltas[i] ?? 0) * 1_000;
  });
  return places.get(nodes[0].id)!;
}

function heapTree({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): StackNode {
  return { frame: callFrame, values: [selfSize], children: children.map(heapTree) };
}
