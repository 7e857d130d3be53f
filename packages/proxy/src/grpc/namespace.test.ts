import { describe, expect, test } from '@jest/globals';
import { etcdserverpb, mvccpb } from '@keelson/proto';
import { Namespace } from './namespace.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const kv = (key: string): mvccpb.KeyValue => new mvccpb.KeyValue({ key: bytes(key) });

describe('a namespace', () => {
  test.each([
    ['p/', 'a', '', 'p/a', ''],
    ['p/', 'a', 'b', 'p/a', 'p/b'],
    ['p/', 'a', '\0', 'p/a', 'p0'],
    ['\xff', 'a', '\0', '\xc3\xbfa', '\xc3\xc0'],
  ])('%s: %j to %j is %j to %j', (prefix, key, end, wantKey, wantEnd) => {
    const namespace = new Namespace(prefix);
    const request = { key: bytes(key), rangeEnd: bytes(end) };
    namespace.addToRange(request);
    expect([request.key.toString('latin1'), request.rangeEnd.toString('latin1')]).toEqual([wantKey, wantEnd]);
  });

  test('an empty key is refused: it would be the prefix itself', () => {
    expect(() => new Namespace('p').key(bytes(''))).toThrow('etcdserver: key is not provided');
  });

  test('a transaction: comparisons, both branches, those within, and every answer', () => {
    const namespace = new Namespace('p/');
    const { Compare, RequestOp, RangeRequest, PutRequest, DeleteRangeRequest, TxnRequest } = etcdserverpb;
    const inner = new TxnRequest({
      success: [new RequestOp({ requestPut: new PutRequest({ key: bytes('in') }) })],
    });
    const txn = new TxnRequest({
      compare: [new Compare({ key: bytes('c'), rangeEnd: bytes('\0') })],
      success: [new RequestOp({ requestRange: new RangeRequest({ key: bytes('r'), rangeEnd: bytes('s') }) })],
      failure: [
        new RequestOp({ requestDeleteRange: new DeleteRangeRequest({ key: bytes('d') }) }),
        new RequestOp({ requestTxn: inner }),
      ],
    });
    namespace.addToTxn(txn);
    expect(txn.compare[0].key.toString()).toBe('p/c');
    expect(txn.compare[0].rangeEnd.toString()).toBe('p0');
    expect(txn.success[0].requestRange!.rangeEnd.toString()).toBe('p/s');
    expect(txn.failure[0].requestDeleteRange!.key.toString()).toBe('p/d');
    expect(inner.success[0].requestPut!.key.toString()).toBe('p/in');

    const { TxnResponse, ResponseOp, RangeResponse, PutResponse, DeleteRangeResponse } = etcdserverpb;
    const within = new TxnResponse({
      responses: [new ResponseOp({ responsePut: new PutResponse({ prevKv: kv('p/put') }) })],
    });
    const response = new TxnResponse({
      responses: [
        new ResponseOp({ responseRange: new RangeResponse({ kvs: [kv('p/r')] }) }),
        new ResponseOp({ responseDeleteRange: new DeleteRangeResponse({ prevKvs: [kv('p/d')] }) }),
        new ResponseOp({ responseTxn: within }),
      ],
    });
    namespace.stripTxn(response);
    expect(response.responses[0].responseRange!.kvs[0].key.toString()).toBe('r');
    expect(response.responses[1].responseDeleteRange!.prevKvs[0].key.toString()).toBe('d');
    expect(within.responses[0].responsePut!.prevKv!.key.toString()).toBe('put');
  });

  test("a lease's keys outside are not shown", () => {
    const keys = ['p/a', 'q', 'p', 'p/b/c'].map(bytes);
    expect(new Namespace('p/').ownKeys(keys).map(String)).toEqual(['a', 'b/c']);
  });
});
