/** What the simulated disk forgets and keeps in a crash, and its faults. The Disk contract is run by the store. */
import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { MemoryDisk, SECTOR_BYTES } from './disk.ts';

async function fileWith(disk: MemoryDisk, synced: string, unsynced: string): Promise<void> {
  const file = await disk.open('/f', 'create');
  await disk.syncDirectory('/');
  await file.write(0, Buffer.from(synced));
  await file.sync();
  if (unsynced !== '') await file.write(synced.length, Buffer.from(unsynced));
}

describe('crash', () => {
  test('what was synced stays, what was not may go, and both happen', async () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = new MemoryDisk();
      await fileWith(disk, 'kept ', 'maybe');
      disk.crash(new Prng(seed));
      outcomes.add((await disk.readFile('/f', 100)).toString());
    }
    expect(outcomes).toEqual(new Set(['kept ', 'kept maybe']));
  });

  test('one seed, one image', async () => {
    const image = async (seed: number) => {
      const disk = new MemoryDisk();
      await fileWith(disk, 'x'.repeat(700), 'y'.repeat(5000));
      disk.crash(new Prng(seed));
      return (await disk.readFile('/f', 10_000)).toString();
    };
    for (let seed = 0; seed < 20; seed++) expect(await image(seed)).toBe(await image(seed));
  });

  test('an unsynced write is torn at sectors only', async () => {
    let torn = 0;
    for (let seed = 0; seed < 60; seed++) {
      const disk = new MemoryDisk();
      const file = await disk.open('/f', 'create');
      await disk.syncDirectory('/');
      await file.write(100, Buffer.alloc(4 * SECTOR_BYTES, 1));
      disk.crash(new Prng(seed));
      const bytes = await disk.readFile('/f', 10_000);
      for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
        const sector = bytes.subarray(Math.max(at, 100), at + SECTOR_BYTES);
        expect(new Set(sector).size).toBeLessThanOrEqual(1);
      }
      if (bytes.length > 0 && bytes.includes(0, 100)) torn++;
    }
    expect(torn).toBeGreaterThan(5);
  });

  test('an entry without a directory sync may vanish, a synced one never', async () => {
    let vanished = 0;
    for (let seed = 0; seed < 40; seed++) {
      const disk = new MemoryDisk();
      await disk.makeDirectory('/d');
      await disk.syncDirectory('/');
      await disk.writeFileAtomic('/d/safe', Buffer.from('safe'));
      const file = await disk.open('/d/new', 'create');
      await file.write(0, Buffer.from('new'));
      await file.sync();
      disk.crash(new Prng(seed));
      expect((await disk.readFile('/d/safe', 10)).toString()).toBe('safe');
      if (await disk.exists('/d/new')) expect((await disk.readFile('/d/new', 10)).toString()).toBe('new');
      else vanished++;
    }
    expect(vanished).toBeGreaterThan(5);
    expect(vanished).toBeLessThan(35);
  });

  test('a rename survives as a whole or not at all, and writeFileAtomic is old or new', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const disk = new MemoryDisk();
      await disk.writeFileAtomic('/a', Buffer.from('old'));
      const prng = new Prng(seed);
      let left = prng.below(8);
      disk.configure({ fault: () => (left-- === 0 ? 'EIO' : undefined) });
      await disk.writeFileAtomic('/a', Buffer.from('new')).catch(() => undefined);
      disk.configure({});
      disk.crash(prng);
      expect(['old', 'new']).toContain((await disk.readFile('/a', 10)).toString());
    }
  });

  test('handles of the earlier life fail', async () => {
    const disk = new MemoryDisk();
    const file = await disk.open('/f', 'create');
    disk.crash(new Prng(1));
    await expect(file.write(0, Buffer.from('x'))).rejects.toMatchObject({ code: 'ECRASH' });
    await expect(file.sync()).rejects.toMatchObject({ code: 'ECRASH' });
  });

  test('a view of an earlier life fails, one booted later works', async () => {
    const disk = new MemoryDisk();
    const before = disk.boot();
    await before.writeFileAtomic('/f', Buffer.from('x'));
    disk.crash(new Prng(1));
    await expect(before.remove('/f')).rejects.toMatchObject({ code: 'ECRASH' });
    expect((await disk.boot().readFile('/f', 10)).toString()).toBe('x');
  });

  test('a call in flight has no effect', async () => {
    let release = (): void => {};
    const disk = new MemoryDisk();
    await fileWith(disk, 'one', '');
    const file = await disk.open('/f', 'write');
    disk.configure({ delay: () => new Promise((resolve) => (release = resolve)) });
    const write = file.write(0, Buffer.from('two'));
    disk.configure({});
    disk.crash(new Prng(1));
    release();
    await expect(write).rejects.toMatchObject({ code: 'ECRASH' });
    expect((await disk.readFile('/f', 10)).toString()).toBe('one');
  });
});

describe('faults', () => {
  test('after a failed sync no later one makes the bytes durable', async () => {
    const readable = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const disk = new MemoryDisk({ prng: new Prng(seed) });
      await fileWith(disk, 'safe ', '');
      const file = await disk.open('/f', 'write');
      await file.write(5, Buffer.from('lost'));
      disk.configure({ fault: ({ kind }) => (kind === 'sync' ? 'EIO' : undefined) });
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
      disk.configure({});
      readable.add((await file.read(0, 100)).toString());
      await file.sync();
      disk.crash(new Prng(seed));
      expect((await disk.readFile('/f', 100)).toString()).toBe('safe ');
    }
    expect(readable).toEqual(new Set(['safe ', 'safe lost']));
  });

  test('a full disk refuses growth, not overwriting', async () => {
    const disk = new MemoryDisk({ capacityBytes: 10 });
    const file = await disk.open('/f', 'create');
    await file.write(0, Buffer.alloc(10));
    await file.write(2, Buffer.from('ab'));
    await expect(file.write(9, Buffer.from('ab'))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await file.size()).toBe(10);
    await disk.remove('/f');
    expect(disk.usedBytes()).toBe(0);
  });

  test('a flipped bit stays flipped', async () => {
    const disk = new MemoryDisk();
    await fileWith(disk, 'abc', '');
    disk.flip('/f', 1, 0x20);
    disk.crash(new Prng(3));
    expect((await disk.readFile('/f', 10)).toString()).toBe('aBc');
  });
});
