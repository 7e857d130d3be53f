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
  GetSuccess: 0,
  GetFail: 0,
  SetsSuccess: 0,
  SetsFail: 0,
  DeleteSuccess: 0,
  DeleteFail: 0,
  UpdateSuccess: 0,
  UpdateFail: 0,
  CreateSuccess: 0,
  CreateFail: 0,
  CompareAndSwapSuccess: 0,
  CompareAndSwapFail: 0,
  CompareAndDeleteSuccess: 0,
  CompareAndDeleteFail: 0,
  ExpireCount: 0,
  Watchers: 0,
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
    Queue: { Events: [], Size: 0, Front: 0, Back: 0, Capacity: 0 },
    StartIndex: 0,
    LastIndex: 0,
  };
}
