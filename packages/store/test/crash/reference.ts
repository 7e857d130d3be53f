/**
 * What is right: every entry that was ever written to a log, and the state a member has when it has applied exactly
 * so many of them, found by applying them to an empty state one by one, without any disk.
 */
import { assert } from '@keelson/base';
import { EMPTY_CONF_STATE, type Entry } from '@keelson/raft';
import { Applier } from '../../src/apply/applier.ts';
import { StateMachine } from '../../src/apply/state-machine.ts';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { WriteBuffer } from '../../src/backend/write-buffer.ts';
import { ConfChanges } from '../../src/consensus/conf-changes.ts';
import { decodeConfState } from '../../src/consensus/conf-state.ts';
import { LogTail } from '../../src/consensus/log-storage.ts';
import { NO_WAITERS, stillNode } from '../../src/transfer/member-log.ts';
import { decodeEntry } from '../../src/wal/entry-codec.ts';
import { FrameCursor, RecordType } from '../../src/wal/record.ts';
import { record } from '../backup-machine.ts';
import type { Recorded } from './recorder.ts';

/** Text of what a client could find out, so that a difference is seen. */
export async function digestOf(state: StateMachine): Promise<string> {
  const { membership } = state;
  const members = membership.list().map(({ id, name, peerUrls, clientUrls, isLearner }) => ({
    id: String(id),
    name,
    peerUrls,
    clientUrls,
    isLearner,
  }));
  const removed = membership.removed().map(String);
  return JSON.stringify({
    ...(await record(state)),
    members,
    removed,
    version: membership.clusterVersion,
    confState: state.confState,
  });
}

/** Applies entries to a state, as a member that serves does. */
export function applierOf(state: StateMachine, memberId: bigint): Applier {
  const confState = state.confState === '' ? EMPTY_CONF_STATE : decodeConfState(state.confState);
  const tail = new LogTail(undefined, { term: 0, vote: 0n, commit: 0 }, [], confState);
  const node = stillNode(memberId, tail, 0);
  return new Applier(
    state,
    NO_WAITERS,
    new ConfChanges({
      membership: () => state.membership,
      waiters: NO_WAITERS,
      applyToRaft: (change) => node.applyConfChange(change),
      idOf: () => ({ owner: 0, sequence: 0 }),
      revision: () => state.mvcc.currentRevision,
      removedSelf: () => {},
    }),
  );
}

/** Entries in writes to log segments. Each write is of whole records. */
export function entriesIn(recorded: readonly Recorded[]): Entry[] {
  const entries: Entry[] = [];
  for (const operation of recorded) {
    if (operation.kind !== 'write') continue;
    const cursor = new FrameCursor(operation.data);
    while (cursor.step() === 'record')
      if (cursor.type === RecordType.Entry && cursor.data !== undefined)
        entries.push(decodeEntry(Buffer.from(cursor.data)));
  }
  return entries;
}

export class Reference {
  /** By index; the newest that was written. */
  readonly entries = new Map<number, Entry>();
  /** By index. */
  readonly digests: string[] = [];
  /** "term/type/data" of all that were ever written at an index. */
  private readonly known = new Map<number, Set<string>>();

  /** @param recorded of members of one cluster */
  static async of(recorded: readonly (readonly Recorded[])[]): Promise<Reference> {
    const reference = new Reference();
    for (const each of recorded) for (const entry of entriesIn(each)) reference.add(entry);
    await reference.applyAll();
    return reference;
  }

  /** Whether this entry was proposed by somebody and written by the member. */
  knows(entry: Entry): boolean {
    return this.known.get(entry.index)?.has(textOf(entry)) === true;
  }

  private add(entry: Entry): void {
    const before = this.entries.get(entry.index);
    if (before === undefined || before.term <= entry.term) this.entries.set(entry.index, entry);
    const known = this.known.get(entry.index) ?? new Set();
    known.add(textOf(entry));
    this.known.set(entry.index, known);
  }

  private async applyAll(): Promise<void> {
    const backend = new MemoryBackend();
    const buffer = await WriteBuffer.load(backend, { onError: fail });
    const state = await StateMachine.load(
      { backend, buffer },
      {
        leaseTtlSecondsMin: 1,
        learnersMax: 1,
        mvcc: {},
        onMembershipChange: () => {},
        onCompaction: () => {},
      },
    );
    const applier = applierOf(state, 1n);
    this.digests.push(await digestOf(state));
    for (let index = 1; this.entries.has(index); index++) {
      applier.applyBatch([this.entries.get(index)!]);
      await buffer.commit();
      this.digests.push(await digestOf(state));
    }
    assert(this.digests.length === this.entries.size + 1, 'entries without gaps');
  }
}

function textOf({ term, type, data }: Entry): string {
  return `${term}/${type}/${data.toString('latin1')}`;
}

function fail(error: Error): never {
  throw error;
}
