/** The whole of a simulated cluster as its parts see it, and the parts as they see each other. Types only. */
import type { Prng } from '@keelson/base';
import type { HistoryRecorder, Request, Response } from '@keelson/sim';
import type { Member } from '../../src/membership/member.ts';
import type { Ledger } from './ledger.ts';
import type { Stage } from './life.ts';
import type { LockBook } from './lock-book.ts';
import type { Origin } from './origin.ts';
import type { SimMember } from './member.ts';
import type { SimWires } from './transport.ts';

export interface Show extends Stage {
  readonly wires: SimWires;
  readonly recorder: HistoryRecorder;
  readonly ledger: Ledger;
  readonly locks: LockBook;
  /** Undefined: its first start is a new cluster's. */
  readonly origin: Origin | undefined;
  /** Every machine that ever was, by when it came. */
  readonly members: readonly SimMember[];
  readonly clients: Crowd;
  readonly operator: Keeper;
  /** The faults have stopped. */
  healed: boolean;
  /** Nothing is to happen any more. */
  readonly over: boolean;
  /** Members whose process does something. */
  running(): SimMember[];
  leader(): SimMember | undefined;
  addMachine(place: number): SimMember;
  /** A law was seen broken where nothing may be thrown. */
  broken(error: unknown): void;
  /** Simulated ms since when a member has had the users and roles it has. */
  authSince(member: SimMember): number;
  /** Everything until then, simulated ms. */
  until(at: number): void;
  step(): void;
}

/** All clients. */
export interface Crowd {
  asRoot(request: Request, done: (response: Response | undefined) => void): void;
  reset(prng: Prng): void;
  slow(prng: Prng): void;
  /** Nothing passes between a client and its member for a while, one way or both. */
  cutOff(prng: Prng): void;
  finish(): void;
  readonly finished: boolean;
  describe(): string;
}

/** Who looks after the machines. */
export interface Keeper {
  truth(): readonly Member[] | undefined;
  memberAt(place: number): SimMember | undefined;
  mayDamage(member: SimMember): boolean;
  lost(member: SimMember): void;
  startIn(member: SimMember, delayMs: number): void;
  leaderDied(): void;
  readonly unsettled: boolean;
  /** A change of members may be on its way. */
  readonly mayChange: boolean;
}
