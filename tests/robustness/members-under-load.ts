/**
 * The members of a cluster change under load, one after the other, while clients write and read everywhere and watchers on every
 * member are cut and come back: a learner is added, refused as voter while it lacks entries, and promoted; a voter is
 * replaced under its old name on an empty disk, and has to come by snapshot; the leader is removed; a member is removed while it is
 * down; and one joins, so that they are three again. In the end the whole history is judged (`harness/judgement.ts`): no
 * acknowledged write lost, no wrong answer, no wrong watch event.
 *
 *   node tests/robustness/members-under-load.ts --rounds 10 [--minutes 5] [--tls] [--clients 10] [--pace-ms 8] [--seed N]
 *     --minutes ends after the round in which they are over; --flag=--NAME=VALUE replaces the small bounds of snapshots
 */
import { Prng } from '@keelson/base';
import { etcdserverpb as pb, services } from '@keelson/proto';
import { RpcError, StatusCode } from '@keelson/rpc';
import { HistoryWatcher, type Beginning } from '../harness/history-watcher.ts';
import { heldText, History } from '../harness/history.ts';
import { judge } from '../harness/judgement.ts';
import type { MemberApi } from '../harness/member-api.ts';
import type { MemberProcess } from '../harness/member-process.ts';
import { LOAD_PREFIX, MixedLoad } from '../harness/mixed-load.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { main, type Say } from '../harness/script.ts';
import { inWords, summarize } from '../harness/statistics.ts';
import { HopelessError, waitUntil } from '../harness/waiting.ts';

export interface MembersUnderLoadOptions {
  readonly binary: string;
  readonly rounds: number;
  /** No further round begins after so long. */
  readonly minutes: number;
  readonly tls: boolean;
  readonly clients: number;
  readonly paceMs: number;
  readonly seed: number;
  /** Come after the script's own. */
  readonly flags: readonly string[];
}

export interface MembersUnderLoadReport {
  /** Members that came by snapshot. */
  readonly snapshots: number;
  readonly revisions: number;
  /** Responses of watches that came in parts. */
  readonly fragments: number;
  readonly lines: string[];
}

/** A snapshot soon, hardly any entries behind it, and watch responses that come in parts. */
const FLAGS = ['--snapshot-count=100', '--snapshot-catchup-entries=20', '--max-request-bytes=16384'];
/** Entries that a replaced member misses: more than the others keep. */
const MISSED_WRITES = 150;
/** How etcd says that a snapshot came in and replaced the state. */
const SNAPSHOT_LOG = /applied snapshot|finished applying incoming snapshot|applying snapshot at index/;
const CHANGE_MS = 60_000;
const NOT_IN_SYNC = 'etcdserver: can only promote a learner member which is in sync with leader';
const FOR_LEARNERS_NOT = 'etcdserver: rpc not supported for learner';
/** Answers to a change of members that say "not now". */
const NOT_NOW: ReadonlySet<string> = new Set([
  'etcdserver: unhealthy cluster',
  'etcdserver: re-configuration failed due to not enough started members',
]);
const CLUSTER = services.Cluster.methods;

/** @throws Error when a promise was broken, or a change of members does not come about */
export async function membersUnderLoad(
  options: MembersUnderLoadOptions,
  say: Say,
): Promise<MembersUnderLoadReport> {
  const flags = [...FLAGS, ...options.flags];
  await using cluster = await ProcessCluster.start({ binary: options.binary, flags, tls: options.tls });
  const run = new Run(cluster, options, say);
  try {
    return await run.all();
  } catch (error) {
    throw new Error(`${String(error)}\n${run.describe()}\n${cluster.logTails()}`, { cause: error });
  } finally {
    await run.end();
  }
}

class Run {
  private readonly cluster: ProcessCluster;
  private readonly options: MembersUnderLoadOptions;
  private readonly say: Say;
  private readonly prng: Prng;
  private readonly load: MixedLoad;
  private history = new History(1);
  /** Of each member; and those that go from member to member. */
  private readonly watchers = new Map<MemberProcess | 'roaming', HistoryWatcher[]>();
  private readonly past: HistoryWatcher[] = [];
  private readonly gapsMs: number[] = [];
  private members = 3;
  private snapshots = 0;

  constructor(cluster: ProcessCluster, options: MembersUnderLoadOptions, say: Say) {
    this.cluster = cluster;
    this.options = options;
    this.say = say;
    this.prng = new Prng(options.seed);
    const { clients, paceMs, seed } = options;
    const apis = (): MemberApi[] => this.voting().map((member) => this.api(member));
    this.load = new MixedLoad({ apis, clients, paceMs, seed, timeoutMs: 2000 });
  }

