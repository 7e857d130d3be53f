/** The write buffer over the backend in memory, and the chain of batches it leaves. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { AssertionError, Deferred } from '@keelson/base';
import { FatalError } from '../errors.ts';
import type { BackendPair, BatchOperation } from './backend.ts';
import { BatchChain } from './batch-chain.ts';
import { batchRecordKey, decodeBatchRecord, isBatchRecordKey } from './batch-record.ts';
import { bucketRange, Buckets } from './buckets.ts';
import { MemoryBackend } from './memory-backend.ts';
import { WriteBuffer } from './write-buffer.ts';

function revision(main: number, sub = 0): string {
  const bytes = Buffer.alloc(17);
  bytes.writeBigUInt64BE(BigInt(main), 0);
  bytes[8] = 0x5f;
  bytes.writeBigUInt64BE(BigInt(sub), 9);
  return bytes.toString('latin1');
}

const noError = { onError: (error: Error) => expect(error).toBeUndefined() };
const value = (text: string) => Buffer.from(text);

/** Writes one revision and marks it, as one applied turn. */
function turn(buffer: WriteBuffer, main: number, index = main): void {
  buffer.put(Buckets.key, revision(main), value(`value ${main}`));
  buffer.mark({
    consistentIndex: index,
    term: 2,
    newestRevision: revision(main),
    confState: '{"voters":[1]}',
  });
}

async function keyPairs(backend: MemoryBackend): Promise<BackendPair[]> {
  const all: BackendPair[] = [];
  for await (const pairs of backend.iterate(bucketRange(Buckets.key))) all.push(...pairs);
  return all;
}

async function verify(backend: MemoryBackend, compactRevision = 0) {
  const chain = new BatchChain(compactRevision);
  for (const pair of await keyPairs(backend)) chain.add(pair);
  return chain.finish();
}

/** A backend whose writes wait until the test lets them go. */
class GatedBackend extends MemoryBackend {
  readonly gates: Deferred<void>[] = [];
  readonly batches: (readonly BatchOperation[])[] = [];

  override async write(operations: readonly BatchOperation[]): Promise<void> {
    const gate = new Deferred<void>();
    this.gates.push(gate);
    this.batches.push(operations);
    await gate.promise;
    await super.write(operations);
  }
}

describe('reading', () => {
  test('sees the filling batch, the one being written and the backend, newest first', async () => {
    const backend = new GatedBackend();
    const buffer = new WriteBuffer(backend, noError);
    buffer.put(Buckets.meta, 'a', value('1'));
    const first = buffer.commit();
    expect(buffer.get(Buckets.meta, 'a')).toEqual(value('1'));
    buffer.put(Buckets.meta, 'a', value('2'));
    expect(buffer.get(Buckets.meta, 'a')).toEqual(value('2'));
    buffer.delete(Buckets.meta, 'a');
    expect(buffer.get(Buckets.meta, 'a')).toBeUndefined();
    expect(buffer.pendingOperations).toBe(2);
    backend.gates[0]?.resolve();
    await first;
    expect(buffer.get(Buckets.meta, 'a')).toBeUndefined();
    expect(backend.getSync('Ma')).toEqual(value('1'));
    expect(buffer.get(Buckets.lease, 'a')).toBeUndefined();
  });

  test('does not mix buckets', async () => {
    const buffer = new WriteBuffer(new MemoryBackend(), noError);
    buffer.put(Buckets.meta, 'a', value('m'));
    buffer.put(Buckets.alarm, 'a', value('a'));
    await buffer.commit();
    expect(buffer.get(Buckets.meta, 'a')).toEqual(value('m'));
    expect(buffer.get(Buckets.alarm, 'a')).toEqual(value('a'));
    const found: string[] = [];
    for await (const pairs of buffer.range(Buckets.meta)) found.push(...pairs.map((pair) => pair.key));
    expect(found).toEqual(['Ma']);
  });
});

