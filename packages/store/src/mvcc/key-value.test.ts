import { expect, test } from '@jest/globals';
import { keyFromBytes } from '@keelson/base';
import { mvccpb } from '@keelson/proto';
import * as fc from 'fast-check';
import { FatalError } from '../errors.ts';
import { encodeTombstoneValue, KeyValue } from './key-value.ts';

const count = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat());
const lease = fc.oneof(
  fc.constant(0n),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt(0n, 300n),
);

test('the codec agrees with the generated one, both ways', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      count,
      count,
      count,
      fc.uint8Array({ maxLength: 300 }),
      lease,
      (keyBytes, createRevision, modRevision, version, valueBytes, leaseId) => {
        const key = Buffer.from(keyBytes);
        const value = Buffer.from(valueBytes);
        const theirs = new mvccpb.KeyValue({
          key,
          createRevision,
          modRevision,
          version,
          value,
          lease: leaseId,
        });
        const ours = KeyValue.write(keyFromBytes(key), createRevision, modRevision, version, value, leaseId);
        expect(ours.encoded).toEqual(mvccpb.encodeKeyValue(theirs));
        expect(mvccpb.encodeKeyValue(ours)).toEqual(ours.encoded);
        for (const read of [
          KeyValue.read(ours.encoded),
          KeyValue.read(ours.encoded, keyFromBytes(key)),
          ours,
          ours.compacted(),
        ]) {
          expect(read.key).toEqual(key);
          expect(read.value).toEqual(value);
          expect([read.createRevision, read.modRevision, read.version, read.lease]).toEqual([
            createRevision,
            modRevision,
            version,
            leaseId,
          ]);
        }
      },
    ),
  );
});

test('bytes that are no KeyValue are refused, not misread', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        KeyValue.read(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(FatalError);
      }
    }),
  );
  expect(() => KeyValue.read(Buffer.from([10, 5, 1]))).toThrow('damaged');
  expect(() => KeyValue.read(Buffer.from([16, 255, 255, 255, 255, 255, 255, 255, 255, 1]))).toThrow(
    'damaged',
  );
});

test('a stored version does not hold the slab its value came in', () => {
  const slab = Buffer.alloc(1_000_000, 7);
  const kv = KeyValue.write('k', 1, 1, 1, slab.subarray(10, 20), 0n);
  expect(kv.encoded.buffer.byteLength).toBeLessThan(100_000);
  slab.fill(0);
  expect(kv.value).toEqual(Buffer.alloc(10, 7));
});

test("a tombstone's value and a delete's kv", () => {
  expect(encodeTombstoneValue('k')).toEqual(
    mvccpb.encodeKeyValue(new mvccpb.KeyValue({ key: Buffer.from('k') })),
  );
  expect(KeyValue.deleted('k', 9).encoded).toEqual(
    mvccpb.encodeKeyValue(new mvccpb.KeyValue({ key: Buffer.from('k'), modRevision: 9 })),
  );
});
