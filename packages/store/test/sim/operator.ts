/**
 * Who looks after the machines: starts what ended, replaces what cannot start any more, grows and shrinks the cluster.
 * His changes go through the API of some member, as a client's; what came of a change whose answer was lost he sees in
 * the members' own list.
 *
 * L1 asks for a leader of every cluster that is owed one: of each membership that a member can still come to act by, a quorum of
 * its voters runs, or will. Such a membership is what a member has applied (or had, and may have again: it may forget that
 * an entry is committed until it syncs that), or what an entry of a log makes of it that may still be committed. The rule by which
 * that is so, and on which damage, removals and the core that comes back all rely:
 *
 * - A machine is lost to its cluster only by damage, by its removal (it ends as soon as it applies it, when others have not yet) or
 *   by staying down at the end. Each of these waits until no change of voters is under way, so that there is one
 *   membership, and takes no more than its quorum can spare.
 * - A change is under way until it was answered, or is too old to be asked for any more, and then all of its members have run
 *   for a while, have applied the same members, and have no other change in their logs (`standing`).
 * - Whatever else changes meanwhile adds voters that run, or takes one away that is lost: neither takes a quorum from anybody.
 * - A machine whose addition was not answered may be given up, but comes when it turns out to be a member.
 */
import { Prng } from '@keelson/base';
import { EntryType, type Entry } from '@keelson/raft';
import type { Request, Response } from '@keelson/sim';
import type { Member } from '../../src/membership/member.ts';
import type { Driver } from '../../src/consensus/driver.ts';
import { errorCodeOf } from '../../src/disk/error-code.ts';
import type { StoreServer } from '../../src/server.ts';
import type { Show } from './show.ts';
import type { SimMember } from './member.ts';
import { placeOfUrl } from './wires.ts';

const ROUND_MS = 700;
const MEMBERS_MAX = 5;
/** Longer than a request waits in a member. */
const UNSURE_MS = 20_000;
/** Members stand still for so long before they are believed: longer than a message, a sync or a batch is on its way. */
const SETTLED_MS = 5000;

const CONF_CHANGES: ReadonlySet<Request['kind']> = new Set<Request['kind']>([
  'memberAdd',
  'memberRemove',
  'memberPromote',
  'memberUpdate',
]);
/** Those that leave more or fewer of the members to spare. */
const VOTERS_CHANGES: ReadonlySet<Request['kind']> = new Set<Request['kind']>([
  'memberAdd',
  'memberRemove',
  'memberPromote',
]);
/** What a member that refuses its damaged data shows. */
const REFUSED = {
  log: 'rotted log refused at start',
  misdirected: 'misdirected write refused at start',
  backend: 'rotted backend refused at start',
} as const;

/** Of raft's log what is asked here. */
interface Log {
  entries(index: number, bytesMax: number): readonly Entry[] | string;
}

interface Flags {
  readonly cluster: string;
  readonly joins: boolean;
}

export class Operator {
  private readonly cluster: Show;
  private readonly prng: Prng;
  /** Of each member that was told to start. */
  private readonly flags = new Map<SimMember, Flags>();
  /** Members whose data is gone: to be removed, and others added. */
  private readonly gone = new Set<SimMember>();
  /** Machines that were asked to be added. */
  private readonly waiting = new Set<SimMember>();
  private readonly changes: boolean;
  /** What is known of the members, by the index of who told. */
  private newest: { readonly index: number; readonly list: readonly Member[] | undefined } = {
    index: -1,
    list: undefined,
  };
  private busy = false;
  /** Machines that were given up while nobody knew whether they are members. */
  private readonly givenUp = new Set<SimMember>();
  /** Voters' changes were asked for, of which it is not known that they are over. */
  private changing = false;
  /** Simulated ms until which a change whose answer was lost may still be asked for. */
  private unsureUntil = 0;
  /** Simulated ms since when all looks as if the last change were over. */
  private standingSince: number | undefined = undefined;
  /** Lives that had begun by then: what one has not made durable its next one has to learn again. */
  private standingStarts = 0;
  private deadLeader = false;
  private startedOnce = new Set<SimMember>();

