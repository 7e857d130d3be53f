/** Which data dirs are refused, and that nothing is touched then. */
import { MemoryDisk } from '@keelson/sim';
import { expect, test } from '@jest/globals';
import { checkDataDir } from './data-dir.ts';

async function diskWith(...directories: string[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  for (const each of directories) await disk.makeDirectory(each);
  return disk;
}

test('one whose database another process holds', async () => {
  const disk = await diskWith('/data/member/snap');
  const held: string[] = [];
  const locks = (path: string): Promise<boolean> => {
    held.push(path);
    return Promise.resolve(true);
  };
  await expect(checkDataDir(disk, '/data', locks)).rejects.toThrow(
    'data dir /data is in use: another process holds /data/member/snap/db',
  );
  expect(held).toEqual(['/data/member/snap/db']);
  await checkDataDir(disk, '/data', () => Promise.resolve(false));
});

test.each([
  ['other files', '/data/photos', 'data dir /data holds other files (photos): choose an empty directory'],
  ['what a file system puts at its root', '/data/lost+found', undefined],
  ['nothing', '/data', undefined],
  ['not there', '/elsewhere', undefined],
])('one with %s', async (_name, directory, refusal) => {
  const disk = await diskWith(directory);
  const checked = checkDataDir(disk, '/data', () => Promise.resolve(true));
  if (refusal === undefined) await checked;
  else await expect(checked).rejects.toThrow(refusal);
});
