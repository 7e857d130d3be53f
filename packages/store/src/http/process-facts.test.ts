import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Registry } from '../metrics/registry.ts';
import { NO_FACTS, processFacts } from './process-facts.ts';
import { registerRuntime } from './runtime-metrics.ts';

test('pauses and the event loop are watched from the first scrape', async () => {
  const facts = processFacts();
  const { minor, major } = facts.pauses();
  const delay = facts.loopDelay();
  // A stall that no timer can be on time for, and enough garbage that the young generation is collected.
  const endMs = performance.now() + 60;
  let kept: object[] = [];
  while (performance.now() < endMs || minor.count + major.count === 0) {
    kept = Array.from({ length: 10_000 }, (_, i) => ({ i }));
    if (performance.now() >= endMs) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(kept).toHaveLength(10_000);
  while (delay.count === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(delay.sum).toBeGreaterThan(0.01);
  expect(facts.pauses().minor).toBe(minor);
  expect(facts.loopDelay()).toBe(delay);
});

test('their families stand in a scrape, also of a member that is no process', () => {
  const registry = new Registry();
  registerRuntime(registry, NO_FACTS);
  const text = registry.text();
  for (const name of ['gc_minor_pause', 'gc_major_pause', 'event_loop_delay'])
    expect(text).toMatch(new RegExp(`^keelson_${name}_seconds_count 0$`, 'm'));
});

test('virtual memory is what the system says, in bytes', () => {
  const facts = processFacts();
  const told = (): number => {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // The 23rd field; the second is a name in brackets, which may hold blanks.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[20]);
  };
  const before = told();
  const bytes = facts.virtualBytes();
  // Other threads may have asked the system for memory in between.
  if (told() === before) expect(bytes).toBe(before);
  expect(bytes / before).toBeCloseTo(1, 1);
});