  async all(): Promise<MembersUnderLoadReport> {
    const startedMs = performance.now();
    this.history = new History((await this.cluster.api(0).revision()) + 1);
    for (const member of this.cluster.members) this.watch(member);
    this.watch('roaming');
    this.load.start();
    await this.load.acknowledgedMore(50);
    let rounds = 0;
    while (rounds < this.options.rounds && performance.now() - startedMs < this.options.minutes * 60_000) {
      rounds++;
      this.say(`round ${rounds} of ${this.options.rounds}: ${this.load.describe()}`);
      await this.round();
    }
    await this.load.stop();
    return this.verdict(rounds);
  }

  describe(): string {
    return [
      `seed ${this.options.seed}; ${this.load.describe()}`,
      ...this.history.broken.slice(0, 5),
      ...[...this.watchers.values()].flat().map((watcher) => watcher.describe()),
    ].join('\n');
  }

  async end(): Promise<void> {
    await this.load.stop();
    await Promise.all([...this.watchers.values()].flat().map((watcher) => watcher.stop()));
  }

  private async round(): Promise<void> {
    await this.step('a learner is added and promoted', () => this.learner());
    await this.step('a voter is replaced', () => this.replaced());
    await this.step('the leader is removed', () => this.leaderRemoved());
    await this.step('a member is removed while it is down', () => this.removedWhileDown());
    await this.step('a voter joins', () => this.joins());
    const { members } = await this.list();
    const wrong = members.filter((member) => member.isLearner || member.name === '');
    if (members.length !== 3 || wrong.length > 0)
      throw new Error(`in the end of a round: ${namesOf(members)}`);
  }

  private async step(name: string, body: () => Promise<void>): Promise<void> {
    const startMs = performance.now();
    this.load.takeGapMs();
    await body();
    await this.load.acknowledgedMore(20);
    const gapMs = this.load.takeGapMs();
    this.gapsMs.push(gapMs);
    this.assertUnbroken();
    this.say(
      `  ${name}: ${(performance.now() - startMs).toFixed(0)} ms, no answers for ${gapMs.toFixed(0)} ms at most; ${this.running().length} members, revision ${this.history.last}`,
    );
  }

  /** Added; refused as voter while it has nothing, and while it is behind; then promoted. */
  private async learner(): Promise<void> {
    const learner = await this.added(true);
    const id = await this.idOf(learner);
    for (const member of this.running()) await this.refused(member, id, 'it has not been started');
    learner.start();
    await learner.ready();
    await this.caughtUp(learner);
    await this.servesAsLearner(learner);
    await this.refusedWhileBehind(learner, id);
    await this.changed(
      'the learner is promoted',
      (members) => members.some((member) => member.ID === id && !member.isLearner),
      async (api) => {
        try {
          await api.call(CLUSTER.memberPromote, new pb.MemberPromoteRequest({ ID: id }), { timeoutMs: 5000 });
        } catch (error) {
          if (!(error instanceof RpcError && error.message === NOT_IN_SYNC)) throw error;
        }
      },
    );
    this.joined(learner);
  }

  /** A learner takes no writes and no watches. */
  private async servesAsLearner(learner: MemberProcess): Promise<void> {
    const api = this.api(learner);
    await refusal(
      api.put(`${LOAD_PREFIX}at a learner`, 'never'),
      StatusCode.FailedPrecondition,
      FOR_LEARNERS_NOT,
    );
    const stream = api.channel.bidi(services.Watch.methods.watch, { timeoutMs: 10_000 });
    const over = new Promise<void>((resolve, reject) => {
      stream.onEnd((error) => (error === undefined ? resolve() : reject(error)));
    });
    stream.onMessage(() => {});
    stream.write(
      new pb.WatchRequest({ createRequest: new pb.WatchCreateRequest({ key: Buffer.from('k') }) }),
    );
    await refusal(over, StatusCode.FailedPrecondition, FOR_LEARNERS_NOT);
  }

