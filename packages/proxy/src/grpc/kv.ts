/**
 * KV through the proxy: serializable ranges out of the cache, everything else to the cluster as the bytes that came,
 * unless a namespace wants them changed. Every write takes out of the cache what it touches before it leaves, so that
 * nobody reads behind it, and again when its outcome is known, whatever it is. (etcd: grpcproxy/kv.go.)
 */
import { keyFromBytes, prefixEnd } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { RpcError, StatusCode, type CallContext, type MethodTable } from '@keelson/rpc';
import type { Namespace } from './namespace.ts';
import type { RevisionOrder } from './ordering.ts';
import { raw, tokenOf } from './raw.ts';
import type { RangeCache } from './range-cache.ts';
import type { Upstream } from './upstream.ts';

const RANGE = raw(services.KV.methods.range);
const RANGE_STREAM = raw(services.KV.methods.rangeStream);
const PUT = raw(services.KV.methods.put);
const DELETE_RANGE = raw(services.KV.methods.deleteRange);
const TXN = raw(services.KV.methods.txn);
const COMPACT = raw(services.KV.methods.compact);

export interface CacheCounters {
  hits: number;
  misses: number;
}

export interface KvParts {
  readonly upstream: Upstream;
  readonly cache: RangeCache;
  readonly namespace: Namespace;
  readonly counters: CacheCounters;
  /** With --experimental-serializable-ordering. */
  readonly order: RevisionOrder | undefined;
}

/** Files KV's methods. */
export function registerKv(table: MethodTable, parts: KvParts): void {
  const kv = new KvProxy(parts);
  table
    .unary(RANGE, (request, call) => kv.range(request, call))
    .unary(PUT, (request, call) => kv.put(request, call))
    .unary(DELETE_RANGE, (request, call) => kv.deleteRange(request, call))
    .unary(TXN, (request, call) => kv.txn(request, call))
    .unary(COMPACT, (request, call) => kv.compact(request, call))
    .serverStream(RANGE_STREAM, async (request, stream) => {
      const { namespace, upstream } = parts;
      const asked = namespace.whole ? request : kv.namespaced(etcdserverpb.decodeRangeRequest(request));
      const answers = await upstream.forwardStream(RANGE_STREAM, asked, stream.call);
      for await (const bytes of answers) {
        if (!stream.writeEncoded(namespace.whole ? bytes : kv.stripPiece(bytes))) await stream.ready();
      }
    });
}

class KvProxy {
  private readonly parts: KvParts;

  constructor(parts: KvParts) {
    this.parts = parts;
  }

  async range(bytes: Buffer, call: CallContext): Promise<Buffer> {
    const { cache, counters, namespace, upstream } = this.parts;
    const request = etcdserverpb.decodeRangeRequest(bytes);
    const { serializable, revision } = request;
    const id = cacheId(request, call);
    if (serializable) {
      const found = cache.get(id, revision);
      const kept = found instanceof Buffer && this.isBehind(found) ? undefined : found;
      if (kept !== undefined) counters.hits++;
      if (kept === 'compacted')
        throw new RpcError(StatusCode.OutOfRange, 'etcdserver: mvcc: required revision has been compacted');
      if (kept !== undefined) return kept;
      counters.misses++;
    }
    const key = keyFromBytes(request.key);
    const end = keyFromBytes(request.rangeEnd);
    const asked = namespace.whole ? bytes : this.namespaced(request);
    const mark = cache.mark();
    let answer = serializable
      ? await this.inOrder(asked, call)
      : await upstream.forward(RANGE, asked, 'read', call);
    if (!serializable) this.saw(answer, decodeRangeHeader);
    if (!namespace.whole) {
      const response = etcdserverpb.decodeRangeResponse(answer);
      namespace.stripKvs(response.kvs);
      answer = etcdserverpb.encodeRangeResponse(response);
    }
    // A linearizable answer is a serializable one as well.
    cache.add(id, key, end, revision, answer, mark);
    return answer;
  }

  async put(bytes: Buffer, call: CallContext): Promise<Buffer> {
    const { namespace } = this.parts;
    const request = etcdserverpb.decodePutRequest(bytes);
    const key = keyFromBytes(request.key);
    if (!namespace.whole) request.key = namespace.key(request.key);
    const asked = namespace.whole ? bytes : etcdserverpb.encodePutRequest(request);
    const answer = await this.write(() => this.invalidate(key, ''), PUT, asked, call);
    this.saw(answer, etcdserverpb.decodePutResponse);
    if (namespace.whole) return answer;
    const response = etcdserverpb.decodePutResponse(answer);
    namespace.stripKv(response.prevKv);
    return etcdserverpb.encodePutResponse(response);
  }

  async deleteRange(bytes: Buffer, call: CallContext): Promise<Buffer> {
    const { namespace } = this.parts;
    const request = etcdserverpb.decodeDeleteRangeRequest(bytes);
    const key = keyFromBytes(request.key);
    const end = keyFromBytes(request.rangeEnd);
    if (!namespace.whole) namespace.addToRange(request);
    const asked = namespace.whole ? bytes : etcdserverpb.encodeDeleteRangeRequest(request);
    const answer = await this.write(() => this.invalidate(key, end), DELETE_RANGE, asked, call);
    this.saw(answer, etcdserverpb.decodeDeleteRangeResponse);
    if (namespace.whole) return answer;
    const response = etcdserverpb.decodeDeleteRangeResponse(answer);
    namespace.stripKvs(response.prevKvs);
    return etcdserverpb.encodeDeleteRangeResponse(response);
  }

