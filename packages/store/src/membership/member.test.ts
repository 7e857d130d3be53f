import { describe, expect, test } from '@jest/globals';
import { decodeMember, decodeMemberChange, encodeMember, encodeMemberChange, type Member } from './member.ts';

const MEMBER: Member = {
  id: 0xfedc_ba98_7654_3210n,
  peerUrls: ['http://10.0.0.1:2380', 'http://10.0.0.2:2380'],
  isLearner: false,
  name: 'm1',
  clientUrls: ['http://10.0.0.1:2379'],
};

// As etcd's json.Marshal of membership.Member and of ConfigChangeContext writes them.
test.each<[string, Member, string]>([
  [
    'whole',
    MEMBER,
    '{"id":18364758544493064720,"peerURLs":["http://10.0.0.1:2380","http://10.0.0.2:2380"],"name":"m1","clientURLs":["http://10.0.0.1:2379"]}',
  ],
  [
    'not started',
    { ...MEMBER, id: 1n, peerUrls: ['http://a:1'], name: '', clientUrls: [] },
    '{"id":1,"peerURLs":["http://a:1"]}',
  ],
  [
    'a learner',
    { ...MEMBER, id: 2n, peerUrls: ['http://a:1'], isLearner: true, name: '', clientUrls: [] },
    '{"id":2,"peerURLs":["http://a:1"],"isLearner":true}',
  ],
])('Go’s form of a member: %s', (_name, member, text) => {
  expect(encodeMember(member).toString()).toBe(text);
  expect(decodeMember(Buffer.from(text))).toEqual(member);
});

test('a change says whether it promotes', () => {
  const bytes = encodeMemberChange({ member: MEMBER, isPromote: true });
  expect(bytes.toString().endsWith(',"isPromote":true}')).toBe(true);
  expect(decodeMemberChange(bytes)).toEqual({ member: MEMBER, isPromote: true });
  expect(decodeMemberChange(encodeMember(MEMBER)).isPromote).toBe(false);
});

test('fields of other versions are ignored, null lists are empty', () => {
  expect(decodeMember(Buffer.from('{"id":7,"peerURLs":null,"zone":{"id":9}}'))).toMatchObject({
    id: 7n,
    peerUrls: [],
  });
});

describe('refused', () => {
  test.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['no id', '{"peerURLs":[]}'],
    ['an id as text', '{"id":"7"}'],
    ['URLs that are none', '{"id":1,"peerURLs":[1]}'],
  ])('%s', (_name, text) => {
    expect(() => decodeMember(Buffer.from(text))).toThrow();
  });
});
