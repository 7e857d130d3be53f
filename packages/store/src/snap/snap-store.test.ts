/** .snap files over the simulated disk. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import { Snapshot, type ConfState } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { decodeSnapFile, encodeSnapFile, formatSnapName, parseSnapName, SnapStore } from './snap-store.ts';

const DIRECTORY = '/member/snap';
const confState: ConfState = {
  voters: [1n, 0xffff_ffff_ffff_ffffn],
  learners: [3n],
  votersOutgoing: [4n],
  learnersNext: [5n],
  autoLeave: true,
};
const snapshot = (index: number, term = 2) =>
  new Snapshot(index, term, confState, Buffer.from(`{"index":${index}}`));

let disk: MemoryDisk;
let store: SnapStore;

beforeEach(async () => {
  disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  await disk.syncDirectory('/');
  await disk.syncDirectory('/member');
  store = new SnapStore(disk, DIRECTORY, silentLogger);
});

test.each<[string, ReturnType<typeof parseSnapName>]>([
  ['0000000000000002-000000000000000a.snap', { term: 2, index: 10 }],
  ['0000000000000002-000000000000000A.snap', undefined],
  ['0000000000000002-000000000000000a.snap.db', undefined],
  ['000000000000000a.snap.db', undefined],
  ['ffffffffffffffff-000000000000000a.snap', undefined],
  ['db', undefined],
])('name %s', (name, want) => {
  expect(parseSnapName(name)).toEqual(want);
  if (want !== undefined) expect(formatSnapName(want)).toBe(name);
});

test('the bytes of a file are etcd’s', () => {
  const bytes = encodeSnapFile(
    new Snapshot(
      5,
      1,
      { ...confState, voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
      Buffer.from('x'),
    ),
  );
  // data 'x'; metadata {conf state {voter 1, auto leave false}, index 5, term 1}
  const inner = '0a0178120a0a040801280010051801';
  expect(bytes.subarray(-inner.length / 2).toString('hex')).toBe(inner);
  expect(bytes[0]).toBe(0x08);
});

describe('save and load', () => {
  test('what was saved survives a crash and comes back', async () => {
    expect(await store.loadNewest()).toBeUndefined();
    await store.save(snapshot(10));
    await store.save(snapshot(20));
    await store.save(snapshot(15, 3));
    disk.crash(new Prng(1));
    expect((await store.list()).map((name) => name.index)).toEqual([15, 20, 10]);
    expect(await store.loadNewest()).toEqual(snapshot(15, 3));
    expect(await store.loadNewest((name) => name.term === 2)).toEqual(snapshot(20));
    expect(await store.loadNewest(() => false)).toBeUndefined();
  });

  test('a broken file is set aside and the one before is used', async () => {
    await store.save(snapshot(10));
    await store.save(snapshot(20));
    disk.flip(`${DIRECTORY}/${formatSnapName({ term: 2, index: 20 })}`, 12, 1);
    expect(await store.loadNewest()).toEqual(snapshot(10));
    expect(await disk.list(DIRECTORY)).toEqual([
      '0000000000000002-000000000000000a.snap',
      '0000000000000002-0000000000000014.snap.broken',
    ]);
  });

  test('a file under another’s name is broken', async () => {
    await store.save(snapshot(10));
    await disk.rename(
      `${DIRECTORY}/${formatSnapName(snapshot(10))}`,
      `${DIRECTORY}/${formatSnapName({ term: 2, index: 11 })}`,
    );
    expect(await store.loadNewest()).toBeUndefined();
  });

  test('any flipped bit and any cut is noticed', () => {
    const bytes = encodeSnapFile(snapshot(10));
    for (let at = 0; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const rotten = Buffer.from(bytes);
        rotten.writeUInt8(rotten.readUInt8(at) ^ (1 << bit), at);
        // The 5th byte of a checksum has bits that mean nothing: then the content is what it was.
        let read: Snapshot | undefined;
        try {
          read = decodeSnapFile(rotten);
        } catch {
          continue;
        }
        expect(read).toEqual(snapshot(10));
        expect(at).toBeLessThan(6);
      }
      expect(() => decodeSnapFile(bytes.subarray(0, at))).toThrow();
    }
  });
});

test('purge keeps the newest', async () => {
  for (let index = 1; index <= 8; index++) await store.save(snapshot(index));
  await disk.writeFileAtomic(`${DIRECTORY}/${formatSnapName(snapshot(9))}.tmp`, Buffer.from('x'));
  await store.purge();
  expect((await store.list()).map((name) => name.index)).toEqual([8, 7, 6, 5, 4]);
  expect((await disk.list(DIRECTORY)).length).toBe(5);
});
