/**
 * kill -9 all three members at once under load and start them again: every acknowledged put is there. That is
 * what an acknowledgement promises, and only the log on the disks can keep it.
 *
 *   node tests/robustness/kill-all.ts --rounds 20 [--writers 16] [--puts 300] [--seed N] [--server PATH]
 */
import { assertWhole, checkEndState } from '../harness/end-state.ts';
import { Ledger } from '../harness/ledger.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize, type Summary } from '../harness/statistics.ts';

export interface KillAllOptions {
  readonly binary: string;
  readonly rounds: number;
  readonly writers: number;
  /** Puts acknowledged in each round before the kill. */
  readonly puts: number;
  readonly seed: number;
  readonly flags: readonly string[];
}

export interface KillAllReport {
  /** From starting the three processes to the first acknowledged put. */
  readonly recoveryMs: Summary;
  readonly lines: string[];
}

const PREFIX = 'kill-all/';

/** @throws Error when a promise was broken, or the cluster does not come back */
export async function killAll(options: KillAllOptions, say: Say): Promise<KillAllReport> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags: options.flags });
  try {
    return await run(cluster, options, say);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster.logTails()}`, { cause: error });
  }
}

async function run(cluster: ProcessCluster, options: KillAllOptions, say: Say): Promise<KillAllReport> {
  const ledger = new Ledger(options.seed);
  const apis = cluster.members.map((_, i) => cluster.api(i));
  const before = await apis[0].revision();
  const load = new PutLoad({ apis, ledger, writers: options.writers, prefix: PREFIX, timeoutMs: 3000 });
  const recoveryMs: number[] = [];
  const everyone = cluster.members.map((_, i) => i);
  load.start();
  for (let round = 1; round <= options.rounds; round++) {
    await load.acknowledgedMore(options.puts, 30_000);
    for (const member of cluster.members) member.signal('SIGKILL');
    await Promise.all(cluster.members.map((member) => member.exited()));
    const startedMs = performance.now();
    for (const member of cluster.members) member.start();
    await load.firstAcknowledged(everyone, 30_000);
    recoveryMs.push(performance.now() - startedMs);
    say(
      `round ${round}/${options.rounds}: a put was acknowledged ${recoveryMs.at(-1)?.toFixed(0)} ms after the start; ${ledger.describe()}`,
    );
    cluster.assertAllRun();
  }
  await load.stop();
  const state = await checkEndState(cluster, ledger, PREFIX, before);
  assertWhole(state);
  const recovery = summarize(recoveryMs);
  return {
    recoveryMs: recovery,
    lines: [
      `load        ${options.writers} writers over 3 members, ${options.rounds} rounds, kill after ${options.puts} puts each`,
      `first put   ${inWords(recovery, 'ms')} after all three were started again`,
      `put latency ${inWords(summarize(load.latenciesMs), 'ms', 1)}`,
      ...state.lines,
    ],
  };
}

if (import.meta.main) {
  await main('kill-all', { values: ['rounds', 'writers', 'puts'] }, async (args, say) => {
    const report = await killAll(
      {
        binary: args.binary,
        rounds: args.number('rounds', 3),
        writers: args.number('writers', 16),
        puts: args.number('puts', 300),
        seed: args.seed,
        flags: args.flags,
      },
      say,
    );
    return report.lines;
  });
}
