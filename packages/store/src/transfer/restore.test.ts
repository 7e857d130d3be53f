/** Who the members of a restored cluster are: those it is restored for, and nobody of before. */
import { expect, test } from '@jest/globals';
import { hexId, silentLogger } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import { BackendDirectories } from '../../test/directories.ts';
import { imageOf, Machine } from '../../test/machine.ts';
import { bucketRange, Buckets, type Bucket } from '../backend/buckets.ts';
import type { Backend } from '../backend/backend.ts';
import { memberId } from '../config/ids.ts';
import { restoreSnapshot } from './restore.ts';

const URLS = ['http://127.0.0.1:2380', 'http://127.0.0.1:2381'];

async function keysOf(backend: Backend, bucket: Bucket): Promise<string[]> {
  const keys: string[] = [];
  for await (const pairs of backend.iterate(bucketRange(bucket)))
    for (const { key } of pairs) keys.push(key.slice(1));
  return keys;
}

test('a saved cluster of three, one of them removed, restored for two others', async () => {
  const machine = await Machine.open();
  const { membership } = machine.state;
  for (const id of [1n, 2n, 3n])
    membership.add({
      id,
      peerUrls: [`http://old${id}:2380`],
      isLearner: false,
      name: `old${id}`,
      clientUrls: [],
    });
  membership.remove(3n);
  membership.setClusterVersion('3.6');
  machine.put('k', 'v');
  const disk = new MemoryDisk().boot();
  await disk.writeFileAtomic('/saved.db', await imageOf(machine.state));
  const directories = new BackendDirectories();
  await restoreSnapshot(
    {
      snapshotPath: '/saved.db',
      name: 'm1',
      dataDir: '/restored',
      walDir: '',
      peerUrls: [URLS[0]],
      initialCluster: `m1=${URLS[0]},m2=${URLS[1]}`,
      initialClusterToken: 'another',
      skipHashCheck: true,
      bumpRevision: 0,
    },
    {
      disk,
      homeAt: (directory) => directories.home(disk, directory),
      logger: silentLogger,
      isLocked: () => Promise.resolve(false),
      resolve: () => Promise.resolve(new Map()),
    },
  );
  const backend = await directories.home(disk, '/restored/member/snap').open();
  const ids = URLS.map((url) => hexId(memberId([url], 'another'))).toSorted();
  expect(await keysOf(backend, Buckets.members)).toEqual(ids);
  expect(await keysOf(backend, Buckets.membersRemoved)).toEqual([]);
  expect(await keysOf(backend, Buckets.key)).not.toEqual([]);
});
