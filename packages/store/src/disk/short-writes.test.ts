/** Writes that the system ends early, as on a disk that is nearly full or within a limit, are gone on with. */
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';

let calls = 0;

/** The first seven bytes. */
function few(buffers: readonly NodeJS.ArrayBufferView[]): NodeJS.ArrayBufferView[] {
  calls++;
  const all = buffers.map((each) => Buffer.from(each.buffer, each.byteOffset, each.byteLength));
  return [Buffer.concat(all).subarray(0, 7)];
}

jest.unstable_mockModule('node:fs', () => ({
  ...fs,
  writev: (
    fd: number,
    buffers: readonly NodeJS.ArrayBufferView[],
    position: number,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ) => fs.writev(fd, few(buffers), position, done),
  writevSync: (fd: number, buffers: readonly NodeJS.ArrayBufferView[], position: number) =>
    fs.writevSync(fd, few(buffers), position),
}));
const { NodeDisk } = await import('./node-disk.ts');

test.each([
  ['by another thread', undefined],
  // A clock that stands still: every sync takes no time, and small writes are done in place.
  ['in place', { monotonicMs: () => 0 }],
])('%s', async (_name, clock) => {
  const directory = await mkdtemp(join(tmpdir(), 'keelson-disk-'));
  try {
    const file = await new NodeDisk(clock).open(join(directory, 'f'), 'create');
    for (let i = 0; i < 20; i++) {
      await file.write(0, Buffer.from('x'));
      await file.sync();
    }
    calls = 0;
    const parts = ['one', ' and a second one', '', ' and the last of them'];
    await file.writev(
      2,
      parts.map((each) => Buffer.from(each)),
    );
    expect(calls).toBe(6);
    expect((await file.read(2, 100)).toString()).toBe(parts.join(''));
    await file.close();
  } finally {
    await rm(directory, { recursive: true });
  }
});
