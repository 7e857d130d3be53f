/**
 * Members that do not answer. A follower that is stopped (SIGSTOP) and continued neither disturbs the leader
 * nor its term, and catches up. With two members gone, writes and linearizable reads fail with etcd's timeout
 * error, serializable reads answer; when they are back, all is as before.
 *
 *   node tests/robustness/stopped-follower.ts [--stop-ms 10000] [--watch-ms 3000] [--seed N] [--server PATH]
 */
import { assertWhole, checkEndState } from '../harness/end-state.ts';
import { Ledger } from '../harness/ledger.ts';
import type { MemberApi } from '../harness/member-api.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize } from '../harness/statistics.ts';
import { pause, waitUntil } from '../harness/waiting.ts';

export interface StoppedFollowerOptions {
  readonly binary: string;
  readonly stopMs: number;
  /** How long leader and term are watched after the follower goes on. */
  readonly watchMs: number;
  readonly writers: number;
  readonly seed: number;
  readonly flags: readonly string[];
}

export interface StoppedFollowerReport {
  readonly catchUpMs: number;
  /** Error texts of the lonely member, by question. */
  readonly lonely: { readonly put: string; readonly range: string; readonly serializable: string };
  readonly lines: string[];
}

const PREFIX = 'stopped/';
/** Long enough for the server's own timeout (5 s and two election timeouts) to come first. */
const PATIENT_MS = 20_000;
/** How etcd says that a quorum is missing; which one depends on what it was waiting for. */
export const TIMEOUT_TEXTS: ReadonlySet<string> = new Set([
  'etcdserver: request timed out',
  'etcdserver: request timed out, possibly due to previous leader failure',
  'etcdserver: request timed out, possibly due to connection lost',
]);

