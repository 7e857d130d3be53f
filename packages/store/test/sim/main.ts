/**
 * Runs seeds of the store's simulation and says what they met; --help has the arguments.
 *
 *   node packages/store/test/sim/main.ts [--seeds N | --minutes M | --seed X] [--jobs J] [--ledger] …
 *
 * --events is a seed's simulated milliseconds. With --seed X, --trace lets members say what they do and --history FILE keeps the
 * history that is checked. A failing seed prints the
 * law it broke and the command that repeats it, after fault kinds, constants and time that it does not need have been
 * taken away; the exit code is then 1.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { campaign } from '@keelson/sim';
import { planOf, runPlan, STORE } from './store-simulation.ts';

export { planOf, STORE };

const OWN = [
  { name: 'trace', text: 'with --seed: members say what they do' },
  { name: 'history', value: 'FILE', text: 'with --seed: keeps the history that is checked' },
];

if (import.meta.main) {
  const args = process.argv.slice(2);
  const own = { history: { type: 'string' }, trace: { type: 'boolean' } } as const;
  const { history, trace: prints = false } = parseArgs({ args, options: own, strict: false }).values;
  const file = typeof history === 'string' ? history : undefined;
  const lines: string[] = [];
  const watched = {
    prints: prints === true,
    ...(file !== undefined && {
      line: (line: string) => void lines.push(line),
      begins: () => void lines.splice(0),
    }),
  };
  const simulation =
    prints === true || file !== undefined
      ? { ...STORE, run: (plan: Parameters<typeof runPlan>[0]) => runPlan(plan, watched) }
      : STORE;
  process.exitCode = await campaign(simulation, import.meta.filename, args, OWN);
  if (file !== undefined && lines.length > 0) writeFileSync(file, `${lines.join('\n')}\n`);
}
