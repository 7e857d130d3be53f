import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import type { Timer } from './clock.ts';
import { pause } from './pause.ts';

/** Timers that somebody else lets go off. */
class HandClock {
  readonly pending = new Map<() => void, number>();

  setTimer(delayMs: number, task: () => void): Timer {
    this.pending.set(task, delayMs);
    return { cancel: () => void this.pending.delete(task) };
  }
}

test('ends with its time', async () => {
  const clock = new HandClock();
  const { signal } = new AbortController();
  const waiting = pause(clock, 30, signal);
  const [[task, delayMs]] = clock.pending;
  expect(delayMs).toBe(30);
  task();
  await waiting;
  expect([clock.pending.size, getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
});

test('ends as soon as it is called off', async () => {
  const clock = new HandClock();
  const stopping = new AbortController();
  const waiting = pause(clock, 30, stopping.signal);
  stopping.abort();
  await waiting;
  expect([clock.pending.size, getEventListeners(stopping.signal, 'abort').length]).toEqual([0, 0]);
});

test('does not begin where it was called off before', async () => {
  const clock = new HandClock();
  await pause(clock, 30, AbortSignal.abort());
  expect(clock.pending.size).toBe(0);
});