  async txn(bytes: Buffer, call: CallContext): Promise<Buffer> {
    const { namespace } = this.parts;
    const request = etcdserverpb.decodeTxnRequest(bytes);
    const touched: [key: string, end: string][] = [];
    touchedBy(request, touched);
    if (!namespace.whole) namespace.addToTxn(request);
    const asked = namespace.whole ? bytes : etcdserverpb.encodeTxnRequest(request);
    const invalidate = (): void => {
      for (const [key, end] of touched) this.invalidate(key, end);
    };
    const answer = await this.write(invalidate, TXN, asked, call);
    this.saw(answer, etcdserverpb.decodeTxnResponse);
    if (namespace.whole) return answer;
    const response = etcdserverpb.decodeTxnResponse(answer);
    namespace.stripTxn(response);
    return etcdserverpb.encodeTxnResponse(response);
  }

  async compact(bytes: Buffer, call: CallContext): Promise<Buffer> {
    const { cache, upstream } = this.parts;
    const { revision } = etcdserverpb.decodeCompactionRequest(bytes);
    const answer = await upstream.forward(COMPACT, bytes, 'write', call);
    cache.compact(revision);
    return answer;
  }

  /** The request with the prefix, encoded. */
  namespaced(request: etcdserverpb.RangeRequest): Buffer {
    this.parts.namespace.addToRange(request);
    return etcdserverpb.encodeRangeRequest(request);
  }

  /** A piece of a streamed range without the prefix. */
  stripPiece(bytes: Buffer): Buffer {
    const piece = etcdserverpb.decodeRangeStreamResponse(bytes);
    if (piece.rangeResponse !== undefined) this.parts.namespace.stripKvs(piece.rangeResponse.kvs);
    return etcdserverpb.encodeRangeStreamResponse(piece);
  }

  private async write(
    invalidate: () => void,
    method: typeof PUT,
    asked: Buffer,
    call: CallContext,
  ): Promise<Buffer> {
    invalidate();
    try {
      return await this.parts.upstream.forward(method, asked, 'write', call);
    } finally {
      // Who read meanwhile may have put the old value back.
      invalidate();
    }
  }

  private invalidate(key: string, end: string): void {
    this.parts.cache.invalidate(key, end);
  }

  private inOrder(asked: Buffer, call: CallContext): Promise<Buffer> {
    const { order, upstream } = this.parts;
    if (order === undefined) return upstream.forward(RANGE, asked, 'read', call);
    const read = async (): Promise<{ revision: number; answer: Buffer }> => {
      const answer = await upstream.forward(RANGE, asked, 'read', call);
      return { revision: decodeRangeHeader(answer).header?.revision ?? 0, answer };
    };
    return order.inOrder(upstream.endpoints.length, read, () => upstream.elsewhere());
  }

  /** With an order: whether the answer shows a store older than one seen before. */
  private isBehind(answer: Buffer): boolean {
    const { order } = this.parts;
    return order?.isBehind(decodeRangeHeader(answer).header?.revision ?? 0) === true;
  }

  private saw(
    answer: Buffer,
    decode: (bytes: Buffer) => { readonly header: etcdserverpb.ResponseHeader | undefined },
  ): void {
    const { order } = this.parts;
    if (order !== undefined) order.saw(decode(answer).header?.revision ?? 0);
  }
}

function decodeRangeHeader(bytes: Buffer): etcdserverpb.RangeResponse {
  return etcdserverpb.decodeRangeResponse(bytes);
}

/** Who asks and what, written the same way whichever way it was asked: a linearizable answer serves both. */
function cacheId(request: etcdserverpb.RangeRequest, call: CallContext): string {
  const { serializable } = request;
  request.serializable = true;
  const bytes = etcdserverpb.encodeRangeRequest(request);
  request.serializable = serializable;
  return `${tokenOf(call)}\0${keyFromBytes(bytes)}`;
}

/** Every key a transaction compares or writes, in both branches and in those within. */
function touchedBy(txn: etcdserverpb.TxnRequest, into: [key: string, end: string][]): void {
  // A comparison tells its caller something about the key that an older answer would contradict.
  for (const { key, rangeEnd } of txn.compare) into.push([keyFromBytes(key), keyFromBytes(rangeEnd)]);
  for (const ops of [txn.success, txn.failure]) {
    for (const { requestPut, requestDeleteRange, requestTxn } of ops) {
      if (requestPut !== undefined) into.push([keyFromBytes(requestPut.key), '']);
      if (requestDeleteRange !== undefined)
        into.push([keyFromBytes(requestDeleteRange.key), keyFromBytes(requestDeleteRange.rangeEnd)]);
      if (requestTxn !== undefined) touchedBy(requestTxn, into);
    }
  }
}

/** Everything below a name, for those who keep keys there themselves (locks, elections). */
export function invalidateBelow(cache: RangeCache, name: Buffer): void {
  const key = keyFromBytes(name);
  cache.invalidate(key, prefixEnd(key));
}
