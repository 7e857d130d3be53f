/**
 * Runs seeds of the store's simulation and says what they met; packages/sim's host.ts has the arguments.
 *
 *   node packages/store/test/sim/main.ts [--seeds N | --minutes M | --seed X] [--jobs J] [--ledger] …
 *
 * --events is a seed's simulated milliseconds. With --seed X --trace members say what they do. A failing seed prints the
 * law it broke and the command that repeats it, after fault kinds, constants and time that it does not need have been
 * taken away; the exit code is then 1.
 */
import { campaign } from '@keelson/sim';
import { planOf, runPlan, STORE } from './store-simulation.ts';

export { planOf, STORE };

if (import.meta.main) {
  const args = process.argv.slice(2);
  const simulation = args.includes('--trace')
    ? { ...STORE, run: (plan: Parameters<typeof runPlan>[0]) => runPlan(plan, true) }
    : STORE;
  process.exitCode = await campaign(simulation, import.meta.filename, args);
}
