import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { IntervalTree } from './interval-tree.ts';

const name = fc.string({ minLength: 0, maxLength: 2, unit: fc.constantFrom('a', 'b', 'c', 'ÿ') });
const range = fc.tuple(name, fc.option(name, { nil: undefined }));
const step = fc.record({ add: fc.boolean(), range, item: fc.nat(3) });

test('finds what a list of ranges finds, and stays balanced', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.array(name, { minLength: 1 }), (steps, keys) => {
      const tree = new IntervalTree<number>();
      const model: { low: string; high: string | undefined; item: number }[] = [];
      for (const {
        add,
        range: [low, high],
        item,
      } of steps) {
        const at = model.findIndex(
          (entry) => entry.low === low && entry.high === high && entry.item === item,
        );
        if (add) {
          expect(tree.add(low, high, item)).toBe(at < 0);
          if (at < 0) model.push({ low, high, item });
        } else {
          expect(tree.delete(low, high, item)).toBe(at >= 0);
          if (at >= 0) model.splice(at, 1);
        }
      }
      expect(tree.check()).toBe('');
      expect(tree.size).toBe(model.length);
      let visited = 0;
      tree.forEach(() => visited++);
      expect(visited).toBe(model.length);
      for (const key of keys) {
        const found: number[] = [];
        tree.visit(key, (item) => found.push(item));
        const want = model
          .filter(({ low, high }) => low <= key && (high === undefined || key < high))
          .map(({ item }) => item);
        const ascending = (a: number, b: number): number => a - b;
        expect(found.sort(ascending)).toEqual(want.sort(ascending));
      }
    }),
    { numRuns: 300 },
  );
});

test('ten thousand ranges stay shallow, also when they come in order and go', () => {
  const tree = new IntervalTree<number>();
  const label = (i: number): string => String(i).padStart(6, '0');
  for (let i = 0; i < 10_000; i++) tree.add(label(i), label(i + 2), i);
  expect(tree.check()).toBe('');
  const found: number[] = [];
  tree.visit('005000x', (item) => found.push(item));
  expect(found).toEqual([4999, 5000]);
  for (let i = 0; i < 10_000; i += 2) expect(tree.delete(label(i), label(i + 2), i)).toBe(true);
  expect(tree.check()).toBe('');
  expect(tree.size).toBe(5_000);
});
