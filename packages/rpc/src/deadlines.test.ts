import { expect, test } from '@jest/globals';
import type { Clock } from '@keelson/base';
import { Deadlines } from './deadlines.ts';
import { Meter } from './limits.ts';

/** A clock that is set by hand; one timer at a time is all that is asked of it. */
class HandClock implements Clock {
  now = 0;
  armedMs = Infinity;
  private task: () => void = () => {};
  nowMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    return this.now;
  }
  setTimer(delayMs: number, task: () => void): { cancel(): void } {
    this.armedMs = this.now + delayMs;
    this.task = task;
    return { cancel: () => (this.armedMs = Infinity) };
  }
  advance(toMs: number): void {
    this.now = toMs;
    while (this.armedMs <= this.now) {
      this.armedMs = Infinity;
      this.task();
    }
  }
}

test('deadlines fire in time, never early, and not after they were removed', () => {
  const clock = new HandClock();
  const deadlines = new Deadlines(clock);
  const fired: [number, number][] = [];
  const add = (id: number, ms: number): (() => void) => {
    const due = { deadlinePassed: () => fired.push([id, clock.now]) };
    const step = deadlines.add(due, ms);
    return () => deadlines.remove(due, step);
  };
  add(1, 100);
  add(2, 3);
  add(3, 100);
  const removeFour = add(4, 50);
  add(5, 1e12);
  removeFour();
  for (let ms = 0; ms <= 200; ms++) clock.advance(ms);
  expect(fired).toEqual([
    [2, 8],
    [1, 104],
    [3, 104],
  ]);
  deadlines.clear();
  clock.advance(1e13);
  expect(fired).toHaveLength(3);
});

test('a meter lets a burst pass, and then as much as time gives back', () => {
  const meter = new Meter({ burst: 3, perSecond: 10 });
  const taken = [0, 0, 0, 0, 100, 100, 250, 10_000].map((ms) => meter.take(ms));
  expect(taken).toEqual([true, true, true, false, true, false, true, true]);
});
