/** Both backends against the one contract; what only LevelDB has: the lock and damaged files. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { backendContract } from '../../test/contract/backend.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import { encodeRevision } from '../mvcc/revision.ts';
import { Buckets } from './buckets.ts';
import { LevelBackend } from './level-backend.ts';
import { MemoryBackend } from './memory-backend.ts';

const disk = new NodeDisk();

backendContract('memory', () => {
  const backend = new MemoryBackend();
  return Promise.resolve({ backend, reopen: () => Promise.resolve(backend), dispose: () => backend.close() });
});

backendContract('LevelDB', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  let backend = await LevelBackend.open(disk, join(directory, 'db'));
  return {
    backend,
    reopen: async () => {
      await backend.close();
      backend = await LevelBackend.open(disk, join(directory, 'db'));
      return backend;
    },
    dispose: async () => {
      await backend.close();
      await rm(directory, { recursive: true });
    },
  };
});

test('a second opener is told that the data dir is held', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  try {
    const first = await LevelBackend.open(disk, directory);
    await expect(LevelBackend.open(disk, directory)).rejects.toMatchObject({
      code: 'LOCKED',
      message: /another process holds the data dir/,
    });
    await first.close();
    await (await LevelBackend.open(disk, directory)).close();
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('damaged files are refused, not replaced', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  try {
    await (await LevelBackend.open(disk, directory)).close();
    const manifest = (await readdir(directory)).find((name) => name.startsWith('MANIFEST'));
    await writeFile(join(directory, manifest ?? ''), 'not a manifest');
    await expect(LevelBackend.open(disk, directory)).rejects.toMatchObject({ code: 'DAMAGED' });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('buckets that stood behind the revisions move before them when a directory is opened', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  try {
    const before = await LevelBackend.open(disk, directory);
    const revision = `k${encodeRevision(7, 0)}`;
    await before.write(
      [revision, 'mterm', 'llease-id', 'p8e9e05c52164694d', 'qdead', 'uroot', 'rreader', 'aalarm', 'h1'].map(
        (key) => ({ key, value: Buffer.from(key) }),
      ),
    );
    await before.close();
    const expected = ['Llease-id', 'Mterm', 'P8e9e05c52164694d', 'Qdead', 'Rreader', 'Uroot', 'aalarm', 'h1'];
    for (const _opened of ['first', 'again']) {
      const after = await LevelBackend.open(disk, directory);
      const found: [string, string][] = [];
      for await (const pairs of after.iterate({ gte: '\0', lt: '\xff' }))
        for (const { key, value } of pairs) found.push([key, value.toString('latin1')]);
      expect(found.map(([key]) => key)).toEqual([...expected, revision]);
      for (const [key, value] of found) expect(key.slice(1)).toBe(value.slice(1));
      await after.close();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a directory that holds a bucket in both places is refused, and left as it is', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-level-'));
  try {
    const before = await LevelBackend.open(disk, directory);
    await before.write(
      ['Lsame', 'lother', 'Mterm', 'mterm'].map((key) => ({ key, value: Buffer.from(key) })),
    );
    await before.close();
    // Twice: the first refusal has let go of the directory.
    for (const _opened of ['first', 'again'])
      await expect(LevelBackend.open(disk, directory)).rejects.toThrow(
        'backend: bucket meta is there in two layouts: an earlier build has written to this data dir',
      );
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('no bucket sorts behind the revisions', () => {
  for (const bucket of Object.values(Buckets)) expect(bucket.prefix <= Buckets.key.prefix).toBe(true);
});
