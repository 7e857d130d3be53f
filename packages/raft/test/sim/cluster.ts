/**
 * A whole cluster in one thread: nodes on virtual time, with a network and disks that misbehave as the seed
 * says, clients and operators. After every event the oracle looks. At the end all faults stop, a core that
 * holds a quorum comes back, and it must elect, answer and agree (healing.ts). Same plan, same trace.
 */
import { assert, Prng } from '@keelson/base';
import { law, Network, Scheduler } from '@keelson/sim';
import {
  type ConfState,
  type Entry,
  type Message,
  MessageType,
  type NodeId,
  Role,
  Snapshot,
} from '../../src/index.ts';
import { Oracle } from './checkers.ts';
import { Clients } from './clients.ts';
import { GoalWatch } from './goal-watch.ts';
import type { Goal } from './goals.ts';
import { heal } from './healing.ts';
import { membersOf } from './membership-laws.ts';
import { traceMessage } from './message-trace.ts';
import { Mischief } from './mischief.ts';
import { SimNode } from './node.ts';
import { type Fault, FAULTS, KINDS_MIN, type SimOptions, TICK_UNITS } from './options.ts';
import type { World } from './world.ts';

const START_INDEX = 3;
const START_STATE = 'abcdef';
/** Nodes that ever exist; enough that membership seldom runs dry in one seed. */
const NODES_MAX = 16;
/** A slow disk takes so many times as long. */
const SLOW = 50;
/** A seed goes on at most so many times as long as planned to get what it lacks. */
const LONGER_MAX = 4;
/** Events after which a seed that goes on is helped to what it lacks, again and again. */
const COMPEL_EVERY = 1000;

export class Cluster implements World {
  readonly options: SimOptions;
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly network: Network<NodeId, Message>;
  readonly clients: Clients;
  readonly nodes = new Map<NodeId, SimNode>();
  readonly counts = new Map<string, number>();
  readonly goals = new Set<string>();
  healed = false;
  /** No new fault happens for a while. */
  calm = false;
  /** Election timeouts from healing to a leader that committed in its term. */
  leaderAfter = 0;
  /** Whoever must not start any more: taken down by the operator, or outside the core that comes back. */
  readonly retired = new Set<SimNode>();
  private healedAt = 0;
  private readonly prng: Prng;
  private readonly mischief: Mischief;
  private readonly watch = new GoalWatch((goal) => {
    this.reach(goal);
  });

