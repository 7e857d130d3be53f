import { expect, test } from '@jest/globals';
import { RevisionOrder } from './ordering.ts';

test('a member that is behind is passed over until one has caught up, or all are given up', async () => {
  const order = new RevisionOrder();
  order.saw(10);
  const revisions = [8, 9, 11, 10, 12];
  let moved = 0;
  const read = (): Promise<{ revision: number; answer: number }> => {
    const revision = revisions.shift() ?? 1;
    return Promise.resolve({ revision, answer: revision });
  };
  const elsewhere = (): Promise<void> => {
    moved++;
    return Promise.resolve();
  };
  expect(await order.inOrder(2, read, elsewhere)).toBe(11);
  expect(moved).toBe(2);
  expect(await order.inOrder(2, read, elsewhere)).toBe(12);
  await expect(order.inOrder(2, read, elsewhere)).rejects.toThrow(
    'no cluster members have a revision higher',
  );
  expect(moved).toBe(13);
});
