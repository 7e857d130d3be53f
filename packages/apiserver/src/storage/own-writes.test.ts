/** What a storage wrote is not decoded again when its watch is told of it, nor when it is got from a cache. */
import { expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { LONG_BYTES } from '../api/sliced.ts';
import { MemoryBackend } from './memory-storage.ts';
import { customCodec } from './object-codec.ts';
import type { Storage, WatchEvent } from './storage.ts';

/** A storage that counts how often it decodes. */
function counted(): { storage: Storage; backend: MemoryBackend; decoded: () => number } {
  const backend = new MemoryBackend({ clock: systemClock });
  const codec = customCodec();
  let decoded = 0;
  const storage = backend.storage({
    resource: { group: 'example.com', resource: 'things' },
    prefix: '/things',
    codec: {
      encode: (value) => codec.encode(value),
      decode: (bytes, version) => {
        decoded += 1;
        return codec.decode(bytes, version);
      },
    },
    fieldsOf: () => ({}),
  });
  return { storage, backend, decoded: () => decoded };
}

const thing = (name: string, size: number): KubeObject & { readonly size: number } => ({
  apiVersion: 'example.com/v1',
  kind: 'Thing',
  metadata: { name },
  size,
});

async function nextOf(events: AsyncIterator<readonly WatchEvent[]>): Promise<WatchEvent | undefined> {
  const result = await events.next();
  return result.done === true ? undefined : result.value[0];
}

test('a write and its event share one object', async () => {
  const { storage, backend, decoded } = counted();
  const watch = await storage.watch('/things', { resourceVersion: '1' });
  const events = watch[Symbol.asyncIterator]();
  const created = await storage.create('/things/a', thing('a', 1));
  expect(created.value.metadata.resourceVersion).toBe(String(created.revision));
  const before = decoded();
  expect(await nextOf(events)).toMatchObject({ type: 'ADDED', object: created });
  expect(decoded()).toBe(before);
  const updated = await storage.guaranteedUpdate('/things/a', () => ({ value: thing('a', 2) }));
  void updated.value;
  const after = decoded();
  expect(await nextOf(events)).toMatchObject({ type: 'MODIFIED', object: updated });
  expect(decoded()).toBe(after);
  watch.stop();
  backend.close();
});

test('a long one that was refused is not in the way of the next', async () => {
  const { storage, backend, decoded } = counted();
  const first = await storage.create('/things/a', thing('a', 1));
  const long = { ...thing('a', 1), text: 'x'.repeat(LONG_BYTES) };
  await expect(storage.create('/things/a', long)).rejects.toThrow('key exists');
  const watch = await storage.watch('/things', { resourceVersion: String(first.revision) });
  const updated = await storage.guaranteedUpdate('/things/a', () => ({ value: thing('a', 2) }));
  void updated.value;
  const before = decoded();
  expect(await nextOf(watch[Symbol.asyncIterator]())).toMatchObject({ type: 'MODIFIED', object: updated });
  expect(decoded()).toBe(before);
  watch.stop();
  backend.close();
});

test('what somebody else wrote is decoded, also under a revision that was told before', async () => {
  const { storage, backend } = counted();
  const mine = await storage.create('/things/a', thing('a', 1));
  const bytes = (await backend.space.get('/registry/things/a', undefined)).pair?.value ?? Buffer.alloc(0);
  const other = Buffer.from(bytes.toString('utf8').replace('"size":1', '"size":7'));
  // Another store with the same history up to here, as one that was restored.
  const restored = new MemoryBackend({ clock: systemClock });
  await restored.space.put('/registry/things/a', other, 0, 0, false, undefined);
  const { pair } = await restored.space.get('/registry/things/a', undefined);
  expect(pair?.revision).toBe(mine.revision);
  backend.space.get = () => restored.space.get('/registry/things/a', undefined);
  expect((await storage.get('/things/a')).value).toMatchObject({ size: 7 });
  backend.close();
  restored.close();
});

test('a copy that is the newest is handed out, one that is older is not', async () => {
  const { storage, backend } = counted();
  const old = await storage.create('/things/a', thing('a', 1));
  expect(await storage.get('/things/a', { cached: old })).toBe(old);
  await storage.guaranteedUpdate('/things/a', () => ({ value: thing('a', 2) }));
  expect((await storage.get('/things/a', { cached: old })).value).toMatchObject({ size: 2 });
  await storage.create('/things/b', thing('b', 3));
  expect((await storage.get('/things/b', { cached: old })).value).toMatchObject({ size: 3 });
  backend.close();
});
