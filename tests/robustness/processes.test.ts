/**
 * Short runs of the robustness scripts, with real processes: what they do at length by hand, they must do in
 * small here. Times are asserted loosely, as machines are shared; promises are asserted exactly, inside.
 */
import { expect, test } from '@jest/globals';
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import { sayNothing } from '../harness/script.ts';
import { firstPut } from './first-put.ts';
import { killAll } from './kill-all.ts';
import { killLeader } from './kill-leader.ts';
import { loadMillion } from './load-million.ts';
import { membersUnderLoad } from './members-under-load.ts';
import { stoppedFollower, TIMEOUT_TEXTS } from './stopped-follower.ts';

/** Of a run of one's own; the gate draws the same every time. */
const SEED = Number(process.env['SEED'] ?? 1);
const missing = missingServer();
/** A test of real processes, or its name with what is missing for it. */
function check(name: string, body: () => Promise<void>, timeoutMs?: number): void {
  if (missing === undefined) test(`${name} (SEED=${SEED})`, body, timeoutMs);
  else test.skip(`${name}: ${missing}`, body);
}
const common = { binary: KEELSON_ETCD, seed: SEED, flags: KEELSON_FLAGS, writers: 16 };

check('three members from nothing answer a put', async () => {
  const report = await firstPut({ binary: KEELSON_ETCD, rounds: 2, flags: KEELSON_FLAGS }, sayNothing);
  expect(report.firstPutMs.max).toBeLessThan(20_000);
});

check(
  'kill -9 of the leader under load, three times: a new leader, nothing lost, nothing doubled',
  async () => {
    const report = await killLeader({ ...common, rounds: 3, missed: 0 }, sayNothing);
    expect(report.failoverMs.count).toBe(3);
    expect(report.failoverMs.max).toBeLessThan(20_000);
  },
);

check('the killed leader comes back when the others have compacted their logs: by snapshot', async () => {
  const flags = [...KEELSON_FLAGS, '--snapshot-count=100', '--snapshot-catchup-entries=10'];
  const report = await killLeader({ ...common, flags, rounds: 2, missed: 400 }, sayNothing);
  expect(report.snapshots).toBe(2);
});

check('kill -9 of all three at once under load: every acknowledged put is there', async () => {
  const report = await killAll({ ...common, rounds: 3, puts: 200 }, sayNothing);
  expect(report.recoveryMs.count).toBe(3);
});

check(
  'a member is added, promoted, replaced and removed under load, with TLS: nothing lost, nothing told wrongly',
  async () => {
    const options = { binary: KEELSON_ETCD, seed: SEED, flags: KEELSON_FLAGS, tls: true };
    const report = await membersUnderLoad(
      { ...options, rounds: 1, minutes: 5, clients: 8, paceMs: 12 },
      sayNothing,
    );
    // All that join come by snapshot: the log does not begin at its beginning any more.
    expect(report.snapshots).toBe(3);
    expect(report.fragments).toBeGreaterThan(0);
  },
  300_000,
);

check('a stopped follower disturbs nobody; alone, a member times out and serves what it has', async () => {
  const report = await stoppedFollower({ ...common, stopMs: 4000, watchMs: 2000 }, sayNothing);
  expect(TIMEOUT_TEXTS.has(report.lonely.put)).toBe(true);
  expect(TIMEOUT_TEXTS.has(report.lonely.range)).toBe(true);
  expect(report.lonely.serializable).toBe('there');
});

check('keys loaded through the client are there after restarts', async () => {
  const report = await loadMillion(
    { ...common, keys: 5000, valueBytes: 256, concurrency: 64, stepKeys: 1000 },
    sayNothing,
  );
  expect(report.steps).toHaveLength(5);
});
