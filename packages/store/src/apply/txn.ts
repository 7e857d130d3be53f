/**
 * Txn: compare, then one of two lists. All compares of the whole nested tree are evaluated first, on the
 * state before the transaction; then every operation of the chosen path is checked, so that an error
 * leaves no trace; only then anything is executed (etcd: server/etcdserver/txn).
 */
import { etcdserverpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { compareHolds } from './compare.ts';
import { checkPut, deleteRange, put, range, type KvContext, type Reader, type Writer } from './kv.ts';

/** An operation's answer names only the revision it was executed at; a nested transaction's not even that. */
function headerAt(revision: number): etcdserverpb.ResponseHeader {
  return new etcdserverpb.ResponseHeader({ revision });
}

/** Which branch each transaction of the tree takes, in the order the operations name them. */
export interface TxnPath {
  readonly succeeded: boolean;
  /** One path for each nested transaction of the chosen branch, in order. */
  readonly nested: readonly TxnPath[];
}

/** Evaluates every compare on `source`, before any write. */
export function choosePath(source: Reader, txn: etcdserverpb.TxnRequest): TxnPath {
  const succeeded = txn.compare.every((compare) => compareHolds(source, compare));
  const nested: TxnPath[] = [];
  for (const op of succeeded ? txn.success : txn.failure) {
    if (op.requestTxn !== undefined) nested.push(choosePath(source, op.requestTxn));
  }
  return { succeeded, nested };
}

/** Whether every operation of both branches is a Range: such a transaction never goes through the log. */
export function isReadOnly(txn: etcdserverpb.TxnRequest): boolean {
  const onlyRanges = (op: etcdserverpb.RequestOp): boolean => op.requestRange !== undefined;
  return txn.success.every(onlyRanges) && txn.failure.every(onlyRanges);
}

/** Whether a read-only transaction may be answered from local state: all its ranges allow it. */
export function isSerializable(txn: etcdserverpb.TxnRequest): boolean {
  const local = (op: etcdserverpb.RequestOp): boolean => op.requestRange?.serializable === true;
  return txn.success.every(local) && txn.failure.every(local);
}

/**
 * Checks every operation on the chosen path against the state before the transaction.
 * @throws StoreError; nothing has been changed
 */
export function checkPath(
  context: KvContext,
  source: Reader,
  txn: etcdserverpb.TxnRequest,
  path: TxnPath,
): void {
  let nested = 0;
  for (const op of path.succeeded ? txn.success : txn.failure) {
    if (op.requestRange !== undefined) checkRangeRevision(source, op.requestRange.revision);
    else if (op.requestPut !== undefined) checkPut(context, source, op.requestPut);
    else if (op.requestTxn !== undefined) checkPath(context, source, op.requestTxn, path.nested[nested++]);
  }
}

function checkRangeRevision(source: Reader, revision: number): void {
  if (revision === 0) return;
  if (revision > source.currentRevision) throw new StoreError('FUTURE_REVISION');
  // A negative one too, as in etcd: only here; a Range by itself reads the current revision then.
  if (revision < source.compactRevision) throw new StoreError('COMPACTED');
}

/** Runs the chosen path of a transaction that only reads. */
export function executeReads(
  source: Reader,
  txn: etcdserverpb.TxnRequest,
  path: TxnPath,
): etcdserverpb.TxnResponse {
  const responses: etcdserverpb.ResponseOp[] = [];
  for (const op of path.succeeded ? txn.success : txn.failure) {
    checkRangeRevision(source, op.requestRange!.revision);
    const response = range(source, op.requestRange!);
    response.header = headerAt(source.currentRevision);
    responses.push(new etcdserverpb.ResponseOp({ responseRange: response }));
  }
  return new etcdserverpb.TxnResponse({ succeeded: path.succeeded, responses });
}

/**
 * Runs the chosen path inside one write transaction: later operations see earlier ones.
 * @param wanted false on members whose client did not ask: reads are skipped, writes are the same
 */
export function execute(
  context: KvContext,
  writer: Writer,
  txn: etcdserverpb.TxnRequest,
  path: TxnPath,
  wanted: boolean,
): etcdserverpb.TxnResponse {
  const responses: etcdserverpb.ResponseOp[] = [];
  let nested = 0;
  for (const op of path.succeeded ? txn.success : txn.failure) {
    if (op.requestRange !== undefined) {
      if (!wanted) continue;
      const response = range(writer, op.requestRange);
      response.header = headerAt(writer.currentRevision);
      responses.push(new etcdserverpb.ResponseOp({ responseRange: response }));
    } else if (op.requestPut !== undefined) {
      const response = put(context, writer, op.requestPut);
      response.header = headerAt(writer.currentRevision);
      responses.push(new etcdserverpb.ResponseOp({ responsePut: response }));
    } else if (op.requestDeleteRange !== undefined) {
      const response = deleteRange(context, writer, op.requestDeleteRange);
      response.header = headerAt(writer.currentRevision);
      responses.push(new etcdserverpb.ResponseOp({ responseDeleteRange: response }));
    } else if (op.requestTxn !== undefined) {
      const response = execute(context, writer, op.requestTxn, path.nested[nested++], wanted);
      response.header = headerAt(0);
      responses.push(new etcdserverpb.ResponseOp({ responseTxn: response }));
    }
  }
  return new etcdserverpb.TxnResponse({ succeeded: path.succeeded, responses });
}
