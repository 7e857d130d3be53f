/**
 * Small files with every bit flipped and cut at every length, one at a time: .snap files, batch records, the index
 * checkpoint, a bbolt database. (The log has its own: src/wal/corruption.test.ts.) Damage is refused, or it changes
 * nothing; of bbolt, whose pages carry no checksum, at most the one pair in which a bit was flipped.
 */
import { expect, test } from '@jest/globals';
import { crc32c } from '@keelson/base';
import { Snapshot } from '@keelson/raft';
import { batchRecordKey, decodeBatchRecord, encodeBatchRecord } from '../../src/backend/batch-record.ts';
import { FatalError } from '../../src/errors.ts';
import { CheckpointFile } from '../../src/mvcc/checkpoint-file.ts';
import { CheckpointError } from '../../src/mvcc/index-codec.ts';
import { loadCheckpoint } from '../../src/mvcc/index-checkpoint.ts';
import { encodeRevision } from '../../src/mvcc/revision.ts';
import { decodeSnapFile, encodeSnapFile } from '../../src/snap/snap-store.ts';
import { BboltReader } from '../../src/snapshot/bbolt-reader.ts';
import { planBbolt, writeBbolt } from '../../src/snapshot/bbolt-writer.ts';
import { BboltError, type BucketSource } from '../../src/snapshot/pages.ts';
import { BytesFile, bytesDisk } from './bytes-disk.ts';
import { checkpointBlocks, checkpointFile } from './checkpoint-made.ts';

const ALL_BITS = [0, 1, 2, 3, 4, 5, 6, 7];

/**
 * Each damage of one bit or one length.
 * @param sparse where nothing but zeros is near, every sixteenth byte stands for the others; so for lengths
 */
function* damaged(bytes: Buffer, bits: readonly number[] = ALL_BITS, sparse = false): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at++) {
    const sixteenth = at % 16 === 0;
    const used = bytes.subarray(Math.max(0, at - 16), at + 16).some((byte) => byte !== 0);
    if (sparse && !used && !sixteenth) continue;
    for (const bit of bits) {
      const copy = Buffer.from(bytes);
      copy[at] ^= 1 << bit;
      yield copy;
    }
    if (!sparse || sixteenth) yield Buffer.from(bytes.subarray(0, at));
  }
}

test('a .snap file', () => {
  const confState = {
    voters: [1n, 2n ** 63n],
    learners: [3n],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  const snapshot = new Snapshot(300, 7, confState, Buffer.from('{"Root":{}}'));
  const text = (one: Snapshot): string => encodeSnapFile(one).toString('hex');
  let refused = 0;
  for (const bytes of damaged(encodeSnapFile(snapshot))) {
    let read: Snapshot;
    try {
      read = decodeSnapFile(bytes);
    } catch (error) {
      expect(['ProtoError', 'RangeError']).toContain((error as Error).name);
      refused++;
      continue;
    }
    expect(text(read)).toBe(text(snapshot));
  }
  expect(refused).toBeGreaterThan(400);
});

test('a batch record', () => {
  const key = batchRecordKey(encodeRevision(9, 0));
  const mark = {
    consistentIndex: 77,
    term: 3,
    newestRevision: encodeRevision(9, 0),
    confState: '{"voters":[1]}',
  };
  const whole = encodeBatchRecord({ number: 5, previous: 4, checksum: 1, putCount: 2, mark });
  for (const bytes of damaged(whole)) {
    let refusal: unknown;
    try {
      decodeBatchRecord(key, bytes);
    } catch (error) {
      refusal = error;
    }
    if (!(refusal instanceof FatalError))
      throw new Error(`taken: ${bytes.toString('hex')}`, { cause: refusal });
  }
});

test('the index checkpoint', async () => {
  const whole = checkpointFile(checkpointBlocks());
  const identities = [{ revision: 30, bytes: whole.length, checksum: crc32c(whole) }];
  const load = (bytes: Buffer): Promise<unknown> =>
    loadCheckpoint(new CheckpointFile(bytesDisk(bytes), '/'), identities);
  await load(whole);
  let accepted = 0;
  for (const bytes of damaged(whole)) {
    try {
      await load(bytes);
      accepted++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
    }
  }
  expect(accepted).toBe(0);
});

test('a bbolt database', async () => {
  const pairs = Array.from({ length: 40 }, (_, i) => ({
    key: Buffer.from(`key-${100 + i}`),
    value: Buffer.alloc(40, i + 1),
  }));
  const source: BucketSource = { name: Buffer.from('key'), entries: () => [pairs] };
  const chunks: Buffer[] = [];
  for await (const chunk of writeBbolt(await planBbolt([source]), [source])) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  const read = async (bytes: Buffer): Promise<Buffer[] | undefined> => {
    try {
      const reader = await BboltReader.open(new BytesFile(bytes));
      const found: Buffer[] = [];
      for (const bucket of await reader.buckets()) {
        found.push(bucket.name);
        for await (const batch of bucket.entries())
          for (const { key, value } of batch) found.push(Buffer.from(key), Buffer.from(value));
      }
      await reader.check();
      return found;
    } catch (error) {
      if (error instanceof BboltError) return undefined;
      throw error;
    }
  };
  const truth = (await read(whole))!;
  expect(truth).toHaveLength(1 + 2 * pairs.length);
  let refused = 0;
  let changed = 0;
  for (const bytes of damaged(whole, [4], true)) {
    const found = await read(bytes);
    if (found === undefined) {
      refused++;
      continue;
    }
    // Never fewer: one pair or the name at most. (The last pair of a page may also lose or win bytes: nothing in the format
    // says where it ends but its own lengths. A saved snapshot's digest sees all of it.)
    if (found.length !== truth.length) throw new Error(`${found.length} things instead of ${truth.length}`);
    // The name stands first, so pair i is at 2i + 1 and 2i + 2.
    const wrong = new Set(found.flatMap((one, i) => (one.equals(truth[i]) ? [] : [Math.ceil(i / 2)])));
    if (wrong.size > 1) throw new Error(`pairs ${[...wrong].join()} changed by one bit`);
    changed += wrong.size;
  }
  // Every cut is refused, and so are flips wherever the format says anything.
  expect(refused).toBeGreaterThan(whole.length / 16);
  expect(changed).toBeGreaterThan(0);
  expect(changed).toBeLessThanOrEqual(pairs.length * 47 + 19);
});
