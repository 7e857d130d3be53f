/** The KV service: Range, RangeStream, Put, DeleteRange, Txn, Compact. */
import { etcdserverpb, services } from '@keelson/proto';
import type { CallContext, MethodTable, ServerStream } from '@keelson/rpc';
import { CommandKind } from '../apply/command.ts';
import { range } from '../apply/kv.ts';
import { putCost, txnCost } from '../apply/quota.ts';
import type { ApplyResult } from '../apply/results.ts';
import { choosePath, executeReads, isReadOnly, isSerializable } from '../apply/txn.ts';
import { rangeNeeds, txnNeeds } from '../auth/needs.ts';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import type { Access } from './access.ts';
import { answer, header } from './header.ts';
import type { LimitedWrites } from './limited-writes.ts';
import { withBytes, type Received } from './services.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn } from './validate.ts';

/** First chunk of a streamed range, in keys (etcd 3.7). */
const STREAM_CHUNK_KEYS = 10;

export interface KvLimits {
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
  /** --prefix-limits; undefined, and nothing is asked: there are none. */
  readonly prefixes?: LimitedWrites | undefined;
}

export function registerKv(table: MethodTable, replica: Replica, access: Access, limits: KvLimits): void {
  const { KV } = services;
  const { prefixes } = limits;

  table.unary(KV.methods.range, async (request, call) => {
    checkRange(request);
    if (replica.isLearner && !request.serializable) throw new StoreError('NOT_SUPPORTED_FOR_LEARNER');
    if (!request.serializable) await replica.linearizable();
    const read = (): etcdserverpb.RangeResponse => {
      const response = range(replica.state.mvcc, request);
      response.header = header(replica);
      return response;
    };
    return access.on ? await access.read(call, () => rangeNeeds(request), read) : read();
  });

  table.serverStream(KV.methods.rangeStream, async (request, stream) => {
    checkRange(request);
    checkStreamable(request);
    if (!request.serializable) await replica.linearizable();
    const needs = rangeNeeds(request);
    const identity = access.on
      ? await access.read(
          stream.call,
          () => needs,
          (caller) => caller,
        )
      : undefined;
    // Each chunk is read at its own time: by then it may not be allowed any more.
    const still = (): void => access.still(identity, needs);
    await streamRange(replica, request, stream, limits.requestBytesMax, still);
  });

  const put = async (
    { message, bytes }: Received<etcdserverpb.PutRequest>,
    call: CallContext,
  ): Promise<etcdserverpb.PutResponse> => {
    if (!replica.hasRoom(putCost(message))) await replica.refuseForSpace();
    const caller = access.on ? await access.caller(call) : undefined;
    const propose = (): Promise<ApplyResult> => replica.propose(CommandKind.Put, bytes, caller);
    const result = await (prefixes === undefined ? propose() : prefixes.put(message, caller, propose));
    return putAnswer(result);
  };
  const putAnswer = (result: ApplyResult): etcdserverpb.PutResponse =>
    answer(replica, result, etcdserverpb.PutResponse);
  table.unary(withBytes(KV.methods.put), (received, call) => {
    checkPut(received.message);
    // Nothing to wait for but the log: one promise less a put.
    if (!access.on && prefixes === undefined && replica.hasRoom(putCost(received.message)))
      return replica.propose(CommandKind.Put, received.bytes).then(putAnswer);
    return put(received, call);
  });

  const deleteRange = async (
    { message, bytes }: Received<etcdserverpb.DeleteRangeRequest>,
    call: CallContext,
  ): Promise<etcdserverpb.DeleteRangeResponse> => {
    const caller = access.on ? await access.caller(call) : undefined;
    const propose = (): Promise<ApplyResult> => replica.propose(CommandKind.DeleteRange, bytes, caller);
    const result = await (prefixes === undefined ? propose() : prefixes.delete(message, caller, propose));
    return deleteAnswer(result);
  };
  const deleteAnswer = (result: ApplyResult): etcdserverpb.DeleteRangeResponse =>
    answer(replica, result, etcdserverpb.DeleteRangeResponse);
  table.unary(withBytes(KV.methods.deleteRange), (received, call) => {
    checkDeleteRange(received.message);
    if (!access.on && prefixes === undefined)
      return replica.propose(CommandKind.DeleteRange, received.bytes).then(deleteAnswer);
    return deleteRange(received, call);
  });

  table.unary(withBytes(KV.methods.txn), async ({ message, bytes }, call) => {
    checkTxn(message, limits.txnOpsMax);
    if (isReadOnly(message)) {
      if (!isSerializable(message)) await replica.linearizable();
      const read = (): etcdserverpb.TxnResponse => {
        const source = replica.state.mvcc;
        const response = executeReads(source, message, choosePath(source, message));
        response.header = header(replica);
        return response;
      };
      return access.on ? await access.read(call, () => txnNeeds(message), read) : read();
    }
    if (!replica.hasRoom(txnCost(message))) await replica.refuseForSpace();
    const caller = access.on ? await access.caller(call) : undefined;
    const propose = (): Promise<ApplyResult> => replica.propose(CommandKind.Txn, bytes, caller);
    const result = await (prefixes === undefined ? propose() : prefixes.txn(message, caller, propose));
    return answer(replica, result, etcdserverpb.TxnResponse);
  });

  table.unary(withBytes(KV.methods.compact), async ({ message, bytes }, call) => {
    const result = await replica.propose(CommandKind.Compaction, bytes, access.known(call));
    if (message.physical) await replica.compactor.done(message.revision);
    return answer(replica, result, etcdserverpb.CompactionResponse);
  });
}

