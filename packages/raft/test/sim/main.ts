/**
 * Runs seeds of raft's simulation and says what they met; --help has the arguments.
 *
 *   node packages/raft/test/sim/main.ts [--seeds N | --minutes M | --seed X] [--jobs J] [--ledger] …
 *
 * A failing seed prints the law it broke and the command that repeats it, after fault kinds, constants and
 * events that it does not need have been taken away; the exit code is then 1.
 */
import { campaign } from '@keelson/sim';
import { planOf, RAFT } from './raft-simulation.ts';

export { planOf, RAFT };

if (import.meta.main) {
  process.exitCode = await campaign(RAFT, import.meta.filename, process.argv.slice(2));
}
