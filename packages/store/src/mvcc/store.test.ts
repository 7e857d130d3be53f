import { describe, expect, test } from '@jest/globals';
import { bucketRange, Buckets } from '../backend/buckets.ts';
import { MemoryBackend } from '../backend/memory-backend.ts';
import { exportBuckets, markOf } from '../snapshot/state-image.ts';
import { offlineHashKV, type OfflineHash } from '../transfer/status.ts';
import { Bench, found, noPause, show } from '../../test/mvcc/bench.ts';

/** What etcdutl's hash of the files says. */
async function hashAtRest({ buffer, backend }: Bench): Promise<OfflineHash> {
  await buffer.commit();
  const view = backend.snapshot();
  const mark = await markOf(view);
  if (mark === undefined) throw new Error('nothing was written');
  const hash = await offlineHashKV({ layout: 'level', buckets: exportBuckets(view, mark), bytes: 0 }, 0);
  await view.close();
  return hash;
}

function hashOnly(result: unknown): { readonly hash: unknown } {
  return { hash: Reflect.get(Object(result), 'hash') };
}

describe('MvccStore', () => {
  test('revisions start at 1; a write of nothing makes none', async () => {
    const { store } = await Bench.open();
    expect(store.currentRevision).toBe(1);
    expect(store.compactRevision).toBe(-1);
    const txn = store.beginWrite();
    expect(txn.deleteRange('a', '').keys).toEqual([]);
    expect(txn.end()).toEqual({ revision: 1, events: [] });
    expect(store.currentRevision).toBe(1);
  });

  test('created, mod revision and version; a delete starts them anew', async () => {
    const bench = await Bench.open();
    bench.put('k', 'one');
    bench.put('k', 'two');
    bench.delete('k');
    bench.put('k', 'three');
    expect(bench.read('k')).toBe('k=three@5/5/1');
    expect(bench.read('k', '', 2)).toBe('k=one@2/2/1');
    expect(bench.read('k', '', 3)).toBe('k=two@2/3/2');
    expect(bench.read('k', '', 4)).toBe('');
    expect(bench.read('k', '', 6)).toBe('FUTURE');
  });

  test('a transaction sees its own writes, and the state before them at its own revision', async () => {
    const bench = await Bench.open();
    bench.put('a', '1');
    const txn = bench.store.beginWrite();
    txn.put('a', Buffer.from('2'), 0n);
    txn.put('b', Buffer.from('1'), 7n);
    expect(show(found(txn.range('a', 'z')))).toBe('a=2@2/3/2 b=1@3/3/1');
    expect(show(found(txn.range('a', 'z', { revision: 2 })))).toBe('a=1@2/2/1');
    expect(txn.range('a', 'z', { revision: 4 })).toBe('FUTURE');
    const { keys, previous } = txn.deleteRange('a', '\0', true);
    expect(keys).toEqual(['a', 'b']);
    expect(previous.map((kv) => kv.value.toString())).toEqual(['2', '1']);
    expect(txn.range('a', 'z')).toEqual({ kvs: [], count: 0, revision: 3 });
    const { revision, events } = txn.end();
    expect(revision).toBe(3);
    expect(events.map((event) => [event.type, event.kv.keyString, event.kv.modRevision])).toEqual([
      [0, 'a', 3],
      [0, 'b', 3],
      [1, 'a', 3],
      [1, 'b', 3],
    ]);
    expect(events.map((event) => bench.store.previousOf(event)?.value.toString())).toEqual([
      '1',
      undefined,
      '1',
      undefined,
    ]);
  });

  test.each<[string, string, string, string[]]>([
    ['one key', 'b', '', ['b']],
    ['half open', 'a', 'c', ['a', 'b']],
    ['from a key on', 'b', '\0', ['b', 'c', 'ÿ', 'ÿÿ']],
    ['everything', '\0', '\0', ['a', 'b', 'c', 'ÿ', 'ÿÿ']],
    ['prefix of 0xff has no end', 'ÿ', '\0', ['ÿ', 'ÿÿ']],
    ['end before key', 'c', 'a', []],
    ['end is key', 'b', 'b', []],
  ])('range: %s', async (_name, key, end, want) => {
    const bench = await Bench.open();
    for (const name of ['b', 'ÿ', 'a', 'ÿÿ', 'c', 'gone']) bench.put(name, 'v');
    bench.delete('gone');
    const result = found(bench.store.range(key, end));
    expect(result.kvs.map((kv) => kv.keyString)).toEqual(want);
    expect(result.count).toBe(want.length);
    const limited = found(bench.store.range(key, end, { limit: 1 }));
    expect(limited.kvs.map((kv) => kv.keyString)).toEqual(want.slice(0, 1));
    expect(limited.count).toBe(want.length);
    const old = found(bench.store.range(key, end, { limit: 1, revision: 6 }));
    expect(old.count).toBe(want.length);
    expect(bench.store.range(key, end, { countOnly: true })).toEqual({
      kvs: [],
      count: want.length,
      revision: bench.store.currentRevision,
    });
  });

  test('keys only comes from the index: neither value nor lease', async () => {
    const bench = await Bench.open();
    bench.put('k', 'one', 5n);
    bench.put('k', 'two', 5n);
    for (const end of ['', '\0']) {
      for (const [revision, version] of [
        [0, 2],
        [2, 1],
      ] as const) {
        const { kvs } = found(bench.store.range('k', end, { keysOnly: true, revision }));
        expect(kvs).toHaveLength(1);
        expect(kvs[0].value).toHaveLength(0);
        expect(kvs[0].lease).toBe(0n);
        expect([kvs[0].createRevision, kvs[0].modRevision, kvs[0].version]).toEqual([
          2,
          1 + version,
          version,
        ]);
      }
    }
    expect(bench.store.get('k')!.lease).toBe(5n);
  });

  test('compaction: errors, the boundary, what survives', async () => {
    const bench = await Bench.open();
    bench.put('a', '1');
    bench.put('a', '2');
    bench.put('b', '1');
    bench.delete('b');
    bench.put('c', '1');
    expect(bench.store.compact(7)).toBe('FUTURE');
    expect(bench.compact(5)).toBe('ok');
    expect(bench.store.compact(5)).toBe('COMPACTED');
    expect(bench.store.compact(4)).toBe('COMPACTED');
    bench.mark();
    expect(bench.store.compactionPending).toBe(true);
    for (let pass = 0; pass < 2; pass++) {
      expect(bench.read('a', '\0', 4)).toBe('COMPACTED');
      expect(bench.read('a', '\0', 5)).toBe('a=2@2/3/2');
      expect(bench.read('a', '\0')).toBe('a=2@2/3/2 c=1@6/6/1');
      expect(
        bench.store.history(5, 6, 10, 1e6).events.map((event) => [event.type, event.kv.keyString]),
      ).toEqual([
        [1, 'b'],
        [0, 'c'],
      ]);
      await bench.store.runCompaction(noPause);
      expect(bench.store.compactionPending).toBe(false);
    }
    expect(bench.store.counters.compactedRevisions).toBe(2);
    const again = await bench.reopen();
    expect(again.store.compactRevision).toBe(5);
    expect(again.store.finishedCompactRevision).toBe(5);
    expect(again.read('a', '\0')).toBe('a=2@2/3/2 c=1@6/6/1');
  });

  test('a key that compaction left with one version is written again', async () => {
    const bench = await Bench.open();
    for (const value of ['one', 'two']) bench.put('k', value);
    bench.delete('k');
    for (const value of ['three', 'four']) bench.put('gone', value);
    bench.put('k', 'five');
    bench.delete('gone');
    bench.put('end', '');
    expect(bench.compact(9)).toBe('ok');
    await bench.store.runCompaction(noPause);
    bench.put('k', 'six');
    bench.put('gone', 'seven');
    expect([bench.read('k', '', 9), bench.read('k', '', 10), bench.read('k')]).toEqual([
      'k=five@7/7/1',
      'k=six@7/10/2',
      'k=six@7/10/2',
    ]);
    expect(bench.read('gone')).toBe('gone=seven@11/11/1');
    bench.mark();
    expect(bench.store.describeIndex()).toBe((await bench.reopen()).store.describeIndex());
  });

  test('compactions leave the hash of what they started from, the last ten of them', async () => {
    const bench = await Bench.open(new MemoryBackend(), { keepCompactionHashes: true });
    const expected: unknown[] = [];
    for (let round = 1; round <= 12; round++) {
      for (const key of ['a', 'b', 'c']) bench.put(key, `${round}`);
      bench.delete(round % 2 === 0 ? 'b' : 'c');
      bench.mark();
      const revision = bench.store.currentRevision - 1;
      expected.push(await bench.store.hashKV(revision));
      expect(bench.store.compact(revision)).toBe('ok');
      bench.put('later', `${round}`);
      await bench.store.runCompaction(noPause);
      // Asked again it is still the hash from before, as etcd answers.
      expect(await bench.store.hashKV(revision)).toMatchObject({
        hash: (expected.at(-1) as { hash: number }).hash,
      });
    }
    const kept = bench.store.compactionHashes.map(({ hash, compactRevision, hashRevision }) => ({
      hash,
      compactRevision,
      hashRevision,
    }));
    expect(kept).toHaveLength(10);
    expect(expected.slice(2)).toMatchObject(kept);
    expect(new Set(kept.map(({ hash }) => hash)).size).toBe(10);
  });

  test('what an earlier process began to compact has no hash', async () => {
    let bench = await Bench.open(new MemoryBackend(), {
      keepCompactionHashes: true,
      compactionBatchLimit: 1,
    });
    for (let i = 0; i < 5; i++) bench.put('a', `${i}`);
    expect(bench.store.compact(5)).toBe('ok');
    bench.mark();
    bench = await bench.reopen({ keepCompactionHashes: true });
    await bench.store.runCompaction(noPause);
    expect(bench.store.compactionHashes).toEqual([]);
  });

  test('a compaction cut short by a restart goes on', async () => {
    let bench = await Bench.open(new MemoryBackend(), { compactionBatchLimit: 2 });
    for (let i = 0; i < 10; i++) for (const key of ['a', 'b', 'c']) bench.put(key, `${i}`);
    bench.delete('b');
    expect(bench.store.compact(bench.store.currentRevision)).toBe('ok');
    bench.mark();
    let pauses = 0;
    const stop = (): Promise<void> =>
      ++pauses === 2 ? Promise.reject(new Error('stopping')) : Promise.resolve();
    await expect(bench.store.runCompaction(stop)).rejects.toThrow('stopping');
    bench = await bench.reopen({ compactionBatchLimit: 2 });
    expect(bench.store.compactionPending).toBe(true);
    expect(bench.read('a', '\0')).toBe('a=9@2/29/10 c=9@4/31/10');
    await bench.store.runCompaction(noPause);
    bench.mark();
    bench = await bench.reopen();
    expect(bench.store.compactionPending).toBe(false);
    expect(bench.store.describeIndex()).toBe(
      'a: {created 2 version 10: 29.0}\nb: {created 0 version 1: 32.0t} {}\nc: {created 4 version 10: 31.0}',
    );
    expect(bench.store.currentRevision).toBe(32);
  });

  test('a key with many revisions is compacted in many slices, while it is written', async () => {
    const bench = await Bench.open(new MemoryBackend(), { compactionBatchLimit: 10 });
    for (let i = 0; i < 40; i++) bench.put('hot', `${i}`);
    bench.delete('hot');
    for (let i = 0; i < 40; i++) bench.put('hot', `${i}`);
    bench.compact(80);
    const { counters } = bench.store;
    let pauses = 0;
    let before = 0;
    await bench.store.runCompaction(() => {
      expect(counters.compactedRevisions - before).toBeLessThanOrEqual(10);
      before = counters.compactedRevisions;
      pauses++;
      if (pauses === 2) bench.delete('hot');
      if (pauses === 3) bench.put('hot', 'last');
      return Promise.resolve();
    });
    expect(pauses).toBeGreaterThanOrEqual(7);
    expect(counters.compactedRevisions).toBe(78);
    const want = 'hot: {created 43 version 41: 80.0 81.0 82.0 83.0t} {created 84 version 1: 84.0}';
    expect(bench.store.describeIndex()).toBe(want);
    const again = await bench.reopen();
    expect(again.store.describeIndex()).toBe(want);
  });

  test('the hash of nothing left is that of an empty store, tombstone or not', async () => {
    const empty = await (await Bench.open()).store.hashKV(0);
    const bench = await Bench.open();
    bench.put('a', '1');
    bench.delete('a');
    bench.compact(3);
    await bench.store.runCompaction(noPause);
    expect(bench.store.describeIndex()).toBe('a: {created 2 version 2: 3.0t} {}');
    expect(await bench.store.hashKV(0)).toEqual({
      ...(typeof empty === 'string' ? {} : empty),
      compactRevision: 3,
      hashRevision: 3,
      currentRevision: 3,
    });
  });

  test.each([
    ['compacted where no key is left', 4],
    ['where one was that is gone since', 3],
  ])('the hash of nothing left is one, however far removing has got: %s', async (_name, at) => {
    const bench = await Bench.open(new MemoryBackend(), { compactionBatchLimit: 1 });
    bench.put('a', '1');
    bench.put('a', '2');
    bench.delete('a');
    expect(bench.store.currentRevision).toBe(4);
    bench.compact(at);
    const hashes = [await bench.store.hashKV(0), await hashAtRest(bench)];
    await bench.store.runCompaction(async () => {
      hashes.push(await bench.store.hashKV(0), await hashAtRest(bench));
    });
    hashes.push(await hashAtRest(bench), await bench.store.hashKV(0));
    expect(hashes.length).toBeGreaterThan(4);
    for (const hash of hashes) expect(hash).toMatchObject(hashOnly(hashes.at(-1)));
    // What finished removing has left is what etcd counts, all of it.
    const left = await bench.reopen();
    expect(await left.store.hashKV(0)).toEqual(hashes.at(-1));
  });

  test('the revision does not go down when compaction removes the newest changes', async () => {
    let bench = await Bench.open();
    bench.put('a', '1');
    bench.delete('a');
    bench.put('b', '1');
    bench.delete('b');
    expect(bench.store.currentRevision).toBe(5);
    bench.put('c', '');
    bench.delete('c');
    expect(bench.store.compact(7)).toBe('ok');
    bench.mark();
    await bench.store.runCompaction(noPause);
    bench = await bench.reopen();
    expect(bench.store.currentRevision).toBe(7);
    expect(bench.put('d', '1')[0].kv.modRevision).toBe(8);
    bench = await bench.reopen();
    expect(bench.store.currentRevision).toBe(8);
  });

  test('the hash kept of a compaction counts no delete that the one before ended with', async () => {
    const write = (bench: Bench): void => {
      bench.put('a', '1');
      bench.delete('a');
      bench.compact(3);
    };
    const [keeper, twin] = [
      await Bench.open(new MemoryBackend(), { keepCompactionHashes: true }),
      await Bench.open(),
    ];
    for (const bench of [keeper, twin]) {
      write(bench);
      await bench.store.runCompaction(noPause);
      bench.put('b', '1');
      bench.delete('b');
    }
    const asked = await twin.store.hashKV(5);
    keeper.compact(5);
    await keeper.store.runCompaction(noPause);
    expect(keeper.store.compactionHashes.at(-1)).toEqual(asked);
  });

  test('the revision is that of the compaction where no change is left: etcd drops the deletes as well', async () => {
    const bench = await Bench.open();
    bench.put('a', '1');
    bench.delete('a');
    bench.put('b', '1');
    bench.delete('b');
    expect(bench.compact(5)).toBe('ok');
    await bench.store.runCompaction(noPause);
    await bench.buffer.commit();
    const left: string[] = [];
    for await (const pairs of bench.backend.iterate(bucketRange(Buckets.key)))
      for (const { key } of pairs) left.push(key);
    expect(left.length).toBeGreaterThan(0);
    await bench.backend.write(left.map((key) => ({ key, value: undefined })));
    const empty = await bench.reopen();
    expect(empty.store.currentRevision).toBe(5);
    expect(empty.put('c', '1')[0].kv.modRevision).toBe(6);
  });

  test('restore tells the leases of keys that exist', async () => {
    const bench = await Bench.open();
    bench.put('a', '1', 11n);
    bench.put('b', '1', 11n);
    bench.put('c', '1', -3n);
    bench.put('b', '2');
    bench.put('d', '1', 12n);
    bench.delete('d');
    const leases: [bigint, string][] = [];
    await bench.reopen({ onLease: (lease, key) => leases.push([lease, key]) });
    expect(leases).toEqual([
      [11n, 'a'],
      [-3n, 'c'],
    ]);
  });

  test.each<[string, (raw: string) => boolean, RegExp]>([
    ['a lost revision', (raw) => raw.charCodeAt(8) === 4, /revision 4|revisions/],
    ['a lost first revision', (raw) => raw.charCodeAt(8) === 2, /revision 2|revisions/],
  ])('restore refuses %s', async (_name, hit, message) => {
    const bench = await Bench.open();
    for (let i = 0; i < 5; i++) bench.put('a', `${i}`);
    await bench.buffer.commit();
    for await (const pairs of bench.buffer.range({ prefix: 'k', name: 'key' })) {
      for (const { key } of pairs) if (hit(key)) await bench.backend.write([{ key, value: undefined }]);
    }
    await expect(Bench.open(bench.backend)).rejects.toThrow(message);
  });

  test('history is cut at whole revisions by count and bytes', async () => {
    const bench = await Bench.open();
    for (let i = 0; i < 4; i++) {
      const txn = bench.store.beginWrite();
      for (let k = 0; k < 300; k++) txn.put(`k${String(k).padStart(3, '0')}`, Buffer.alloc(10, i), 0n);
      txn.end();
      bench.mark();
    }
    for (const step of [
      { limit: 2, bytes: 1e9, through: 3 },
      { limit: 9, bytes: 1, through: 2 },
      { limit: 9, bytes: 1e9, through: 5 },
    ]) {
      const { events, through } = bench.store.history(2, 5, step.limit, step.bytes);
      expect(through).toBe(step.through);
      expect(events).toHaveLength((step.through - 1) * 300);
    }
  });

  test('a cache of nothing changes no answer', async () => {
    const bench = await Bench.open(new MemoryBackend(), { valueCacheBytes: 0 });
    bench.put('a', '1');
    bench.put('a', '2');
    expect(bench.read('a')).toBe('a=2@2/3/2');
    expect(bench.read('a', '', 2)).toBe('a=1@2/2/1');
  });
});
