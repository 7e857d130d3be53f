/** The disk in memory keeps the contract of a real one, and little more than what was written. */
import { expect, test } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { diskContract } from '../../store/test/contract/disk.ts';
import { MemoryDisk } from './memory-disk.ts';

diskContract('in memory, for an embedded member', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/here');
  return { disk, directory: '/here', dispose: () => Promise.resolve() };
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a file that goes a little beyond the size it was made in takes a little more', async () => {
  const disk = new MemoryDisk();
  const bytes = 128_000;
  const count = 100;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  for (let at = 0; at < count; at++) {
    const file = await disk.open(`/${at}`, 'create');
    await file.write(0, Buffer.alloc(bytes));
    await file.write(bytes, Buffer.alloc(100));
    await file.close();
  }
  expect((held() - before) / count).toBeLessThan(1.5 * bytes);
  expect((await disk.readFile('/7', 2 * bytes)).length).toBe(bytes + 100);
});
