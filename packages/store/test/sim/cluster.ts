/**
 * A whole cluster of production members in one thread: machines on virtual time, a network and disks that misbehave as
 * the seed says, clients and an operator. Everything is recorded as one history; after every act of a member the ledger
 * looks at its state. Same plan, same trace.
 */
import { AssertionError, Prng } from '@keelson/base';
import { HistoryRecorder, law, Scheduler, type History } from '@keelson/sim';
import type { Reads } from '../../src/consensus/reads.ts';
import { RemovedError } from '../../src/errors.ts';
import type { StoreServer } from '../../src/server.ts';
import { Clients } from './clients.ts';
import type { Goal } from './goals.ts';
import { heal } from './healing.ts';
import { Ledger } from './ledger.ts';
import type { Life } from './life.ts';
import type { Origin } from './origin.ts';
import { SimMember, type MemberWatcher } from './member.ts';
import { assertSettles, settle } from './microtasks.ts';
import { LockBook } from './lock-book.ts';
import { FASTEST_CLOCK, Mischief } from './mischief.ts';
import { Operator } from './operator.ts';
import type { Fault, SimOptions } from './options.ts';
import type { Show } from './show.ts';
import { simLogger } from './sim-logger.ts';
import type { SimWires } from './transport.ts';
import { Wires } from './wires.ts';

/** Faults of single messages, which a trace does not tell. */
const QUIET: ReadonlySet<Fault> = new Set<Fault>(['drop', 'duplicate', 'delay', 'stale', 'clog']);
/** Ten times what the busiest seeds take: something goes round and round. */
const EVENTS_MAX = 5_000_000;
const DAY_MS = 86_400_000;

/** What was seen of a member when it last did something. */
interface Looked {
  index: number;
  led: boolean;
  learns: boolean;
  authRevision: number;
  authEnabled: boolean;
  authSince: number;
}

function unseen(now: number): Looked {
  return { index: -1, led: false, learns: false, authRevision: -1, authEnabled: false, authSince: now };
}

/** Reads for which the leader had to be asked again; a metric's, with no other door. */
function slowReadsOf(replica: StoreServer['replica']): number {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- consensus/replica.ts has it
  return (Reflect.get(replica, 'reads') as Reads).counters.slow;
}

export class Cluster implements Show, MemberWatcher {
  readonly options: SimOptions;
  readonly scheduler: Scheduler;
  readonly counts = new Map<string, number>();
  readonly goals = new Set<string>();
  readonly recorder: HistoryRecorder;
  readonly ledger: Ledger;
  readonly locks = new LockBook();
  readonly wires: SimWires;
  /** Every machine that ever was, by when it came. */
  readonly members: SimMember[] = [];
  readonly clients: Clients;
  readonly operator: Operator;
  readonly mischief: Mischief;
  healed = false;
  /** Nothing is to happen any more. */
  over = false;
  history: History | undefined = undefined;
  readonly origin: Origin | undefined;
  private readonly prints: boolean;
  private failure: unknown = undefined;
  private readonly looked = new Map<SimMember, Looked>();

  /** @param origin what it is restored from */
  constructor(options: SimOptions, prints = false, origin?: Origin) {
    const { seed } = options;
    this.origin = origin;
    this.options = options;
    this.prints = prints;
    this.scheduler = new Scheduler(seed);
    this.recorder = new HistoryRecorder({
      nowMs: () => this.scheduler.now,
      beginning: {
        name: `seed ${seed}`,
        members: Array.from({ length: options.members }, (_, i) => `m${i + 1}`),
        electionTimeoutMs: options.heartbeatMs * options.electionTicks,
        ...(options.fastClocks && options.faults.has('skew') && { fastestClock: FASTEST_CLOCK }),
      },
    });
    this.ledger = new Ledger(this.recorder, this.locks);
    this.wires = new Wires(this, new Prng(seed ^ 0x31e5), new Prng(seed ^ 0x0e7));
    for (let place = 1; place <= options.members; place++) this.addMachine(place);
    this.operator = new Operator(this, seed);
    this.clients = new Clients(this, seed);
    this.mischief = new Mischief(this, seed);
  }

  /** A machine with an empty disk at a place: a new one, or one whose machine is gone for ever. */
  addMachine(place: number): SimMember {
    const member = new SimMember(
      this,
      this.wires,
      place,
      this.options.seed ^ Math.imul(this.members.length, 0x9e37),
      this,
      (each) => simLogger(this, each, this.prints),
    );
    // It is not the same day any more: ids of members that are added are made of the time.
    if (this.origin !== undefined) member.wallOffsetMs = DAY_MS;
    this.members.push(member);
    return member;
  }

  // ---- Stage ----------------------------------------------------------------------------------------

  on(fault: Fault): boolean {
    return !this.healed && !this.mischief.calm && this.options.faults.has(fault);
  }

