import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeMember, type Member } from './member.ts';
import { Membership, type MembershipChange } from './membership.ts';

let kept: Map<string, string>;
let changes: MembershipChange[];
let membership: Membership;

function member(id: bigint, url = `http://m${id}:2380`, fields: Partial<Member> = {}): Member {
  return { id, peerUrls: [url], isLearner: false, name: '', clientUrls: [], ...fields };
}

beforeEach(() => {
  kept = new Map();
  changes = [];
  membership = new Membership(
    {
      putMember: (key, value) => kept.set(`members/${key}`, value.toString()),
      deleteMember: (key) => kept.delete(`members/${key}`),
      putRemoved: (key, value) => kept.set(`removed/${key}`, value.toString()),
      putClusterVersion: (value) => kept.set('version', value.toString()),
      putDowngrade: (value) => kept.set('downgrade', value.toString()),
    },
    (change) => changes.push(change),
    { learnersMax: 1 },
  );
  membership.add(member(2n));
  membership.add(member(1n, 'http://m1:2380', { isLearner: true }));
});

test('members are listed by id, and kept under their hex ids', () => {
  expect(membership.list().map(({ id }) => id)).toEqual([1n, 2n]);
  expect([...kept.keys()]).toEqual(['members/2', 'members/1']);
});

describe('what may be applied', () => {
  test.each<[string, string | undefined, () => { code: string } | undefined]>([
    ['a new member', undefined, () => membership.validateAdd(member(3n))],
    ['an id that is there', 'MEMBER_EXISTS', () => membership.validateAdd(member(2n, 'http://other:1'))],
    ['a URL that is there', 'PEER_URL_EXISTS', () => membership.validateAdd(member(3n, 'http://m2:2380'))],
    ['an id that was removed', 'MEMBER_NOT_FOUND', () => membership.validateAdd(member(9n))],
    [
      'one learner too many',
      'TOO_MANY_LEARNERS',
      () => membership.validateAdd(member(3n, 'http://m3:1', { isLearner: true })),
    ],
    ['promoting a learner', undefined, () => membership.validatePromote(1n)],
    ['promoting a voter', 'MEMBER_NOT_LEARNER', () => membership.validatePromote(2n)],
    ['promoting nobody', 'MEMBER_NOT_FOUND', () => membership.validatePromote(3n)],
    ['removing', undefined, () => membership.validateRemove(2n)],
    ['removing nobody', 'MEMBER_NOT_FOUND', () => membership.validateRemove(3n)],
    ['removing again', 'MEMBER_NOT_FOUND', () => membership.validateRemove(9n)],
    ['updating to its own URL', undefined, () => membership.validateUpdate(member(2n))],
    [
      'updating to another’s',
      'PEER_URL_EXISTS',
      () => membership.validateUpdate(member(2n, 'http://m1:2380')),
    ],
    ['updating nobody', 'MEMBER_NOT_FOUND', () => membership.validateUpdate(member(3n))],
  ])('%s: %s', (_name, code, judge) => {
    membership.add(member(9n));
    membership.remove(9n);
    expect(judge()?.code).toBe(code);
  });
});

test('an update changes URLs only; it never promotes', () => {
  membership.setAttributes(1n, 'one', ['http://m1:2379']);
  membership.updatePeerUrls(1n, ['http://elsewhere:2380']);
  expect(membership.get(1n)).toEqual(
    member(1n, 'http://elsewhere:2380', { isLearner: true, name: 'one', clientUrls: ['http://m1:2379'] }),
  );
  expect(changes.at(-1)).toMatchObject({ kind: 'updated', member: { id: 1n } });
});

test('a promotion keeps the rest', () => {
  membership.setAttributes(1n, 'one', []);
  membership.promote(1n);
  expect(membership.get(1n)).toEqual(member(1n, 'http://m1:2380', { name: 'one' }));
});

test('a removed id stays removed, and is told once', () => {
  changes.length = 0;
  membership.remove(2n);
  membership.remove(2n);
  expect(changes).toEqual([{ kind: 'removed', id: 2n }]);
  expect(membership.isRemoved(2n)).toBe(true);
  expect(membership.removed()).toEqual([2n]);
  expect([...kept]).toEqual([
    ['members/1', expect.anything()],
    ['removed/2', 'removed'],
  ]);
});

test('what is said of unknown members changes nothing', () => {
  const before = [...kept];
  changes.length = 0;
  membership.setAttributes(7n, 'x', []);
  membership.updatePeerUrls(7n, ['http://x:1']);
  membership.promote(7n);
  membership.remove(7n);
  expect([...kept]).toEqual(before);
  expect(changes).toEqual([]);
});

test('a restore tells the difference', () => {
  changes.length = 0;
  const stays = member(1n, 'http://m1:2380', { isLearner: true });
  membership.restore([encodeMember(stays), encodeMember(member(3n))], ['2', 'ff00000000000001'], '3.7.0');
  expect(changes).toEqual([
    { kind: 'removed', id: 2n },
    { kind: 'added', member: member(3n) },
  ]);
  expect(membership.removed()).toEqual([2n, 0xff00_0000_0000_0001n]);
  expect(membership.clusterVersion).toBe('3.7.0');
  changes.length = 0;
  membership.restore([encodeMember({ ...stays, peerUrls: ['http://moved:1'] })], [], '');
  expect(changes.map((change) => change.kind)).toEqual(['removed', 'updated']);
});