  /** Stopped until it lacks more than a tenth of the log. Left out where that would take too long. */
  private async refusedWhileBehind(learner: MemberProcess, id: bigint): Promise<void> {
    const leader = await this.leader();
    const { raftIndex: before } = await this.api(leader).status();
    if (before > 10_000) return;
    learner.signal('SIGSTOP');
    try {
      await waitUntil('the log has grown by a seventh', { timeoutMs: CHANGE_MS, everyMs: 20 }, async () =>
        (await this.api(leader).status()).raftIndex > before * 1.15 ? true : undefined,
      );
      await this.refused(leader, id, 'it is behind');
    } finally {
      learner.signal('SIGCONT');
    }
  }

  /** A follower leaves, and comes back under its name and address, but as another one, with nothing. */
  private async replaced(): Promise<void> {
    const old = await this.follower();
    await this.removed(old, old);
    await this.endsItself(old);
    await this.forget(old);
    await this.load.acknowledgedMore(MISSED_WRITES);
    const { clientPort, peerPort } = old.options;
    const fresh = await this.added(false, old.name, [clientPort, peerPort]);
    fresh.start();
    await fresh.ready();
    await this.caughtUp(fresh);
    this.joined(fresh);
  }

  /** Asked of the leader itself. Another must lead, and the removed one ends. */
  private async leaderRemoved(): Promise<void> {
    const leader = await this.leader();
    await this.removed(leader, leader);
    await this.endsItself(leader);
    await this.forget(leader);
    await this.leader();
  }

  private async removedWhileDown(): Promise<void> {
    const down = await this.follower();
    await down.kill();
    await this.load.acknowledgedMore(20);
    await this.removed(down, await this.leader());
    // It does not know yet, until the others tell it.
    down.start();
    await this.endsItself(down);
    await this.forget(down);
  }

  private async joins(): Promise<void> {
    const member = await this.added(false);
    member.start();
    await member.ready();
    await this.caughtUp(member);
    this.joined(member);
  }

  private joined(member: MemberProcess): void {
    if (SNAPSHOT_LOG.test(member.log())) this.snapshots++;
    this.watch(member);
  }

  /** A member as the cluster knows it, not yet started. */
  private async added(
    isLearner: boolean,
    name = `m${++this.members}`,
    ports?: readonly [number, number],
  ): Promise<MemberProcess> {
    const { members: before } = await this.list();
    const others = new Map(before.map((member) => [member.name, member.peerURLs]));
    const process = await this.cluster.join(name, others, ports);
    await this.changed(
      `${name} is added`,
      (members) => members.some((member) => member.peerURLs.includes(process.peerUrl)),
      (api) => {
        const request = new pb.MemberAddRequest({ peerURLs: [process.peerUrl], isLearner });
        return api.call(CLUSTER.memberAdd, request, { timeoutMs: 5000 });
      },
    );
    return process;
  }

  private async removed(member: MemberProcess, asked: MemberProcess): Promise<void> {
    const id = await this.idOf(member);
    await this.changed(
      `${member.name} is removed`,
      (members) => members.every((other) => other.ID !== id),
      (api) => api.call(CLUSTER.memberRemove, new pb.MemberRemoveRequest({ ID: id }), { timeoutMs: 5000 }),
      asked,
    );
  }

  /** A removed member ends in good order, without being asked. */
  private async endsItself(member: MemberProcess): Promise<void> {
    await waitUntil(
      `${member.name}, removed, ends`,
      { timeoutMs: CHANGE_MS },
      () => !member.running || undefined,
    );
    if (member.exitCode !== 0) throw new Error(`${member.describe()}\n${member.logTail()}`);
  }

  /**
   * Asks for a change until the members say that it has come about. An answer may be lost with a leader, so
   * the list decides, not the answer.
   * @param asked whom to ask first
   */
  private async changed(
    what: string,
    done: (members: readonly pb.Member[]) => boolean,
    ask: (api: MemberApi) => Promise<unknown>,
    asked?: MemberProcess,
  ): Promise<void> {
    let first = asked;
    await waitUntil(what, { timeoutMs: CHANGE_MS, everyMs: 100 }, async () => {
      const member = first?.running === true ? first : this.prng.pick(this.voting());
      first = undefined;
      try {
        await ask(this.api(member));
      } catch (error) {
        if (!(error instanceof RpcError) || !mayComeLater(error))
          throw new HopelessError(`${what}, asked of ${member.name}: ${String(error)}`, { cause: error });
      }
      return done((await this.list()).members) ? true : undefined;
    });
  }

