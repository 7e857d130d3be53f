import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { Remotes, type Target } from './remotes.ts';

function targets(...rows: readonly [host: string, priority: number, weight: number][]): Target[] {
  return rows.map(([host, priority, weight]) => ({ host, port: 2379, priority, weight }));
}

function tally(remotes: Remotes, picks: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < picks; i++) {
    const host = remotes.pick()?.target.host ?? 'none';
    counts[host] = (counts[host] ?? 0) + 1;
  }
  return counts;
}

function without(remotes: Remotes, ...hosts: readonly string[]): Remotes {
  for (let left = hosts.length; left > 0;) {
    const remote = remotes.pick()!;
    if (hosts.includes(remote.target.host) && remotes.deactivate(remote)) left--;
    else if (!hosts.includes(remote.target.host)) remotes.pick();
  }
  return remotes;
}

describe('which member gets a connection', () => {
  test('each in its turn where no weight was given', () => {
    const remotes = new Remotes(targets(['a', 0, 0], ['b', 0, 0], ['c', 0, 0]), new Prng(1));
    expect(tally(remotes, 9)).toEqual({ a: 3, b: 3, c: 3 });
  });

  test('by weight', () => {
    const counts = tally(new Remotes(targets(['a', 0, 10], ['b', 0, 30]), new Prng(2)), 4_000);
    expect(counts['a']).toBeGreaterThan(900);
    expect(counts['a']).toBeLessThan(1_100);
  });

  test('a weight of 0 beside others is a very small chance', () => {
    const counts = tally(new Remotes(targets(['a', 0, 10], ['b', 0, 0]), new Prng(3)), 10_000);
    expect(counts['b']).toBeGreaterThan(50);
    expect(counts['b']).toBeLessThan(150);
  });

  test('a priority that is higher in number waits until the lower ones are gone', () => {
    const remotes = new Remotes(targets(['a', 1, 5], ['b', 1, 0], ['c', 2, 0], ['d', 3, 1]), new Prng(4));
    expect(Object.keys(tally(remotes, 1_000)).sort()).toEqual(['a', 'b']);
    without(remotes, 'a', 'b');
    expect(tally(remotes, 5)).toEqual({ c: 5 });
    without(remotes, 'c');
    expect(tally(remotes, 5)).toEqual({ d: 5 });
    without(remotes, 'd');
    expect(tally(remotes, 1)).toEqual({ none: 1 });
  });

  test('one that answers again is chosen again', () => {
    const remotes = new Remotes(targets(['a', 0, 0]), new Prng(5));
    const remote = remotes.pick()!;
    expect(remotes.deactivate(remote)).toBe(true);
    expect(remotes.deactivate(remote)).toBe(false);
    expect(remotes.inactive).toEqual([remote]);
    expect(remotes.activate(remote)).toBe(true);
    expect(remotes.pick()).toBe(remote);
  });

  test('the priority 65535 is one like the others', () => {
    expect(tally(new Remotes(targets(['a', 65_535, 0]), new Prng(6)), 1)).toEqual({ a: 1 });
  });
});
