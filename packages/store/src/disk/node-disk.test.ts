/** Both disks against the one contract, and what only the real one has: modes. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MemoryDisk } from '@keelson/sim';
import { diskContract } from '../../test/contract/disk.ts';
import { NodeDisk } from './node-disk.ts';

diskContract('node:fs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-disk-'));
  return { disk: new NodeDisk(), directory, dispose: () => rm(directory, { recursive: true }) };
});

diskContract('memory', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/data');
  return { disk, directory: '/data', dispose: () => Promise.resolve() };
});

test('files are for their owner alone', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-disk-'));
  try {
    const disk = new NodeDisk();
    await disk.makeDirectory(join(directory, 'd/e'));
    await disk.writeFileAtomic(join(directory, 'd/e/f'), Buffer.from('x'));
    expect((await stat(join(directory, 'd'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(directory, 'd/e/f'))).mode & 0o777).toBe(0o600);
  } finally {
    await rm(directory, { recursive: true });
  }
});
