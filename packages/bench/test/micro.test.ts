/** Every micro-benchmark runs, gives figures, and computes what it says it does. No figure is judged here. */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Body } from '../src/micro/body.ts';
import { countEntries } from '../src/micro/entries.ts';
import { measureBody } from '../src/micro/measure.ts';
import { allBodies, runMicro, type MicroReport } from '../src/micro/micro.ts';
import { Trio } from '../src/micro/trio.ts';

const TINY = { rounds: 3, roundMs: 0.2 };

let bodies: readonly Body[] = [];
beforeAll(async () => {
  bodies = await allBodies();
});

test('every body gives figures, and so does its naive peer', () => {
  expect(new Set(bodies.map(({ name }) => name)).size).toBe(bodies.length);
  for (const body of bodies) {
    const result = measureBody(body, TINY, () => performance.now());
    const figures = [result.bestNs, result.medianNs, ...result.quartilesNs, result.perSecond];
    expect([body.name, figures.every((figure) => figure > 0 && Number.isFinite(figure))]).toEqual([
      body.name,
      true,
    ]);
    expect(result.bestNs).toBeLessThanOrEqual(result.medianNs);
    expect(result.bytes).toBeGreaterThanOrEqual(0);
    if (body.naive !== undefined) expect(result.naive?.times).toBeGreaterThan(0);
  }
});

describe('what is measured is right', () => {
  const bodyOf = (name: string): Body => {
    const found = bodies.find((body) => body.name === name);
    if (found === undefined) throw new TypeError(`there is no ${name}`);
    return found;
  };

  test.each([3, 5, 7, 31])('the committed index of %i, and sorting a copy', (size) => {
    const body = bodyOf(`quorum: committed index of ${size}`);
    expect(body.run()).toBe(body.naive?.run());
  });

  test('a slice of the log, and the filter', () => {
    const body = bodyOf('log: slice 64 of 10,000');
    const indexes = (found: unknown): number[] => (found as { index: number }[]).map(({ index }) => index);
    const [slice, filtered] = [indexes(body.run()), indexes(body.naive?.run())];
    expect(slice).toHaveLength(64);
    for (const found of [slice, filtered])
      expect(found.map((index) => index - found[0])).toEqual([...slice.keys()]);
  });

  test.each([true, false])('three nodes apply the same, all of it, logs being cut: %s', (compacts) => {
    const trio = new Trio({ compacts });
    for (let batch = 0; batch < 200; batch++) {
      const data = Array.from({ length: 64 }, (_, i) => Buffer.from([batch, i]));
      // The leader's own empty entry is the first.
      expect(trio.batch(data)).toBe(1 + (batch + 1) * 64);
      expect(trio.agrees()).toBe(true);
    }
    const logs = trio.nodes.map(({ storage }) => [storage.firstIndex(), storage.lastIndex()]);
    expect(logs).toEqual(Array.from({ length: 3 }, () => [compacts ? 10_015 : 2, 12_802]));
  });
});

test('an entry is made once, and all three logs hold that one', () => {
  const { proposed, made, kept, heapBytes } = countEntries(6400);
  expect(proposed).toBe(6400);
  // The empty entry of the leader's term is a pattern first.
  expect([made, kept]).toEqual([6400 + 2, 6400 + 1]);
  expect(heapBytes).toBeGreaterThan(0);
});

test('a filter and JSON', async () => {
  let text = '';
  const report = await runMicro((part) => void (text += part), { short: true, filter: 'quorum', json: true });
  expect(report.results.map(({ name }) => name)).toEqual(
    [3, 5, 7, 31].map((size) => `quorum: committed index of ${size}`),
  );
  const { results, entries } = JSON.parse(text) as MicroReport;
  expect(results).toEqual(report.results);
  expect(entries).toBeUndefined();
});
