/** Databases with random damage, through everything that reads them: the same kinds of error, never another, never a hang. */
import { expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import { BackendDirectories } from '../../test/directories.ts';
import { imageOf, Machine } from '../../test/machine.ts';
import { WriteBuffer } from '../backend/write-buffer.ts';
import { FatalError } from '../errors.ts';
import { MvccStore } from '../mvcc/store.ts';
import { BboltError } from '../snapshot/pages.ts';
import { withDatabase, type OfflineWorld } from './database.ts';
import { dumpBucket } from './dump.ts';
import { restoreSnapshot } from './restore.ts';
import { offlineHashKV, snapshotStatus } from './status.ts';

const FILE = '/damaged.db';
const RUNS = 400;

async function image(): Promise<Buffer> {
  const machine = await Machine.open();
  machine.grant(5n);
  for (let i = 0; i < 300; i++) machine.put(`key${i % 40}`, `value ${i} `.repeat(i % 20));
  machine.delete('key3');
  machine.compact(200);
  return imageOf(machine.state);
}

function damaged(original: Buffer, prng: Prng): Buffer {
  const bytes = Buffer.from(original);
  const pages = bytes.length / 4096;
  for (let i = prng.between(1, 4); i > 0; i--) {
    const at = prng.below(pages) * 4096 + (prng.chance(1, 2) ? prng.below(200) : prng.below(4096));
    bytes[at] ^= 1 << prng.below(8);
  }
  return bytes;
}

test('every reader answers, or refuses with a line for a person', async () => {
  const original = await image();
  const outcomes = { read: 0, refused: 0 };
  for (let seed = 1; seed <= RUNS; seed++) {
    const disk = new MemoryDisk().boot();
    await disk.writeFileAtomic(FILE, damaged(original, new Prng(seed)));
    const directories = new BackendDirectories();
    const world: OfflineWorld = {
      disk,
      homeAt: (directory) => directories.home(disk, directory),
      logger: silentLogger,
      isLocked: () => Promise.resolve(false),
      resolve: () => Promise.resolve(new Map()),
    };
    const readers: (() => Promise<unknown>)[] = [
      () => withDatabase(world, FILE, true, snapshotStatus),
      () => withDatabase(world, FILE, false, (database) => offlineHashKV(database, 0)),
      () =>
        withDatabase(world, FILE, false, async (database) => {
          for (const name of ['key', 'meta', 'lease'])
            for await (const line of dumpBucket(database, name, 0, true)) expect(line).not.toBe('');
        }),
      async () => {
        await restoreSnapshot(
          {
            snapshotPath: FILE,
            name: 'm1',
            dataDir: '/restored',
            walDir: '',
            peerUrls: ['http://127.0.0.1:2380'],
            initialCluster: 'm1=http://127.0.0.1:2380',
            initialClusterToken: 'token',
            skipHashCheck: true,
            bumpRevision: 0,
          },
          world,
        );
        const backend = await directories.home(disk, '/restored/member/snap').open();
        await MvccStore.restore(await WriteBuffer.load(backend, { onError: () => {} }));
      },
    ];
    for (const read of readers) {
      try {
        await read();
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof FatalError || error instanceof BboltError))
          throw new Error(`SEED=${seed}`, { cause: error });
        outcomes.refused++;
      }
    }
  }
  expect(outcomes.read).toBeGreaterThan(200);
  expect(outcomes.refused).toBeGreaterThan(200);
});
