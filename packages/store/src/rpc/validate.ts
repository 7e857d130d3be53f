/**
 * The checks etcd makes before anything is proposed (api/v3rpc/key.go): bounds and forms that need no
 * state. An error here is definite: nothing was logged.
 */
import { etcdserverpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';

const { SortOrder, SortTarget } = etcdserverpb;

export function checkRange(request: etcdserverpb.RangeRequest): void {
  if (request.key.length === 0) throw new StoreError('EMPTY_KEY');
  if (request.sortOrder < SortOrder.NONE || request.sortOrder > SortOrder.DESCEND)
    throw new StoreError('INVALID_SORT_OPTION');
  if (request.sortTarget < SortTarget.KEY || request.sortTarget > SortTarget.VALUE)
    throw new StoreError('INVALID_SORT_OPTION');
}

export function checkPut(request: etcdserverpb.PutRequest): void {
  if (request.key.length === 0) throw new StoreError('EMPTY_KEY');
  if (request.ignoreValue && request.value.length !== 0) throw new StoreError('VALUE_PROVIDED');
  if (request.ignoreLease && request.lease !== 0n) throw new StoreError('LEASE_PROVIDED');
}

export function checkDeleteRange(request: etcdserverpb.DeleteRangeRequest): void {
  if (request.key.length === 0) throw new StoreError('EMPTY_KEY');
}

/**
 * Bounds of the whole tree first (a nested transaction has what is left of its parent's budget), then
 * keys written twice on one path.
 */
export function checkTxn(request: etcdserverpb.TxnRequest, opsMax: number): void {
  checkTxnShape(request, opsMax);
  checkIntervals(request.success);
  checkIntervals(request.failure);
}

function checkTxnShape(request: etcdserverpb.TxnRequest, opsMax: number): void {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) throw new StoreError('TOO_MANY_OPS');
  for (const compare of request.compare) if (compare.key.length === 0) throw new StoreError('EMPTY_KEY');
  for (const op of request.success) checkOp(op, opsMax - ops);
  for (const op of request.failure) checkOp(op, opsMax - ops);
}

function checkOp(op: etcdserverpb.RequestOp, opsMax: number): void {
  if (op.requestRange !== undefined) checkRange(op.requestRange);
  else if (op.requestPut !== undefined) checkPut(op.requestPut);
  else if (op.requestDeleteRange !== undefined) checkDeleteRange(op.requestDeleteRange);
  else if (op.requestTxn !== undefined) checkTxnShape(op.requestTxn, opsMax);
  // An operation without content: etcd answers as if a key were missing.
  else throw new StoreError('KEY_NOT_FOUND');
}

/** What one path of operations writes: single keys put, and ranges deleted. */
interface Written {
  readonly puts: Set<string>;
  readonly deletes: { readonly low: string; readonly high: string }[];
}

/**
 * etcd's checkIntervals, order of checks included: first the deletes of this level; then each nested
 * transaction's puts, compared with the deletes collected so far, and after them its deletes, since then and
 * else exclude each other; last the puts of this level. So a put before a delete of its key in sibling
 * transactions passes, the other order does not.
 *
 * @throws StoreError DUPLICATE_KEY when a path puts a key twice, or puts what it also deletes
 */
function checkIntervals(ops: readonly etcdserverpb.RequestOp[]): Written {
  const written: Written = { puts: new Set(), deletes: [] };
  for (const op of ops) {
    const request = op.requestDeleteRange;
    if (request === undefined) continue;
    const low = request.key.toString('latin1');
    const end = request.rangeEnd.toString('latin1');
    // Here etcd takes an end of one zero byte as it stands: such a range covers nothing.
    written.deletes.push({ low, high: end === '' ? low + '\0' : end });
  }
  for (const op of ops) {
    if (op.requestTxn === undefined) continue;
    const whenTrue = checkIntervals(op.requestTxn.success);
    const whenFalse = checkIntervals(op.requestTxn.failure);
    for (const key of whenTrue.puts) addPut(written, key);
    for (const key of whenFalse.puts) if (!whenTrue.puts.has(key)) addPut(written, key);
    written.deletes.push(...whenTrue.deletes, ...whenFalse.deletes);
  }
  for (const op of ops)
    if (op.requestPut !== undefined) addPut(written, op.requestPut.key.toString('latin1'));
  return written;
}

function addPut(written: Written, key: string): void {
  if (written.puts.has(key) || covers(written.deletes, key)) throw new StoreError('DUPLICATE_KEY');
  written.puts.add(key);
}

function covers(ranges: Written['deletes'], key: string): boolean {
  for (const { low, high } of ranges) if (key >= low && key < high) return true;
  return false;
}
