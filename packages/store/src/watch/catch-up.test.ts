import { expect, test } from '@jest/globals';
import { CatchUp } from './catch-up.ts';

/** A pass over so many slices, in turns that the test takes. */
function passOver(slices: number, fails = false) {
  const turns: (() => void)[] = [];
  const errors: string[] = [];
  let done = 0;
  const hub = {
    syncSome(): boolean {
      if (fails) throw new Error('the history cannot be read');
      done++;
      return done < slices;
    },
  };
  const catchUp = new CatchUp(
    hub,
    (task) => void turns.push(task),
    (error) => void errors.push(error.message),
  );
  return { catchUp, turns, errors, done: () => done, turn: () => turns.shift()?.() };
}

test('one slice a turn, until nobody is behind', () => {
  const { catchUp, turns, done, turn } = passOver(3);
  catchUp.wake();
  expect(done()).toBe(0);
  for (let slice = 1; slice <= 3; slice++) {
    turn();
    expect(done()).toBe(slice);
  }
  expect(turns).toEqual([]);
  catchUp.wake();
  expect(turns).toHaveLength(1);
});

test('who wakes it while it runs begins no second pass', () => {
  const { catchUp, turns, turn } = passOver(3);
  catchUp.wake();
  catchUp.wake();
  turn();
  catchUp.wake();
  expect(turns).toHaveLength(1);
});

test('once stopped, a turn that was taken does nothing', () => {
  const { catchUp, turns, done, turn } = passOver(3);
  catchUp.wake();
  catchUp.stop();
  turn();
  expect([done(), turns]).toEqual([0, []]);
});

test('an error reaches the member', () => {
  const { catchUp, errors, turns, turn } = passOver(3, true);
  catchUp.wake();
  turn();
  expect([errors, turns]).toEqual([['the history cannot be read'], []]);
});
