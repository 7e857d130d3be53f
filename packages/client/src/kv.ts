/**
 * Keys and values: get, put, delete, compact, transactions, and compare-and-swap as users of etcd's v2 API
 * know it, done with one transaction. Requests are built here and sent through the Caller; responses are
 * the server's messages as they are, with keys and values as Buffers.
 */
import { assert } from '@keelson/base';
import { etcdserverpb, services, type mvccpb } from '@keelson/proto';
import { rangeOf, type Bytes } from './bytes.ts';
import { toEtcdError } from './errors.ts';
import type { Caller, RequestOptions } from './retry.ts';
import {
  compare,
  deleteRequest,
  op,
  putRequest,
  rangeRequest,
  txnRequest,
  writes,
  type DeleteSpec,
  type GetSpec,
  type PutSpec,
  type TxnSpec,
} from './txn.ts';

type KeyValue = mvccpb.KeyValue;

export type GetOptions = GetSpec & RequestOptions;
export type PutOptions = PutSpec & RequestOptions;
export type DeleteOptions = DeleteSpec & RequestOptions;

/** What must hold for a swap; several together must all hold. At least one. */
export interface CasCondition {
  readonly prevValue?: Bytes;
  readonly prevModRevision?: number;
  /** How many puts the key has seen since it was created. */
  readonly prevVersion?: number;
  /** False: the key must not exist. True: it must. */
  readonly prevExist?: boolean;
}

/** A swap that did not happen is a result, not an error. */
export interface CasResult {
  readonly succeeded: boolean;
  /** The store's revision after the call; on success, the one the change got. */
  readonly revision: number;
  /** Why not: the key as it is (undefined: it does not exist). Only when not succeeded. */
  readonly current: KeyValue | undefined;
  /** The key as it was before; only when succeeded. */
  readonly previous: KeyValue | undefined;
}

export class Kv {
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  get(key: Bytes, options: GetOptions = {}): Promise<etcdserverpb.RangeResponse> {
    return this.caller.unary(services.KV.methods.range, rangeRequest(key, options), 'read', options);
  }

  /** The value of one key; undefined when it does not exist. */
  async value(key: Bytes, options: RequestOptions = {}): Promise<Buffer | undefined> {
    const { kvs } = await this.get(key, options);
    return kvs[0]?.value;
  }

  /**
   * A range in pages, all at the revision of the first: bounded memory for any number of keys.
   * @throws EtcdError COMPACTED when that revision is compacted away meanwhile
   */
  async *pages(
    key: Bytes,
    options: Omit<GetOptions, 'sortBy' | 'order' | 'countOnly'> & { readonly pageSize?: number } = {},
  ): AsyncGenerator<etcdserverpb.RangeResponse, void, undefined> {
    const { pageSize = 1000, limit = 0, ...rest } = options;
    const range = rangeOf(key, options);
    let revision = options.revision ?? 0;
    let start = range.key;
    let left = limit > 0 ? limit : Infinity;
    while (left > 0) {
      const page = await this.get(start, {
        ...rest,
        prefix: undefined,
        fromKey: undefined,
        end: range.rangeEnd,
        limit: Math.min(pageSize, left),
        revision,
      });
      yield page;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return;
      left -= page.kvs.length;
      revision ||= page.header?.revision ?? 0;
      // The smallest key after `last`.
      start = Buffer.concat([last.key, Buffer.alloc(1)]);
    }
  }

