/**
 * Requests of the differential test at the level of the API, written short: keys are texts below the pass's
 * own prefix, and what etcdctl cannot ask can be asked here.
 */
import { etcdserverpb as pb, services } from '@keelson/proto';
import type { MemberApi } from '../harness/member-api.ts';

export const KV = services.KV.methods;
export const LEASE = services.Lease.methods;
export const CLUSTER = services.Cluster.methods;
export const MAINTENANCE = services.Maintenance.methods;

/** What a step is given. */
export interface Scene {
  readonly api: MemberApi;
  /** Prefix of all keys of this pass. */
  readonly p: string;
  /** The store's revision after the steps so far, plus `offset`. */
  rev(offset?: number): number;
  /** A revision noted under this name. */
  noted(name: string, offset?: number): number;
  /** A lease id of this pass; the same on both sides. */
  lease(n: number): bigint;
}

export interface ApiStep {
  readonly name: string;
  /** Anything with fields, or an RpcError. */
  readonly call: (scene: Scene) => Promise<object>;
  /** Note the store's revision after it. */
  readonly noteRevision?: string;
}

export const step = (name: string, call: ApiStep['call'], noteRevision?: string): ApiStep => ({
  name,
  call,
  ...(noteRevision === undefined ? {} : { noteRevision }),
});

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The key after all keys with this prefix. */
export function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCodePoint(prefix.codePointAt(prefix.length - 1)! + 1);
}

/** A request's fields with these given as text. */
type Texts<T, Names extends keyof T> = Omit<Partial<T>, Names> & { readonly [K in Names]?: string };
export type RangeFields = Texts<pb.RangeRequest, 'key' | 'rangeEnd'>;
export type PutFields = Texts<pb.PutRequest, 'key' | 'value'>;
export type DeleteFields = Texts<pb.DeleteRangeRequest, 'key' | 'rangeEnd'>;
export type CompareFields = Texts<pb.Compare, 'key' | 'rangeEnd' | 'value'>;

export const range = ({ key = '', rangeEnd = '', ...rest }: RangeFields): pb.RangeRequest =>
  new pb.RangeRequest({ ...rest, key: bytes(key), rangeEnd: bytes(rangeEnd) });
export const put = ({ key = '', value = '', ...rest }: PutFields): pb.PutRequest =>
  new pb.PutRequest({ ...rest, key: bytes(key), value: bytes(value) });
export const del = ({ key = '', rangeEnd = '', ...rest }: DeleteFields): pb.DeleteRangeRequest =>
  new pb.DeleteRangeRequest({ ...rest, key: bytes(key), rangeEnd: bytes(rangeEnd) });
export const compare = ({ key = '', rangeEnd = '', value, ...rest }: CompareFields): pb.Compare =>
  new pb.Compare({
    ...rest,
    key: bytes(key),
    rangeEnd: bytes(rangeEnd),
    ...(value === undefined ? {} : { value: bytes(value) }),
  });
export const txn = (
  compares: readonly pb.Compare[],
  success: readonly Op[],
  failure: readonly Op[] = [],
): pb.TxnRequest =>
  new pb.TxnRequest({ compare: [...compares], success: success.map(toOp), failure: failure.map(toOp) });

export type Op = pb.RangeRequest | pb.PutRequest | pb.DeleteRangeRequest | pb.TxnRequest | 'empty';

function toOp(op: Op): pb.RequestOp {
  if (op === 'empty') return new pb.RequestOp();
  if (op instanceof pb.RangeRequest) return new pb.RequestOp({ requestRange: op });
  if (op instanceof pb.PutRequest) return new pb.RequestOp({ requestPut: op });
  if (op instanceof pb.DeleteRangeRequest) return new pb.RequestOp({ requestDeleteRange: op });
  return new pb.RequestOp({ requestTxn: op });
}

/** A step that makes one call with one request. */
export const ranges = (name: string, request: (s: Scene) => RangeFields): ApiStep =>
  step(name, (s) => s.api.call(KV.range, range(request(s))));
export const putting = (name: string, request: (s: Scene) => PutFields, noteRevision?: string): ApiStep =>
  step(name, (s) => s.api.call(KV.put, put(request(s))), noteRevision);
export const deleting = (name: string, request: (s: Scene) => DeleteFields): ApiStep =>
  step(name, (s) => s.api.call(KV.deleteRange, del(request(s))));
export const txning = (name: string, request: (s: Scene) => pb.TxnRequest): ApiStep =>
  step(name, (s) => s.api.call(KV.txn, request(s)));
