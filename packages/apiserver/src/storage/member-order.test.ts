/** An object that says what lies in the store, with its members in another order, is not written again. */
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { Slices } from '../api/sliced.ts';
import { MemoryBackend } from './memory-storage.ts';
import { customCodec } from './object-codec.ts';
import type { Storage, StoredObject } from './storage.ts';

const open: MemoryBackend[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

function things(): Storage {
  const backend = new MemoryBackend({ clock: systemClock });
  open.push(backend);
  return backend.storage({
    resource: { group: 'example.com', resource: 'things' },
    prefix: '/things',
    codec: customCodec(),
    fieldsOf: () => ({}),
  });
}

const HEAD = { apiVersion: 'example.com/v1', kind: 'Thing' };
const CREATED: KubeObject = {
  ...HEAD,
  metadata: { name: 'a', labels: { x: '1', y: '2' }, uid: 'u' },
  spec: { size: 1, parts: [{ a: 1, b: 2 }] },
};
const TURNED: KubeObject = {
  spec: { parts: [{ b: 2, a: 1 }], size: 1 },
  metadata: { uid: 'u', labels: { y: '2', x: '1' }, name: 'a', resourceVersion: '7' },
  ...HEAD,
};

const slices = (): Slices =>
  new Slices({ monotonicMs: () => 0 }, () => Promise.resolve(), new AbortController().signal);

test.each<[string, KubeObject, boolean]>([
  ['members in another order', TURNED, true],
  ['a value of the same length', { ...TURNED, spec: { parts: [{ b: 2, a: 1 }], size: 2 } }, false],
  ['items in another order', { ...TURNED, spec: { parts: [{ a: 2, b: 1 }], size: 1 } }, false],
  ['another name of the same length', { ...TURNED, spec: { parts: [{ b: 2, c: 1 }], size: 1 } }, false],
])('%s', async (_name, value, same) => {
  for (const update of [{ value }, { value, slices: slices() }]) {
    for (const isCached of [false, true]) {
      const storage = things();
      const created = await storage.create('/things/a', CREATED);
      const cached: StoredObject | undefined = isCached ? created : undefined;
      const updated = await storage.guaranteedUpdate('/things/a', () => Promise.resolve(update), { cached });
      expect(updated.revision === created.revision).toBe(same);
    }
  }
});
