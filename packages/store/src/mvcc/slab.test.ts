import { expect, test } from '@jest/globals';
import { Slab } from './slab.ts';

test('stretches lie side by side in one block, never one over another', () => {
  const slab = new Slab();
  const first = slab.reserve(100);
  const block = slab.block;
  expect(slab.reserve(50)).toBe(first + 100);
  expect(slab.block).toBe(block);
  const stretches: { block: Buffer; start: number; bytes: number; fill: number }[] = [];
  for (let i = 0; i < 1000; i++) {
    const bytes = (i * 37) % 9000;
    const start = slab.reserve(bytes);
    const fill = i & 0xff;
    stretches.push({ block: slab.block, start, bytes, fill });
    slab.block.fill(fill, start, start + bytes);
  }
  for (const { block: its, start, bytes, fill } of stretches)
    expect(its.subarray(start, start + bytes)).toEqual(Buffer.alloc(bytes, fill));
});

test('what is large has a block of its own, and the shared one goes on behind it', () => {
  const slab = new Slab();
  slab.reserve(10);
  const shared = slab.block;
  expect(slab.reserve(100_000)).toBe(0);
  expect(slab.block.length).toBe(100_000);
  expect(slab.reserve(10)).toBe(10);
  expect(slab.block).toBe(shared);
});
