/**
 * kill -9 the leader in the middle of a stream of concurrent puts, again and again: how long until a new
 * leader answers, whether the killed member comes back and catches up, and whether every acknowledged put is
 * there once, with its value and revision.
 *
 *   node tests/robustness/kill-leader.ts --rounds 20 [--writers 16] [--missed 0] [--seed N] [--server PATH]
 *     --missed 500 --flag=--snapshot-count=100 --flag=--snapshot-catchup-entries=10   must come back by snapshot
 */
import { assertWhole, checkEndState } from '../harness/end-state.ts';
import { Ledger } from '../harness/ledger.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize, type Summary } from '../harness/statistics.ts';

export interface KillLeaderOptions {
  readonly binary: string;
  readonly rounds: number;
  readonly writers: number;
  readonly seed: number;
  readonly flags: readonly string[];
  /** Puts acknowledged while the killed member is away, before it is started again. */
  readonly missed: number;
}

export interface KillLeaderReport {
  /** From the kill to the first acknowledged put that was sent after it. */
  readonly failoverMs: Summary;
  /** From the restart until the member has applied what was committed when it was ready. */
  readonly returnMs: Summary;
  /** Rounds in which the member's log says that it took a snapshot. */
  readonly snapshots: number;
  readonly lines: string[];
}

const PREFIX = 'kill-leader/';
/** How etcd 3.4 to 3.7 say that a snapshot came in and replaced the state. */
const SNAPSHOT_LOG = /applied snapshot|finished applying incoming snapshot|applying snapshot at index/;
const PUT_TIMEOUT_MS = 3000;

/** @throws Error when a promise was broken, or a member does not come back */
export async function killLeader(options: KillLeaderOptions, say: Say): Promise<KillLeaderReport> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags: options.flags });
  try {
    return await run(cluster, options, say);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster.logTails()}`, { cause: error });
  }
}

async function run(cluster: ProcessCluster, options: KillLeaderOptions, say: Say): Promise<KillLeaderReport> {
  const ledger = new Ledger(options.seed);
  const apis = cluster.members.map((_, i) => cluster.api(i));
  const before = await apis[0].revision();
  const load = new PutLoad({
    apis,
    ledger,
    writers: options.writers,
    prefix: PREFIX,
    timeoutMs: PUT_TIMEOUT_MS,
  });
  const failoverMs: number[] = [];
  const returnMs: number[] = [];
  const gapMs: number[] = [];
  let snapshots = 0;
  load.start();
  for (let round = 1; round <= options.rounds; round++) {
    await load.acknowledgedMore(200, 30_000);
    const leader = await cluster.leader();
    const victim = cluster.members[leader];
    const survivors = cluster.members.flatMap((_, i) => (i === leader ? [] : [i]));
    load.resetGap();
    const killedMs = performance.now();
    await victim.kill();
    const dyingMs = performance.now() - killedMs;
    const tookMs = dyingMs + (await load.firstAcknowledged(survivors, 20_000));
    failoverMs.push(tookMs);
    gapMs.push(load.gapMs());
    if (options.missed > 0) await load.acknowledgedMore(options.missed, 60_000);
    const restartedMs = performance.now();
    victim.start();
    await victim.ready();
    await cluster.caughtUp(leader);
    returnMs.push(performance.now() - restartedMs);
    const bySnapshot = SNAPSHOT_LOG.test(victim.logSinceStart());
    if (bySnapshot) snapshots++;
    say(
      `round ${round}/${options.rounds}: killed ${victim.name}; a new leader answered after ${tookMs.toFixed(0)} ms; it was back after ${returnMs.at(-1)?.toFixed(0)} ms${bySnapshot ? ' by snapshot' : ''}; ${ledger.describe()}`,
    );
    cluster.assertAllRun();
  }
  await load.stop();
  const state = await checkEndState(cluster, ledger, PREFIX, before);
  assertWhole(state);
  const failover = summarize(failoverMs);
  const returned = summarize(returnMs);
  return {
    failoverMs: failover,
    returnMs: returned,
    snapshots,
    lines: [
      `load        ${options.writers} writers over 3 members, ${options.rounds} rounds, ${options.missed} puts missed each`,
      `new leader  ${inWords(failover, 'ms')}`,
      `no answers  ${inWords(summarize(gapMs), 'ms')}: the longest silence seen by all writers`,
      `came back   ${inWords(returned, 'ms')}, ${snapshots} times by snapshot`,
      `put latency ${inWords(summarize(load.latenciesMs), 'ms', 1)}`,
      ...state.lines,
    ],
  };
}

if (import.meta.main) {
  await main('kill-leader', { values: ['rounds', 'writers', 'missed'] }, async (args, say) => {
    const report = await killLeader(
      {
        binary: args.binary,
        rounds: args.number('rounds', 3),
        writers: args.number('writers', 16),
        missed: args.number('missed', 0),
        seed: args.seed,
        flags: args.flags,
      },
      say,
    );
    return report.lines;
  });
}