describe('commit', () => {
  test('nothing pending and an unchanged mark: no write', async () => {
    const backend = new MemoryBackend();
    const buffer = new WriteBuffer(backend, noError);
    await buffer.commit();
    turn(buffer, 2);
    await buffer.commit();
    buffer.mark({ consistentIndex: 2, term: 2, newestRevision: revision(2), confState: '{"voters":[1]}' });
    await buffer.commit();
    expect(buffer.counters).toEqual({ batches: 1, operations: 1 });
  });

  test('a mark that moved alone is written', async () => {
    const backend = new MemoryBackend();
    const buffer = new WriteBuffer(backend, noError);
    turn(buffer, 2);
    await buffer.commit();
    buffer.mark({ consistentIndex: 9, term: 3, newestRevision: revision(2), confState: '{}' });
    expect(buffer.durableIndex).toBe(2);
    await buffer.commit();
    expect(buffer.durableIndex).toBe(9);
    expect((await keyPairs(backend)).length).toBe(2);
    expect(await verify(backend)).toEqual(buffer.newestMark);
  });

  test('calls during a write share the following batch', async () => {
    const backend = new GatedBackend();
    const buffer = new WriteBuffer(backend, noError);
    turn(buffer, 2);
    const first = buffer.commit();
    turn(buffer, 3);
    const second = buffer.commit();
    turn(buffer, 4);
    const third = buffer.commit();
    expect(backend.batches.length).toBe(1);
    backend.gates[0]?.resolve();
    await first;
    expect(backend.batches.length).toBe(2);
    expect(buffer.durableIndex).toBe(2);
    turn(buffer, 5);
    backend.gates[1]?.resolve();
    await Promise.all([second, third]);
    expect(buffer.durableIndex).toBe(4);
    expect(buffer.pendingOperations).toBe(1);
  });

  test('a commit with nothing new waits for the batch being written', async () => {
    const backend = new GatedBackend();
    const buffer = new WriteBuffer(backend, noError);
    turn(buffer, 2);
    const first = buffer.commit();
    let settled = false;
    const second = buffer.commit().then(() => {
      settled = true;
      return undefined;
    });
    await Promise.resolve();
    expect(settled).toBe(false);
    backend.gates[0]?.resolve();
    await Promise.all([first, second]);
    expect(backend.batches.length).toBe(1);
  });

  test('a refused write is told once and ends all writing', async () => {
    const backend = new GatedBackend();
    const errors: Error[] = [];
    const buffer = new WriteBuffer(backend, { onError: (error) => errors.push(error) });
    turn(buffer, 2);
    const first = buffer.commit();
    turn(buffer, 3);
    const second = buffer.commit();
    const settled = Promise.allSettled([first, second]);
    backend.gates[0]?.reject(new Error('EIO'));
    expect((await settled).map((one) => one.status)).toEqual(['rejected', 'rejected']);
    await expect(buffer.commit()).rejects.toThrow('EIO');
    expect(errors.map((error) => error.message)).toEqual(['backend: batch not written: EIO']);
    expect(backend.batches.length).toBe(1);
    expect(buffer.durableIndex).toBe(0);
  });

  test('a snapshot holds what was put before it and nothing later', async () => {
    const buffer = new WriteBuffer(new MemoryBackend(), noError);
    turn(buffer, 2);
    const snapshot = await buffer.snapshot();
    turn(buffer, 3);
    await buffer.commit();
    const keys: string[] = [];
    for await (const pairs of snapshot.iterate(bucketRange(Buckets.key)))
      keys.push(...pairs.map((pair) => pair.key));
    await snapshot.close();
    expect(keys).toEqual([`k${revision(2)}`, batchRecordKey(revision(2))]);
  });
});

describe('laws', () => {
  test.each<[string, (buffer: WriteBuffer) => void]>([
    ['a revision twice', (buffer) => buffer.put(Buckets.key, revision(5), value('x'))],
    ['an older revision', (buffer) => buffer.put(Buckets.key, revision(4, 7), value('x'))],
    [
      'an index going back',
      (b) => b.mark({ consistentIndex: 4, term: 2, newestRevision: revision(5), confState: '' }),
    ],
    [
      'a mark below its puts',
      (buffer) => {
        buffer.put(Buckets.key, revision(6), value('x'));
        buffer.mark({ consistentIndex: 6, term: 2, newestRevision: revision(5), confState: '' });
      },
    ],
  ])('%s is refused', (_name, broken) => {
    const buffer = new WriteBuffer(new MemoryBackend(), noError);
    turn(buffer, 5);
    expect(() => broken(buffer)).toThrow(AssertionError);
  });

  test('sealing between a put and its mark is refused', async () => {
    const buffer = new WriteBuffer(new MemoryBackend(), { onError: () => {} });
    turn(buffer, 5);
    buffer.put(Buckets.key, revision(6), value('x'));
    await expect(buffer.commit()).rejects.toMatchObject({ cause: expect.any(AssertionError) });
  });
});