  constructor(options: SimOptions) {
    const { seed } = options;
    this.options = options;
    this.prng = new Prng(seed ^ 0x5eed);
    this.scheduler = new Scheduler(seed);
    const ids = Array.from({ length: options.voters }, (_, i) => BigInt(i + 1));
    const confState: ConfState = {
      voters: ids,
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    };
    this.oracle = new Oracle(START_INDEX, 1, START_STATE, confState);
    this.network = new Network(this.scheduler, new Prng(seed ^ 0x0e7), options, {
      on: (fault) => this.on(fault),
      happened: (fault, detail) => {
        this.happened(fault, detail);
      },
      deliver: (from, to, message, copy, sentAt) => {
        this.deliver(from, to, message, copy, sentAt);
      },
      lost: (from, to, message) => {
        this.lost(from, to, message);
      },
      place: Number,
    });
    const start = new Snapshot(START_INDEX, 1, confState, Buffer.from(`${START_STATE} `));
    for (const id of ids) this.addNode(id, start);
    this.clients = new Clients(this, seed);
    this.mischief = new Mischief(this, seed);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  reach(goal: Goal): void {
    this.goals.add(goal);
  }

  on(fault: Fault): boolean {
    return !this.healed && !this.calm && this.options.faults.has(fault);
  }

  /** The seed goes on only because it lacks something. */
  get overdue(): boolean {
    return this.scheduler.events > this.options.events;
  }

  crashes(id: NodeId): boolean {
    const node = this.nodes.get(id);
    return node !== undefined && this.mischief.crashes(node);
  }

  applied(entry: Entry): void {
    this.clients.applied(entry);
  }

  private happened(fault: Fault, detail: string): void {
    if (fault !== 'partition') this.count(`fault:${fault}`);
    else if (detail === 'cut a message off') this.count('fault:partition');
    else this.reach(`partition ${detail}` as Goal);
  }

  /** A node that was never a member, for a change that adds it: a new one while there is room. */
  found(): NodeId {
    const { history } = this.oracle.membership;
    if (this.nodes.size >= NODES_MAX || this.prng.chance(1, 3)) {
      const spare = [...this.nodes.keys()].filter(
        (id) => !history.some(({ confState }) => membersOf(confState).has(id)),
      );
      if (spare.length > 0) return this.prng.pick(spare);
    }
    if (this.nodes.size >= NODES_MAX) return BigInt(1 + this.prng.below(NODES_MAX));
    const id = BigInt(this.nodes.size + 1);
    this.addNode(id, undefined);
    return id;
  }

  private addNode(id: NodeId, start: Snapshot | undefined): void {
    const node = new SimNode(this, id, start);
    this.nodes.set(id, node);
    node.start(this.prng);
    this.later(node, 1 + this.prng.below(TICK_UNITS), 'tick', () => {
      this.tick(node);
    });
  }

  private later(node: SimNode, delay: number, kind: string, run: () => void): void {
    this.scheduler.later(delay, kind, node.place, run);
  }

  /** Later, if it is still the same life; a paused process does it when it wakes. */
  private inLife(node: SimNode, delay: number, kind: string, run: () => void): void {
    const { life } = node;
    const act = (): void => {
      if (node.life !== life || !node.up) return;
      const wait = node.pausedUntil - this.scheduler.now;
      if (wait > 0) this.later(node, wait, kind, act);
      else run();
    };
    this.later(node, delay, kind, act);
  }

  private tick(node: SimNode): void {
    this.later(node, this.healed ? TICK_UNITS : node.tickUnits, 'tick', () => {
      this.tick(node);
    });
    if (!node.up) return;
    if (node.pausedUntil > this.scheduler.now) {
      node.lateTicks++;
      return;
    }
    // After a pause the timers that are late all fire at once; or the process had none to be late.
    const burst = node.lateTicks > 0 && this.prng.chance(1, 2) ? Math.min(node.lateTicks, 40) : 0;
    if (burst > 0) this.reach('late ticks in a burst');
    node.lateTicks = 0;
    for (let i = 0; i <= burst && node.up; i++) {
      const due = node.core.electionElapsed + 1 >= node.core.randomizedElectionTimeout;
      const blocked =
        due &&
        node.core.role !== Role.Leader &&
        node.core.promotable() &&
        node.core.log.hasUnappliedConfChange();
      if (blocked) this.reach('campaign refused for an unapplied conf change');
      node.raw.tick();
      this.oracle.leadership.ticked(node);
      this.turn(node);
    }
  }

  transfer(node: SimNode, to: NodeId): void {
    node.raw.transferLeader(to);
    this.oracle.leadership.transferAsked(node);
    this.turn(node);
  }

  forget(node: SimNode): void {
    const { lead } = node.core;
    node.raw.forgetLeader();
    if (node.core.lead !== lead) this.reach('leader forgotten');
    this.turn(node);
  }

  campaign(node: SimNode): void {
    node.raw.campaign();
    this.turn(node);
  }

  private look(node: SimNode): void {
    this.oracle.look(node);
    this.watch.look(node);
  }

  /** Everything the node asks for, until it asks for nothing. */
  turn(node: SimNode): void {
    if (!node.up) return;
    this.look(node);
    const { life } = node;
    while (node.life === life && node.raw.hasReady()) {
      const ready = node.raw.ready();
      node.takes(ready.snapshot, ready.committedEntries);
      for (const { context, index } of ready.readStates) {
        this.clients.answered(node, context.toString(), index);
      }
      if (this.options.async) {
        if (ready.append !== undefined) node.appends.push(ready.append);
        if (ready.apply !== undefined) node.applies.push(ready.apply);
        this.startAppend(node);
        this.startApply(node);
        this.sendAll(node, ready.messages);
      } else {
        const { hardState, entries, snapshot, mustSync } = ready;
        const work = { hardState, entries, snapshot, mustSync, responses: [] };
        // A crash here leaves a part of it.
        node.appends.push(work);
        if (this.crashes(node.id)) return;
        node.appends.pop();
        node.write(work);
        if (snapshot !== undefined) this.install(node, snapshot);
        if (this.crashes(node.id)) return;
        this.sendAll(node, ready.messages);
        if (node.life !== life) return;
        node.apply(ready.committedEntries);
        if (node.life !== life) return;
        node.raw.advance(ready);
        node.maybeCompact();
      }
      if (node.life === life) this.look(node);
    }
  }

  private sendAll(node: SimNode, messages: readonly Message[]): void {
    const { life } = node;
    for (const message of messages) {
      if (this.crashes(node.id) || node.life !== life) return;
      this.send(node, message);
    }
  }

  private install(node: SimNode, snapshot: Snapshot): void {
    for (const leader of this.leaders()) {
      if (leader.core.pendingConfIndex > leader.core.log.applied)
        this.reach('snapshot installed while a conf change is pending');
    }
    node.install(snapshot);
  }

  private startAppend(node: SimNode): void {
    if (node.appending || node.appends.length === 0) return;
    node.appending = true;
    const { life } = node;
    const batch = node.appends.length;
    const slow = node.slowUntil > this.scheduler.now ? SLOW : 1;
    this.inLife(node, this.prng.below(this.options.appendMax) * slow, 'append', () => {
      // One sync answers for all that waited when it began (group commit).
      for (let i = 0; i < batch; i++) {
        const [work] = node.appends;
        assert(work !== undefined, 'append work vanished');
        if (this.crashes(node.id)) return;
        node.appends.shift();
        node.write(work);
        if (work.snapshot !== undefined) this.install(node, work.snapshot);
        for (const response of work.responses) {
          if (this.crashes(node.id)) return;
          if (response.to === node.id) {
            this.oracle.step(node, response, () => {
              node.raw.step(response);
            });
          } else {
            this.send(node, response);
          }
        }
        this.look(node);
      }
      node.appending = false;
      this.turn(node);
      if (node.life === life) this.startAppend(node);
    });
  }

  private startApply(node: SimNode): void {
    if (node.applying || node.applies.length === 0) return;
    node.applying = true;
    const { life } = node;
    this.inLife(node, this.prng.below(this.options.applyMax), 'apply', () => {
      const work = node.applies.shift();
      assert(work !== undefined, 'apply work vanished');
      node.applying = false;
      node.apply(work.entries);
      if (node.life !== life || this.crashes(node.id)) return;
      this.look(node);
      for (const response of work.responses) node.raw.step(response);
      node.maybeCompact();
      this.turn(node);
      if (node.life === life) this.startApply(node);
    });
  }

  private send(from: SimNode, message: Message): void {
    this.oracle.leaves(from, message);
    traceMessage(this.scheduler.trace, message);
    this.count('messages');
    if (message.reject) {
      if (message.type === MessageType.AppResp) this.reach('probing after rejection');
      if (message.type === MessageType.PreVoteResp) this.reach('pre-vote rejected');
    }
    this.network.send(from.id, message.to, message);
  }

  private lost(from: NodeId, to: NodeId, message: Message): void {
    const sender = this.nodes.get(from);
    if (sender === undefined) return;
    if (message.type === MessageType.Snap) this.report(sender, to, false);
    else if (this.prng.chance(1, 10)) {
      this.inLife(sender, 1, 'unreachable', () => {
        sender.raw.reportUnreachable(to);
        this.turn(sender);
      });
    }
  }

  private deliver(from: NodeId, to: NodeId, message: Message, copy: number, sentAt: number): void {
    const target = this.nodes.get(to);
    const sender = this.nodes.get(from);
    // What was on its way when the faults stopped is lost with the last of them.
    const old = this.healed && sentAt < this.healedAt;
    const there = target !== undefined && target.up && !old;
    if (message.type === MessageType.Snap && copy === 0 && sender !== undefined) {
      this.report(sender, to, there);
    }
    if (!there) return;
    const wait = target.pausedUntil - this.scheduler.now;
    if (wait > 0) {
      // It waits in the socket, or the socket gave up.
      if (wait < 200) {
        this.inLife(target, wait, 'deliver late', () => {
          if (!this.healed || sentAt >= this.healedAt) this.step(target, message);
        });
      }
      return;
    }
    if (sentAt < target.startedAt) this.reach('message of an earlier life delivered');
    this.step(target, message);
  }

  private step(node: SimNode, message: Message): void {
    const { core } = node;
    const { type } = message;
    const transferring = type === MessageType.TimeoutNow;
    const commit = core.log.committed;
    const asked = type === MessageType.Vote || type === MessageType.PreVote;
    const { term } = core;
    const queued = core.afterAppend.length;
    this.oracle.step(node, message, () => {
      node.raw.step(message);
    });
    if (asked && message.term > term && core.term === term && core.afterAppend.length === queued) {
      if (core.config.checkQuorum) this.reach('vote refused under a lease');
    }
    if (type === MessageType.Snap && core.log.committed > commit && !core.log.hasUnstableSnapshot()) {
      this.reach('snapshot fast-forwards a log');
    }
    if (transferring && core.role === Role.Candidate) this.transfers.set(core.term, node.id);
    if (core.role === Role.Leader && this.transfers.get(core.term) === node.id)
      this.reach('transfer completed');
    this.turn(node);
  }

  /** Terms in which a node campaigned because its leader told it to. */
  private readonly transfers = new Map<number, NodeId>();

  private report(from: SimNode, to: NodeId, arrived: boolean): void {
    let ok = arrived;
    if (this.on('snapshotReport') && this.prng.chance(1, 3)) {
      // The stream broke after all, or its end was never known and taken for good.
      this.count('fault:snapshotReport');
      ok = !ok;
    }
    if (!ok) this.reach('snapshot reported failed');
    this.inLife(from, this.prng.below(30), 'report', () => {
      from.raw.reportSnapshot(to, ok);
      this.turn(from);
    });
  }

  running(): SimNode[] {
    const found: SimNode[] = [];
    for (const node of this.nodes.values()) {
      if (node.up && node.pausedUntil <= this.scheduler.now) found.push(node);
    }
    return found;
  }

  leaders(): SimNode[] {
    return this.running().filter((node) => node.core.role === Role.Leader);
  }

  mayStart(node: SimNode): boolean {
    return !this.retired.has(node);
  }

  start(node: SimNode): void {
    this.watch.forget(node);
    node.startedAt = this.scheduler.now;
    node.start(this.prng);
    this.count('restarts');
    this.turn(node);
  }

  /** The faulty part, then the healed one. @throws LawBroken */
  run(): void {
    const { options, scheduler } = this;
    const longest = options.events * LONGER_MAX;
    while (scheduler.events < options.events || (options.whole && this.lacks() !== undefined)) {
      law('seed', scheduler.events < longest, () => `after ${longest} events it lacks ${this.lacks()}`);
      scheduler.next();
      if (this.overdue && scheduler.events % COMPEL_EVERY === 0) this.compel();
    }
    this.healedAt = scheduler.now;
    heal(this, this.prng);
    if (this.oracle.elections > 1) this.reach('second election');
    if (this.oracle.truncations > 0) this.reach('log truncated');
    const grown = this.oracle.membership.history.some(({ confState }) => confState.voters.length > 1);
    if (options.voters === 1 && grown) this.reach('node of one voter grew');
  }

  /** Neither a fault nor a snapshot is left to luck: a cluster that does little may never come to them. */
  private compel(): void {
    const happened = (fault: Fault): boolean => this.counts.has(`fault:${fault}`);
    if (FAULTS.filter(happened).length < KINDS_MIN) this.mischief.compel(happened);
    if (!this.snapshotSeen) for (const node of this.running()) node.takeSnapshot();
  }

  private get snapshotSeen(): boolean {
    return this.counts.has('snapshotsTaken') || this.counts.has('snapshotsInstalled');
  }

  /** What a seed must have met to count. */
  private lacks(): string | undefined {
    const kinds = FAULTS.filter((fault) => this.counts.has(`fault:${fault}`)).length;
    if (kinds < KINDS_MIN) return `fault kinds: ${kinds} of ${KINDS_MIN}`;
    if (!this.counts.has('confChanges')) return 'a membership change';
    if (!this.snapshotSeen) return 'a snapshot';
    return undefined;
  }

  /** Units since `since`, in longest election timeouts. */
  timeoutsSince(since: number): number {
    return (this.scheduler.now - since) / (TICK_UNITS * 2 * this.options.electionTick);
  }
}
