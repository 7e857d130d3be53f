import { expect, test } from '@jest/globals';
import { StopRequest } from './stop-request.ts';

const never = new Promise<string>(() => {});

test('a wait ends with its work, or when it is time to stop, and leaves nothing behind', async () => {
  const stop = new StopRequest();
  expect(await stop.or(Promise.resolve('done'))).toBe('done');
  await expect(stop.or(Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(stop.waiting).toBe(0);
  const waits = [stop.or(never), stop.or(never)];
  expect(stop.waiting).toBe(2);
  stop.ask();
  expect(await Promise.all(waits)).toEqual([undefined, undefined]);
  expect(stop.waiting).toBe(0);
  stop.ask();
  expect([await stop.or(never), stop.count]).toEqual([undefined, 2]);
});
