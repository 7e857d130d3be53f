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

diskContract('node:fs, where syncs are short', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-disk-'));
  // A clock that stands still: every sync takes no time, and all that follow are done in place.
  const disk = new NodeDisk({ monotonicMs: () => 0 });
  await settleIn(disk, join(directory, 'first'));
  return { disk, directory, dispose: () => rm(directory, { recursive: true }) };
});

/** So many syncs that the disk knows how long they take. */
async function settleIn(disk: NodeDisk, path: string): Promise<void> {
  const file = await disk.open(path, 'create');
  for (let i = 0; i < 20; i++) {
    await file.write(i, Buffer.from('x'));
    await file.sync();
  }
  await file.close();
  await disk.remove(path);
}

test('a small write is done in place while syncs are short, and by another thread when they are not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-disk-'));
  try {
    let nowMs = 0;
    let stepMs = 0;
    const disk = new NodeDisk({ monotonicMs: () => (nowMs += stepMs) });
    await settleIn(disk, join(directory, 'first'));
    const file = await disk.open(join(directory, 'f'), 'create');
    /** Whether the write was done when the call returned; what another thread does takes a turn of the loop. */
    const inPlace = async (bytes: number): Promise<boolean> => {
      const written = file.write(0, Buffer.alloc(bytes)).then(() => true);
      const microtasks = Promise.resolve().then(() => Promise.resolve(false));
      const first = await Promise.race([written, microtasks]);
      await written;
      await file.sync();
      return first;
    };
    expect(await inPlace(10)).toBe(true);
    stepMs = 20;
    expect(await inPlace(10)).toBe(true);
    stepMs = 0;
    // One slow sync: the next are not waited for.
    expect(await inPlace(10)).toBe(false);
    let more = 0;
    while (!(await inPlace(10)) && more < 30) more++;
    expect(more).toBeGreaterThan(5);
    expect(more).toBeLessThan(20);
    // Much is never written in place.
    expect(await inPlace(65_537)).toBe(false);
    expect(await inPlace(65_536)).toBe(true);
    await file.close();
    const unwritable = await disk.open(join(directory, 'f'), 'read');
    await expect(unwritable.write(0, Buffer.from('x'))).rejects.toMatchObject({ code: 'EBADF' });
    await unwritable.close();
  } finally {
    await rm(directory, { recursive: true });
  }
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
