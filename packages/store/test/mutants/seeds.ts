/**
 * Runs seeds of the store's simulation one after the other and says of each, at once, what it broke; nothing is made
 * smaller. `node seeds.ts FIRST [COUNT]`; one line of JSON a seed.
 */
import { planOf, runPlan } from '../sim/store-simulation.ts';

/** What is told of a seed. */
export interface SeedLine {
  readonly seed: number;
  /** Absent: it kept all laws. */
  readonly law?: string;
  readonly message?: string;
}

/** From the event loop itself: inside a promise a simulation cannot run what waits for promises. */
function ownTurn(task: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        task();
        resolve();
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

async function main(first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    await ownTurn(() => {
      const { failure } = runPlan(planOf(seed));
      const line: SeedLine = { seed, ...(failure && { law: failure.law, message: failure.message }) };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    });
  }
}

const [first = '1', count = '1'] = process.argv.slice(2);
await main(Number(first), Number(count));
