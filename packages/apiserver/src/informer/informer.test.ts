import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { silentLogger, systemClock } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { resourceExpired } from '../api/status.ts';
import { smallServer, type SmallServer } from '../../test/small-server.ts';
import type { ResourceStore } from '../registry/store.ts';
import type { Watch, WatchEvent } from '../storage/storage.ts';
import { Informer, type InformerSource } from './informer.ts';
import { InformerSet } from './informer-set.ts';
import { ObjectCache } from './object-cache.ts';

const WRITE = { dryRun: false };

function configMap(name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'red' }, data };
}

/** Resolves once something holds; asked after each change. */
class Watched {
  readonly cache = new ObjectCache(() => this.look());
  private waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting.push({ holds, resolve });
    });
  }

  names(): string[] {
    return this.cache
      .list('red')
      .map(({ metadata }) => metadata.name ?? '')
      .toSorted();
  }

  private look(): void {
    this.waiting = this.waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}

let small: SmallServer;
let store: ResourceStore;
let watched: Watched;
let informer: Informer;

function follow(source: InformerSource): Informer {
  return new Informer({
    name: 'configmaps',
    source,
    handler: watched.cache,
    // Nobody waits for what fails here.
    clock: { ...systemClock, setTimer: (_delayMs, task) => systemClock.setTimer(0, task) },
    logger: silentLogger,
  });
}

beforeEach(() => {
  small = smallServer();
  const found = small.server.scheme.store({ group: '', resource: 'configmaps' });
  if (found === undefined) throw new Error('configmaps are served');
  store = found;
  watched = new Watched();
  informer = follow(store);
});

afterEach(async () => {
  await informer.stop();
  await small.stop();
});

describe('an informer', () => {
  test('tells what is there, and what happens', async () => {
    await store.create('red', configMap('a'), WRITE);
    informer.start();
    await informer.whenSynced();
    expect(watched.names()).toEqual(['a']);
    await store.create('red', configMap('b'), WRITE);
    await store.change('red', 'a', (object) => ({ ...object, data: { x: '1' } }), WRITE);
    await store.delete('red', 'b', WRITE);
    await watched.until(
      () => watched.names().join() === 'a' && watched.cache.get('red', 'a')?.['data'] !== undefined,
    );
    expect(watched.cache.get('red', 'a')).toMatchObject({ data: { x: '1' } });
  });

  test('goes on where a broken watch ended, without another list', async () => {
    let lists = 0;
    const starts: string[] = [];
    const breaking: InformerSource = {
      page: (namespace, options) => {
        lists += 1;
        return store.page(namespace, options);
      },
      watch: async (namespace, options) => {
        starts.push(options.resourceVersion ?? '');
        const watch = await store.watch(namespace, options);
        return starts.length < 3 ? afterOne(watch) : watch;
      },
    };
    informer = follow(breaking);
    informer.start();
    await informer.whenSynced();
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) {
      await store.create('red', configMap(name), WRITE);
      await watched.until(() => watched.names().length === index + 1);
    }
    expect(lists).toBe(1);
    expect(starts.map(Number)).toEqual(starts.map(Number).toSorted((x, y) => x - y));
    expect(new Set(starts).size).toBe(3);
  });

  test('lists again when its place is gone, and forgets what went meanwhile', async () => {
    await store.create('red', configMap('a'), WRITE);
    await store.create('red', configMap('b'), WRITE);
    let broken = false;
    informer = follow({
      page: (namespace, options) => store.page(namespace, options),
      watch: async (namespace, options) => {
        if (broken) return await store.watch(namespace, options);
        broken = true;
        await store.delete('red', 'a', WRITE);
        await store.create('red', configMap('c'), WRITE);
        return failing();
      },
    });
    informer.start();
    await watched.until(() => watched.names().join() === 'b,c');
    await store.create('red', configMap('d'), WRITE);
    await watched.until(() => watched.names().join() === 'b,c,d');
  });

  test('tries again when there is no list', async () => {
    let refused = 0;
    informer = follow({
      page: async (namespace, options) => {
        refused += 1;
        if (refused < 3) throw new Error('the store is not there');
        return await store.page(namespace, options);
      },
      watch: (namespace, options) => store.watch(namespace, options),
    });
    informer.start();
    expect(informer.synced).toBe(false);
    await informer.whenSynced();
    expect(refused).toBe(3);
  });

  test('a stop ends a pause and a watch', async () => {
    informer.start();
    await informer.whenSynced();
    await informer.stop();
    await store.create('red', configMap('late'), WRITE);
    expect(watched.names()).toEqual([]);
    const hopeless = new Informer({
      name: 'x',
      source: {
        page: () => Promise.reject(new Error('no')),
        watch: () => Promise.reject(new Error('no')),
      },
      handler: watched.cache,
      clock: systemClock,
      logger: silentLogger,
    });
    hopeless.start();
    await hopeless.stop();
  });
});

test('a set is ready when all are', async () => {
  const set = new InformerSet();
  set.add(informer);
  expect(await set.check.check()).toBe('1 informers not started yet: [configmaps]');
  set.start();
  await set.whenSynced();
  expect(await set.check.check()).toBeUndefined();
});

/** Ends after the first batch that tells of an object. */
function afterOne(watch: Watch): Watch {
  return {
    stop: () => watch.stop(),
    async *[Symbol.asyncIterator]() {
      for await (const events of watch) {
        yield events;
        if (events.some(({ type }) => type !== 'BOOKMARK')) return;
      }
    },
  };
}

function failing(): Watch {
  return {
    stop: () => undefined,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      const events: readonly WatchEvent[] = [{ type: 'ERROR', error: resourceExpired('too old') }];
      yield events;
    },
  };
}
