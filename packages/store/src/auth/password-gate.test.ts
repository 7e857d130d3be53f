import { expect, test } from '@jest/globals';
import { Deferred } from '@keelson/base';
import { PasswordGate, type PasswordHash } from './password-gate.ts';

/** Hashes that end when the test says so. */
class SlowHash implements PasswordHash {
  readonly running: Deferred<void>[] = [];
  started = 0;
  private async wait(): Promise<void> {
    this.started++;
    const done = new Deferred<void>();
    this.running.push(done);
    await done.promise;
  }
  async hash(password: string): Promise<string> {
    await this.wait();
    return `hash of ${password}`;
  }
  async matches(password: string, hash: string): Promise<boolean> {
    await this.wait();
    return hash === `hash of ${password}`;
  }
  hashNow(): string {
    throw new Error('never here');
  }
  async finish(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      while (this.running.length === 0) await Promise.resolve();
      this.running.shift()!.resolve();
    }
  }
}

const wanted = (): boolean => false;
const options = { cost: 4, concurrencyMax: 2, queueMax: 3 };

test('two at a time, three wait, the next is refused at once', async () => {
  const hash = new SlowHash();
  const gate = new PasswordGate(hash, options);
  const calls = Array.from({ length: 5 }, (_, i) => gate.hash(`p${i}`, wanted));
  expect(hash.started).toBe(2);
  expect(gate.waitingCount).toBe(3);
  await expect(gate.hash('one more', wanted)).rejects.toMatchObject({ code: 'PASSWORD_QUEUE_FULL' });
  expect(gate.counters.refused).toBe(1);
  await hash.finish(5);
  const hashes = await Promise.all(calls);
  expect(hashes.map((one) => Buffer.from(one, 'base64').toString())).toEqual(
    [0, 1, 2, 3, 4].map((i) => `hash of p${i}`),
  );
  const again = gate.hash('later', wanted);
  await hash.finish(1);
  await again;
});

test('who has gone is passed over', async () => {
  const hash = new SlowHash();
  const gate = new PasswordGate(hash, { ...options, concurrencyMax: 1 });
  let gone = false;
  const first = gate.hash('first', wanted);
  const second = gate.hash('second', () => gone);
  const third = gate.hash('third', wanted);
  gone = true;
  const refused = expect(second).rejects.toMatchObject({ code: 'PASSWORD_QUEUE_FULL' });
  await hash.finish(2);
  await Promise.all([first, third, refused]);
  expect(hash.started).toBe(2);
});

test('a user that does not exist costs as much as one that does', async () => {
  const hash = new SlowHash();
  const gate = new PasswordGate(hash, options);
  const nobody = gate.matches('p', undefined, wanted);
  await hash.finish(2);
  expect(await nobody).toBe(false);
  // The first time a hash to compare with had to be made.
  const again = gate.matches('', undefined, wanted);
  await hash.finish(1);
  expect(await again).toBe(false);
  expect(hash.started).toBe(3);
});

test.each([
  [72, true],
  [73, false],
])('a password of %d bytes: %s', async (bytes, taken) => {
  const hash = new SlowHash();
  const gate = new PasswordGate(hash, options);
  const call = gate.hash('\u00fc'.repeat(bytes >> 1) + 'x'.repeat(bytes & 1), wanted);
  if (taken) {
    await hash.finish(1);
    await call;
  } else await expect(call).rejects.toMatchObject({ code: 'PASSWORD_TOO_LONG' });
});
