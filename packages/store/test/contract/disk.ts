/**
 * What every Disk must do. Run by disk/node-disk.test.ts on the machine's file system and on the
 * simulated one.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Disk } from '@keelson/base';

export interface DiskUnderTest {
  readonly disk: Disk;
  /** An existing, empty directory. */
  readonly directory: string;
  dispose(): Promise<void>;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

export function diskContract(name: string, create: () => Promise<DiskUnderTest>): void {
  describe(`disk contract: ${name}`, () => {
    let disk: Disk;
    let at: (name: string) => string;
    let dispose: () => Promise<void>;

    beforeEach(async () => {
      const made = await create();
      disk = made.disk;
      at = (file) => `${made.directory}/${file}`;
      dispose = () => made.dispose();
    });

    afterEach(() => dispose());

    test('create refuses a file that is there; read and write one that is not', async () => {
      const file = await disk.open(at('a'), 'create');
      await file.close();
      await expect(disk.open(at('a'), 'create')).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(disk.open(at('b'), 'read')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.open(at('b'), 'write')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.open(at('no/b'), 'create')).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('writes land where they are told to, gaps read as zeros', async () => {
      const file = await disk.open(at('a'), 'create');
      expect(file.path).toBe(at('a'));
      await file.write(3, bytes('def'));
      await file.write(0, bytes('a'));
      await file.write(9, bytes(''));
      await file.sync();
      expect(await file.size()).toBe(6);
      expect(await file.read(0, 100)).toEqual(bytes('a\0\0def'));
      expect(await file.read(2, 2)).toEqual(bytes('\0d'));
      expect(await file.read(6, 10)).toEqual(bytes(''));
      await file.close();
    });

    test('a gathered write puts its buffers back to back', async () => {
      const file = await disk.open(at('a'), 'create');
      await file.writev(1, [bytes('ab'), bytes(''), bytes('c')]);
      await file.writev(0, []);
      expect(await file.read(0, 10)).toEqual(bytes('\0abc'));
      const many = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(7, i));
      await file.writev(5, many);
      expect(await file.read(5, 30_000)).toEqual(Buffer.concat(many));
      await file.close();
    });

    test('a written buffer may be reused afterwards', async () => {
      const file = await disk.open(at('a'), 'create');
      const buffer = bytes('one');
      await file.write(0, buffer);
      buffer.fill(0);
      expect(await file.read(0, 3)).toEqual(bytes('one'));
      await file.close();
    });

    test('truncate cuts and extends with zeros', async () => {
      const file = await disk.open(at('a'), 'create');
      await file.write(0, Buffer.alloc(10_000, 1));
      await file.truncate(5000);
      await file.truncate(9000);
      expect(await file.size()).toBe(9000);
      expect(await file.read(4999, 2)).toEqual(Buffer.of(1, 0));
      expect((await file.read(5000, 5000)).every((byte) => byte === 0)).toBe(true);
      await file.close();
    });

    test('a file opened for writing keeps its content; one opened for reading is not written', async () => {
      const first = await disk.open(at('a'), 'create');
      await first.write(0, bytes('abc'));
      await first.close();
      const second = await disk.open(at('a'), 'write');
      await second.write(1, bytes('X'));
      await second.close();
      const third = await disk.open(at('a'), 'read');
      expect(await third.read(0, 9)).toEqual(bytes('aXc'));
      await expect(third.write(0, bytes('Y'))).rejects.toMatchObject({ code: 'EBADF' });
      await third.close();
    });

    test('readFile refuses what is too large before reading it', async () => {
      await disk.writeFileAtomic(at('a'), bytes('12345'));
      expect(await disk.readFile(at('a'), 5)).toEqual(bytes('12345'));
      await expect(disk.readFile(at('a'), 4)).rejects.toMatchObject({ code: 'EFBIG' });
      await expect(disk.readFile(at('b'), 4)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('writeFileAtomic replaces and leaves nothing else', async () => {
      await disk.writeFileAtomic(at('a'), bytes('a longer first text'));
      await disk.writeFileAtomic(at('a'), bytes('second'));
      expect(await disk.readFile(at('a'), 100)).toEqual(bytes('second'));
      expect(await disk.list(at(''))).toEqual(['a']);
    });

    test('an old temporary file does not stop writeFileAtomic', async () => {
      const old = await disk.open(at('a.tmp'), 'create');
      await old.write(0, bytes('a torn file of an earlier life'));
      await old.close();
      await disk.writeFileAtomic(at('a'), bytes('new'));
      expect(await disk.readFile(at('a'), 100)).toEqual(bytes('new'));
      expect(await disk.list(at(''))).toEqual(['a']);
    });

    test('names are listed in code unit order', async () => {
      for (const name of ['b', 'B', 'a', '10', '9']) await disk.writeFileAtomic(at(name), bytes(''));
      expect(await disk.list(at(''))).toEqual(['10', '9', 'B', 'a', 'b']);
      await expect(disk.list(at('none'))).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('rename moves files and directories and replaces files', async () => {
      await disk.makeDirectory(at('d1'));
      await disk.writeFileAtomic(at('d1/x'), bytes('x'));
      await disk.writeFileAtomic(at('y'), bytes('y'));
      await disk.rename(at('d1'), at('d2'));
      await disk.rename(at('y'), at('d2/x'));
      await disk.syncDirectory(at('d2'));
      expect(await disk.exists(at('d1'))).toBe(false);
      expect(await disk.readFile(at('d2/x'), 9)).toEqual(bytes('y'));
      await expect(disk.rename(at('none'), at('z'))).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('an open file survives its rename', async () => {
      const file = await disk.open(at('a.tmp'), 'create');
      await disk.rename(at('a.tmp'), at('a'));
      await file.write(0, bytes('later'));
      await file.sync();
      await file.close();
      expect(await disk.readFile(at('a'), 9)).toEqual(bytes('later'));
    });

    test('directories: made with parents, twice is fine, removed with all below', async () => {
      await disk.makeDirectory(at('p/q/r'));
      await disk.makeDirectory(at('p/q/r'));
      await disk.writeFileAtomic(at('p/q/r/f'), bytes('f'));
      expect(await disk.exists(at('p/q/r/f'))).toBe(true);
      expect(await disk.exists(at('p/q/none/f'))).toBe(false);
      await disk.removeAll(at('p'));
      expect(await disk.exists(at('p'))).toBe(false);
      await disk.removeAll(at('p'));
    });

    test('remove takes a file, not one that is absent', async () => {
      await disk.writeFileAtomic(at('a'), bytes('a'));
      await disk.remove(at('a'));
      expect(await disk.exists(at('a'))).toBe(false);
      await expect(disk.remove(at('a'))).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });
}
