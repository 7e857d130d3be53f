import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLocked } from './file-lock.ts';

let dir: string;
const holders: ChildProcess[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'keelson-lock-'));
});

afterAll(async () => {
  await Promise.all(
    holders.map(async (holder) => {
      const exited = once(holder, 'exit');
      holder.kill();
      await exited;
    }),
  );
  await rm(dir, { recursive: true });
});

const hasFlock = spawnSync('flock', ['--version']).status === 0;
const withFlock = hasFlock ? test : test.skip;

withFlock('a file that another process holds (skipped where there is no flock program)', async () => {
  const [held, free] = [join(dir, 'held'), join(dir, 'free')];
  await Promise.all([writeFile(held, ''), writeFile(free, '')]);
  expect(await isLocked(held)).toBe(false);
  const holder = spawn('flock', ['--no-fork', '-x', held, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  holders.push(holder);
  await once(holder.stdout, 'data');
  expect(await isLocked(held)).toBe(true);
  expect(await isLocked(free)).toBe(false);
});

test('what is not there is not locked, nor anything where there is no list of locks', async () => {
  expect(await isLocked(join(dir, 'absent'))).toBe(false);
  await writeFile(join(dir, 'file'), '');
  expect(await isLocked(join(dir, 'file'), join(dir, 'absent'))).toBe(false);
});

test('one who waits does not hold', async () => {
  const locks = join(dir, 'locks');
  await writeFile(locks, '1: -> FLOCK  ADVISORY  WRITE 1 00:00:1 0 EOF\nnot a lock\n');
  expect(await isLocked(locks, locks)).toBe(false);
});
