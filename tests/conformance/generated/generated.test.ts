/**
 * A short run of the generated scripts against Debian's etcd; main.ts runs the full budget. Also: the same seed
 * gives the same script, and a difference would be seen.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { missingServer, REFERENCE_ETCD } from '../../harness/binaries.ts';
import { sayNothing } from '../../harness/script.ts';
import { startSides, type Side } from '../sides.ts';
import { compareScripts } from './campaign.ts';
import { generate } from './generator.ts';
import { put } from '../api-call.ts';
import { services } from '@keelson/proto';
import { ScriptRunner } from './runner.ts';

const SCRIPTS = 120;
const missing = REFERENCE_ETCD === undefined ? 'no etcd on the PATH' : missingServer();
const name = missing === undefined ? 'against a real etcd' : `against a real etcd (skipped: ${missing})`;

test('one seed, one script', () => {
  const text = (seed: number): string[] => generate(seed).steps.map((step) => `${step.rpc} ${step.text}`);
  for (let seed = 1; seed <= 20; seed++) {
    expect(text(seed)).toEqual(text(seed));
    expect(text(seed).length).toBeGreaterThanOrEqual(20);
  }
  expect(new Set(Array.from({ length: 60 }, (_, i) => generate(i).kind)).size).toBe(5);
});

(missing === undefined ? describe : describe.skip)(name, () => {
  let sides: [Side, Side];
  beforeAll(async () => {
    sides = await startSides(['--bcrypt-cost=4'], 1);
  });
  afterAll(async () => {
    await Promise.all(sides.map(({ cluster }) => cluster.dispose()));
  });

  test(`${SCRIPTS} scripts answer alike, step by step`, async () => {
    const result = await compareScripts(sides, { from: 1, scripts: SCRIPTS, differencesMax: 3 }, sayNothing);
    expect(result.differences).toEqual([]);
    expect(result.steps).toBeGreaterThan(SCRIPTS * 20);
    expect(result.texts.size).toBeGreaterThan(20);
  });

  test('a side that differs is noticed at its first answer', async () => {
    await sides[1].cluster.api(0).call(services.KV.methods.put, put({ key: 'g/a', value: 'only here' }));
    const difference = await new ScriptRunner(sides).run(generate(1));
    expect(difference?.lines.join('\n')).toMatch(/^etcd: header\.revision \d+$/m);
  });
});