/** @throws Error when leader or term changed, an answer was wrong, or a put is missing */
export async function stoppedFollower(
  options: StoppedFollowerOptions,
  say: Say,
): Promise<StoppedFollowerReport> {
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags: options.flags });
  try {
    return await run(cluster, options, say);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster.logTails()}`, { cause: error });
  }
}

async function run(
  cluster: ProcessCluster,
  options: StoppedFollowerOptions,
  say: Say,
): Promise<StoppedFollowerReport> {
  const ledger = new Ledger(options.seed);
  const before = await cluster.api(0).revision();
  const leader = await cluster.leader();
  const follower = (leader + 1) % 3;
  const others = [0, 1, 2].filter((i) => i !== follower);
  const load = new PutLoad({
    apis: others.map((i) => cluster.api(i)),
    ledger,
    writers: options.writers,
    prefix: PREFIX,
    timeoutMs: 10_000,
  });
  const { raftTerm: term } = await cluster.api(leader).status();
  load.start();
  await load.acknowledgedMore(100, 20_000);
  load.resetGap();
  cluster.members[follower].signal('SIGSTOP');
  say(`${cluster.members[follower].name} is stopped; ${cluster.members[leader].name} leads term ${term}`);
  await pause(options.stopMs);
  const logStart = cluster.members[follower].log().length;
  cluster.members[follower].signal('SIGCONT');
  const continuedMs = performance.now();
  const catchUpMs = await cluster.caughtUp(follower);
  say(`continued; it had caught up ${catchUpMs.toFixed(0)} ms later`);
  const undisturbed = await watchLeadership(
    cluster,
    { leader, follower, term, logStart },
    () => performance.now() - continuedMs < options.watchMs,
  );
  const gapMs = load.gapMs();
  await load.stop();
  const first = await checkEndState(cluster, ledger, PREFIX, before);
  assertWhole(first);

  const lonely = await alone(cluster, (leader + 2) % 3, say);
  return {
    catchUpMs,
    lonely: lonely.texts,
    lines: [
      `stopped     ${options.stopMs} ms; caught up ${catchUpMs.toFixed(0)} ms after SIGCONT; term ${term} and leader ${undisturbed}`,
      `no answers  ${gapMs.toFixed(0)} ms at most while it was stopped and after`,
      `put latency ${inWords(summarize(load.latenciesMs), 'ms', 1)}`,
      ...first.lines,
      ...lonely.lines,
    ],
  };
}

/**
 * Asks everybody for leader and term as long as `goesOn`. On a machine that has no time for its leader another member may
 * call an election; that is not the follower's doing, and is told.
 * @returns for the report
 * @throws Error when the follower, back again, made itself a candidate, or members follow another leader in the same term
 */
async function watchLeadership(
  cluster: ProcessCluster,
  before: {
    readonly leader: number;
    readonly follower: number;
    readonly term: number;
    readonly logStart: number;
  },
  goesOn: () => boolean,
): Promise<string> {
  const { leader, follower, term, logStart } = before;
  const { memberId } = (await cluster.api(leader).status(PATIENT_MS)).header ?? {};
  let questions = 0;
  let elections = 0;
  while (goesOn()) {
    for (const i of [0, 1, 2]) {
      const status = await cluster.api(i).status(PATIENT_MS);
      questions++;
      if (status.raftTerm > term) elections++;
      else if (status.leader !== memberId)
        throw new Error(`${cluster.members[i].name} follows another leader in term ${term}`);
    }
    await pause(20);
  }
  const campaign = /became candidate at term \d+/.exec(cluster.members[follower].log().slice(logStart));
  if (campaign !== null) throw new Error(`${cluster.members[follower].name}, back again, ${campaign[0]}`);
  return elections === 0
    ? `unchanged in ${questions} statuses`
    : `unchanged by it in ${questions} statuses; another member called an election`;
}

/** Kills the two others and asks the one that is left. */
async function alone(
  cluster: ProcessCluster,
  survivor: number,
  say: Say,
): Promise<{ texts: StoppedFollowerReport['lonely']; lines: string[] }> {
  const api = cluster.api(survivor);
  await api.put('alone/before', 'there');
  const others = cluster.members.filter((_, i) => i !== survivor);
  await Promise.all(others.map((member) => member.kill()));
  say(`${others.map((member) => member.name).join(' and ')} are killed`);
  const [put, range, serializable] = await Promise.all([
    outcome(() => api.put('alone/after', 'x', PATIENT_MS)),
    outcome(() => api.range({ key: Buffer.from('alone/before') }, PATIENT_MS)),
    outcome(() => serializableRead(api)),
  ]);
  for (const member of others) member.start();
  await cluster.healthy();
  const recovered = await waitUntil('a put works again', { timeoutMs: 20_000 }, () =>
    api.put('alone/again', 'y'),
  );
  const wrong = [
    ...(TIMEOUT_TEXTS.has(put.text) ? [] : [`put: ${put.text}`]),
    ...(TIMEOUT_TEXTS.has(range.text) ? [] : [`linearizable range: ${range.text}`]),
    ...(serializable.text === 'there' ? [] : [`serializable range: ${serializable.text}`]),
  ];
  if (wrong.length > 0) throw new Error(`alone, the member answered wrongly: ${wrong.join('; ')}`);
  return {
    texts: { put: put.text, range: range.text, serializable: serializable.text },
    lines: [
      `alone       put: "${put.text}" after ${put.ms.toFixed(0)} ms; linearizable range: "${range.text}" after ${range.ms.toFixed(0)} ms; serializable range: right after ${serializable.ms.toFixed(1)} ms`,
      `again       a put works at revision ${recovered.header?.revision}`,
    ],
  };
}

async function serializableRead(api: MemberApi): Promise<string> {
  const { kvs } = await api.range({ key: Buffer.from('alone/before'), serializable: true });
  return kvs[0]?.value.toString('latin1') ?? 'no such key';
}

async function outcome(ask: () => Promise<unknown>): Promise<{ text: string; ms: number }> {
  const startMs = performance.now();
  try {
    const answer = await ask();
    return { text: typeof answer === 'string' ? answer : 'succeeded', ms: performance.now() - startMs };
  } catch (error) {
    return { text: error instanceof Error ? error.message : String(error), ms: performance.now() - startMs };
  }
}

if (import.meta.main) {
  await main('stopped-follower', { values: ['stop-ms', 'watch-ms', 'writers'] }, async (args, say) => {
    const report = await stoppedFollower(
      {
        binary: args.binary,
        stopMs: args.number('stop-ms', 10_000),
        watchMs: args.number('watch-ms', 3000),
        writers: args.number('writers', 16),
        seed: args.seed,
        flags: args.flags,
      },
      say,
    );
    return report.lines;
  });
}
