/**
 * A part of all crash images of whole members; `node packages/store/test/crash/main.ts --all` tries every one. The
 * recordings are also shown to hold what they are for, and the judge to see a member that does not sync.
 */
import { expect, test } from '@jest/globals';
import { crashCampaign } from './campaign.ts';
import { MANY_SEGMENTS, MANY_SNAPSHOTS, recordAlone, recordFollower, type Recording } from './scripts.ts';

/** Changes of names that end like this. */
function renames({ recorder }: Recording, ending: RegExp): number {
  return recorder.recorded.filter((each) => each.kind === 'rename' && ending.test(each.to)).length;
}

function removals({ recorder }: Recording, ending: RegExp): number {
  return recorder.recorded.filter((each) => each.kind === 'remove' && ending.test(each.path)).length;
}

test('a member alone comes back from every image with all it acknowledged', async () => {
  const recording = await recordAlone(200, MANY_SEGMENTS);
  expect(renames(recording, /\.wal$/)).toBeGreaterThan(20);
  expect(removals(recording, /\.wal$/)).toBeGreaterThan(10);
  expect(renames(recording, /\.snap$/)).toBeGreaterThan(2);
  const result = await crashCampaign(recording, { every: 6, nestedEvery: 100 });
  expect(result.failures).toEqual([]);
  expect(result.refused).toBe(0);
  expect(result.started).toBeGreaterThan(60);
});

test('a follower that was sent a snapshot comes back from every image with all it promised', async () => {
  const recording = await recordFollower(150, MANY_SNAPSHOTS);
  expect(renames(recording, /\.snap\.db$/)).toBeGreaterThan(0);
  expect(renames(recording, /db\.level\.current$/)).toBeGreaterThan(0);
  const result = await crashCampaign(recording, { every: 6, nestedEvery: 100 });
  expect(result.failures).toEqual([]);
  expect(result.refused).toBe(0);
  expect(result.started).toBeGreaterThan(60);
});

test('a member that does not sync is found out', async () => {
  const { config, ...shape } = MANY_SNAPSHOTS;
  const recording = await recordAlone(30, { ...shape, config: { ...config, unsafeNoFsync: true } });
  const result = await crashCampaign(recording, { every: 1, nestedEvery: 1000 });
  expect(result.failures.join('\n')).toMatch(/acknowledged was|refused/);
});
