/** base: the ring queue, the sorted map and the checksum, which most other rooms stand on. */
import { Prng, Ring, SortedMap, crc32c } from '@keelson/base';
import type { Body } from './body.ts';

const MANY = 1000;

export function ringBodies(): Body[] {
  const ring = new Ring<number>(16);
  const prng = new Prng(1);
  const keys = Array.from({ length: 100_000 }, () => prng.uint32().toString(36).padStart(8, '0'));
  const map = new SortedMap<number>();
  for (const [i, key] of keys.entries()) map.set(key, i);
  const block = Buffer.alloc(4096, 7);
  let at = 0;
  return [
    {
      name: 'ring: push and shift',
      operations: MANY,
      run: () => {
        for (let i = 0; i < MANY; i++) ring.push(i);
        let sum = 0;
        for (let i = 0; i < MANY; i++) sum += ring.shift() ?? 0;
        return sum;
      },
    },
    {
      name: 'sorted map: get of 100,000',
      operations: 1,
      run: () => map.get(keys[(at = (at + 7919) % keys.length)]) ?? -1,
    },
    { name: 'crc32c: 4 kB', operations: 1, run: () => crc32c(block) },
  ];
}
