/** Objects that are too long for steps in one go: written, compared and told of in slices, and to the end. */
import { afterEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { LONG_BYTES, Slices } from '../api/sliced.ts';
import { Cacher } from './cacher.ts';
import { MemoryBackend } from './memory-storage.ts';
import { customCodec } from './object-codec.ts';
import type { Storage } from './storage.ts';

const LONG: KubeObject = {
  apiVersion: 'example.com/v1',
  kind: 'Thing',
  metadata: { name: 'a' },
  members: Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`member-${at}`, 'v'])),
};

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function setUp(): { backend: MemoryBackend; storage: Storage } {
  const backend = new MemoryBackend({ clock: systemClock });
  open.push(backend);
  const storage = backend.storage({
    resource: { group: 'example.com', resource: 'things' },
    prefix: '/things',
    codec: {
      ...customCodec(),
      encode() {
        throw new Error('encoded in one go');
      },
    },
    fieldsOf: () => ({}),
  });
  return { backend, storage };
}

/** Put down at every look. */
function slicesWith(next: () => Promise<void>, signal?: AbortSignal): Slices {
  let nowMs = 0;
  return new Slices({ monotonicMs: () => (nowMs += 10) }, next, signal);
}

test('what is written is told of as written, also when nobody waits any more', async () => {
  const { backend, storage } = setUp();
  const gone = new AbortController();
  const next = async (): Promise<void> => {
    const { pair } = await backend.space.get('/registry/things/a', undefined);
    if (pair !== undefined) gone.abort();
  };
  const created = await storage.create('/things/a', LONG, {
    slices: slicesWith(next, gone.signal),
    signal: gone.signal,
  });
  expect(gone.signal.aborted).toBe(true);
  expect(created.value['members']).toEqual(LONG['members']);
});

test('who goes before it is written ends it', async () => {
  const { storage } = setUp();
  const gone = new AbortController();
  const next = (): Promise<void> => Promise.resolve(gone.abort(new Error('gone')));
  const creation = storage.create('/things/a', LONG, { slices: slicesWith(next, gone.signal) });
  await expect(creation).rejects.toThrow('gone');
  await expect(storage.get('/things/a')).rejects.toThrow('key not found');
});

test('one that a cache holds is known to be long, and compared in slices', async () => {
  const { storage } = setUp();
  const slices = slicesWith(() => Promise.resolve());
  const created = await storage.create('/things/a', LONG, { slices });
  const cacher = new Cacher(storage, { clock: systemClock, logger: silentLogger });
  open.push({ close: () => cacher.stop() });
  expect(await cacher.whenReady(20_000)).toBe(true);
  const sizes: (number | undefined)[] = [];
  const same = await cacher.guaranteedUpdate('/things/a', (current) => {
    sizes.push(current?.size);
    return { value: current?.value ?? LONG, slices };
  });
  expect(same.revision).toBe(created.revision);
  expect(sizes[0]).toBeGreaterThan(LONG_BYTES);
});
