/** CI's share of the checker's own test; `node packages/sim/test/checker/main.ts 10000` is the whole. */
import { expect, test } from '@jest/globals';
import { checkHistory } from '../../src/checker/check-history.ts';
import { verdictText } from '../../src/checker/verdict.ts';
import { goodHistory } from './good-history.ts';
import { agreement, mutations } from './self-test.ts';

const seed = Number(process.env['SEED'] ?? 20);

test(`both judges agree with brute force (SEED=${seed})`, () => {
  const report = agreement(seed, 800);
  expect(report.wrong).toEqual([]);
  expect(report.legal).toBeGreaterThan(100);
  expect(report.histories - report.legal).toBeGreaterThan(100);
});

test(`every lie in a good history is found, or is none (SEED=${seed})`, () => {
  const report = mutations(seed, 800);
  expect(report.missed).toEqual([]);
  expect(report.equivalent).toBeLessThan(report.mutations / 2);
});

test(`good histories are good: leases that run out, unanswered requests, lagging watches (SEED=${seed})`, () => {
  for (let round = 0; round < 150; round++) {
    const verdict = checkHistory(
      goodHistory({ seed: seed * 1000 + round, operations: 80, unknownPercent: 10 }),
    );
    expect(verdictText(verdict)).toMatch(/^ok: /);
  }
});