  constructor(cluster: Show, seed: number) {
    this.cluster = cluster;
    this.prng = new Prng(seed ^ 0x09e2);
    this.changes = this.prng.chance(1, 2);
  }

  begin(): void {
    const { members } = this.cluster;
    const cluster = members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    for (const member of members) {
      this.flags.set(member, { cluster, joins: false });
      this.startIn(member, this.prng.below(500));
    }
    this.again();
  }

  /** Sets flags for what is told to start and has none. */
  startIn(member: SimMember, delayMs: number): void {
    this.cluster.scheduler.later(delayMs, 'operator starts', member.place, () => {
      const flags = this.flags.get(member);
      if (flags === undefined || member.phase !== 'down' || member.retired || this.gone.has(member)) return;
      member.start(flags.cluster, flags.joins);
    });
  }

  started(member: SimMember): void {
    this.startedOnce.add(member);
    // What rotted was not needed, or has been cut off for good reason.
    member.damaged = 'no';
  }

  elected(_member: SimMember): void {
    if (this.deadLeader) this.cluster.reach('leader elected after a leader died');
    this.deadLeader = false;
  }

  leaderDied(): void {
    this.deadLeader = true;
    if (this.busy) this.cluster.reach('conf change with its leader dead before the answer');
  }

  /** Whether something that was done to it explains that a member ended, or did not start. */
  mayEnd(member: SimMember, error: Error, started: boolean): boolean {
    const { cluster } = this;
    const code = codeIn(error);
    if (code === 'EIO' || code === 'ENOSPC') {
      cluster.reach(code === 'ENOSPC' ? 'member stopped by a full disk' : goalOfEio(error));
      return true;
    }
    if (started) return false;
    if (member.damaged !== 'no') {
      cluster.reach(REFUSED[member.damaged]);
      this.lost(member);
      return true;
    }
    // Nobody answers one that joins, or the members have changed since it was told of them.
    return this.flags.get(member)?.joins === true && !this.startedOnce.has(member);
  }

  ended(member: SimMember, error: Error, _started: boolean): void {
    if (this.gone.has(member)) return;
    if (this.isOut(member)) {
      member.retired = true;
      return;
    }
    const flags = this.flags.get(member);
    if (flags?.joins === true && !this.startedOnce.has(member)) this.flags.set(member, this.joining(member));
    void error;
    this.startIn(member, 100 + this.prng.below(2000));
  }

  /** Whether the others could go on without this one and those that are lost already. */
  mayDamage(member: SimMember): boolean {
    const truth = this.truth();
    if (truth === undefined || this.gone.size > 0 || this.waiting.size > 0 || this.mayChange) return false;
    const voters = truth.filter(({ isLearner }) => !isLearner);
    if (voters.length < 3) return false;
    if (this.cluster.members.some((each) => each.damaged !== 'no')) return false;
    return truth.some(({ peerUrls }) => placeOfUrl(peerUrls) === member.place);
  }

  /** A member's data is gone, or of no use. */
  lost(member: SimMember): void {
    this.gone.add(member);
  }

  /** What is to be done before all machines that can run do. */
  get unsettled(): boolean {
    return this.gone.size > 0 || this.waiting.size > 0 || this.busy;
  }

  /** Whether a change of voters may be under way, and with it more than one membership in force. */
  get mayChange(): boolean {
    return this.changing;
  }

  /** Finds out whether the last change is over, everywhere and for good. */
  private look(): void {
    const { now } = this.cluster.scheduler;
    if (!this.changing) return;
    const starts = this.cluster.members.reduce((sum, member) => sum + member.starts, 0);
    if (starts !== this.standingStarts || this.busy || now < this.unsureUntil || !this.standing())
      this.standingSince = undefined;
    else this.standingSince ??= now;
    this.standingStarts = starts;
    if (this.standingSince === undefined || now - this.standingSince < SETTLED_MS) return;
    this.changing = false;
    this.standingSince = undefined;
  }

