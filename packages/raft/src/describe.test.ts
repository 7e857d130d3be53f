import { expect, test } from '@jest/globals';
import { encodeConfChangeV2 } from './conf-change-codec.ts';
import { describeConfChange, describeEntry, describeMessage, quoted } from './describe.ts';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  Entry,
  EntryType,
  EMPTY_CONF_STATE,
  Message,
  MessageType,
  NONE,
  Snapshot,
} from './types.ts';

test.each<[string, Buffer, string]>([
  ['nothing', Buffer.alloc(0), '""'],
  ['letters', Buffer.from('foo'), '"foo"'],
  ['quotes and backslashes', Buffer.from('"\\'), '"\\"\\\\"'],
  ['controls', Buffer.from([7, 8, 9, 10, 11, 12, 13, 0, 27, 127]), '"\\a\\b\\t\\n\\v\\f\\r\\x00\\x1b\\x7f"'],
  ['text beyond ASCII', Buffer.from('é€'), '"é€"'],
  ['bytes that are no text', Buffer.from([0xff, 0xc3, 0x28]), '"\\xff\\xc3("'],
])('payload in Go’s quotes: %s', (_name, data, text) => {
  expect(quoted(data)).toBe(text);
});

test.each<[string, ConfChange | ConfChangeV2, string]>([
  [
    'the first form',
    { id: 0n, type: ConfChangeType.RemoveNode, nodeId: 12n, context: Buffer.alloc(0) },
    'type:ConfChangeRemoveNode node_id:12',
  ],
  [
    'the first form with all its fields, in the order they are declared in',
    { id: 7n, type: ConfChangeType.AddNode, nodeId: 2n, context: Buffer.from('why') },
    'type:ConfChangeAddNode node_id:2 context:"why" id:7',
  ],
  [
    'the second form',
    {
      transition: ConfChangeTransition.JointExplicit,
      changes: [
        { type: ConfChangeType.AddLearnerNode, nodeId: 3n },
        { type: ConfChangeType.UpdateNode, nodeId: 17n },
      ],
      context: Buffer.from('why'),
    },
    'transition:ConfChangeTransitionJointExplicit changes:{type:ConfChangeAddLearnerNode node_id:3} ' +
      'changes:{type:ConfChangeUpdateNode node_id:17} context:"why"',
  ],
])('conf change in protobuf’s text: %s', (_name, change, text) => {
  expect(describeConfChange(change)).toBe(text);
});

test('ends of a message are hexadecimal, or the names of what is no node', () => {
  const text = (from: bigint, to: bigint): string =>
    describeMessage(new Message(MessageType.Heartbeat, { from, to }));
  expect(text(10n, 0x1fn)).toBe('a->1f MsgHeartbeat Term:0 Log:0/0');
  expect(text(NONE, 1n)).toBe('None->1 MsgHeartbeat Term:0 Log:0/0');
  expect(text(APPEND_THREAD, APPLY_THREAD)).toBe('AppendThread->ApplyThread MsgHeartbeat Term:0 Log:0/0');
});

test('everything a message may carry', () => {
  const changes = [{ type: ConfChangeType.RemoveNode, nodeId: 10n }];
  const data = encodeConfChangeV2({ transition: 0, changes, context: Buffer.alloc(0) });
  const message = new Message(MessageType.App, {
    from: 1n,
    to: 2n,
    term: 3,
    logTerm: 2,
    index: 4,
    reject: true,
    rejectHint: 0,
    commit: 5,
    vote: 10n,
    entries: [
      new Entry(3, 5, EntryType.Normal, Buffer.from('x')),
      new Entry(3, 6, EntryType.ConfChangeV2, data),
    ],
    snapshot: new Snapshot(9, 2, { ...EMPTY_CONF_STATE, voters: [1n, 10n] }),
    responses: [new Message(MessageType.AppResp, { from: 2n, to: 1n, term: 3, index: 6 })],
  });
  expect(describeMessage(message)).toBe(
    [
      '1->2 MsgApp Term:3 Log:2/4 Rejected (Hint: 0) Commit:5 Vote:10 Entries:[',
      '  3/5 EntryNormal "x"',
      '  3/6 EntryConfChangeV2 r10',
      ']',
      '  Snapshot: Index:9 Term:2 ConfState:Voters:[1 10] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false Responses:[',
      '  2->1 MsgAppResp Term:3 Log:0/6',
      ']',
    ].join('\n'),
  );
});

test('the change that leaves a joint configuration prints nothing after its type', () => {
  expect(describeEntry(new Entry(1, 2, EntryType.ConfChangeV2))).toBe('1/2 EntryConfChangeV2');
});
