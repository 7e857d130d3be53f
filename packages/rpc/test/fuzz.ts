/**
 * The long run of mutations.ts: node packages/rpc/test/fuzz.ts [--runs N frames] [--seed S]
 * Prints how connections ended; stops at the first broken promise with the seed that repeats it.
 */
import { parseArgs } from 'node:util';
import { converse } from './mutations.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: `${Date.now() % 0x7fffffff}` },
  },
});
const runs = Number(values.runs);
const first = Number(values.seed);
process.stdout.write(`${runs} frames from seed ${first}\n`);
const ends = new Map<string, number>();
let frames = 0;
let toldMs = performance.now();
for (let seed = first; frames < runs; seed++) {
  try {
    const outcome = await converse(seed, 100);
    frames += outcome.frames;
    ends.set(outcome.end, (ends.get(outcome.end) ?? 0) + 1);
  } catch (error) {
    process.stdout.write(
      `\nseed ${seed} breaks a promise; repeat: node packages/rpc/test/fuzz.ts --seed ${seed} --runs 1\n`,
    );
    throw error;
  }
  if (performance.now() - toldMs > 1000) {
    toldMs = performance.now();
    const { rss } = process.memoryUsage();
    process.stdout.write(
      `${process.stdout.isTTY ? '\r' : ''}${((frames / runs) * 100).toFixed(1)} %  ${frames} frames  RSS ${Math.round(rss / 1e6)} MB${process.stdout.isTTY ? '' : '\n'}`,
    );
  }
}
process.stdout.write(
  `\n${frames} frames; connections by end (GOAWAY code): ${JSON.stringify(Object.fromEntries([...ends].sort(([a], [b]) => (a < b ? -1 : 1))))}\n`,
);