  private async refused(member: MemberProcess, id: bigint, why: string): Promise<void> {
    await waitUntil(`the promotion is refused: ${why}`, { timeoutMs: CHANGE_MS, everyMs: 100 }, async () => {
      try {
        await this.api(member).call(CLUSTER.memberPromote, new pb.MemberPromoteRequest({ ID: id }), {
          timeoutMs: 5000,
        });
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        if (error.message === NOT_IN_SYNC && error.code === StatusCode.FailedPrecondition) return true;
        if (mayComeLater(error)) return undefined;
        throw new HopelessError(`${member.name} refused a promotion with ${String(error)}`, { cause: error });
      }
      throw new HopelessError(`${member.name} promoted a learner, although ${why}`);
    });
  }

  private list(): Promise<pb.MemberListResponse> {
    return waitUntil('the members are listed', { timeoutMs: CHANGE_MS, everyMs: 50 }, () => {
      const request = new pb.MemberListRequest({ linearizable: true });
      return this.api(this.prng.pick(this.voting())).call(CLUSTER.memberList, request, { timeoutMs: 3000 });
    });
  }

  private async idOf(process: MemberProcess): Promise<bigint> {
    const { members } = await this.list();
    const member = members.find(({ peerURLs }) => peerURLs.includes(process.peerUrl));
    if (member === undefined) throw new Error(`${process.name} is no member: ${namesOf(members)}`);
    return member.ID;
  }

  private running(): MemberProcess[] {
    return this.cluster.members.filter((member) => member.running);
  }

  /** Members that are watched are known to vote. */
  private voting(): MemberProcess[] {
    return this.running().filter((member) => this.watchers.has(member));
  }

  private api(process: MemberProcess): MemberApi {
    return this.cluster.api(this.cluster.members.indexOf(process));
  }

  private async leader(): Promise<MemberProcess> {
    return this.cluster.members[await this.cluster.leader(CHANGE_MS)];
  }

  private async follower(): Promise<MemberProcess> {
    const leader = await this.leader();
    return this.prng.pick(this.voting().filter((member) => member !== leader));
  }

  private async caughtUp(process: MemberProcess): Promise<void> {
    await this.cluster.caughtUp(this.cluster.members.indexOf(process));
  }

  private async forget(process: MemberProcess): Promise<void> {
    for (const watcher of this.watchers.get(process) ?? []) {
      await watcher.stop();
      this.past.push(watcher);
    }
    this.watchers.delete(process);
    this.cluster.leave(process);
  }

  /** One watcher of each kind. */
  private watch(where: MemberProcess | 'roaming'): void {
    const kinds: readonly Beginning[] = where === 'roaming' ? ['first', 'now'] : ['first', 'now', 'replay'];
    const watchers = kinds.map((begins) => {
      const api = (): MemberApi | undefined => {
        if (where !== 'roaming') return this.api(where);
        const voting = this.voting();
        return voting.length === 0 ? undefined : this.api(this.prng.pick(voting));
      };
      const name = `${where === 'roaming' ? 'a roaming watcher' : `the watcher of ${where.name}`} (${begins})`;
      const prng = new Prng(this.prng.uint32());
      return new HistoryWatcher({ name, history: this.history, begins, api, prng, streamMs: 3000 });
    });
    this.watchers.set(where, watchers);
  }

  private assertUnbroken(): void {
    const broken = [...this.history.broken, ...this.load.broken];
    if (broken.length > 0) throw new Error(`BROKEN:\n${broken.slice(0, 10).join('\n')}`);
  }