  /** Whether all members run, agree who they are, and have nothing in their logs that changes it. */
  private standing(): boolean {
    const truth = this.truth();
    if (truth === undefined) return false;
    const { now } = this.cluster.scheduler;
    const text = textOf(truth);
    return truth.every(({ id, peerUrls }) => {
      const member = this.memberAt(placeOfUrl(peerUrls));
      const replica = member?.server?.replica;
      return (
        member?.up === true &&
        member.memberId === id &&
        member.pausedUntil <= now &&
        replica !== undefined &&
        textOf(replica.state.membership.list()) === text &&
        !changeAhead(replica)
      );
    });
  }

  /** The members as the furthest of those that ever ran had them. */
  truth(): readonly Member[] | undefined {
    let best: SimMember | undefined;
    let index = -1;
    for (const member of this.cluster.members) {
      const applied = member.server?.replica.state.consistentIndex ?? -1;
      if (applied > index) {
        index = applied;
        best = member;
      }
    }
    const list = best?.server?.replica.state.membership.list();
    if (list !== undefined && list.length > 0 && index >= this.newest.index) this.newest = { index, list };
    return this.newest.list;
  }

  memberAt(place: number): SimMember | undefined {
    return this.cluster.members.findLast((member) => member.place === place);
  }

  private isOut(member: SimMember): boolean {
    const truth = this.truth();
    return member.memberId !== 0n && truth !== undefined && !truth.some(({ id }) => id === member.memberId);
  }

  private joining(member: SimMember): Flags {
    const truth = this.truth() ?? [];
    const listed = truth.map(({ peerUrls }) => {
      const place = placeOfUrl(peerUrls);
      return `m${place}=${peerUrls.join()}`;
    });
    const own = `${member.name}=${member.peerUrl}`;
    return { cluster: (listed.includes(own) ? listed : [...listed, own]).join(), joins: true };
  }

  private again(): void {
    const { cluster, prng } = this;
    cluster.scheduler.later(ROUND_MS + prng.below(ROUND_MS), 'operator', 0, () => {
      if (cluster.over) return;
      this.again();
      this.round();
    });
  }

  private round(): void {
    const { cluster, prng } = this;
    const truth = this.truth();
    if (truth === undefined) return;
    const places = new Set(truth.map(({ peerUrls }) => placeOfUrl(peerUrls)));
    this.look();
    for (const member of [...this.waiting, ...this.givenUp]) {
      if (!places.has(member.place)) continue;
      this.waiting.delete(member);
      if (this.givenUp.delete(member)) member.retired = false;
      this.flags.set(member, this.joining(member));
      this.startIn(member, prng.below(1000));
    }
    for (const member of cluster.members) {
      if (member.retired || member.memberId === 0n || places.has(member.place)) continue;
      // Removed: it ends by itself when it hears of it; the operator helps.
      if (this.gone.delete(member)) {
        cluster.reach('member replaced');
        member.retired = true;
      } else if (member.phase === 'down') member.retired = true;
      else if (prng.chance(1, 8)) {
        member.retired = true;
        member.crash(prng, false);
      }
    }
    if (this.busy) return;
    const learner = truth.find(({ isLearner }) => isLearner);
    const [lost] = this.gone;
    const voters = truth.filter(({ isLearner }) => !isLearner);
    if (lost !== undefined) {
      if (places.has(lost.place)) this.ask({ kind: 'memberRemove', member: lost.name }, 'member removed');
      else {
        lost.retired = true;
        this.gone.delete(lost);
      }
    } else if (learner !== undefined && prng.chance(1, 2)) {
      this.ask({ kind: 'memberPromote', member: nameOf(learner) }, 'learner promoted');
    } else if (this.waiting.size > 0) {
      this.retryWaiting();
    } else if (
      !cluster.healed &&
      cluster.options.members > 1 &&
      truth.length < Math.min(3, cluster.options.members)
    ) {
      this.grow();
    } else if (cluster.members.some(({ damaged }) => damaged !== 'no')) {
      // It may be lost, and then each of the others is needed.
    } else if (this.changes && !cluster.healed && prng.chance(1, 5)) {
      this.change(truth, voters);
    }
  }

