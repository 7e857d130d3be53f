import { describe, expect, test } from '@jest/globals';
import { etcdserverpb } from '@keelson/proto';
import { op, txn, TRUE } from '../../test/machine.ts';
import type { ErrorCode, StoreError } from '../errors.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn } from './validate.ts';

type Op = etcdserverpb.RequestOp;
const { RangeRequest, PutRequest, DeleteRangeRequest } = etcdserverpb;
const key = Buffer.from('k');

function codeOf(check: () => void): ErrorCode | 'ok' {
  try {
    check();
    return 'ok';
  } catch (error) {
    return (error as StoreError).code;
  }
}

describe('stand-alone requests', () => {
  test.each<[string, ErrorCode | 'ok', () => void]>([
    ['range without a key', 'EMPTY_KEY', () => checkRange(new RangeRequest())],
    ['range', 'ok', () => checkRange(new RangeRequest({ key }))],
    ['range, order 3', 'INVALID_SORT_OPTION', () => checkRange(new RangeRequest({ key, sortOrder: 3 }))],
    ['range, order -1', 'INVALID_SORT_OPTION', () => checkRange(new RangeRequest({ key, sortOrder: -1 }))],
    ['range, target 5', 'INVALID_SORT_OPTION', () => checkRange(new RangeRequest({ key, sortTarget: 5 }))],
    [
      'range, last known sort',
      'ok',
      () => checkRange(new RangeRequest({ key, sortOrder: 2, sortTarget: 4 })),
    ],
    ['put without a key', 'EMPTY_KEY', () => checkPut(new PutRequest({ value: key }))],
    ['put', 'ok', () => checkPut(new PutRequest({ key }))],
    [
      'put, value though ignored',
      'VALUE_PROVIDED',
      () => checkPut(new PutRequest({ key, value: key, ignoreValue: true })),
    ],
    [
      'put, lease though ignored',
      'LEASE_PROVIDED',
      () => checkPut(new PutRequest({ key, lease: 7n, ignoreLease: true })),
    ],
    [
      'put, both ignored',
      'ok',
      () => checkPut(new PutRequest({ key, ignoreLease: true, ignoreValue: true })),
    ],
    [
      'put, the value is judged before the lease',
      'VALUE_PROVIDED',
      () => checkPut(new PutRequest({ key, value: key, lease: 7n, ignoreLease: true, ignoreValue: true })),
    ],
    ['delete without a key', 'EMPTY_KEY', () => checkDeleteRange(new DeleteRangeRequest({ rangeEnd: key }))],
    ['delete', 'ok', () => checkDeleteRange(new DeleteRangeRequest({ key }))],
  ])('%s: %s', (_name, want, check) => {
    expect(codeOf(check)).toBe(want);
  });
});

describe('bounds of a transaction', () => {
  const nest = (depth: number, inner: Op): Op => (depth === 0 ? inner : op.txn([], [nest(depth - 1, inner)]));
  const puts = (count: number): Op[] => Array.from({ length: count }, (_, i) => op.put(`k${i}`));
  test.each<[string, ErrorCode | 'ok', etcdserverpb.TxnRequest]>([
    ['as many as allowed', 'ok', txn([], puts(4))],
    ['one more', 'TOO_MANY_OPS', txn([], puts(5))],
    ['the longest of the three lists counts', 'TOO_MANY_OPS', txn([TRUE, TRUE, TRUE, TRUE, TRUE], [])],
    ['lists are not added up', 'ok', txn([TRUE, TRUE, TRUE, TRUE], puts(4), puts(4))],
    ['nested has what is left', 'ok', txn([], [op.put('a'), op.txn([], [op.put('b'), op.put('c')])])],
    [
      'nested has no more than what is left',
      'TOO_MANY_OPS',
      txn([], [op.put('a'), op.put('d'), op.txn([], puts(3))]),
    ],
    ['depth costs one a level', 'ok', txn([], [nest(3, op.put('a'))])],
    ['too deep', 'TOO_MANY_OPS', txn([], [nest(4, op.put('a'))])],
    ['a guard without a key', 'EMPTY_KEY', txn([new etcdserverpb.Compare()], [])],
    ['an operation without a key', 'EMPTY_KEY', txn([], [], [op.get('')])],
    ['an empty operation', 'KEY_NOT_FOUND', txn([], [new etcdserverpb.RequestOp()])],
    [
      'an empty operation deep inside',
      'KEY_NOT_FOUND',
      txn([], [op.txn([], [], [new etcdserverpb.RequestOp()])]),
    ],
    ['count before content', 'TOO_MANY_OPS', txn([new etcdserverpb.Compare()], puts(5))],
  ])('%s: %s', (_name, want, request) => {
    expect(codeOf(() => checkTxn(request, 4))).toBe(want);
  });
});

