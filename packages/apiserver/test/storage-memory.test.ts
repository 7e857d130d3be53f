/** The storage contract on the backend in memory. */

import { systemClock } from '@keelson/base';

import { MemoryBackend } from '../src/storage/memory-storage.ts';
import { storageContract } from './contract/storage-contract.ts';

storageContract('memory', async () => {
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
});