function checkStreamable(request: etcdserverpb.RangeRequest): void {
  const { SortOrder, SortTarget } = etcdserverpb;
  const keyAscending =
    request.sortTarget === SortTarget.KEY &&
    (request.sortOrder === SortOrder.NONE || request.sortOrder === SortOrder.ASCEND);
  if (!keyAscending) throw new StoreError('STREAM_SORT_UNSUPPORTED');
  if (
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0
  )
    throw new StoreError('STREAM_FILTER_UNSUPPORTED');
}

/**
 * One range at one revision as several messages: chunks grow and shrink with their encoded size; header,
 * more and count come only with the last. The header's revision is the newest when the stream began: who watches
 * from the one behind it misses nothing.
 */
async function streamRange(
  replica: Replica,
  request: etcdserverpb.RangeRequest,
  stream: ServerStream<etcdserverpb.RangeStreamResponse>,
  requestBytesMax: number,
  still: () => void,
): Promise<void> {
  const mvcc = replica.state.mvcc;
  const { currentRevision } = mvcc;
  const revision = request.revision > 0 ? request.revision : currentRevision;
  let chunkKeys = STREAM_CHUNK_KEYS;
  let key = request.key;
  let left = request.limit;
  let count = -1;
  for (;;) {
    still();
    const limit = request.limit > 0 ? Math.min(chunkKeys, left) : chunkKeys;
    const part = range(
      replica.state.mvcc,
      // oxlint-disable-next-line typescript/no-misused-spread -- the same request, one chunk of it
      new etcdserverpb.RangeRequest({ ...request, key, revision, limit: request.countOnly ? 0 : limit }),
    );
    if (count < 0) count = part.count;
    left -= part.kvs.length;
    const last = request.countOnly || !part.more || (request.limit > 0 && left <= 0);
    if (last) {
      part.header = header(replica, currentRevision);
      part.count = count;
    } else {
      part.more = false;
      part.count = 0;
    }
    const size = etcdserverpb.sizeRangeResponse(part);
    const lastKey = part.kvs[part.kvs.length - 1]?.key;
    if (!stream.write(new etcdserverpb.RangeStreamResponse({ rangeResponse: part }))) await stream.ready();
    if (last || lastKey === undefined || stream.closed) return;
    key = Buffer.concat([lastKey, Buffer.alloc(1)]);
    if (size < requestBytesMax / 2) chunkKeys *= 2;
    else if (size > requestBytesMax * 2) chunkKeys = Math.max(1, chunkKeys >> 1);
  }
}
