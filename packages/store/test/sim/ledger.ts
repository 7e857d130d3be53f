/**
 * What every member's state must agree on, kept from outside: at each applied index one digest of the state, at each
 * revision one list of changes, in each term one leader. It is the truth that the history's checkers are given as the
 * merged log. (R1, R5, K3, K9 where they can be seen without opening a member.)
 */
import { crc32c } from '@keelson/base';
import { law, type HistoryRecorder } from '@keelson/sim';
import type { StateMachine } from '../../src/apply/state-machine.ts';
import { EventType, type WatchEvent } from '../../src/mvcc/event.ts';
import type { LockBook } from './lock-book.ts';
import type { SimMember } from './member.ts';

interface Applied {
  readonly digest: string;
  readonly by: string;
}

export class Ledger {
  /** By applied index: what the first member that was seen there had. */
  private readonly states = new Map<number, Applied>();
  /** By revision: a checksum of its changes, as the first member applied them. */
  private readonly revisions = new Map<number, Applied>();
  private readonly leaders = new Map<number, string>();
  private readonly recorder: HistoryRecorder;
  private readonly locks: LockBook;
  /** Highest index that any member has applied. */
  appliedMax = 0;
  revisionMax = 1;
  elections = 0;

  constructor(recorder: HistoryRecorder, locks: LockBook) {
    this.recorder = recorder;
    this.locks = locks;
  }

  /** A restored cluster goes on from here. */
  began(revision: number): void {
    this.revisionMax = revision;
  }

  /** A member leads. */
  leads(member: SimMember, term: number): void {
    const known = this.leaders.get(term);
    law(
      'R1',
      known === undefined || known === member.name,
      () => `${known} and ${member.name} lead in ${term}`,
    );
    if (known !== undefined) return;
    this.leaders.set(term, member.name);
    this.elections++;
    this.recorder.fact({ type: 'leader', member: member.name, term });
  }

  /** A member's state after something it did. */
  stands(member: SimMember, state: StateMachine): void {
    const index = state.consistentIndex;
    if (index === 0) return;
    const digest = digestOf(state);
    const known = this.states.get(index);
    if (known === undefined) this.states.set(index, { digest, by: member.name });
    else
      law(
        'R5',
        known.digest === digest,
        () => `at index ${index} ${known.by} has ${known.digest} and ${member.name} ${digest}`,
      );
    this.appliedMax = Math.max(this.appliedMax, index);
  }

  /** A member applied changes: all of one or more revisions. */
  changed(member: SimMember, events: readonly WatchEvent[]): void {
    for (let from = 0; from < events.length;) {
      const revision = events[from].kv.modRevision;
      let to = from + 1;
      while (to < events.length && events[to].kv.modRevision === revision) to++;
      this.revision(member, revision, events.slice(from, to));
      from = to;
    }
  }

  private revision(member: SimMember, revision: number, events: readonly WatchEvent[]): void {
    let checksum = 0;
    for (const { type, kv } of events) checksum = (Math.imul(checksum, 31) + type + crc32c(kv.encoded)) >>> 0;
    const digest = `${events.length} changes ${checksum.toString(16)}`;
    const known = this.revisions.get(revision);
    if (known !== undefined) {
      law(
        'R5',
        known.digest === digest,
        () => `revision ${revision} is ${known.digest} at ${known.by} and ${digest} at ${member.name}`,
      );
      return;
    }
    law(
      'K3',
      revision === this.revisionMax + 1,
      () => `${member.name} is first at revision ${revision} after ${this.revisionMax}`,
    );
    this.revisions.set(revision, { digest, by: member.name });
    for (const { type, kv } of events) if (type !== EventType.PUT) this.locks.deleted(kv.keyString);
    this.revisionMax = revision;
    this.recorder.fact({
      type: 'applied',
      member: member.name,
      revision,
      events: events.map(({ type, kv }) => ({
        kind: type === EventType.PUT ? 'put' : 'delete',
        kv: {
          key: kv.keyString,
          value: type === EventType.PUT ? kv.value.toString('latin1') : '',
          create: type === EventType.PUT ? kv.createRevision : 0,
          mod: kv.modRevision,
          version: type === EventType.PUT ? kv.version : 0,
          ...(kv.lease !== 0n && { lease: kv.lease.toString(16) }),
        },
      })),
    });
  }
}

function digestOf(state: StateMachine): string {
  const { mvcc, auth, lessor, alarms, membership } = state;
  const members = membership.list().map(({ id, isLearner }) => `${id % 1000n}${isLearner ? 'l' : ''}`);
  return (
    `revision ${mvcc.currentRevision} compacted ${mvcc.compactRevision} auth ${auth.revision} ` +
    `leases ${lessor.size} alarms ${alarms.list(0).length} members ${members.join()}`
  );
}
