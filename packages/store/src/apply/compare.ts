/**
 * One guard of a transaction against the state before it (etcd: txn applyCompare). A missing key fails
 * every VALUE compare and is a KeyValue of zeros to the others, so CREATE == 0 means "absent". With a
 * range_end every key of the range must satisfy the guard; an empty range behaves like a missing key.
 */
import { keyFromBytes } from '@keelson/base';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import type { Reader } from './kv.ts';

const ABSENT = new mvccpb.KeyValue();
const { CompareTarget, CompareResult } = etcdserverpb;

export function compareHolds(source: Reader, compare: etcdserverpb.Compare): boolean {
  const found = source.range(keyFromBytes(compare.key), keyFromBytes(compare.rangeEnd), {});
  // At the current revision a range is neither compacted nor in the future.
  const kvs = typeof found === 'string' ? [] : found.kvs;
  if (kvs.length === 0) {
    return compare.target === CompareTarget.VALUE ? false : holdsFor(compare, ABSENT);
  }
  for (const kv of kvs) if (!holdsFor(compare, kv)) return false;
  return true;
}

function holdsFor(compare: etcdserverpb.Compare, kv: mvccpb.KeyValue): boolean {
  const order = orderOf(compare, kv);
  switch (compare.result) {
    case CompareResult.EQUAL:
      return order === 0;
    case CompareResult.NOT_EQUAL:
      return order !== 0;
    case CompareResult.GREATER:
      return order > 0;
    case CompareResult.LESS:
      return order < 0;
    default:
      // etcd's switch has no default: an unknown result passes.
      return true;
  }
}

function orderOf(compare: etcdserverpb.Compare, kv: mvccpb.KeyValue): number {
  switch (compare.target) {
    case CompareTarget.VALUE:
      return Buffer.compare(kv.value, compare.value ?? Buffer.alloc(0));
    case CompareTarget.CREATE:
      return kv.createRevision - (compare.createRevision ?? 0);
    case CompareTarget.MOD:
      return kv.modRevision - (compare.modRevision ?? 0);
    case CompareTarget.VERSION:
      return kv.version - (compare.version ?? 0);
    case CompareTarget.LEASE: {
      const lease = compare.lease ?? 0n;
      return kv.lease === lease ? 0 : kv.lease > lease ? 1 : -1;
    }
    default:
      return 0;
  }
}