  /** Everything stands still; then it is judged. */
  private async verdict(rounds: number): Promise<MembersUnderLoadReport> {
    const { cluster, history, load } = this;
    cluster.assertAllRun();
    await cluster.healthy();
    const last = await this.standsStill();
    const watchers = [...this.watchers.values()].flat();
    await waitUntil('every watcher was told everything', { timeoutMs: CHANGE_MS }, () => {
      this.assertUnbroken();
      return watchers.every((watcher) => watcher.hasSeen(last)) || undefined;
    });
    const { broken, content, lines } = judge(history, load, last);
    for (const [i, member] of cluster.members.entries()) {
      const { kvs } = await cluster.api(i).all(LOAD_PREFIX, last);
      if (kvs.size !== content.size)
        broken.push(`${member.name} holds ${kvs.size} keys, history says ${content.size}`);
      for (const [key, want] of content) {
        const found = kvs.get(key);
        const got = found === undefined ? undefined : { ...found, lease: want.lease };
        if (heldText(got) !== heldText(want) || got?.value !== want.value)
          broken.push(`${member.name} holds ${key} as ${heldText(got)}; history says ${heldText(want)}`);
      }
    }
    const hashes = await Promise.all(cluster.members.map((_, i) => cluster.api(i).hashKV(last)));
    const texts = hashes.map((hash) => hash.hash.toString(16));
    if (new Set(texts).size !== 1) broken.push(`HashKV at revision ${last} differs: ${texts.join(', ')}`);
    if (broken.length > 0) throw new Error(`BROKEN:\n${broken.slice(0, 10).join('\n')}`);
    const all = [...watchers, ...this.past];
    const sum = (of: (watcher: HistoryWatcher) => number): number =>
      all.reduce((total, watcher) => total + of(watcher), 0);
    const fragments = sum((watcher) => watcher.fragments);
    return {
      snapshots: this.snapshots,
      revisions: last - history.first + 1,
      fragments,
      lines: [
        `members     ${rounds} rounds of 7 changes, ${this.snapshots} joined by snapshot${this.options.tls ? '; TLS between all' : ''}`,
        `no answers  ${inWords(summarize(this.gapsMs), 'ms')}: the longest silence seen by all clients in a step`,
        `requests    ${load.describe()}`,
        `watchers    ${all.length}, ${sum((watcher) => watcher.streams)} streams, ${fragments} responses in parts, ${sum((watcher) => watcher.progressReports)} progress reports`,
        ...lines,
        `HashKV      ${texts.join(', ')} at revision ${last}; ${content.size} keys`,
        'verdict     nothing lost, nothing doubled, nothing told wrongly, members equal',
      ],
    };
  }

  /** The revision at which all members stand, once no lease can run out any more. */
  private async standsStill(): Promise<number> {
    const { cluster } = this;
    let previous = -1;
    return waitUntil('the members stand still', { timeoutMs: CHANGE_MS, everyMs: 250 }, async () => {
      const indices = cluster.members.map((_, i) => i);
      const [revision] = await Promise.all(indices.map((i) => cluster.api(i).revision()));
      const local = await Promise.all(indices.map((i) => cluster.api(i).revision({ serializable: true })));
      const short = await this.leaseMayRunOut(cluster.api(0));
      const still = revision === previous && !short && local.every((other) => other === revision);
      previous = revision;
      return still ? revision : undefined;
    });
  }

  private async leaseMayRunOut(api: MemberApi): Promise<boolean> {
    const { leaseLeases, leaseTimeToLive } = services.Lease.methods;
    const { leases } = await api.call(leaseLeases, new pb.LeaseLeasesRequest(), { timeoutMs: 5000 });
    for (const { ID } of leases) {
      // The answer to its grant may have been lost.
      const ttl =
        this.load.leases.get(ID)?.ttlSeconds ??
        (await api.call(leaseTimeToLive, new pb.LeaseTimeToLiveRequest({ ID }), { timeoutMs: 5000 }))
          .grantedTTL;
      if (ttl < 60) return true;
    }
    return false;
  }
}

/** Whether a change that was answered so may still come about, or may be asked for again. */
function mayComeLater(error: RpcError): boolean {
  return (
    NOT_NOW.has(error.message) ||
    error.code === StatusCode.Unavailable ||
    error.code === StatusCode.DeadlineExceeded ||
    // Asked for again after a lost answer.
    error.code === StatusCode.NotFound ||
    error.message === 'etcdserver: Peer URLs already exists' ||
    error.message === FOR_LEARNERS_NOT
  );
}

async function refusal(call: Promise<unknown>, code: StatusCode, message: string): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RpcError && error.code === code && error.message === message) return;
    throw new Error(`wanted "${message}", got ${String(error)}`, { cause: error });
  }
  throw new Error(`wanted "${message}", and it was done`);
}

function namesOf(members: readonly pb.Member[]): string {
  return members
    .map(({ ID, name, isLearner }) => `${ID.toString(16)} ${name}${isLearner ? ' (learner)' : ''}`)
    .join(', ');
}

if (import.meta.main) {
  await main(
    'members-under-load',
    { values: ['rounds', 'minutes', 'clients', 'pace-ms'], switches: ['tls'] },
    async (args, say) => {
      const minutes = args.number('minutes', 24 * 60);
      const report = await membersUnderLoad(
        {
          binary: args.binary,
          rounds: args.number('rounds', args.given('minutes') ? Infinity : 1),
          minutes,
          tls: args.has('tls'),
          clients: args.number('clients', 10),
          paceMs: args.number('pace-ms', 8),
          seed: args.seed,
          flags: args.flags,
        },
        say,
      );
      return report.lines;
    },
  );
}
