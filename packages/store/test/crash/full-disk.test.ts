/** A disk that fills up under a member: an alarm before a failed write, the way out stays open, and the way back. */
import { afterEach, expect, test } from '@jest/globals';
import type { Disk } from '@keelson/base';
import { DISK_RESERVE_BYTES } from '../../src/limits.ts';
import { MemberCluster } from '../members.ts';

let cluster: MemberCluster | undefined;

afterEach(async () => {
  await cluster?.stop();
});

test('a nearly full disk raises the alarm; reads, deletes, compaction and defragmentation go on; then it is free again', async () => {
  let free = 10 * DISK_RESERVE_BYTES;
  cluster = await MemberCluster.start({
    members: 1,
    world: (_place, world) => {
      const disk: Disk = Object.create(world.disk);
      disk.freeBytes = () => Promise.resolve(free);
      return { ...world, disk };
    },
  });
  const client = cluster.client();
  const { header } = await client.kv.put('k', 'before');
  free = DISK_RESERVE_BYTES / 2;
  let refused: unknown;
  // The disk is looked at once a second.
  for (let i = 0; refused === undefined; i++) {
    await client.kv.put('filling', `${i}`).catch((error: unknown) => {
      refused = error;
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(refused).toMatchObject({ message: 'etcdserver: mvcc: database space exceeded' });
  expect((await client.maintenance.alarms()).alarms).toHaveLength(1);
  expect((await client.kv.get('k')).kvs[0].value.toString()).toBe('before');
  await client.kv.delete('k');
  await client.kv.compact(header?.revision ?? 0, { physical: true });
  await client.maintenance.defragment();
  await expect(client.kv.put('k', 'no')).rejects.toMatchObject({ reason: 'NO_SPACE' });

  free = 10 * DISK_RESERVE_BYTES;
  const { memberId } = cluster.server(0);
  for (let done = false; !done;) {
    await client.maintenance.alarmDisarm(memberId, 'NOSPACE');
    done = await client.kv.put('k', 'after').then(
      () => true,
      () => false,
    );
  }
  expect((await client.kv.get('k')).kvs[0].value.toString()).toBe('after');
});
