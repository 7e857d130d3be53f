/**
 * The long run of mutations.ts: node packages/rpc/test/fuzz.ts [--runs N frames] [--seed S]
 * Prints how connections ended; stops at the first broken promise with the seed that repeats it.
 */
import { parseArgs } from 'node:util';
import { converse } from './mutations.ts';

/**
 * Converses until `runs` frames were said.
 * @returns how many connections ended in which way
 * @throws what `converse` throws, with the seed told to `tell`
 */
export async function fuzz(
  first: number,
  runs: number,
  tell: (line: string) => void,
): Promise<ReadonlyMap<string, number>> {
  const ends = new Map<string, number>();
  let frames = 0;
  let toldMs = performance.now();
  for (let seed = first; frames < runs; seed++) {
    try {
      const outcome = await converse(seed, 100);
      frames += outcome.frames;
      ends.set(outcome.end, (ends.get(outcome.end) ?? 0) + 1);
    } catch (error) {
      tell(`seed ${seed} breaks a promise; repeat: node packages/rpc/test/fuzz.ts --seed ${seed} --runs 1\n`);
      throw error;
    }
    if (performance.now() - toldMs > 1000) {
      toldMs = performance.now();
      const rssMb = Math.round(process.memoryUsage().rss / 1e6);
      tell(`${((frames / runs) * 100).toFixed(1)} %  ${frames} frames  RSS ${rssMb} MB\n`);
    }
  }
  return ends;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: `${Date.now() % 0x7fffffff}` },
    },
  });
  const tell = (line: string): void => void process.stdout.write(line);
  tell(`${values.runs} frames from seed ${values.seed}\n`);
  const ends = await fuzz(Number(values.seed), Number(values.runs), tell);
  const sorted = [...ends].sort(([a], [b]) => (a < b ? -1 : 1));
  tell(`connections by end (GOAWAY code): ${JSON.stringify(Object.fromEntries(sorted))}\n`);
}
