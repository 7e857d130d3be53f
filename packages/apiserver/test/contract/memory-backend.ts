/** A backend in memory for the storage contract, with hands behind its back. */

import { systemClock } from '@keelson/base';

import { MemoryBackend } from '../../src/storage/memory-storage.ts';
import type { BackendUnderTest } from './storage-harness.ts';

export function overMemory(): BackendUnderTest {
  const backend = new MemoryBackend({ clock: systemClock });
  const { space } = backend;
  return {
    backend,
    reportsProgress: true,
    compact: async (revision) => space.compact(revision),
    read: async (key) => (await space.get(key, undefined)).pair?.value,
    async write(key, value) {
      const { pair } = await space.get(key, undefined);
      await space.put(key, value, pair?.revision ?? 0, 0, false, undefined);
    },
    close: async () => backend.close(),
  };
}
