/**
 * Runs what waits for settled promises, now. The member's code is full of promises; a simulation must know when an
 * event has had all its consequences before it takes the next one. Node runs waiting promises between two turns of its
 * event loop, and gives this one way to ask for it in between; it does nothing from inside a promise, so a
 * simulation is started from the event loop itself (packages/sim/src/host.ts does).
 */
import { assert } from '@keelson/base';

const found: unknown = Reflect.get(process, '_tickCallback');
assert(typeof found === 'function', 'this runtime cannot run waiting promises on request');
const runTicks = found.bind(process) as () => void;

/** Every promise that is settled has been heard of when this returns. */
export function settle(): void {
  runTicks();
}

/** @throws AssertionError when called from where settle() does nothing */
export function assertSettles(): void {
  let ran = false;
  void Promise.resolve().then(() => {
    ran = true;
  });
  settle();
  assert(ran, 'a simulation is started from the event loop, not from inside a promise');
}
