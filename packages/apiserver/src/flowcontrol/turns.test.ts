/** Turns of the event loop in virtual time: how long one is, who gets what of it, and what a short request waits beside many long ones. */
import { describe, expect, test } from '@jest/globals';

import { Turns, type EventLoop } from './turns.ts';

/** An event loop without a clock: work takes the time it says. */
class VirtualLoop implements EventLoop {
  private time = 0;
  private tasks: (() => void)[] = [];
  private after: (() => void)[] = [];
  /** Of each turn that handed anything out, ms. */
  readonly turns: number[] = [];

  workedMs(): number {
    return this.time;
  }

  nextTurn(task: () => void): void {
    this.tasks.push(task);
  }

  afterPromises(task: () => void): void {
    this.after.push(task);
  }

  work(ms: number): void {
    this.time += ms;
  }

  get asleep(): boolean {
    return this.tasks.length === 0;
  }

  /** @param othersMs what everybody else does in it */
  async turn(othersMs = 0): Promise<void> {
    this.work(othersMs);
    const beganMs = this.time;
    const tasks = this.tasks.splice(0);
    for (const task of tasks) {
      task();
      await this.settle();
    }
    if (tasks.length > 0) this.turns.push(this.time - beganMs);
  }

  private async settle(): Promise<void> {
    do {
      for (let each = 0; each < 20; each += 1) await Promise.resolve();
      for (const task of this.after.splice(0)) task();
    } while (this.after.length > 0);
  }
}

interface Rig {
  readonly loop: VirtualLoop;
  readonly turns: Turns;
  /** Who made a piece, in order. */
  readonly made: number[];
  readonly send: (answer: number, pieces: number, pieceMs: number, user?: string) => Promise<void>;
}

function rig(): Rig {
  const loop = new VirtualLoop();
  const turns = new Turns(loop);
  const made: number[] = [];
  return {
    loop,
    turns,
    made,
    async send(answer, pieces, pieceMs, user = 'u') {
      for (let piece = 0; piece < pieces; piece += 1) {
        await turns.take(user, answer);
        made.push(answer);
        loop.work(pieceMs);
      }
    },
  };
}

describe('a turn', () => {
  test('is as long as a millisecond, however many want more of it, and everybody gets the same', async () => {
    const { loop, made, send } = rig();
    const count = 60;
    const all = Promise.all(
      Array.from({ length: count }, (_, answer) => send(answer, 5, 0.5, `user-${answer}`)),
    );
    while (!loop.asleep) {
      await loop.turn();
      // Nobody is a piece ahead of anybody who waits.
      const pieces = Array.from(
        { length: count },
        (_, answer) => made.filter((one) => one === answer).length,
      );
      expect(Math.max(...pieces) - Math.min(...pieces)).toBeLessThanOrEqual(1);
    }
    await all;
    expect(made).toHaveLength(300);
    expect(Math.max(...loop.turns)).toBe(1);
    expect(loop.turns).toHaveLength(150);
  });

  test('is shorter by what others did in the last one, yet brings long answers on', async () => {
    const { loop, send } = rig();
    const all = send(1, 40, 0.25);
    await loop.turn();
    for (let each = 0; each < 3; each += 1) await loop.turn(0.5);
    for (let each = 0; each < 3; each += 1) await loop.turn(50);
    expect(loop.turns).toEqual([1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    while (!loop.asleep) await loop.turn();
    await all;
  });

  test('begins only where somebody asks', async () => {
    const { loop, send } = rig();
    expect(loop.asleep).toBe(true);
    const first = send(1, 1, 0.5);
    await loop.turn();
    await first;
    expect(loop.asleep).toBe(true);
    const second = send(2, 10, 0.5);
    await loop.turn();
    expect(loop.turns).toEqual([0.5, 1]);
    while (!loop.asleep) await loop.turn();
    await second;
  });

  test('users are called one after the other, and of each the oldest answer that can go on', async () => {
    const { loop, made, send } = rig();
    const all = Promise.all([send(2, 2, 3, 'a'), send(1, 3, 3, 'a'), send(3, 2, 3, 'a'), send(9, 3, 3, 'b')]);
    while (!loop.asleep) await loop.turn();
    await all;
    expect(made).toEqual([1, 9, 1, 9, 1, 9, 2, 2, 3, 3]);
  });

  test('an old answer whose client reads slowly holds up no younger one', async () => {
    const { loop, turns, made, send } = rig();
    const young = send(1, 4, 0.5);
    await loop.turn();
    const old = turns.take('u', 0).then(() => made.push(0));
    while (!loop.asleep) await loop.turn();
    await Promise.all([young, old]);
    expect(made).toEqual([1, 1, 0, 1, 1]);
  });

  test('a user with one long answer gets as much as one with sixty', async () => {
    const { loop, made, send } = rig();
    const flood = Array.from({ length: 60 }, (_, answer) => send(answer, 20, 1, 'flood'));
    const one = send(99, 20, 1, 'gentle');
    const others = [send(77, 20, 1, 'third')];
    while (made.filter((answer) => answer === 99).length < 20) await loop.turn();
    await one;
    expect(made.length).toBeLessThanOrEqual(63);
    while (!loop.asleep) await loop.turn();
    await Promise.all([...flood, ...others]);
    expect(made).toHaveLength(62 * 20);
  });

  test('a piece that is longer than a turn ends it', async () => {
    const { loop, send } = rig();
    const all = Promise.all([send(1, 2, 30), send(2, 2, 0.5)]);
    while (!loop.asleep) await loop.turn();
    await all;
    expect(loop.turns).toEqual([30, 30, 1]);
  });
});
