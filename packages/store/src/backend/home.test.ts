import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import { BackendDirectories } from '../../test/directories.ts';
import type { Backend } from './backend.ts';
import { MemoryHome } from './home.ts';
import { MemoryBackend } from './memory-backend.ts';

async function put(backend: Backend, value: string): Promise<Backend> {
  await backend.write([{ key: 'k', value: Buffer.from(value) }]);
  return backend;
}

const valueOf = (backend: Backend): string | undefined => backend.getSync('k')?.toString();

describe('directories', () => {
  test('what is adopted is opened next; the one before can be read until it is discarded', async () => {
    const disk = new MemoryDisk();
    const directories = new BackendDirectories();
    const home = directories.home(disk, '');
    const first = await put(await home.open(), 'first');
    const second = await put(await home.openIncoming(), 'second');
    await home.adopt(second);
    expect(valueOf(first)).toBe('first');
    await home.discard(first);
    expect(await disk.list('/')).toEqual(['db.level.1', 'db.level.current']);
    const third = await put(await home.openIncoming(), 'third');
    await home.adopt(third);
    await home.discard(second);
    await third.close();
    expect(valueOf(await directories.home(disk, '').open())).toBe('third');
    expect(await disk.list('/')).toEqual(['db.level.2', 'db.level.current']);
  });

  test('what was not adopted is gone at the next start', async () => {
    const disk = new MemoryDisk();
    const directories = new BackendDirectories();
    const home = directories.home(disk, '');
    await put(await home.open(), 'first');
    await put(await home.openIncoming(), 'second');
    expect(valueOf(await directories.home(disk, '').open())).toBe('first');
    expect(await disk.list('/')).toEqual(['db.level']);
  });

  test('a pointer to nothing is refused, not taken for an empty member', async () => {
    const disk = new MemoryDisk();
    await disk.writeFileAtomic('/db.level.current', Buffer.from('db.level.7\n'));
    await expect(new BackendDirectories().home(disk, '').open()).rejects.toThrow(
      'names "db.level.7", which is not there',
    );
  });

  test('a pointer that is missing is refused, and what it named stays', async () => {
    const disk = new MemoryDisk();
    const directories = new BackendDirectories();
    const home = directories.home(disk, '');
    const first = await put(await home.open(), 'first');
    const second = await put(await home.openIncoming(), 'second');
    await home.adopt(second);
    await home.discard(first);
    await second.close();
    await disk.remove('/db.level.current');
    await expect(directories.home(disk, '').open()).rejects.toThrow(
      '/db.level.current is missing, and db.level.1',
    );
    expect(await disk.list('/')).toEqual(['db.level.1']);
  });

  test('power may fail at any operation: the old content or the new', async () => {
    const found = new Set<string | undefined>();
    for (let crashAt = 1, finished = 0; finished < 3; crashAt++) {
      const disk = new MemoryDisk();
      const directories = new BackendDirectories();
      const life = disk.boot();
      const home = directories.home(life, '');
      const first = await put(await home.open(), 'first');
      await disk.syncDirectory('/');
      let operations = 0;
      disk.configure({ fault: () => (++operations >= crashAt ? 'EIO' : undefined) });
      try {
        const second = await put(await home.openIncoming(), 'second');
        await home.adopt(second);
        await home.discard(first);
        finished++;
      } catch {
        // The crash.
      }
      disk.configure({});
      disk.crash(new Prng(crashAt));
      const value = valueOf(await directories.home(disk.boot(), '').open());
      found.add(value);
      if (finished > 0) expect(value).toBe('second');
    }
    expect(found).toEqual(new Set(['first', 'second']));
  });
});

describe('memory', () => {
  test('content outlives close, as on a disk', async () => {
    const home = new MemoryHome(() => new MemoryBackend());
    const first = await put(await home.open(), 'first');
    await first.close();
    expect(valueOf(await home.open())).toBe('first');
    const second = await put(await home.openIncoming(), 'second');
    await home.adopt(second);
    expect(valueOf(first)).toBe('first');
    await home.discard(first);
    await second.close();
    expect(valueOf(await home.open())).toBe('second');
  });
});
