import type { etcdserverpb, mvccpb } from '@keelson/proto';

export { Client, createClient, type ClientOptions } from './client.ts';
export { Endpoints, parseAddress, type ChannelFactory, type Endpoint } from './endpoints.ts';
export { EtcdError, WatchCompactedError, toEtcdError, type EtcdReason } from './errors.ts';
export { rangeOf, text, toBytes, type Bytes, type KeyRange } from './bytes.ts';
export {
  Kv,
  type CasCondition,
  type CasResult,
  type DeleteOptions,
  type GetOptions,
  type PutOptions,
} from './kv.ts';
export {
  compare,
  op,
  type DeleteSpec,
  type GetSpec,
  type PutSpec,
  type Relation,
  type TxnSpec,
} from './txn.ts';
export { Watch } from './watch.ts';
export { Watcher, type WatchBatch, type WatchListener, type WatchOptions } from './watcher.ts';
export { Lease, type KeepAliveListener, type LeaseKeeper } from './lease.ts';
export { Session, type RecipeClient, type SessionOptions } from './session.ts';
export { Lock } from './lock.ts';
export { Election, observeElection } from './election.ts';
export type { WaitOptions } from './place.ts';
export { Cluster } from './cluster.ts';
export { Maintenance, type AlarmKind, type DowngradeStep, type MemberOptions } from './maintenance.ts';
export { Backup, type ShipLogOptions } from './backup.ts';
export { Auth, type Credentials, type PermissionKind } from './auth.ts';
export { verdict, type Effect, type RequestOptions, type Verdict } from './retry.ts';

/** What comes back in results, under the API's names. */
export type KeyValue = mvccpb.KeyValue;
export type Event = mvccpb.Event;
export type ResponseHeader = etcdserverpb.ResponseHeader;
export type Member = etcdserverpb.Member;