  /**
   * A range as the server cuts it, at one revision (etcd 3.7). Only the last part has the header, the count
   * and whether there is more. Leaving the iteration ends the stream.
   * @throws EtcdError Unimplemented before 3.7, and for sorting or revision filters
   */
  async *stream(
    key: Bytes,
    options: GetOptions = {},
  ): AsyncGenerator<etcdserverpb.RangeResponse, void, undefined> {
    const { endpoint, metadata } = await this.caller.forStream();
    const parts = endpoint.channel.serverStream(services.KV.methods.rangeStream, rangeRequest(key, options), {
      metadata,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    try {
      for await (const { rangeResponse } of parts) if (rangeResponse !== undefined) yield rangeResponse;
    } catch (error) {
      throw toEtcdError(error);
    }
  }

  put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<etcdserverpb.PutResponse> {
    return this.caller.unary(services.KV.methods.put, putRequest(key, value, options), 'write', options);
  }

  delete(key: Bytes, options: DeleteOptions = {}): Promise<etcdserverpb.DeleteRangeResponse> {
    return this.caller.unary(services.KV.methods.deleteRange, deleteRequest(key, options), 'write', options);
  }

  /** Forgets history up to `revision`. @param options.physical wait until the space is free in the backend */
  compact(
    revision: number,
    options: RequestOptions & { readonly physical?: boolean } = {},
  ): Promise<etcdserverpb.CompactionResponse> {
    const request = new etcdserverpb.CompactionRequest({ revision, physical: options.physical ?? false });
    return this.caller.unary(services.KV.methods.compact, request, 'write', options);
  }

  /** One atomic step: all of `success` when every comparison holds, else all of `failure`. */
  txn(spec: TxnSpec, options: RequestOptions = {}): Promise<etcdserverpb.TxnResponse> {
    const effect = writes(spec) ? 'write' : 'read';
    return this.caller.unary(services.KV.methods.txn, txnRequest(spec), effect, options);
  }

  /**
   * Compare-and-swap: sets `key` when the condition holds, else tells what is there.
   * @throws TypeError when the condition is empty
   */
  async cas(
    key: Bytes,
    condition: CasCondition,
    value: Bytes,
    options: RequestOptions & { readonly lease?: bigint } = {},
  ): Promise<CasResult> {
    const put: PutSpec = { prevKv: true, ...(options.lease === undefined ? {} : { lease: options.lease }) };
    return this.swap(key, condition, op.put(key, value, put), options);
  }

  /**
   * Compare-and-delete: deletes `key` when the condition holds, else tells what is there. A key that does
   * not exist is never deleted: `succeeded` is false.
   * @throws TypeError when the condition is empty, or asks that the key does not exist
   */
  async cad(key: Bytes, condition: CasCondition, options: RequestOptions = {}): Promise<CasResult> {
    if (condition.prevExist === false) throw new TypeError('what does not exist cannot be deleted');
    return this.swap(key, { ...condition, prevExist: true }, op.delete(key, { prevKv: true }), options);
  }

  private async swap(
    key: Bytes,
    condition: CasCondition,
    change: etcdserverpb.RequestOp,
    options: RequestOptions,
  ): Promise<CasResult> {
    const response = await this.txn(
      { compare: comparisons(key, condition), success: [change], failure: [op.get(key)] },
      options,
    );
    const outcome = response.responses[0];
    assert(outcome !== undefined, 'a transaction answers each of its operations');
    return {
      succeeded: response.succeeded,
      revision: response.header?.revision ?? 0,
      current: outcome.responseRange?.kvs[0],
      previous: outcome.responsePut?.prevKv ?? outcome.responseDeleteRange?.prevKvs[0],
    };
  }
}

/** A condition as comparisons. @throws TypeError when it is empty */
export function comparisons(key: Bytes, condition: CasCondition): etcdserverpb.Compare[] {
  const list: etcdserverpb.Compare[] = [];
  if (condition.prevValue !== undefined) list.push(compare.value(key, '=', condition.prevValue));
  if (condition.prevModRevision !== undefined) {
    list.push(compare.modRevision(key, '=', condition.prevModRevision));
  }
  if (condition.prevVersion !== undefined) list.push(compare.version(key, '=', condition.prevVersion));
  if (condition.prevExist === true) list.push(compare.exists(key));
  if (condition.prevExist === false) list.push(compare.absent(key));
  if (list.length === 0) throw new TypeError('a swap without a condition is a put');
  return list;
}
