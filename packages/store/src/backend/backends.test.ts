/** Both backends against the one contract; what only LevelDB has: the lock and damaged files. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { backendContract } from '../../test/contract/backend.ts';
import { NodeDisk } from '../disk/node-disk.ts';
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