  private change(truth: readonly Member[], voters: readonly Member[]): void {
    const { cluster, prng } = this;
    const dice = prng.below(10);
    if (dice < 3 && voters.length > 1) {
      this.ask({ kind: 'moveLeader', to: nameOf(prng.pick(voters)) }, 'leadership moved on request');
    } else if (dice < 4) {
      this.ask({ kind: 'memberUpdate', member: nameOf(prng.pick(truth)) }, undefined);
    } else if (dice < 7 && truth.length < MEMBERS_MAX) {
      this.grow();
    } else if (voters.length > 2 && !this.mayChange) {
      const leader = cluster.leader();
      const removed = prng.pick(voters);
      this.ask(
        { kind: 'memberRemove', member: nameOf(removed) },
        removed.id === leader?.memberId ? 'leader removed' : 'member removed',
      );
    }
  }

  private grow(): void {
    const place = 1 + Math.max(...this.cluster.members.map((member) => member.place));
    const member = this.cluster.addMachine(place);
    this.waiting.add(member);
    this.ask({ kind: 'memberAdd', member: member.name, learner: this.prng.chance(2, 3) }, 'learner added');
  }

  private retryWaiting(): void {
    const [member] = this.waiting;
    if (member === undefined) return;
    // The answer may have been lost, and the change is still to come: never ask twice for one machine.
    if (this.prng.chance(1, 3)) {
      this.waiting.delete(member);
      this.givenUp.add(member);
      member.retired = true;
    }
  }

  private ask(request: Request, goal: Parameters<Show['reach']>[0] | undefined): void {
    const { cluster } = this;
    this.busy = true;
    if (VOTERS_CHANGES.has(request.kind)) this.changing = true;
    cluster.clients.asRoot(request, (response: Response | undefined) => {
      this.busy = false;
      if (response === undefined) {
        if (VOTERS_CHANGES.has(request.kind)) this.unsureUntil = cluster.scheduler.now + UNSURE_MS;
        return;
      }
      cluster.count(`operator ${request.kind}`);
      if (CONF_CHANGES.has(request.kind)) cluster.count('confChanges');
      if (request.kind === 'memberAdd' && request.learner !== true) return;
      if (goal !== undefined) cluster.reach(goal);
    });
  }
}

function nameOf({ peerUrls }: Member): string {
  return `m${placeOfUrl(peerUrls)}`;
}

function textOf(members: readonly Member[]): string {
  return members
    .map(({ id, isLearner }) => `${id}${isLearner ? 'l' : ''}`)
    .sort()
    .join();
}

/** Whether there is a change of members in the log that is not applied, committed or not. */
function changeAhead(replica: StoreServer['replica']): boolean {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- consensus/replica.ts has it
  const { node } = Reflect.get(replica, 'driver') as Driver;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- raft's raw-node.ts has it
  const { log } = Reflect.get(node, 'state') as { readonly log: Log };
  const entries = log.entries(replica.state.consistentIndex + 1, Infinity);
  // Cut off or not there: it is about to be told of more.
  return !Array.isArray(entries) || entries.some(({ type }) => type !== EntryType.Normal);
}

function goalOfEio(error: unknown): Parameters<Show['reach']>[0] {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at.message.includes('injected at read')) return 'member stopped by a failed read';
    if (at.message.includes('injected at write')) return 'member stopped by a failed write';
  }
  return 'member stopped by a failed sync';
}

function codeIn(error: unknown): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const code = errorCodeOf(at);
    if (code === 'EIO' || code === 'ENOSPC') return code;
  }
  const text = error instanceof Error ? error.message : '';
  return text.includes('EIO') ? 'EIO' : text.includes('ENOSPC') ? 'ENOSPC' : undefined;
}
