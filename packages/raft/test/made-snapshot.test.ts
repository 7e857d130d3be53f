/** A snapshot says of which index it is, and with which membership: exactly those of the state inside. */
import { expect, test } from '@jest/globals';
import { EMPTY_CONF_STATE, MemoryStorage, MessageType, Snapshot } from '../src/index.ts';
import { entry, of, OneMember } from './one-member.ts';

test('it has the index, term and membership that were asked for, not the log’s end or an older membership', () => {
  const storage = new MemoryStorage();
  const founders = { ...EMPTY_CONF_STATE, voters: [1n] };
  const later = { ...EMPTY_CONF_STATE, voters: [1n, 2n], learners: [3n] };
  storage.applySnapshot(new Snapshot(1, 1, founders));
  storage.append([entry(1, 2), entry(2, 3), entry(3, 4)]);
  const made = storage.createSnapshot(3, later, Buffer.from('state at 3'));
  expect(made).toMatchObject({ index: 3, term: 2, confState: later, data: Buffer.from('state at 3') });
  expect(storage.snapshot()).toBe(made);
  expect(storage.createSnapshot(4, undefined, Buffer.from('state at 4'))).toMatchObject({
    index: 4,
    term: 3,
    confState: later,
  });
});

test('a leader sends it as it is, and goes on behind it', () => {
  const member = new OneMember({ log: [1, 1, 1, 1], commit: 5 });
  const confState = { ...EMPTY_CONF_STATE, voters: [1n, 2n, 3n] };
  member.storage.createSnapshot(4, confState, Buffer.from('state at 4'));
  member.storage.compact(4);
  member.lead();
  const sent = member.hear(MessageType.AppResp, 2n, { index: 5, reject: true, rejectHint: 1, logTerm: 1 });
  expect(of(sent, MessageType.Snap)).toMatchObject([{ to: 2n, snapshot: { index: 4, term: 1, confState } }]);
  const [append] = of(member.hear(MessageType.AppResp, 2n, { index: 4 }), MessageType.App);
  expect(append).toMatchObject({ to: 2n, index: 4, logTerm: 1 });
});
