/**
 * The data of a .snap file and of a raft snapshot message: the JSON of etcd's v2 tree with the members
 * and cluster version under "/0" (server/etcdserver/api/v2store). Nothing of ours lives there, but an
 * etcd that receives our snapshot parses it, so the tree is whole; on the way in we read the members.
 */
import { hexId } from '@keelson/base';
import { attributesJson, raftAttributesJson, type Member } from './member.ts';

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
