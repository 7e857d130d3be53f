/** The pace of a connection, on a clock that only tests move. */

import { expect, jest, test } from '@jest/globals';

import type { ByteConnection } from '../api/exchange.ts';
import { PacedConnection } from './paced-connection.ts';

interface World {
  readonly paced: PacedConnection;
  readonly pauses: number[];
  readonly fire: () => void;
  readonly written: Buffer[];
  readonly close: () => void;
}

function world(bytesPerSecond: number): World {
  const pauses: number[] = [];
  const tasks: (() => void)[] = [];
  const written: Buffer[] = [];
  const gate = { close: (): void => undefined };
  const inner: ByteConnection = {
    closed: new Promise((resolve) => (gate.close = () => resolve())),
    read: () => Promise.resolve(Buffer.alloc(1_000)),
    write: (chunk) => {
      written.push(chunk);
      return true;
    },
    drained: () => Promise.resolve(),
    end: () => undefined,
    destroy: () => undefined,
  };
  const setTimer = (delayMs: number, task: () => void): { cancel(): void } => {
    pauses.push(delayMs);
    tasks.push(task);
    return { cancel: () => undefined };
  };
  const fire = (): void => {
    for (const task of tasks.splice(0)) task();
  };
  return {
    paced: new PacedConnection(inner, bytesPerSecond, { setTimer }),
    pauses,
    fire,
    written,
    close: gate.close,
  };
}

test('a reader gets what came at once, and the next when its time has come', async () => {
  const { paced, pauses, fire } = world(10_000);
  expect((await paced.read())?.length).toBe(1_000);
  const second = paced.read();
  expect(pauses).toEqual([100]);
  fire();
  expect((await second)?.length).toBe(1_000);
});

test('a writer is asked to wait as long as its bytes take; short waits are saved up', async () => {
  const { paced, pauses, fire, written } = world(100_000);
  expect(paced.write(Buffer.alloc(500))).toBe(true);
  expect(paced.write(Buffer.alloc(500))).toBe(false);
  const waiting = paced.drained();
  await Promise.resolve();
  await Promise.resolve();
  expect(pauses).toEqual([10]);
  fire();
  await waiting;
  expect(written).toHaveLength(2);
});

test('pauses leave nothing behind with a connection that lasts', async () => {
  const { paced, fire } = world(1_000);
  const waiters = jest.spyOn(paced.closed, 'then');
  for (let count = 0; count < 3; count += 1) {
    paced.write(Buffer.alloc(1_000));
    const waiting = paced.drained();
    await Promise.resolve();
    await Promise.resolve();
    fire();
    await waiting;
  }
  expect(waiters).not.toHaveBeenCalled();
});

test('nobody waits for a connection that is closed', async () => {
  const { paced, close } = world(1);
  await paced.read();
  const waiting = paced.read();
  close();
  await waiting;
  // Nor for what comes behind its end.
  await paced.read();
});