  happened(fault: Fault, detail = ''): void {
    if (this.prints && !QUIET.has(fault))
      process.stderr.write(`${this.scheduler.now} fault ${fault} ${detail}\n`);
    this.count(`fault:${fault}`);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  reach(goal: Goal): void {
    this.goals.add(goal);
  }

  acted(life: Life): void {
    const member = life.machine as SimMember;
    const { server } = member;
    if (server === undefined || member.life !== life) return;
    const { replica } = server;
    let seen = this.looked.get(member);
    if (seen === undefined) this.looked.set(member, (seen = unseen(this.scheduler.now)));
    const index = replica.state.consistentIndex;
    if (index !== seen.index) {
      seen.index = index;
      this.ledger.stands(member, replica.state);
    }
    const leads = replica.isLeader;
    if (leads && !seen.led) {
      this.ledger.leads(member, replica.term);
      this.operator.elected(member);
    }
    seen.led = leads;
    this.lookFurther(member, server, seen);
  }

  private lookFurther(member: SimMember, { replica }: StoreServer, seen: Looked): void {
    const { membership } = replica.state;
    this.lookAtAuth(replica, seen);
    if (slowReadsOf(replica) > 0) this.reach('read index asked again');
    const learns = membership.get(member.memberId)?.isLearner === true;
    if (learns && !seen.learns) this.recorder.fact({ type: 'learns', member: member.name });
    seen.learns = learns;
  }

  private lookAtAuth({ state }: StoreServer['replica'], seen: Looked): void {
    const { revision, enabled } = state.auth;
    if (revision === seen.authRevision && enabled === seen.authEnabled) return;
    seen.authRevision = revision;
    seen.authEnabled = enabled;
    seen.authSince = this.scheduler.now;
  }

  authSince(member: SimMember): number {
    const seen = this.looked.get(member);
    if (seen === undefined || member.server === undefined) return this.scheduler.now;
    // It may be asked in the midst of what changed them.
    this.lookAtAuth(member.server.replica, seen);
    return Math.max(seen.authSince, member.pausedUntil);
  }

  broken(error: unknown): void {
    this.failure ??= error;
  }

  crashesHere(life: Life): boolean {
    return this.mischief.crashesHere(life.machine as SimMember);
  }

  // ---- MemberWatcher --------------------------------------------------------------------------------

  started(member: SimMember, { replica }: StoreServer): void {
    this.looked.set(member, unseen(this.scheduler.now));
    this.recorder.fact({ type: 'start', member: member.name });
    const { state, hub } = replica;
    if (this.origin?.check(member.memberId, state) === true) {
      this.ledger.began(state.mvcc.currentRevision);
      this.clients.began(this.origin.beginning);
    }
    this.hearCheckpoints(replica.lessor);
    state.setListener({
      notify: (events) => {
        this.ledger.changed(member, events);
        hub.notify(events);
      },
      replaceStore: (store) => {
        if (hub.watcherCount > 0) this.reach('snapshot installed while watches are open');
        hub.replaceStore(store);
      },
    });
    this.operator.started(member);
  }

  private hearCheckpoints(lessor: StoreServer['replica']['lessor']): void {
    const checkpoint = lessor.checkpoint.bind(lessor);
    lessor.checkpoint = (id, remainingSeconds) => {
      if (remainingSeconds > 0) this.reach('lease checkpointed');
      checkpoint(id, remainingSeconds);
    };
  }

  ready(member: SimMember): void {
    this.clients.ready(member);
  }

  gone(member: SimMember, life: Life): void {
    this.recorder.fact({ type: 'crash', member: member.name });
    this.clients.gone(life);
  }

  ended(member: SimMember, error: Error, started: boolean): void {
    if (this.prints) process.stderr.write(`${this.scheduler.now} ${member.name} ended: ${error.stack}\n`);
    if (error instanceof AssertionError) throw error;
    law(
      'D2',
      error instanceof RemovedError || this.operator.mayEnd(member, error, started),
      () => `${member.name} ${started ? 'ended' : 'does not start'}: ${error.message}`,
    );
    this.operator.ended(member, error, started);
  }

  // ---------------------------------------------------------------------------------------------------

  /** Members whose process does something. */
  running(): SimMember[] {
    return this.members.filter((member) => member.up && member.pausedUntil <= this.scheduler.now);
  }

  leader(): SimMember | undefined {
    let found: SimMember | undefined;
    for (const member of this.running()) {
      const { server } = member;
      if (server?.replica.isLeader !== true) continue;
      if (found?.server === undefined || server.replica.term > found.server.replica.term) found = member;
    }
    return found;
  }

  /** Everything until `at`, simulated ms. */
  until(at: number): void {
    while (this.scheduler.now < at) this.step();
  }

  step(): void {
    law('L2', this.scheduler.events < EVENTS_MAX, () => `no end after ${EVENTS_MAX} events`);
    this.scheduler.next();
    settle();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Every member's machine gets the data that the operator's tool makes of the snapshot. */
  private restore(origin: Origin): void {
    const cluster = this.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    let restored = 0;
    for (const member of this.members)
      member.restore(origin, cluster).then(
        () => restored++,
        (error: unknown) => this.broken(error),
      );
    settle();
    if (this.failure !== undefined) throw this.failure;
    law('N3', restored === this.members.length, () => 'a snapshot is still being restored');
  }

  run(): void {
    assertSettles();
    const rejected = (error: unknown): void => {
      this.failure ??= error;
    };
    process.on('unhandledRejection', rejected);
    try {
      if (this.origin !== undefined) this.restore(this.origin);
      this.operator.begin();
      this.until(this.options.durationMs);
      heal(this, new Prng(this.options.seed ^ 0x4ea1));
    } finally {
      this.over = true;
      process.off('unhandledRejection', rejected);
      const history = this.recorder.finish();
      this.history = { ...history, beginning: { ...history.beginning, ...this.origin?.beginning } };
    }
  }
}
