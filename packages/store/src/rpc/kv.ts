/** The KV service: Range, RangeStream, Put, DeleteRange, Txn, Compact. */
import { etcdserverpb, services } from '@keelson/proto';
import type { MethodTable, ServerStream } from '@keelson/rpc';
import { CommandKind } from '../apply/command.ts';
import { range } from '../apply/kv.ts';
import { putCost, txnCost } from '../apply/quota.ts';
import { choosePath, executeReads, isReadOnly, isSerializable } from '../apply/txn.ts';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import { answer, header } from './header.ts';
import { withBytes } from './services.ts';
import { toRpcError } from './status.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn } from './validate.ts';

/** First chunk of a streamed range, in keys (etcd 3.7). */
const STREAM_CHUNK_KEYS = 10;

export interface KvLimits {
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
}

export function registerKv(table: MethodTable, replica: Replica, limits: KvLimits): void {
  const { KV } = services;

  table.unary(KV.methods.range, async (request) => {
    try {
      checkRange(request);
      if (replica.isLearner && !request.serializable) throw new StoreError('NOT_SUPPORTED_FOR_LEARNER');
      if (!request.serializable) await replica.linearizable();
      const response = range(replica.state.mvcc, request);
      response.header = header(replica);
      return response;
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.serverStream(KV.methods.rangeStream, async (request, stream) => {
    try {
      checkRange(request);
      checkStreamable(request);
      if (!request.serializable) await replica.linearizable();
      await streamRange(replica, request, stream, limits.requestBytesMax);
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.unary(withBytes(KV.methods.put), async ({ message, bytes }) => {
    try {
      checkPut(message);
      if (!replica.hasRoom(putCost(message))) await replica.refuseForSpace();
      const result = await replica.propose(CommandKind.Put, bytes);
      return answer(replica, result, etcdserverpb.PutResponse);
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.unary(withBytes(KV.methods.deleteRange), async ({ message, bytes }) => {
    try {
      checkDeleteRange(message);
      const result = await replica.propose(CommandKind.DeleteRange, bytes);
      return answer(replica, result, etcdserverpb.DeleteRangeResponse);
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.unary(withBytes(KV.methods.txn), async ({ message, bytes }) => {
    try {
      checkTxn(message, limits.txnOpsMax);
      if (isReadOnly(message)) {
        if (!isSerializable(message)) await replica.linearizable();
        const source = replica.state.mvcc;
        const response = executeReads(source, message, choosePath(source, message));
        response.header = header(replica);
        return response;
      }
      if (!replica.hasRoom(txnCost(message))) await replica.refuseForSpace();
      const result = await replica.propose(CommandKind.Txn, bytes);
      return answer(replica, result, etcdserverpb.TxnResponse);
    } catch (error) {
      throw toRpcError(error);
    }
  });

  table.unary(withBytes(KV.methods.compact), async ({ message, bytes }) => {
    try {
      const result = await replica.propose(CommandKind.Compaction, bytes);
      if (message.physical) await replica.compactor.done(message.revision);
      return answer(replica, result, etcdserverpb.CompactionResponse);
    } catch (error) {
      throw toRpcError(error);
    }
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
 * more and count come only with the last.
 */
async function streamRange(
  replica: Replica,
  request: etcdserverpb.RangeRequest,
  stream: ServerStream<etcdserverpb.RangeStreamResponse>,
  requestBytesMax: number,
): Promise<void> {
  const mvcc = replica.state.mvcc;
  const revision = request.revision > 0 ? request.revision : mvcc.currentRevision;
  let chunkKeys = STREAM_CHUNK_KEYS;
  let key = request.key;
  let left = request.limit;
  let count = -1;
  for (;;) {
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
      part.header = header(replica);
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
