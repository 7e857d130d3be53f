/** Rows of the results that the simple and the table format both show, one row a member or endpoint. */
import type { etcdserverpb } from '@keelson/proto';
import { formatSize, idHex } from '../../go-text.ts';
import type { EndpointHashKV, EndpointHealth, EndpointStatus } from './printer.ts';

export interface Rows {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function memberRows(response: etcdserverpb.MemberListResponse): Rows {
  return {
    header: ['ID', 'Status', 'Name', 'Peer Addrs', 'Client Addrs', 'Is Learner'],
    rows: response.members.map((member) => [
      idHex(member.ID),
      member.name === '' ? 'unstarted' : 'started',
      member.name,
      member.peerURLs.join(','),
      member.clientURLs.join(','),
      String(member.isLearner),
    ]),
  };
}

export function healthRows(list: readonly EndpointHealth[]): Rows {
  return {
    header: ['endpoint', 'health', 'took', 'error'],
    rows: list.map((item) => [item.endpoint, String(item.healthy), item.took, item.error]),
  };
}

export function statusRows(list: readonly EndpointStatus[]): Rows {
  return {
    header: [
      'endpoint',
      'ID',
      'version',
      'storage version',
      'db size',
      'in use',
      'percentage not in use',
      'quota',
      'is leader',
      'is learner',
      'raft term',
      'raft index',
      'raft applied index',
      'errors',
      'downgrade target version',
      'downgrade enabled',
    ],
    rows: list.map(({ endpoint, status }) => [
      endpoint,
      idHex(status.header?.memberId ?? 0n),
      status.version,
      status.storageVersion,
      formatSize(status.dbSize),
      formatSize(status.dbSizeInUse),
      `${unusedPercent(status)}%`,
      formatSize(status.dbSizeQuota),
      String(status.leader === status.header?.memberId),
      String(status.isLearner),
      String(status.raftTerm),
      String(status.raftIndex),
      String(status.raftAppliedIndex),
      status.errors.join(', '),
      status.downgradeInfo?.targetVersion ?? '',
      String(status.downgradeInfo?.enabled ?? false),
    ]),
  };
}

function unusedPercent(status: etcdserverpb.StatusResponse): number {
  if (status.dbSize === 0) return 0;
  return 100 - Math.floor((status.dbSizeInUse * 100) / status.dbSize);
}

export function hashRows(list: readonly EndpointHashKV[]): Rows {
  return {
    header: ['endpoint', 'hash', 'hash_revision'],
    rows: list.map(({ endpoint, hash }) => [endpoint, String(hash.hash), String(hash.hashRevision)]),
  };
}
