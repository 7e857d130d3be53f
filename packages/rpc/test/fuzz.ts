/**
 * Mutated conversations with connections of both kinds, as many as asked:
 *   npm run rpc:fuzz -- [--frames N | --minutes M] [--seed S] [--side server|client]
 * Prints how connections ended; stops at the first broken promise with the seed that repeats it.
 */
import { Prng } from '@keelson/base';
import { numberOf, scriptFlags } from '../../base/test/script.ts';
import { converseWithClient } from './fuzz/client-side.ts';
import { recorded } from './fuzz/corpus.ts';
import { converseWithServer } from './fuzz/server-side.ts';
import type { Outcome } from './fuzz/talk.ts';

/** How long a run is: the first bound that is reached ends it. */
export interface FuzzBounds {
  readonly frames: number;
  readonly minutes: number;
  /** Both when undefined, in turns. */
  readonly side?: string | undefined;
}

export interface FuzzResult {
  readonly frames: number;
  readonly conversations: number;
  /** Connections by side and end. */
  readonly ends: ReadonlyMap<string, number>;
}

/**
 * Converses until a bound is reached. Seeds count up from `first`; even ones are a server's.
 * @throws what a broken promise throws, with the seed told to `tell`
 */
export async function fuzz(
  first: number,
  bounds: FuzzBounds,
  tell: (line: string) => void,
): Promise<FuzzResult> {
  const conversations = recorded();
  const ends = new Map<string, number>();
  const startedMs = performance.now();
  let toldMs = startedMs;
  let frames = 0;
  let seed = first;
  for (; frames < bounds.frames && performance.now() - startedMs < bounds.minutes * 60_000; seed++) {
    const side = bounds.side ?? (seed % 2 === 0 ? 'server' : 'client');
    let outcome: Outcome;
    try {
      const prng = new Prng(seed);
      const converse = side === 'server' ? converseWithServer : converseWithClient;
      outcome = await converse(prng, prng.chance(1, 10) ? 2000 : 150, conversations);
    } catch (error) {
      tell(`a promise is broken; repeat: npm run rpc:fuzz -- --seed ${seed} --frames 1 --side ${side}\n`);
      throw error;
    }
    frames += outcome.frames;
    const end = `${side} ${outcome.end}`;
    ends.set(end, (ends.get(end) ?? 0) + 1);
    if (performance.now() - toldMs > 10_000) {
      toldMs = performance.now();
      const rssMb = Math.round(process.memoryUsage().rss / 1e6);
      tell(`${frames} frames, ${seed - first + 1} conversations, ${rssMb} MB\n`);
    }
  }
  return { frames, conversations: seed - first, ends };
}

if (import.meta.main) {
  const values = scriptFlags(import.meta.filename, {
    frames: { type: 'string', default: '1000000' },
    minutes: { type: 'string', default: '1000' },
    seed: { type: 'string', default: `${Date.now() % 0x7fffffff}` },
    side: { type: 'string' },
  });
  const tell = (line: string): void => void process.stdout.write(line);
  tell(`seed ${values.seed}\n`);
  const startedMs = performance.now();
  const bounds = {
    frames: numberOf('frames', values.frames),
    minutes: numberOf('minutes', values.minutes),
    side: values.side,
  };
  const { frames, conversations, ends } = await fuzz(numberOf('seed', values.seed), bounds, tell);
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const sorted = [...ends].sort(([a], [b]) => (a < b ? -1 : 1));
  tell(`${frames} frames, ${conversations} conversations, ${minutes} minutes, no promise broken\n`);
  tell(`connections by end: ${sorted.map(([end, count]) => `${end}: ${count}`).join(', ')}\n`);
}
