/** The storage contract on a watch cache, before memory and before our store; where it differs, upstream's cache does too. */

import { silentLogger, systemClock } from '@keelson/base';
import { expect, test } from '@jest/globals';

import { Cacher } from '../src/storage/cacher.ts';
import type { Storage, StorageResource } from '../src/storage/storage.ts';
import { MemberCluster } from '../../store/test/members.ts';
import { overClient } from './contract/etcd-backend.ts';
import { overMemory } from './contract/memory-backend.ts';
import { storageContract } from './contract/storage-contract.ts';
import { Context, type BackendUnderTest } from './contract/storage-harness.ts';

/** Waits before each read until the cache has what was written, so that it is the cache that answers, and as expected. */
function filled(cacher: Cacher): Storage {
  const ready = cacher.whenReady(20_000);
  return new Proxy<Storage>(cacher, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const call = (...words: unknown[]): unknown => Reflect.apply(member, target, words);
      if (name !== 'list' && name !== 'get' && name !== 'watch') return call;
      return async (...words: unknown[]) => {
        await ready;
        if (cacher.ready) await cacher.list(cacher.resource.prefix, { limit: 1 });
        return await call(...words);
      };
    },
  });
}

/** What a cache answers otherwise, or does not know of what is done behind its back. */
const OTHERWISE: ReadonlySet<string> = new Set([
  // The cache passes over the limit where any state will do.
  'list: 0, limit (TestList)',
  // It has the history still, and speaks of its own oldest revision.
  'watch: from what is compacted away (TestWatchError…, compaction)',
  // It loses its source by it, and ends its watches without a word.
  'watch: an object that cannot be read ends it (TestWatchError)',
]);

/** A backend with caches of its own before it. */
function withCaches(under: BackendUnderTest): BackendUnderTest {
  const { backend } = under;
  const cachers: Cacher[] = [];
  return {
    ...under,
    backend: {
      storage(resource: StorageResource) {
        const options = { clock: systemClock, logger: silentLogger, waitMs: 1_000 };
        const cacher = new Cacher(backend.storage(resource), options);
        cachers.push(cacher);
        return filled(cacher);
      },
      ready: () => backend.ready(),
      close: () => backend.close(),
    },
    async close() {
      for (const cacher of cachers) cacher.stop();
      await under.close();
    },
  };
}

storageContract('watch cache before memory', async () => withCaches(overMemory()), OTHERWISE);

storageContract(
  'watch cache before our store',
  async () => {
    const cluster = await MemberCluster.start({ members: 1 });
    return withCaches(overClient(cluster.client(), true, () => cluster.stop()));
  },
  OTHERWISE,
);

test('a cache that follows a list until the next write keeps no other from being the newest', async () => {
  const cluster = await MemberCluster.start({ members: 1 });
  const under = overClient(cluster.client(), true, () => cluster.stop());
  const options = { clock: systemClock, logger: silentLogger, waitMs: 20_000 };
  const caches = [1, 2].map((serial) => new Cacher(new Context(under, serial).storage, options));
  const [early, late] = caches;
  try {
    await early.whenReady(20_000);
    await under.write('/registry/elsewhere', Buffer.from('x'));
    await late.whenReady(20_000);
    // Nothing is written any more: the store has to say that the early one has missed nothing.
    const list = early.list(early.resource.prefix, {});
    await expect(list).resolves.toMatchObject({ objects: [] });
    expect(early.metrics).toMatchObject({ consistentReads: 1, consistentReadFallbacks: 0 });
  } finally {
    for (const cache of caches) cache.stop();
    await under.close();
  }
});
