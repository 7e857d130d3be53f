/** What is found in damaged files of a LevelDB before it is opened, and what a crash leaves. */
import { afterEach, expect, test } from '@jest/globals';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Prng } from '@keelson/base';
import { NodeDisk } from '../disk/node-disk.ts';
import type { BatchOperation } from './backend.ts';
import { LevelBackend } from './level-backend.ts';
import { checkLevelFiles } from './level-files.ts';

const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  folders.push(made);
  return made;
}

const disk = new NodeDisk();

/** Texts that compress, and bytes that do not. */
function batch(prng: Prng, first: number): BatchOperation[] {
  return Array.from({ length: 200 }, (_, i) => ({
    key: `k${String(first + i).padStart(17, '0')}`,
    value: Buffer.from(
      i % 2 === 0
        ? `value ${first + i} `.repeat(8)
        : String.fromCharCode(...Array.from({ length: 60 }, () => prng.below(256))),
      'latin1',
    ),
  }));
}

/** A database with tables, a log, and a table that is no longer used. */
async function filled(): Promise<string> {
  const directory = await folder();
  const prng = new Prng(1);
  for (let life = 0; life < 3; life++) {
    const backend = await LevelBackend.open(disk, directory);
    for (let i = 0; i < 5; i++) await backend.write(batch(prng, life * 1000 + i * 200));
    await backend.close();
  }
  return directory;
}

async function problemOf(directory: string): Promise<string | undefined> {
  return checkLevelFiles(disk, directory).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const kindOf = (name: string): string => name.replace(/[0-9]+/, '#');

test('is well as LevelDB leaves it, also while it is begun', async () => {
  expect(await problemOf(await folder())).toBeUndefined();
  const directory = await filled();
  const kinds = new Set((await readdir(directory)).map(kindOf));
  expect([...kinds].sort()).toEqual(['#.ldb', '#.log', 'CURRENT', 'LOCK', 'LOG', 'LOG.old', 'MANIFEST-#']);
  expect(await problemOf(directory)).toBeUndefined();
});

test('every flipped bit in a table, a manifest, a log and CURRENT is found, but in what a crash can leave', async () => {
  const directory = await filled();
  const prng = new Prng(2);
  for (const name of await readdir(directory)) {
    if (name === 'LOCK' || name.startsWith('LOG')) continue;
    const path = join(directory, name);
    const before = await readFile(path);
    const bytes = Buffer.from(before);
    for (let i = 0; i < 150; i++) {
      const offset = prng.below(bytes.length);
      bytes[offset] ^= 1 << prng.below(8);
      await writeFile(path, bytes);
      const problem = await problemOf(directory);
      bytes[offset] = before[offset];
      // The padding of a table's footer means nothing; the last record of a log may be a write that was not finished.
      const harmless = name.endsWith('.ldb') && offset >= bytes.length - 48 && offset < bytes.length - 8;
      const last = /\.log$|^MANIFEST/.test(name);
      if (problem === undefined && !harmless && !last)
        throw new Error(`${name} at ${offset} of ${bytes.length}`);
      if (problem !== undefined) expect(problem).toContain(directory);
    }
    await writeFile(path, before);
  }
  expect(await problemOf(directory)).toBeUndefined();
});

test('a flip before the last record of a log is damage, one in it is the end of an unfinished write', async () => {
  const directory = await filled();
  const name = (await readdir(directory)).find((each) => each.endsWith('.log'))!;
  const path = join(directory, name);
  const before = await readFile(path);
  const flipped = async (offset: number): Promise<string | undefined> => {
    const bytes = Buffer.from(before);
    bytes[offset] ^= 0x10;
    await writeFile(path, bytes);
    return problemOf(directory);
  };
  expect(await flipped(100)).toContain('is damaged at offset 0: it was synced before');
  expect(await flipped(before.length - 10)).toBeUndefined();
  await writeFile(path, before.subarray(0, before.length - 10));
  expect(await problemOf(directory)).toBeUndefined();
});

test('what is missing or cut is named', async () => {
  const directory = await filled();
  const names = await readdir(directory);
  const table = names.find((name) => name.endsWith('.ldb'))!;
  const manifest = names.find((name) => name.startsWith('MANIFEST'))!;
  const rows: [string, (copy: string) => Promise<unknown>, string][] = [
    ['a table', (copy) => unlink(join(copy, table)), `${table} is missing`],
    ['the manifest', (copy) => unlink(join(copy, manifest)), `CURRENT names ${manifest}, which is missing`],
    ['CURRENT', (copy) => unlink(join(copy, 'CURRENT')), 'CURRENT is missing'],
    ['an empty CURRENT', (copy) => truncate(join(copy, 'CURRENT'), 0), 'names no manifest'],
    ['an empty manifest', (copy) => truncate(join(copy, manifest), 0), 'it is empty'],
    [
      'a cut table',
      async (copy) => truncate(join(copy, table), (await stat(join(copy, table))).size - 1),
      'were written',
    ],
  ];
  for (const [what, harm, expected] of rows) {
    const copy = await folder();
    await cp(directory, copy, { recursive: true });
    await harm(copy);
    expect([what, await problemOf(copy)]).toEqual([what, expect.stringContaining(expected)]);
    await expect(LevelBackend.open(disk, copy)).rejects.toMatchObject({ code: 'DAMAGED' });
  }
});

test('a manifest that lost its end is told by the writes that are missing then', async () => {
  const directory = await folder();
  const backend = await LevelBackend.open(disk, directory);
  const prng = new Prng(3);
  for (let i = 0; i < 5; i++) await backend.write(batch(prng, i * 200));
  const manifest = join(
    directory,
    (await readdir(directory)).find((name) => name.startsWith('MANIFEST'))!,
  );
  const { size } = await stat(manifest);
  await backend.compact('\0', '\xff');
  await backend.write(batch(prng, 2000));
  await backend.close();
  expect(await problemOf(directory)).toBeUndefined();
  await truncate(manifest, size);
  expect(await problemOf(directory)).toMatch(/writes before number [0-9]+ are missing/);
});

test('one whose making was not finished is made anew', async () => {
  const directory = await folder();
  await (await LevelBackend.open(disk, directory)).close();
  const names = await readdir(directory);
  for (const name of names) if (/MANIFEST|\.log$/.test(name)) await unlink(join(directory, name));
  await writeFile(join(directory, 'MANIFEST-000001'), '');
  await writeFile(join(directory, '000003.log'), '');
  await writeFile(join(directory, 'CURRENT'), 'MANIFEST-000001\n');
  expect(await checkLevelFiles(disk, directory)).toBe('begun');
  const backend = await LevelBackend.open(disk, directory);
  await backend.write(batch(new Prng(1), 0));
  await backend.close();
  expect(await checkLevelFiles(disk, directory)).toBe('whole');
});
