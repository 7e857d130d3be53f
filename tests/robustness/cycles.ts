/**
 * kill -9 of all three members under load, again and again, each cycle a few seconds: what was acknowledged is there after every
 * one. One cluster lives through all of them, so that logs, snapshots and compactions of many lives are behind the last.
 *
 *   node tests/robustness/cycles.ts --cycles 300 [--writers 8] [--seed N] [--minutes M] [--server PATH|reference]
 *
 * Each cycle lets between 40 and 200 writes be acknowledged, kills at a random moment, starts all again, and compares what is there
 * with what was answered; once in twenty cycles all that was ever written, at each member. It stops at the first broken promise.
 */
import { Prng } from '@keelson/base';
import { Ledger } from '../harness/ledger.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize } from '../harness/statistics.ts';
import { pause, waitUntil } from '../harness/waiting.ts';

export interface CyclesOptions {
  readonly binary: string;
  readonly cycles: number;
  readonly minutes: number;
  readonly writers: number;
  readonly seed: number;
  readonly flags: readonly string[];
}

export interface CyclesReport {
  readonly cycles: number;
  readonly acknowledged: number;
  readonly lines: string[];
}

const PREFIX = 'cycles/';
/** A snapshot and a compaction of the log in nearly every life. */
const FLAGS: readonly string[] = ['--snapshot-count=200'];
const EVERYTHING_EVERY = 20;

/** @throws Error when a promise was broken, or the cluster does not come back */
export async function cycles(options: CyclesOptions, say: Say): Promise<CyclesReport> {
  const flags = [...FLAGS, ...options.flags];
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags });
  const prng = new Prng(options.seed);
  const recoveryMs: number[] = [];
  const ledgers: Ledger[] = [];
  const untilMs = performance.now() + options.minutes * 60_000;
  try {
    while (ledgers.length < options.cycles && performance.now() < untilMs) {
      const ledger = new Ledger(options.seed);
      recoveryMs.push(await cycle(cluster, ledger, prefixOf(ledgers.length), options.writers, prng));
      ledgers.push(ledger);
      if (ledgers.length % EVERYTHING_EVERY === 0) await everything(cluster, ledgers, say);
    }
    await everything(cluster, ledgers, say);
  } catch (error) {
    throw new Error(`cycle ${ledgers.length + 1}: ${String(error)}\n${cluster.logTails()}`, { cause: error });
  }
  const acknowledged = ledgers.reduce((sum, ledger) => sum + ledger.acknowledged.size, 0);
  const unknown = ledgers.reduce((sum, ledger) => sum + ledger.unknown.size, 0);
  return {
    cycles: ledgers.length,
    acknowledged,
    lines: [
      `cycles      ${ledgers.length}, each a kill -9 of all three members under ${options.writers} writers`,
      `lost        0 of ${acknowledged} acknowledged writes; ${unknown} were unknown`,
      `first put   ${inWords(summarize(recoveryMs), 'ms')} after all three were started again`,
    ],
  };
}

const prefixOf = (cycle: number): string => `${PREFIX}${String(cycle).padStart(6, '0')}/`;

/** @returns from the start of all three to the next acknowledged write, ms */
async function cycle(
  cluster: ProcessCluster,
  ledger: Ledger,
  prefix: string,
  writers: number,
  prng: Prng,
): Promise<number> {
  const apis = cluster.members.map((_, i) => cluster.api(i));
  const before = await standing(cluster);
  const load = new PutLoad({ apis, ledger, writers, prefix, timeoutMs: 1000 });
  load.start();
  try {
    await load.acknowledgedMore(40 + prng.below(160), 60_000);
    await pause(prng.below(50));
    for (const member of cluster.members) member.signal('SIGKILL');
    await Promise.all(cluster.members.map((member) => member.exited()));
    const startedMs = performance.now();
    for (const member of cluster.members) member.start();
    await load.firstAcknowledged([0, 1, 2], 60_000);
    const recoveryMs = performance.now() - startedMs;
    cluster.assertAllRun();
    await load.stop();
    const after = await standing(cluster);
    const { kvs } = await cluster.api(prng.below(3)).all(prefix);
    const { broken } = ledger.check(kvs, before, after);
    if (broken.length > 0) throw new Error(broken.slice(0, 10).join('\n'));
    return recoveryMs;
  } finally {
    await load.stop();
  }
}

/** The revision at which all members stand, once nobody writes. */
async function standing(cluster: ProcessCluster): Promise<number> {
  return waitUntil('all members stand at one revision', { timeoutMs: 60_000 }, async () => {
    const revisions: number[] = [];
    for (const [i] of cluster.members.entries()) {
      revisions.push(await cluster.api(i).revision({ timeoutMs: 2000 }));
      revisions.push(await cluster.api(i).revision({ serializable: true, timeoutMs: 2000 }));
    }
    return revisions.every((revision) => revision === revisions[0]) ? revisions[0] : undefined;
  });
}

/** Of all cycles, at each member; and the members are equal. @throws Error naming what is lost */
async function everything(cluster: ProcessCluster, ledgers: readonly Ledger[], say: Say): Promise<void> {
  const revision = await standing(cluster);
  const hashes = new Set<number>();
  for (const [i] of cluster.members.entries()) {
    hashes.add((await cluster.api(i).hashKV(revision)).hash);
    const { kvs } = await cluster.api(i).all(PREFIX);
    for (const ledger of ledgers) {
      for (const [key, at] of ledger.acknowledged) {
        if (kvs.get(key)?.modRevision !== at)
          throw new Error(`lost at m${i + 1}: ${key}, acknowledged at revision ${at}`);
      }
    }
  }
  if (hashes.size > 1) throw new Error(`hashes differ: ${[...hashes].join(', ')}`);
  say(`${ledgers.length} cycles, ${revision} revisions, nothing lost`);
}

if (import.meta.main) {
  await main('cycles', { values: ['cycles', 'minutes', 'writers'] }, async (args, say) => {
    const { binary, seed, flags } = args;
    const options = {
      binary,
      seed,
      flags,
      cycles: args.number('cycles', 20),
      writers: args.number('writers', 8),
    };
    return (await cycles({ ...options, minutes: args.number('minutes', 60) }, say)).lines;
  });
}
