/**
 * Who looks after the machines: starts what ended, replaces what cannot start any more, grows and shrinks the cluster.
 * His changes go through the API of some member, as a client's; what came of a change whose answer was lost he sees in
 * the members' own list.
 */
import { Prng } from '@keelson/base';
import type { Request, Response } from '@keelson/sim';
import type { Member } from '../../src/membership/member.ts';
import { errorCodeOf } from '../../src/disk/error-code.ts';
import type { Show } from './show.ts';
import type { SimMember } from './member.ts';
import { placeOfUrl } from './wires.ts';

const ROUND_MS = 700;
const MEMBERS_MAX = 5;
/** Longer than a request waits in a member. */
const UNSURE_MS = 20_000;

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
  /** Simulated ms until which a change whose answer was lost may still be made. */
  private unsureUntil = 0;
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
    if (truth === undefined || this.gone.size > 0 || this.waiting.size > 0) return false;
    if (this.mayChange) return false;
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

  /** Whether a change was asked for that may still be made: a voter that is about to go leaves nothing to spare. */
  get mayChange(): boolean {
    return this.busy || this.unsureUntil > this.cluster.scheduler.now;
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
    for (const member of this.waiting) {
      if (!places.has(member.place)) continue;
      this.waiting.delete(member);
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
    } else if (voters.length > 2) {
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
      member.retired = true;
    }
  }

  private ask(request: Request, goal: Parameters<Show['reach']>[0] | undefined): void {
    const { cluster } = this;
    this.busy = true;
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
