import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import { makeDurableDirectory, syncName, syncNames } from './durable-directory.ts';

/** Power is lost; of what was not synced nothing is kept by some seed of these. */
const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

describe('names', () => {
  test.each(SEEDS)('of directories that were made are not lost with power (seed %i)', async (seed) => {
    const disk = new MemoryDisk();
    await makeDurableDirectory(disk, '/a/b/c');
    disk.crash(new Prng(seed));
    expect(await disk.exists('/a/b/c')).toBe(true);
  });

  test.each(SEEDS)('that a killed process has made are synced by the next one (seed %i)', async (seed) => {
    const disk = new MemoryDisk();
    await disk.boot().makeDirectory('/a/b/c');
    disk.kill();
    await makeDurableDirectory(disk, '/a/b/c');
    await syncNames(disk, '/a/b/c');
    disk.crash(new Prng(seed));
    expect(await disk.exists('/a/b/c')).toBe(true);
  });

  test.each(SEEDS)(
    'that a killed process gave by a rename is synced by the next one (seed %i)',
    async (seed) => {
      const disk = new MemoryDisk();
      await makeDurableDirectory(disk, '/a/b.tmp');
      await disk.boot().rename('/a/b.tmp', '/a/b');
      disk.kill();
      expect(await syncName(disk, '/a/b')).toBe(true);
      disk.crash(new Prng(seed));
      expect(await disk.list('/a')).toEqual(['b']);
    },
  );

  test('above what may not be read are nobody’s', async () => {
    const asked: string[] = [];
    const disk = new MemoryDisk({
      fault: ({ kind, path }) => {
        if (kind !== 'syncDirectory') return undefined;
        asked.push(path);
        return path === '/a' ? 'EACCES' : undefined;
      },
    });
    await disk.makeDirectory('/a/b/c');
    await syncNames(disk, '/a/b/c');
    expect(asked).toEqual(['/a/b', '/a']);
    disk.configure({ fault: ({ kind }) => (kind === 'syncDirectory' ? 'EIO' : undefined) });
    await expect(syncNames(disk, '/a/b/c')).rejects.toMatchObject({ code: 'EIO' });
  });
});
