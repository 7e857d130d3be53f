import { describe, expect, test } from '@jest/globals';
import { Scheduler } from './scheduler.ts';
import { TraceHash } from './trace.ts';

function run(seed: number, plan: (scheduler: Scheduler, note: (text: string) => void) => void): string[] {
  const scheduler = new Scheduler(seed);
  const notes: string[] = [];
  plan(scheduler, (text) => notes.push(`${scheduler.now} ${text}`));
  for (let i = 0; i < 100; i++) {
    try {
      scheduler.next();
    } catch {
      return notes;
    }
  }
  return notes;
}

describe('Scheduler', () => {
  test('events run in order of time, also those scheduled meanwhile', () => {
    const notes = run(1, (scheduler, note) => {
      scheduler.later(5, 'b', 0, () => note('b'));
      scheduler.later(2, 'a', 0, () => {
        note('a');
        scheduler.later(1, 'c', 0, () => note('c'));
      });
    });
    expect(notes).toEqual(['2 a', '3 c', '5 b']);
  });

  test('events of one time run in an order that the seed decides', () => {
    const orderOf = (seed: number): string =>
      run(seed, (scheduler, note) => {
        for (const name of ['a', 'b', 'c', 'd']) scheduler.later(1, name, 0, () => note(name));
      }).join();
    const orders = new Set(Array.from({ length: 30 }, (_, seed) => orderOf(seed)));
    expect(orders.size).toBeGreaterThan(5);
    expect(orderOf(4)).toBe(orderOf(4));
  });

  test('time never goes back, and an empty queue is an error', () => {
    const scheduler = new Scheduler(1);
    expect(() => scheduler.later(-1, 'past', 0, () => undefined)).toThrow('past');
    expect(() => scheduler.next()).toThrow('nothing will ever happen again');
  });

  test('kind, place and time of an event are in the trace', () => {
    const traceOf = (delay: number, kind: string, place: number): string => {
      const scheduler = new Scheduler(1);
      scheduler.later(delay, kind, place, () => undefined);
      scheduler.next();
      return scheduler.trace.digest();
    };
    const traces = [traceOf(1, 'a', 1), traceOf(2, 'a', 1), traceOf(1, 'b', 1), traceOf(1, 'a', 2)];
    expect(new Set(traces).size).toBe(4);
    expect(traceOf(1, 'a', 1)).toBe(traces[0]);
  });
});

describe('TraceHash', () => {
  test.each<[string, (trace: TraceHash) => void, (trace: TraceHash) => void]>([
    ['order', (t) => (t.number(1), t.number(2)), (t) => (t.number(2), t.number(1))],
    ['high bits', (t) => t.number(2 ** 40), (t) => t.number(2 ** 41)],
    ['infinity', (t) => t.number(Infinity), (t) => t.number(0)],
    ['where a text ends', (t) => (t.text('ab'), t.text('c')), (t) => (t.text('a'), t.text('bc'))],
    ['bytes', (t) => t.bytes(Buffer.of(1, 2)), (t) => t.bytes(Buffer.of(1, 3))],
  ])('%s makes a difference', (_name, one, other) => {
    const digest = (act: (trace: TraceHash) => void): string => {
      const trace = new TraceHash();
      act(trace);
      return trace.digest();
    };
    expect(digest(one)).not.toBe(digest(other));
    expect(digest(one)).toBe(digest(one));
    expect(digest(one)).toMatch(/^[0-9a-f]{16}$/);
  });
});
