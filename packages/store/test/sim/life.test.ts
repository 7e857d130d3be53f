/** Pauses of a process, and their end before their time. */
import { Prng } from '@keelson/base';
import { Scheduler } from '@keelson/sim';
import { describe, expect, test } from '@jest/globals';
import { Life, type Machine, type Stage } from './life.ts';

const PAUSE_MS = 500;

/** A machine alone in its world, and what was done on it, with its time. */
class Alone {
  readonly scheduler = new Scheduler(1);
  readonly machine: Machine = { place: 1, pausedUntil: 0, wallOffsetMs: 0, rate: 1 };
  readonly done: string[] = [];
  readonly life: Life;

  constructor() {
    const stage = { scheduler: this.scheduler, acted: () => {} };
    this.life = new Life(stage as unknown as Stage, this.machine, new Prng(1));
    this.keepGoing();
  }

  /** Something always happens. */
  private keepGoing(): void {
    this.scheduler.later(10, 'time', 0, () => this.keepGoing());
  }

  pause(): void {
    this.machine.pausedUntil = this.scheduler.now + PAUSE_MS;
  }

  wake(): void {
    this.machine.pausedUntil = 0;
    this.life.wake();
  }

  enter(name: string): void {
    this.life.enter(name, () => void this.done.push(`${name} at ${this.scheduler.now}`));
  }

  until(at: number): void {
    while (this.scheduler.now < at) this.scheduler.next();
  }
}

describe('what a process has to do', () => {
  test('is done at once, or at the end of its pause', () => {
    const alone = new Alone();
    alone.enter('a');
    alone.pause();
    alone.enter('b');
    alone.until(PAUSE_MS - 10);
    expect(alone.done).toEqual(['a at 0']);
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual(['a at 0', `b at ${PAUSE_MS}`]);
  });

  test('is done when it wakes earlier, and not again when its pause was to end', () => {
    const alone = new Alone();
    alone.pause();
    for (const name of ['a', 'b', 'c']) alone.enter(name);
    alone.until(100);
    alone.wake();
    alone.until(4 * PAUSE_MS);
    expect(alone.done.toSorted()).toEqual(['a at 100', 'b at 100', 'c at 100']);
  });

  test('is done once, however often it wakes', () => {
    const alone = new Alone();
    alone.pause();
    alone.enter('a');
    alone.wake();
    alone.wake();
    alone.until(10);
    alone.wake();
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual(['a at 0']);
  });

  test('waits on when it is paused again before it came to it', () => {
    const alone = new Alone();
    alone.pause();
    alone.enter('a');
    alone.until(100);
    alone.wake();
    alone.pause();
    alone.until(PAUSE_MS);
    expect(alone.done).toEqual([]);
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual([`a at ${100 + PAUSE_MS}`]);
  });

  test('waits for a pause that was made longer', () => {
    const alone = new Alone();
    alone.pause();
    alone.enter('a');
    alone.until(100);
    alone.pause();
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual([`a at ${100 + PAUSE_MS}`]);
  });

  test('is never done when it has ended, woken or not', () => {
    const alone = new Alone();
    alone.pause();
    alone.enter('a');
    alone.life.ended = true;
    alone.wake();
    alone.enter('b');
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual([]);
  });

  test('includes its timers: one that was due in the pause comes when it wakes, one that was not in its time', () => {
    const alone = new Alone();
    for (const delayMs of [50, 200])
      alone.life.setTimer(delayMs, () => void alone.done.push(`${delayMs} at ${alone.scheduler.now}`));
    alone.pause();
    alone.until(100);
    alone.wake();
    alone.until(2 * PAUSE_MS);
    expect(alone.done).toEqual(['50 at 100', '200 at 200']);
  });
});
