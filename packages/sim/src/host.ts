/**
 * The program around a campaign: does what orders.ts reads from the command line, spreads seeds over processes, prints as it goes. The
 * one file here that knows a clock and a process; what a seed is and does is the simulation's.
 */
import { execFileSync, fork } from 'node:child_process';
import { systemClock } from '@keelson/base';
import { ledgerLine, missed, RERUN_EVERY, runPlan, simulatedHours, story, summary } from './campaign.ts';
import { readOrders, type Flag, type Orders } from './orders.ts';
import type { Simulation } from './simulation.ts';
import { Tally, type TallyData } from './tally.ts';

/** After so many failing seeds the rest would say the same. */
const FAILURES_MAX = 10;
/** A campaign of so many seeds must have met every goal. */
const SEEDS_FOR_GOALS = 1000;
const PROGRESS_EVERY_MS = 10_000;

/** What a share reports now and then, and once at its end. */
interface Report {
  readonly tally: TallyData;
  readonly failures: readonly { readonly seed: number; readonly lines: readonly string[] }[];
}

/**
 * Runs a task from the event loop itself: lets news out and the end of the parent in, and a simulation of code with
 * promises can run what waits for them, which nobody can do from inside a promise.
 */
function ownTurn<T>(task: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(task());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

/** Runs one process's share of the seeds. */
async function runShare(
  simulation: Simulation,
  orders: Orders,
  report: (news: Report) => void,
): Promise<void> {
  let tally = new Tally();
  let failures: Report['failures'][number][] = [];
  let failed = 0;
  let told = systemClock.monotonicMs();
  const endMs = told + orders.minutes * 60_000;
  const tell = (): void => {
    report({ tally: tally.toJSON(), failures });
    tally = new Tally();
    failures = [];
    told = systemClock.monotonicMs();
  };
  for (let i = orders.share ?? 0; i < orders.seeds && failed < FAILURES_MAX; i += orders.jobs) {
    if (systemClock.monotonicMs() >= endMs) break;
    const plan = orders.plan(orders.first + i);
    const again = orders.again || plan.seed % RERUN_EVERY === 0;
    const failure = await ownTurn(() => {
      const found = runPlan(simulation, plan, again, tally);
      const shrunkMs = systemClock.monotonicMs() + orders.shrinkMs;
      const patient = (): boolean => systemClock.monotonicMs() < shrunkMs;
      if (found !== undefined)
        failures.push({ seed: plan.seed, lines: story(simulation, plan, found, orders.small, patient) });
      return found;
    });
    if (failure !== undefined) failed++;
    if (failure !== undefined || systemClock.monotonicMs() - told > PROGRESS_EVERY_MS / 2) tell();
  }
  tell();
}

/** One process for each share; resolves when all have ended. */
async function runShares(
  entry: string,
  args: readonly string[],
  jobs: number,
  report: (news: Report) => void,
): Promise<number> {
  const ends = Array.from({ length: jobs }, (_, share) => {
    const child = fork(entry, [...args, '--share', String(share)]);
    child.on('message', (message) => {
      // eslint-disable-next-line typescript/no-unsafe-type-assertion -- our own process, started from this file
      report(message as Report);
    });
    return new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code) => {
        resolve(code ?? 1);
      });
    });
  });
  return Math.max(...(await Promise.all(ends)));
}

function commitNow(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/**
 * Runs a campaign as the arguments say.
 *
 * @param entry the file to start for further processes; it must call this function in turn
 * @param own flags that the program looks for by itself
 * @returns the exit code: 0 when every seed kept the laws and, of a thousand or more, every goal was reached; 2 for
 *   arguments that make no sense
 */
export async function campaign(
  simulation: Simulation,
  entry: string,
  args: readonly string[],
  own: readonly Flag[] = [],
): Promise<number> {
  const reading = readOrders(simulation, args, own);
  if (reading.kind === 'help') {
    process.stdout.write(reading.text);
    return 0;
  }
  if (reading.kind === 'refused') {
    process.stderr.write(`${reading.message}\n`);
    return 2;
  }
  const { orders } = reading;
  if (orders.share !== undefined) {
    // Nobody would hear of it any more.
    const orphaned = (): never => process.exit(1);
    process.once('disconnect', orphaned);
    await runShare(simulation, orders, (news) => process.send?.(news));
    process.off('disconnect', orphaned);
    return 0;
  }
  const print = (line: string): void => void process.stdout.write(`${line}\n`);
  const tally = new Tally();
  const failed: number[] = [];
  // Others may commit while this runs.
  const commit = orders.ledger ? commitNow() : '';
  const started = systemClock.monotonicMs();
  let told = started;
  const report = (news: Report): void => {
    tally.merge(news.tally);
    for (const { seed, lines } of news.failures) {
      failed.push(seed);
      for (const line of lines) print(line);
    }
    if (systemClock.monotonicMs() - told < PROGRESS_EVERY_MS) return;
    told = systemClock.monotonicMs();
    const seconds = (told - started) / 1000;
    print(
      `${tally.get('seeds')} seeds, ${failed.length} failed, ${(tally.get('seeds') / seconds).toFixed(1)} a second`,
    );
  };
  let code = 0;
  if (orders.jobs > 1) code = await runShares(entry, args, orders.jobs, report);
  else await runShare(simulation, orders, report);

  for (const line of summary(simulation, tally)) print(line);
  const seconds = ((systemClock.monotonicMs() - started) / 1000).toFixed(0);
  print(
    `${tally.get('seeds')} seeds, ${failed.length} failed, ${simulatedHours(simulation, tally)} simulated hours in ${seconds} s`,
  );
  if (orders.ledger) print(ledgerLine(simulation, tally, commit, failed));
  const lacking = tally.get('seeds') >= SEEDS_FOR_GOALS && missed(simulation, tally).length > 0;
  return code !== 0 || failed.length > 0 || lacking ? 1 : 0;
}
