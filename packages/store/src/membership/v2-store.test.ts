import { expect, test } from '@jest/globals';
import { decodeV2Store, encodeV2Store } from './v2-store.ts';

const MEMBERS = [
  {
    id: 0x8e9e_05c5_2164_694dn,
    peerUrls: ['http://a:2380'],
    isLearner: false,
    name: 'one',
    clientUrls: ['http://a:2379'],
  },
  { id: 2n, peerUrls: ['http://b:2380'], isLearner: true, name: '', clientUrls: [] },
];

interface Tree {
  readonly Path: string;
  readonly Value: string;
  readonly Children: Readonly<Record<string, Tree>> | null;
}

/** Leaves by path; checks that each node says where it is and that only directories have children. */
function leaves(node: Tree, into: Map<string, string> = new Map()): Map<string, string> {
  if (node.Children === null) into.set(node.Path, node.Value);
  else
    for (const [name, child] of Object.entries(node.Children)) {
      expect(child.Path).toBe(`${node.Path === '/' ? '' : node.Path}/${name}`);
      leaves(child, into);
    }
  return into;
}

test('the tree etcd reads: members with their attributes, the removed ones, the version', () => {
  const store = JSON.parse(encodeV2Store(MEMBERS, [5n], '3.7.0').toString());
  expect(Object.keys(store)).toEqual(['Root', 'WatcherHub', 'CurrentIndex', 'Stats', 'CurrentVersion']);
  expect(leaves(store.Root)).toEqual(
    new Map([
      ['/0/members/8e9e05c52164694d/raftAttributes', '{"peerURLs":["http://a:2380"]}'],
      ['/0/members/8e9e05c52164694d/attributes', '{"name":"one","clientURLs":["http://a:2379"]}'],
      ['/0/members/2/raftAttributes', '{"peerURLs":["http://b:2380"],"isLearner":true}'],
      ['/0/removed_members/5', 'removed'],
      ['/0/version', '3.7.0'],
    ]),
  );
});

test('the ring of events is whole: an etcd writes its next event into it', () => {
  const { Queue } = JSON.parse(encodeV2Store([], [], '').toString()).WatcherHub.EventHistory;
  expect(Queue).toMatchObject({ Size: 0, Front: 0, Back: 0, Capacity: 1000 });
  expect(Queue.Events).toHaveLength(1000);
});

test('what is not decided is left out', () => {
  expect(leaves(JSON.parse(encodeV2Store([], [], '').toString()).Root)).toEqual(new Map());
});

test('read back, it says the same; ids of 64 bits keep every bit', () => {
  expect(decodeV2Store(encodeV2Store(MEMBERS, [5n, 2n ** 64n - 1n], '3.7.0'))).toEqual({
    members: expect.arrayContaining(MEMBERS),
    removed: expect.arrayContaining([5n, 2n ** 64n - 1n]),
    clusterVersion: '3.7.0',
    hasV2Keys: false,
  });
  expect(decodeV2Store(encodeV2Store([], [], ''))).toEqual({
    members: [],
    removed: [],
    clusterVersion: '',
    hasV2Keys: false,
  });
});

test.each([
  ['not JSON', 'x', /JSON/],
  [
    'a member without URLs',
    '{"Root":{"Children":{"0":{"Children":{"members":{"Children":{"1":{"Children":{"raftAttributes":{"Value":"{\\"peerURLs\\":7}"}}}}}}}}}}',
    /peerURLs/,
  ],
])('refuses a tree: %s', (_name, text, message) => {
  expect(() => decodeV2Store(Buffer.from(text))).toThrow(message);
});
