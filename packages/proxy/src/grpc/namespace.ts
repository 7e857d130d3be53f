/**
 * A part of the key space shown as if it were all of it (--namespace): requests get the prefix before every key they
 * name, answers lose it again. Works on decoded messages, in place. Pure. An empty key would name the prefix itself
 * and is refused, as etcd refuses it where there is no namespace. (etcd: client/v3/namespace.)
 */
import { EMPTY, keyFromBytes, keyToBytes, prefixEnd } from '@keelson/base';
import type { etcdserverpb, mvccpb, v3electionpb } from '@keelson/proto';
import { RpcError, StatusCode } from '@keelson/rpc';

export class Namespace {
  readonly prefix: Buffer;
  private readonly end: Buffer;

  /** @param prefix '' shows everything */
  constructor(prefix: string) {
    this.prefix = Buffer.from(prefix, 'utf8');
    this.end = keyToBytes(prefixEnd(keyFromBytes(this.prefix)));
  }

  get whole(): boolean {
    return this.prefix.length === 0;
  }

  /** @throws RpcError for an empty key */
  key(key: Buffer): Buffer {
    if (key.length === 0) throw new RpcError(StatusCode.InvalidArgument, 'etcdserver: key is not provided');
    return Buffer.concat([this.prefix, key]);
  }

  /** The end of a range as on the wire: none, '\0' for everything behind the key, or a key. */
  rangeEnd(end: Buffer): Buffer {
    if (end.length === 0) return EMPTY;
    return end.length === 1 && end[0] === 0 ? this.end : Buffer.concat([this.prefix, end]);
  }

  stripped(key: Buffer): Buffer {
    return key.subarray(this.prefix.length);
  }

  addToRange(request: { key: Buffer; rangeEnd: Buffer }): void {
    request.key = this.key(request.key);
    request.rangeEnd = this.rangeEnd(request.rangeEnd);
  }

  addToTxn(txn: etcdserverpb.TxnRequest): void {
    for (const compare of txn.compare) this.addToRange(compare);
    for (const op of txn.success) this.addToOp(op);
    for (const op of txn.failure) this.addToOp(op);
  }

  stripKvs(kvs: readonly mvccpb.KeyValue[]): void {
    for (const kv of kvs) kv.key = this.stripped(kv.key);
  }

  stripKv(kv: mvccpb.KeyValue | undefined): void {
    if (kv !== undefined) kv.key = this.stripped(kv.key);
  }

  stripEvents(events: readonly mvccpb.Event[]): void {
    for (const { kv, prevKv } of events) {
      this.stripKv(kv);
      this.stripKv(prevKv);
    }
  }

  stripTxn(response: etcdserverpb.TxnResponse): void {
    for (const { responseRange, responsePut, responseDeleteRange, responseTxn } of response.responses) {
      if (responseRange !== undefined) this.stripKvs(responseRange.kvs);
      if (responsePut !== undefined) this.stripKv(responsePut.prevKv);
      if (responseDeleteRange !== undefined) this.stripKvs(responseDeleteRange.prevKvs);
      if (responseTxn !== undefined) this.stripTxn(responseTxn);
    }
  }

  /** Those of a lease's keys that lie inside. */
  ownKeys(keys: readonly Buffer[]): Buffer[] {
    const { length } = this.prefix;
    return keys
      .filter((key) => key.length >= length && key.compare(this.prefix, 0, length, 0, length) === 0)
      .map((key) => this.stripped(key));
  }

  addToLeader(leader: v3electionpb.LeaderKey | undefined): void {
    if (leader === undefined) return;
    leader.name = this.key(leader.name);
    leader.key = this.key(leader.key);
  }

  stripLeader(leader: v3electionpb.LeaderKey | undefined): void {
    if (leader === undefined) return;
    leader.name = this.stripped(leader.name);
    leader.key = this.stripped(leader.key);
  }

  private addToOp(op: etcdserverpb.RequestOp): void {
    const { requestRange, requestPut, requestDeleteRange, requestTxn } = op;
    if (requestRange !== undefined) this.addToRange(requestRange);
    if (requestPut !== undefined) requestPut.key = this.key(requestPut.key);
    if (requestDeleteRange !== undefined) this.addToRange(requestDeleteRange);
    if (requestTxn !== undefined) this.addToTxn(requestTxn);
  }
}