describe('load and chain', () => {
  test('an empty backend has no mark', async () => {
    const backend = new MemoryBackend();
    const buffer = await WriteBuffer.load(backend, noError);
    expect(buffer.newestMark).toBeUndefined();
    expect(await verify(backend)).toBeUndefined();
  });

  test('goes on where the newest batch ended', async () => {
    const backend = new MemoryBackend();
    let buffer = new WriteBuffer(backend, noError);
    for (let main = 2; main < 8; main++) {
      turn(buffer, main);
      await buffer.commit();
      buffer = await WriteBuffer.load(backend, noError);
      expect(buffer.durableIndex).toBe(main);
      expect(buffer.newestMark?.newestRevision).toBe(revision(main));
    }
    const records = (await keyPairs(backend)).filter((pair) => isBatchRecordKey(pair.key));
    const numbers = records
      .map((pair) => decodeBatchRecord(pair.key, pair.value))
      .map((r) => [r.number, r.previous]);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6].map((n) => [n, n - 1]));
    expect((await verify(backend))?.consistentIndex).toBe(7);
  });

  test('a revision without a record after it is refused', async () => {
    const backend = new MemoryBackend();
    await backend.write([{ key: `k${revision(2)}`, value: value('x') }]);
    await expect(WriteBuffer.load(backend, noError)).rejects.toThrow(FatalError);
    await expect(verify(backend)).rejects.toThrow(/revision 2/);
  });

  async function fiveBatches(): Promise<MemoryBackend> {
    const backend = new MemoryBackend();
    const buffer = new WriteBuffer(backend, noError);
    for (let main = 2; main <= 11; main += 2) {
      turn(buffer, main);
      turn(buffer, main + 1);
      await buffer.commit();
    }
    return backend;
  }

  test.each<[string, string[], RegExp]>([
    ['one revision lost', [`k${revision(6)}`], /ending at revision 7 must have 2 revisions, 1 are there/],
    ['a whole batch lost', [`k${revision(6)}`, `k${revision(7)}`, batchRecordKey(revision(7))], /missing/],
    ['a record lost', [batchRecordKey(revision(7))], /missing/],
    ['the first batch lost', [`k${revision(2)}`, `k${revision(3)}`, batchRecordKey(revision(3))], /missing/],
    ['the last record lost', [batchRecordKey(revision(11))], /no batch record after revision 11/],
  ])('%s is noticed', async (_name, keys, message) => {
    const backend = await fiveBatches();
    await backend.write(keys.map((key) => ({ key, value: undefined })));
    await expect(verify(backend)).rejects.toThrow(message);
  });

  test('any flipped byte of any pair is noticed', async () => {
    const pairs = await keyPairs(await fiveBatches());
    for (const [i, pair] of pairs.entries()) {
      for (let at = 0; at < pair.value.length; at++) {
        const rotten = Buffer.from(pair.value);
        rotten.writeUInt8(rotten.readUInt8(at) ^ 0x10, at);
        const chain = new BatchChain(0);
        expect(() => {
          for (const [j, other] of pairs.entries())
            chain.add(j === i ? { key: pair.key, value: rotten } : other);
          chain.finish();
        }).toThrow(FatalError);
      }
    }
  });

  test('what compaction removed is not missed; what it may not touch is', async () => {
    const backend = await fiveBatches();
    const gone = [revision(2), revision(3), revision(4), revision(6)].map((key) => `k${key}`);
    gone.push(batchRecordKey(revision(3)), batchRecordKey(revision(5)));
    await backend.write(gone.map((key) => ({ key, value: undefined })));
    expect((await verify(backend, 6))?.consistentIndex).toBe(11);
    await backend.write([{ key: `k${revision(9)}`, value: undefined }]);
    await expect(verify(backend, 6)).rejects.toThrow(/ending at revision 9 must have/);
  });

  test('any history of turns, commits and restarts verifies', async () => {
    const step = fc.constantFrom('turn', 'sub', 'index', 'commit', 'restart');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const backend = new MemoryBackend();
        let buffer = await WriteBuffer.load(backend, noError);
        let [main, index] = [1, 0];
        const commits: Promise<void>[] = [];
        for (const kind of steps) {
          index++;
          if (kind === 'turn') turn(buffer, ++main, index);
          else if (kind === 'sub') {
            main++;
            for (let sub = 0; sub < 3; sub++)
              buffer.put(Buckets.key, revision(main, sub), value(`${main}.${sub}`));
            buffer.mark({
              consistentIndex: index,
              term: 3,
              newestRevision: revision(main, 2),
              confState: '{}',
            });
          } else if (kind === 'index') {
            const newestRevision = buffer.newestMark?.newestRevision ?? revision(1);
            buffer.mark({ consistentIndex: index, term: 3, newestRevision, confState: '{}' });
          } else if (kind === 'commit') commits.push(buffer.commit());
          else {
            await Promise.all([...commits, buffer.commit()]);
            const mark = buffer.newestMark;
            expect(await verify(backend)).toEqual(mark);
            buffer = await WriteBuffer.load(backend, noError);
            expect(buffer.newestMark).toEqual(mark);
          }
        }
        await Promise.all([...commits, buffer.commit()]);
        expect(await verify(backend)).toEqual(buffer.newestMark);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the anchor', () => {
  test('stays behind all that LevelDB may still have in its log only', async () => {
    const backend = new MemoryBackend();
    const buffer = new WriteBuffer(backend, noError);
    expect(buffer.anchor).toBe('');
    const megabyte = Buffer.alloc(1024 * 1024);
    for (let main = 2; main <= 30; main++) {
      buffer.put(Buckets.key, revision(main), megabyte);
      buffer.mark({ consistentIndex: main, term: 1, newestRevision: revision(main), confState: '' });
      await buffer.commit();
      // Sixteen of these are 16 MiB, and a little more.
      expect(buffer.anchor).toBe(main < 18 ? '' : revision(main - 16));
    }
    expect((await WriteBuffer.load(backend, noError)).anchor).toBe(revision(30));
  });
});
