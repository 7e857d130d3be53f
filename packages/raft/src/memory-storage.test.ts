import { EMPTY } from '@keelson/base';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryStorage } from './memory-storage.ts';
import { EMPTY_CONF_STATE, Entry, Snapshot } from './types.ts';

const run = (term: number, from: number, count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => new Entry(term, from + i));

test('entries and terms at every edge', () => {
  const storage = new MemoryStorage();
  storage.append(run(1, 1, 5));
  storage.compact(2);
  expect([storage.firstIndex(), storage.lastIndex()]).toEqual([3, 5]);
  expect([1, 2, 3, 5, 6].map((index) => storage.term(index))).toEqual(['compacted', 1, 1, 1, 'unavailable']);
  expect(storage.entries(2, 4, Infinity)).toBe('compacted');
  expect(storage.entries(3, 6, 0)).toHaveLength(1);
  expect(storage.compact(2)).toBe(false);
  expect(() => storage.compact(6)).toThrow('out of bound');
  expect(() => storage.append(run(1, 7, 1))).toThrow('missing log entry');
});

test('a snapshot made here is of its index, with the membership there, and never older than the last', () => {
  const storage = new MemoryStorage();
  storage.append([...run(1, 1, 3), ...run(2, 4, 2)]);
  const confState = { ...EMPTY_CONF_STATE, voters: [1n, 2n] };
  const made = storage.createSnapshot(3, confState, Buffer.from('state'));
  expect(made).toEqual(new Snapshot(3, 1, confState, Buffer.from('state')));
  expect(storage.snapshot()).toBe(made);
  // No membership given: that of the snapshot before.
  expect(storage.createSnapshot(4, undefined, EMPTY)).toEqual(new Snapshot(4, 2, confState));
  expect(storage.createSnapshot(4, EMPTY_CONF_STATE, EMPTY)).toBeUndefined();
  expect(storage.initialState().confState).toBe(confState);
  // The log is untouched by it.
  expect([storage.firstIndex(), storage.lastIndex()]).toEqual([1, 5]);
  expect(() => storage.createSnapshot(6, confState, EMPTY)).toThrow('out of bound');
  storage.compact(5);
  expect(storage.applySnapshot(new Snapshot(4, 2, EMPTY_CONF_STATE))).toBe(false);
});

test('it is a list of terms, through appending, compacting and snapshots', () => {
  const step = fc.record({
    kind: fc.constantFrom('append', 'append', 'compact', 'snapshot'),
    back: fc.nat(4),
    count: fc.integer({ min: 1, max: 700 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const storage = new MemoryStorage();
      const twin = new Map<number, number>([[0, 0]]);
      let base = 0;
      let last = 0;
      let term = 1;
      for (const { kind, back, count } of steps) {
        term++;
        if (kind === 'append') {
          const first = Math.max(1, last + 1 - back);
          storage.append(run(term, first, count));
          if (first + count - 1 > base) {
            for (let i = first; i <= last; i++) if (i > base) twin.delete(i);
            for (let i = Math.max(first, base + 1); i < first + count; i++) twin.set(i, term);
            last = first + count - 1;
          }
        } else if (kind === 'compact') {
          const to = Math.max(base, last - back);
          storage.compact(to);
          base = to;
        } else {
          storage.applySnapshot(new Snapshot(last + count, term, EMPTY_CONF_STATE));
          twin.clear();
          base = last + count;
          last = base;
          twin.set(base, term);
        }
        expect([storage.firstIndex(), storage.lastIndex()]).toEqual([base + 1, last]);
        for (let index = base; index <= last; index++) expect(storage.term(index)).toBe(twin.get(index));
      }
    }),
    { numRuns: 50 },
  );
});