// Each row but those marked was answered so by etcd 3.4.23.
describe('keys written twice', () => {
  const dup = 'DUPLICATE_KEY';
  test.each<[string, ErrorCode | 'ok', Op[], Op[]]>([
    ['two puts', dup, [op.put('k'), op.put('k')], []],
    ['two puts in the failure list', dup, [], [op.put('k'), op.put('k')]],
    ['one in each list', 'ok', [op.put('k')], [op.put('k')]],
    ['put, then delete', dup, [op.put('k'), op.del('k')], []],
    ['delete, then put', dup, [op.del('k'), op.put('k')], []],
    ['put inside a deleted range', dup, [op.del('a', 'z'), op.put('k')], []],
    ['put at the end of a deleted range', 'ok', [op.del('a', 'k'), op.put('k')], []],
    ['overlapping deletes', 'ok', [op.del('a', 'z'), op.del('b')], []],
    ['inverted range', 'ok', [op.del('c', 'a'), op.put('c')], []],
    ['empty range', 'ok', [op.del('c', 'c'), op.put('c')], []],
    ['an end of one zero byte covers nothing', 'ok', [op.del('a', '\0'), op.put('b')], []],
    ['all keys, as zero bytes', 'ok', [op.del('\0', '\0'), op.put('b')], []],
    ['nested: then deletes, else puts', 'ok', [op.txn([], [op.del('k')], [op.put('k')])], []],
    ['nested: then puts, else deletes', 'ok', [op.txn([], [op.put('k')], [op.del('k')])], []],
    ['nested: both put', 'ok', [op.txn([], [op.put('k')], [op.put('k')])], []],
    ['siblings: put, then delete', 'ok', [op.txn([], [op.put('k')]), op.txn([], [op.del('k')])], []],
    ['siblings: delete, then put', dup, [op.txn([], [op.del('k')]), op.txn([], [op.put('k')])], []],
    ['siblings: puts in then and else', dup, [op.txn([], [op.put('k')]), op.txn([], [], [op.put('k')])], []],
    ['own delete, nested put', dup, [op.del('k'), op.txn([], [op.put('k')])], []],
    ['own delete after the nested put', dup, [op.txn([], [op.put('k')]), op.del('k')], []],
    ['nested delete, own put', dup, [op.txn([], [op.del('k')]), op.put('k')], []],
    ['nested delete in else, own put', dup, [op.txn([], [], [op.del('k')]), op.put('k')], []],
    ['nested put, own put', dup, [op.put('k'), op.txn([], [op.put('k')])], []],
    ['twice inside a nested branch', dup, [op.txn([], [op.put('k'), op.put('k')])], []],
    ['two levels down', dup, [op.put('k'), op.txn([], [op.txn([], [], [op.put('k')])])], []],
    [
      'both branches put, a later own put',
      dup,
      [op.txn([], [op.put('k')], [op.put('k'), op.del('j')]), op.put('j')],
      [],
    ],
  ])('%s: %s', (_name, want, success, failure) => {
    expect(codeOf(() => checkTxn(txn([], success, failure), 128))).toBe(want);
  });
});
