/**
 * Every state that any one member was ever in, each under a number, and what each event makes of it. A
 * member's answer to an event depends on nothing but the member and the event, so the real core runs once
 * for each pair however many worlds contain it. Messages get numbers here too.
 */
import {
  type ConfChangeV2,
  type ConfState,
  type Message,
  MessageType,
  Role,
  Snapshot,
} from '../../src/index.ts';
import { LawBroken } from './broken.ts';
import { Chains } from './chains.ts';
import { nameOfValue } from './clone.ts';
import { lawsOfMember, lawsOfStep, lookAt, type View } from './laws.ts';
import { type Driving, foundingSnapshot, Member, type Output } from './member.ts';

export const EventKind = {
  /** arg: the message's number */
  Deliver: 0,
  Append: 1,
  Apply: 2,
  Campaign: 3,
  /** arg: which proposal */
  Propose: 4,
  /** arg: which of the configuration's changes */
  Change: 5,
  /** arg: which read */
  Read: 6,
  Beat: 7,
  /** arg: 1 when a commit index that was not synced survives */
  Crash: 8,
  Compact: 9,
  /** arg: to whom */
  Transfer: 10,
  /** Of the network, not of a member. */
  Drop: 11,
  Duplicate: 12,
  /** arg: for whom */
  SnapshotFailed: 13,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/** What an event makes of a member. */
export interface Step {
  readonly next: number;
  /** Numbers of messages, in order. */
  readonly sent: readonly number[];
  /** Which read was answered with which index. */
  readonly reads: readonly (readonly [number, number])[];
  /** Why there is no next state. */
  readonly broken: string | undefined;
}

const EVENTS_MAX = 1 << 22;

export class Members {
  readonly chains: Chains;
  readonly views: View[] = [];
  readonly messages: Message[] = [];
  /** How often the real core was run. */
  runs = 0;
  private readonly members: Member[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly messageNumbers = new Map<string, number>();
  private readonly steps = new Map<number, Step>();
  private readonly driving: Driving;
  private readonly changes: readonly ConfChangeV2[];
  private readonly founding: Snapshot;

  constructor(driving: Driving, confState: ConfState, changes: readonly ConfChangeV2[]) {
    this.driving = driving;
    this.changes = changes;
    this.founding = foundingSnapshot(new Snapshot(1, 1, confState));
    this.chains = new Chains(1, 1, confState);
  }

  /** @returns the number of a member as it is founded */
  found(id: number): number {
    const member = new Member(id, this.driving, this.chains, this.founding);
    return this.number(member, lookAt(member, this.chains));
  }

  private number(member: Member, view: View): number {
    const name = member.name();
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.members.length;
    this.numbers.set(name, number);
    this.members.push(member);
    this.views.push(view);
    return number;
  }

  view(number: number): View {
    return this.views[number];
  }

  get count(): number {
    return this.members.length;
  }

  step(number: number, kind: EventKind, arg: number): Step {
    const key = number * EVENTS_MAX + arg * 16 + kind;
    const known = this.steps.get(key);
    if (known !== undefined) return known;
    const step = this.run(number, kind, arg);
    this.steps.set(key, step);
    return step;
  }

  private run(number: number, kind: EventKind, arg: number): Step {
    this.runs++;
    const member = this.members[number].copy();
    try {
      const output = this.happen(member, kind, arg);
      const view = lookAt(member, this.chains);
      lawsOfMember(member, view, this.chains);
      lawsOfStep(this.view(number), view, this.chains, {
        crashed: kind === EventKind.Crash,
        preVote: this.asksPreVote(kind, arg, view),
        delivered: kind === EventKind.Deliver,
      });
      return {
        next: this.number(member, view),
        sent: output.sent.map((message) => this.messageNumber(message)),
        reads: output.reads.map(({ index, context }) => [Number(context.toString('latin1')), index] as const),
        broken: undefined,
      };
    } catch (error) {
      // The core's own assertions are laws too; anything else is a mistake in here.
      const known = error instanceof LawBroken || (error instanceof Error && error.name === 'AssertionError');
      if (!known) throw error;
      const broken = error instanceof LawBroken ? error.message : `core: ${error.message}`;
      return { next: number, sent: [], reads: [], broken };
    }
  }

  private asksPreVote(kind: EventKind, arg: number, view: View): boolean {
    if (kind === EventKind.Campaign) return view.role === Role.PreCandidate;
    return kind === EventKind.Deliver && this.messages[arg]?.type === MessageType.PreVote;
  }

  private happen(member: Member, kind: EventKind, arg: number): Output {
    const { driving, chains } = this;
    switch (kind) {
      case EventKind.Deliver:
        return member.deliver(driving, chains, this.messages[arg]);
      case EventKind.Append:
        return member.finishAppend(driving, chains);
      case EventKind.Apply:
        return member.finishApply(driving, chains);
      case EventKind.Campaign:
        return member.campaign(driving, chains);
      case EventKind.Propose:
        return member.propose(driving, chains, Buffer.from([0x61 + arg]));
      case EventKind.Change:
        return member.proposeChange(driving, chains, this.changes[arg]);
      case EventKind.Read:
        return member.read(driving, chains, Buffer.from(String(arg)));
      case EventKind.Beat:
        return member.beat(driving, chains);
      case EventKind.Crash:
        return member.crash(driving, chains, arg === 1);
      case EventKind.Compact:
        return member.compact(driving, chains);
      case EventKind.Transfer:
        return member.transfer(driving, chains, arg);
      case EventKind.SnapshotFailed:
        return member.snapshotFailed(driving, chains, arg);
      default:
        throw new TypeError(`event ${kind} is none of a member's`);
    }
  }

  private messageNumber(message: Message): number {
    const name = nameOfValue(message);
    const known = this.messageNumbers.get(name);
    if (known !== undefined) return known;
    this.messageNumbers.set(name, this.messages.length);
    this.messages.push(message);
    return this.messages.length - 1;
  }
}
