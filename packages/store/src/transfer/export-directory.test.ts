import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { keysAt, keysOf, log, member, Place, type Shape } from '../../test/etcd-directory.ts';
import { FatalError } from '../errors.ts';
import { exportDirectory } from './export-directory.ts';
import { readMemberLog } from './member-log.ts';

const TARGET = '/export';
const PATHS = { snap: `${TARGET}/member/snap`, wal: `${TARGET}/member/wal` };
const SHAPE: Shape = { index: 12, snapshotIndex: 8, members: [] };

describe('a data dir for a real etcd', () => {
  test('begins at the last committed entry; what is not committed follows in its log', async () => {
    const place = await Place.with(SHAPE, 18);
    const storage = await place.start();
    const disk = place.disk.boot();
    expect(await exportDirectory(storage, disk, TARGET, silentLogger)).toBe(18);
    const exported = (await readMemberLog(disk, PATHS))!;
    expect(exported).toMatchObject({ memberId: 1n, clusterId: 9n });
    expect(exported.hardState).toEqual({ term: 1, vote: 1n, commit: 18 });
    expect(exported.snapshot).toMatchObject({ index: 18, term: 1 });
    expect(exported.snapshot?.confState.voters).toEqual([1n, 2n, 3n, 4n]);
    expect(exported.entries.map(({ index, data }) => ({ index, data }))).toEqual(
      log()
        .slice(18)
        .map(({ index, data }) => ({ index, data })),
    );
    expect(await disk.list(PATHS.snap)).toEqual(['0000000000000001-0000000000000012.snap', 'db']);
  });

  test('comes back as what it was', async () => {
    const place = await Place.with(SHAPE);
    const storage = await place.start();
    const disk = place.disk.boot();
    await exportDirectory(storage, disk, TARGET, silentLogger);
    const again = await place.start(TARGET);
    expect(keysOf(again)).toEqual(await keysAt(20));
    expect(again.state.consistentIndex).toBe(20);
    expect(again.state.membership.list()).toEqual([member(1n, 'm1'), member(2n), member(3n), member(4n)]);
    // What the leader of the cluster settles anew, whichever version of etcd it is.
    expect(again.state.membership.clusterVersion).toBe('');
    expect(await again.state.mvcc.hashKV(0)).toEqual(await storage.state.mvcc.hashKV(0));
  });

  test('is not written over something', async () => {
    const place = await Place.with(SHAPE);
    const storage = await place.start();
    const disk = place.disk.boot();
    await disk.makeDirectory(`${TARGET}/member`);
    await expect(exportDirectory(storage, disk, TARGET, silentLogger)).rejects.toThrow(FatalError);
    expect(await disk.list(TARGET)).toEqual(['member']);
  });

  test('needs something that was applied', async () => {
    const place = await Place.with({ index: 0, members: [] }, 0);
    const storage = await place.start();
    await expect(exportDirectory(storage, place.disk.boot(), TARGET, silentLogger)).rejects.toThrow(
      'nothing has been applied yet',
    );
  });
});
