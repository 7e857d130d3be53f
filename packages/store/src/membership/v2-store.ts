/**
 * The data of a .snap file and of a raft snapshot message: the JSON of etcd's v2 tree with the members
 * and cluster version under "/0" (server/etcdserver/api/v2store). Nothing of ours lives there, but an
 * etcd that receives our snapshot parses it, so the tree is whole; on the way in we read the members.
 */
import { hexId } from '@keelson/base';
import { attributesJson, memberOf, raftAttributesJson, type Member } from './member.ts';

interface Node {
  Path: string;
  CreatedIndex: number;
  ModifiedIndex: number;
  ExpireTime: string;
  Value: string;
  Children: Record<string, Node> | null;
}

/** Of etcd's ring of recent events. */
const EVENTS_CAPACITY = 1000;

const NEVER_EXPIRES = '0001-01-01T00:00:00Z';

function directory(path: string, children: Record<string, Node>): Node {
  return {
    Path: path,
    CreatedIndex: 0,
    ModifiedIndex: 0,
    ExpireTime: NEVER_EXPIRES,
    Value: '',
    Children: children,
  };
}

function leaf(path: string, value: string): Node {
  return {
    Path: path,
    CreatedIndex: 1,
    ModifiedIndex: 1,
    ExpireTime: NEVER_EXPIRES,
    Value: value,
    Children: null,
  };
}

const STATS = {
  getsSuccess: 0,
  getsFail: 0,
  setsSuccess: 0,
  setsFail: 0,
  deleteSuccess: 0,
  deleteFail: 0,
  updateSuccess: 0,
  updateFail: 0,
  createSuccess: 0,
  createFail: 0,
  compareAndSwapSuccess: 0,
  compareAndSwapFail: 0,
  compareAndDeleteSuccess: 0,
  compareAndDeleteFail: 0,
  expireCount: 0,
  watchers: 0,
};

/** The tree as bytes. `removed` are ids that may never return. */
export function encodeV2Store(
  members: readonly Member[],
  removed: readonly bigint[],
  clusterVersion: string,
): Buffer {
  const memberNodes: Record<string, Node> = {};
  for (const member of members) {
    const id = hexId(member.id);
    const path = `/0/members/${id}`;
    const children: Record<string, Node> = {
      raftAttributes: leaf(`${path}/raftAttributes`, JSON.stringify(raftAttributesJson(member))),
    };
    if (member.name !== '' || member.clientUrls.length > 0)
      children['attributes'] = leaf(`${path}/attributes`, JSON.stringify(attributesJson(member)));
    memberNodes[id] = directory(path, children);
  }
  const removedNodes: Record<string, Node> = {};
  for (const id of removed) removedNodes[hexId(id)] = leaf(`/0/removed_members/${hexId(id)}`, 'removed');
  const cluster: Record<string, Node> = { members: directory('/0/members', memberNodes) };
  if (removed.length > 0) cluster['removed_members'] = directory('/0/removed_members', removedNodes);
  if (clusterVersion !== '') cluster['version'] = leaf('/0/version', clusterVersion);
  return Buffer.from(
    JSON.stringify({
      Root: directory('/', { '0': directory('/0', cluster), '1': directory('/1', {}) }),
      WatcherHub: { EventHistory: emptyHistory() },
      CurrentIndex: 1,
      Stats: STATS,
      CurrentVersion: 2,
    }),
  );
}

function emptyHistory(): unknown {
  return {
    // Whole, though nothing is in it: an etcd that recovers this tree writes its next event into the ring.
    Queue: {
      Events: Array.from({ length: EVENTS_CAPACITY }, () => null),
      Size: 0,
      Front: 0,
      Back: 0,
      Capacity: EVENTS_CAPACITY,
    },
    StartIndex: 0,
    LastIndex: 0,
  };
}

/** What a v2 tree says about the cluster. */
export interface ClusterFacts {
  readonly members: readonly Member[];
  readonly removed: readonly bigint[];
  /** '' when undecided. */
  readonly clusterVersion: string;
  /** Whether keys of the v2 space are there, which nobody serves any more. */
  readonly hasV2Keys: boolean;
}

/** @throws Error naming what is wrong with the tree */
export function decodeV2Store(data: Buffer): ClusterFacts {
  const root = childrenOf(fieldOf(JSON.parse(data.toString('utf8')), 'Root'));
  const cluster = childrenOf(root['0']);
  const members = Object.entries(childrenOf(cluster['members'])).map(([id, node]) => {
    const { raftAttributes, attributes } = childrenOf(node);
    return memberOf({
      ...jsonOf(attributes),
      ...jsonOf(raftAttributes),
      id: BigInt(`0x${id}`),
    });
  });
  return {
    members,
    removed: Object.keys(childrenOf(cluster['removed_members'])).map((id) => BigInt(`0x${id}`)),
    clusterVersion: valueOf(cluster['version']),
    hasV2Keys: Object.keys(childrenOf(root['1'])).length > 0,
  };
}

function fieldOf(node: unknown, name: string): unknown {
  if (typeof node !== 'object' || node === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...node };
  return fields[name];
}

/** None for what is absent or no directory. */
function childrenOf(node: unknown): Readonly<Record<string, unknown>> {
  const children = fieldOf(node, 'Children');
  return typeof children === 'object' && children !== null ? { ...children } : {};
}

function valueOf(node: unknown): string {
  const value = fieldOf(node, 'Value');
  return typeof value === 'string' ? value : '';
}

function jsonOf(node: unknown): Readonly<Record<string, unknown>> {
  const text = valueOf(node);
  const value: unknown = text === '' ? {} : JSON.parse(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
