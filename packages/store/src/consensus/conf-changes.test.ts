import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  ConfChangeType,
  Entry,
  EntryType,
  encodeConfChange,
  type ConfChange,
  type ConfChangeV2,
} from '@keelson/raft';
import type { ApplyResult } from '../apply/results.ts';
import { encodeMember, encodeMemberChange, type Member } from '../membership/member.ts';
import { Membership } from '../membership/membership.ts';
import { ConfChanges } from './conf-changes.ts';

let membership: Membership;
let told: (ConfChange | ConfChangeV2)[];
let answers: Map<number, ApplyResult>;
let removed: bigint[];
let changes: ConfChanges;

function member(id: bigint, fields: Partial<Member> = {}): Member {
  return { id, peerUrls: [`http://m${id}:2380`], isLearner: false, name: '', clientUrls: [], ...fields };
}

function entry(
  type: ConfChange['type'],
  nodeId: bigint,
  context: Buffer = Buffer.alloc(0),
  id = (7n << 48n) | 3n,
): Entry {
  return new Entry(1, 9, EntryType.ConfChange, encodeConfChange({ id, type, nodeId, context }));
}

beforeEach(() => {
  const nothing = (): void => {};
  membership = new Membership(
    {
      putMember: nothing,
      deleteMember: nothing,
      putRemoved: nothing,
      putClusterVersion: nothing,
      putDowngrade: nothing,
    },
    nothing,
    { learnersMax: 1 },
  );
  membership.add(member(1n));
  membership.add(member(2n, { isLearner: true }));
  told = [];
  answers = new Map();
  removed = [];
  changes = new ConfChanges({
    membership: () => membership,
    waiters: {
      isWaiting: ({ owner }) => owner === 7,
      resolve: (sequence, result) => answers.set(sequence, result),
    },
    applyToRaft: (change) => {
      told.push(change);
      return { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    },
    idOf: (id) => ({ owner: Number(id >> 48n), sequence: Number(id & 0xffffn) }),
    revision: () => 5,
    removedSelf: (id) => removed.push(id),
  });
});

test('an add: raft, membership, then whoever proposed it, with the members after it', () => {
  expect(changes.apply(entry(ConfChangeType.AddNode, 3n, encodeMember(member(3n))))).toBe(
    '{"voters":[1],"auto_leave":false}',
  );
  expect(told).toMatchObject([{ nodeId: 3n }]);
  expect(answers.get(3)).toMatchObject({ error: undefined, revision: 5 });
  expect((answers.get(3)!.response as Member[]).map(({ id }) => id)).toEqual([1n, 2n, 3n]);
});

test.each<[string, Entry, string]>([
  ['a member that is there', entry(ConfChangeType.AddNode, 1n, encodeMember(member(1n))), 'MEMBER_EXISTS'],
  [
    'a URL that is taken',
    entry(ConfChangeType.AddNode, 3n, encodeMember(member(3n, { peerUrls: ['http://m1:2380'] }))),
    'PEER_URL_EXISTS',
  ],
  [
    'a second learner',
    entry(ConfChangeType.AddLearnerNode, 3n, encodeMember(member(3n, { isLearner: true }))),
    'TOO_MANY_LEARNERS',
  ],
  [
    'promoting a voter',
    entry(ConfChangeType.AddNode, 1n, encodeMemberChange({ member: member(1n), isPromote: true })),
    'MEMBER_NOT_LEARNER',
  ],
  ['removing nobody', entry(ConfChangeType.RemoveNode, 9n), 'MEMBER_NOT_FOUND'],
  ['updating nobody', entry(ConfChangeType.UpdateNode, 9n, encodeMember(member(9n))), 'MEMBER_NOT_FOUND'],
])('%s passes through raft as a change of nobody, and is refused', (_name, refused, code) => {
  const before = membership.list();
  changes.apply(refused);
  expect(told).toMatchObject([{ nodeId: 0n }]);
  expect(answers.get(3)!.error?.code).toBe(code);
  expect(membership.list()).toEqual(before);
});

describe('what each does', () => {
  test('a promotion', () => {
    changes.apply(
      entry(
        ConfChangeType.AddNode,
        2n,
        encodeMemberChange({ member: member(2n, { peerUrls: [] }), isPromote: true }),
      ),
    );
    expect(membership.get(2n)).toEqual(member(2n));
  });

  test('an update: the URLs only', () => {
    changes.apply(
      entry(
        ConfChangeType.UpdateNode,
        2n,
        encodeMember(member(2n, { peerUrls: ['http://x:1'], name: 'forged' })),
      ),
    );
    expect(membership.get(2n)).toEqual(member(2n, { peerUrls: ['http://x:1'], isLearner: true }));
  });

  test('a removal: for ever, and told to whom it concerns', () => {
    changes.apply(entry(ConfChangeType.RemoveNode, 2n));
    expect(removed).toEqual([2n]);
    changes.apply(entry(ConfChangeType.AddNode, 2n, encodeMember(member(2n))));
    expect(membership.get(2n)).toBeUndefined();
  });
});

test('somebody else’s change is applied and answered to nobody', () => {
  changes.apply(entry(ConfChangeType.AddNode, 3n, encodeMember(member(3n)), 8n << 48n));
  expect(membership.size).toBe(3);
  expect(answers.size).toBe(0);
});

test.each<[string, Entry]>([
  ['of more than one node', new Entry(1, 9, EntryType.ConfChangeV2, Buffer.alloc(0))],
  ['that is no change', new Entry(1, 9, EntryType.ConfChange, Buffer.from([0xff]))],
  ['whose member is no JSON', entry(ConfChangeType.AddNode, 3n, Buffer.from('{'))],
  ['whose member is another one', entry(ConfChangeType.AddNode, 3n, encodeMember(member(4n)))],
])('an entry %s stops the member', (_name, bad) => {
  expect(() => changes.apply(bad)).toThrow('entry 9');
});
