/**
 * A short round of the black box, two faults at a time on real processes, and the short scenarios of known etcd bugs,
 * all against our server. Times are asserted nowhere; the laws are asserted exactly. Where there are no network namespaces
 * the members stand on loopback behind relays, and the test's name says why.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { KEELSON_ETCD, missingServer } from '../harness/binaries.ts';
import { Namespaces, namespacesMissing } from '../harness/namespaces.ts';
import { Relays } from '../harness/relays.ts';
import { sayNothing } from '../harness/script.ts';
import { KEELSON } from './blackbox.ts';
import type { FaultKind, FaultPlan } from './blackbox/plan.ts';
import { planRound } from './blackbox/plan.ts';
import { runRound } from './blackbox/round.ts';
import { playOnce, SCENARIOS } from './calibrate.ts';

/** Of a run of one's own; the gate draws the same every time. */
const SEED = Number(process.env['SEED'] ?? 1);
const missing = missingServer();
const onLoopback = namespacesMissing();
const where = onLoopback === undefined ? 'in network namespaces' : `on loopback: ${onLoopback}`;

function check(name: string, body: () => Promise<void>): void {
  if (missing === undefined) test(name, body, 240_000);
  else test.skip(`${name}: ${missing}`, body);
}

function fault(kind: FaultKind, forMs: number): FaultPlan {
  return { kind, leader: true, dice: SEED, forMs };
}

check(`a round with two faults at a time, ${where} (SEED=${SEED})`, async () => {
  const parent = mkdtempSync(path.join(tmpdir(), 'keelson-round-'));
  const network = onLoopback === undefined ? new Namespaces(3) : await Relays.open(3);
  try {
    const plan = {
      ...planRound(SEED, 1, ['killOne'], 60),
      clients: 8,
      paceMs: 60,
      streams: 4,
      electionMs: 1000,
      episodes: [
        { afterMs: 500, faults: [fault('isolate', 2500), fault('clockStep', 1000)] },
        { afterMs: 500, faults: [fault('killOne', 500), fault('cutOneWay', 1500)] },
      ],
    };
    const report = await runRound({
      target: KEELSON,
      plan,
      network,
      parent,
      say: sayNothing,
      keep: false,
      started: () => {},
    });
    expect(report.broken).toEqual([]);
    expect([...report.faults.values()].reduce((a, b) => a + b, 0) + report.missed).toBe(4);
    expect(report.ok).toBeGreaterThan(20);
    expect(report.watchEvents).toBeGreaterThan(20);
  } finally {
    network.dispose();
    // What failed stays there to be judged again.
    if (readdirSync(parent).length === 0) rmSync(parent, { recursive: true });
  }
});

/** The others take longer, or need more of the machine; they are run by hand (docs/calibration.md). */
const SHORT: ReadonlySet<string> = new Set([
  'lost-delete',
  'revision-decreases',
  'lease-tells-keys',
  'txn-tells-values',
]);

for (const scenario of SCENARIOS) {
  if (!SHORT.has(scenario.name)) continue;
  check(`no ${scenario.name}, etcd's ${scenario.issue}: ${scenario.what}`, async () => {
    const target = { name: 'keelson', binary: KEELSON_ETCD } as const;
    const { broken } = await playOnce(scenario, target, onLoopback !== undefined);
    expect(broken).toEqual([]);
  });
}
