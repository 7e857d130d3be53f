import { expect, test } from '@jest/globals';
import { DISK_RESERVE_BYTES } from '../limits.ts';
import { Quota } from './quota.ts';

test('what was measured and what came since', async () => {
  let size = 600;
  const quota = new Quota(1_000, () => Promise.resolve(size));
  expect(quota.hasRoom(999)).toBe(true);
  await quota.refresh();
  expect(quota.hasRoom(399)).toBe(true);
  expect(quota.hasRoom(400)).toBe(false);
  expect(quota.admits(300)).toBe(true);
  expect(quota.hasRoom(200)).toBe(false);
  size = 700;
  await quota.refresh();
  expect(quota.hasRoom(200)).toBe(true);
  expect(quota.admits(500)).toBe(false);
});

test('what comes while it is measured counts on top', async () => {
  let done: (size: number) => void = () => {};
  const quota = new Quota(1_000, () => new Promise((resolve) => (done = resolve)));
  quota.admits(100);
  const measured = quota.refresh();
  expect(quota.refresh()).toBe(measured);
  quota.admits(50);
  done(800);
  await measured;
  expect(quota.hasRoom(149)).toBe(true);
  expect(quota.hasRoom(150)).toBe(false);
});

test('no quota', async () => {
  const quota = new Quota(Infinity, () => Promise.reject(new Error('not asked')));
  await quota.refresh();
  expect(quota.hasRoom(1e300)).toBe(true);
});

test('a disk that is nearly full has no room, whatever the quota', async () => {
  let free = 3 * DISK_RESERVE_BYTES;
  const quota = new Quota(
    Infinity,
    () => Promise.reject(new Error('not measured')),
    () => Promise.resolve(free),
  );
  await quota.refresh();
  expect(quota.hasRoom(DISK_RESERVE_BYTES)).toBe(true);
  expect(quota.diskShort).toBe(false);
  expect(quota.admits(2 * DISK_RESERVE_BYTES)).toBe(false);
  expect(quota.diskShort).toBe(true);
  free = DISK_RESERVE_BYTES;
  await quota.refresh();
  expect(quota.hasRoom(1)).toBe(false);
  free = 2 * DISK_RESERVE_BYTES;
  await quota.refresh();
  expect(quota.hasRoom(1)).toBe(true);
});
