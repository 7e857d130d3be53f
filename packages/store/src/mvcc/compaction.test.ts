import { Prng } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { Bench, noPause } from '../../test/mvcc/bench.ts';

test('what is superseded is deleted in the order of revisions, each once', async () => {
  const bench = await Bench.open();
  const prng = new Prng(7);
  for (let index = 0; index < 9000; index++) {
    const txn = bench.store.beginWrite();
    const kind = prng.below(10);
    for (let i = 0; i < (kind === 0 ? 5 : 1); i++) {
      const key = `key${prng.below(40)}`;
      if (kind === 1) txn.deleteRange(key, '');
      else txn.put(key, Buffer.from('value'), 0n);
    }
    txn.end();
  }
  const dropped: string[] = [];
  const drop = bench.buffer.drop.bind(bench.buffer);
  bench.buffer.drop = (key) => {
    dropped.push(key);
    drop(key);
  };
  expect(bench.store.compact(bench.store.currentRevision - 50)).toBe('ok');
  await bench.store.runCompaction(noPause);
  expect(dropped.length).toBeGreaterThan(8000);
  expect(dropped).toEqual([...new Set(dropped)].toSorted());
  expect(bench.store.counters.compactedRevisions).toBe(dropped.length);
});
