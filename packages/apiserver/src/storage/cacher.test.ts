import { afterEach, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger, type Clock, type Timer } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { parseFieldSelector, parseLabelSelector } from '../api/selectors.ts';
import { ApiError } from '../api/status.ts';
import { CachedBackend } from './cacher-backend.ts';
import { Cacher, type CacherOptions } from './cacher.ts';
import { MemoryBackend } from './memory-storage.ts';
import { customCodec } from './object-codec.ts';
import { matches, type Selection, type Storage, type StorageResource, type WatchEvent } from './storage.ts';
import type { Watch, WatchOptions } from './storage.ts';

/** Time that passes when it is told to; what is due at once happens in the next turn. */
class StepClock implements Clock {
  private time = 1_000;
  private readonly timers = new Set<{ readonly atMs: number; readonly task: () => void }>();

  nowMs(): number {
    return this.time;
  }

  monotonicMs(): number {
    return this.time;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const timer = { atMs: this.time + delayMs, task };
    this.timers.add(timer);
    if (delayMs === 0) setImmediate(() => this.fire(timer));
    return { cancel: () => void this.timers.delete(timer) };
  }

  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.timers].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > end) break;
      this.time = Math.max(this.time, next.atMs);
      this.fire(next);
      await turns();
    }
    this.time = end;
    await turns();
  }

  private fire(timer: { readonly atMs: number; readonly task: () => void }): void {
    if (this.timers.delete(timer)) timer.task();
  }
}

/** Lets everything happen that needs no time. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const PODS: StorageResource = {
  resource: { group: '', resource: 'pods' },
  prefix: '/pods',
  codec: customCodec(),
  fieldsOf: ({ metadata, ...rest }) => ({
    'metadata.name': metadata.name ?? '',
    'metadata.namespace': metadata.namespace ?? '',
    'spec.nodeName': typeof rest['node'] === 'string' ? rest['node'] : '',
  }),
};

function pod(namespace: string, name: string, labels: Record<string, string> = {}, node = ''): KubeObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, node };
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

async function setUp(options: Partial<CacherOptions> = {}, wrap: (storage: Storage) => Storage = (it) => it) {
  const clock = new StepClock();
  const backend = new MemoryBackend({ clock });
  const storage = backend.storage(PODS);
  const cacher = new Cacher(wrap(storage), { clock, logger: silentLogger, ...options });
  open.push({
    close() {
      cacher.stop();
      backend.close();
    },
  });
  const create = async (name: string, labels: Record<string, string> = {}, node = '', namespace = 'ns') =>
    (await storage.create(`/pods/${namespace}/${name}`, pod(namespace, name, labels, node))).revision;
  const put = async (name: string, labels: Record<string, string>, node = '', namespace = 'ns') =>
    (
      await storage.guaranteedUpdate(
        `/pods/${namespace}/${name}`,
        (current) => ({
          value: { ...(current?.value ?? pod(namespace, name)), ...pod(namespace, name, labels, node) },
        }),
        { ignoreNotFound: true },
      )
    ).revision;
  return { clock, backend, storage, cacher, create, put };
}

/** A storage that counts the watches that begin at a version. */
function counted(version: string, count: () => void): (storage: Storage) => Storage {
  return (storage) =>
    new Proxy(storage, {
      get(target, name) {
        if (name === 'watch')
          return (key: string, options?: WatchOptions) => {
            if (options?.resourceVersion === version) count();
            return target.watch(key, options);
          };
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
}

/** What has come of a watch by now. */
class Seen {
  readonly events: WatchEvent[] = [];
  ended = false;

  constructor(watch: Watch) {
    void this.read(watch);
  }

  brief(): string[] {
    return this.events.map((event) => {
      if (event.type === 'BOOKMARK')
        return `BOOKMARK ${event.revision}${event.initialEventsEnd ? ' end' : ''}`;
      if (event.type === 'ERROR') return `ERROR ${event.error.code} ${event.error.message}`;
      const { value, revision } = event.object;
      expect(value.metadata.resourceVersion).toBe(String(revision));
      expect(JSON.parse(event.object.json().toString('utf8'))).toEqual(value);
      return `${event.type} ${value.metadata.name} ${revision}`;
    });
  }

  private async read(watch: Watch): Promise<void> {
    for await (const batch of watch) this.events.push(...batch);
    this.ended = true;
  }
}

async function refusal(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error('it was not refused');
  return error;
}

const by = (labels: string, fields = ''): Selection => ({
  labels: parseLabelSelector(labels),
  fields: parseFieldSelector(fields),
});

describe('waiting', () => {
  test('a version that does not come is refused after three seconds, whoever asks', async () => {
    const { cacher, clock, create } = await setUp();
    const revision = await create('a');
    await cacher.whenReady(1_000);
    const refused = Promise.all([
      refusal(cacher.list('/pods', { resourceVersion: '99' })),
      refusal(cacher.get('/pods/ns/a', { resourceVersion: '99' })),
    ]);
    // A streaming list has begun by then: it is told in the stream.
    const streamed = cacher.watch('/pods', { resourceVersion: '99', sendInitialEvents: true });
    let settled = false;
    void refused.then(() => (settled = true));
    await turns();
    await clock.pass(2_900);
    expect(settled).toBe(false);
    await clock.pass(200);
    for (const { code, message } of await refused) {
      expect([code, message]).toEqual([504, `Timeout: Too large resource version: 99, current: ${revision}`]);
    }
    const told = [];
    for await (const batch of await streamed) told.push(...batch);
    expect(told).toMatchObject([{ type: 'ERROR', error: { code: 504 } }]);
  });

  test('while somebody waits the store is asked how far it is, and then no more', async () => {
    let asked = 0;
    const quiet = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          if (name === 'requestProgress') return () => void (asked += 1);
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
    const { cacher, clock, backend } = await setUp({}, quiet);
    await cacher.whenReady(1_000);
    // Elsewhere: the cache cannot know of it without being told.
    await backend.storage({ ...PODS, prefix: '/other' }).create('/other/x/y', pod('x', 'y'));
    const list = cacher.list('/pods');
    await turns();
    await clock.pass(1_000);
    expect(asked).toBeGreaterThanOrEqual(10);
    expect(asked).toBeLessThanOrEqual(12);
    // The store is asked instead when it never tells.
    await clock.pass(2_100);
    expect((await list).revision).toBe(2);
    expect(cacher.metrics.consistentReadFallbacks).toBe(1);
    const before = asked;
    await clock.pass(5_000);
    expect(asked).toBe(before);
  });

  test('a consistent list has what was written before it', async () => {
    const { cacher, create } = await setUp();
    await cacher.whenReady(1_000);
    for (let index = 0; index < 20; index += 1) {
      const revision = await create(`p${index}`);
      const list = await cacher.list('/pods');
      expect([list.objects.length, list.revision]).toEqual([index + 1, revision]);
    }
    expect(cacher.metrics.consistentReads).toBe(20);
  });

  test('without signs of progress, newest reads are the storage’s', async () => {
    const mute = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          if (name === 'supportsProgress') return () => Promise.resolve(false);
          const member: unknown = Reflect.get(target, name, target);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
    const { cacher, create } = await setUp({}, mute);
    await cacher.whenReady(1_000);
    await create('a');
    expect((await cacher.list('/pods')).objects).toHaveLength(1);
    expect(cacher.metrics.consistentReads).toBe(0);
    await turns();
    const seen = new Seen(await cacher.watch('/pods'));
    await turns();
    expect(seen.brief()).toEqual(['ADDED a 2']);
    expect(cacher.watcherCount).toBe(0);
  });

  test('given up by its signal', async () => {
    const { cacher } = await setUp();
    await cacher.whenReady(1_000);
    const gone = new AbortController();
    const list = cacher.list('/pods', { resourceVersion: '99', signal: gone.signal });
    gone.abort(new Error('gone'));
    await expect(list).rejects.toThrow('gone');
  });
});

describe('before it is filled', () => {
  test('lists are the storage’s, watches wait and are told to come again', async () => {
    let fail = true;
    const broken = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name, target);
          if (typeof member !== 'function') return member;
          return (...words: unknown[]): unknown => {
            const options = words[1];
            const isFill = typeof options === 'object' && options !== null && 'limit' in options;
            if (name === 'list' && isFill && fail) return Promise.reject(new Error('unreachable'));
            return Reflect.apply(member, target, words);
          };
        },
      });
    const { cacher, clock, create } = await setUp({}, broken);
    await create('a');
    expect((await cacher.list('/pods', { resourceVersion: '0' })).objects).toHaveLength(1);
    const refused = refusal(cacher.watch('/pods', { resourceVersion: '0' }));
    await turns();
    await clock.pass(3_100);
    const { code, reason, message, status } = await refused;
    expect([code, reason, message]).toEqual([429, 'TooManyRequests', 'storage is (re)initializing']);
    expect(status.details?.retryAfterSeconds).toBe(1);
    fail = false;
    await clock.pass(30_000);
    expect(cacher.ready).toBe(true);
    const seen = new Seen(await cacher.watch('/pods', { resourceVersion: '0' }));
    await turns();
    expect(seen.brief()).toEqual(['ADDED a 2']);
  });
});

describe('watches', () => {
  test('a place that is forgotten is refused with the oldest one', async () => {
    const { cacher, create } = await setUp({ history: { countMax: 3 } });
    await cacher.whenReady(1_000);
    for (let index = 0; index < 6; index += 1) await create(`p${index}`);
    await cacher.list('/pods');
    const old = new Seen(await cacher.watch('/pods', { resourceVersion: '3' }));
    const just = new Seen(await cacher.watch('/pods', { resourceVersion: '4' }));
    await turns();
    expect(old.brief()).toEqual(['ERROR 410 too old resource version: 3 (4)']);
    expect(old.ended).toBe(true);
    expect(just.brief()).toEqual(['ADDED p3 5', 'ADDED p4 6', 'ADDED p5 7']);
  });

  test('a place from before the cache: the store is asked, once for all', async () => {
    let asked = 0;
    const { cacher, storage, create, put } = await setUp(
      {},
      counted('2', () => (asked += 1)),
    );
    await create('a');
    await put('b', { color: 'red' });
    await put('b', { color: 'blue' });
    await storage.delete('/pods/ns/a');
    await cacher.whenReady(1_000);
    const watches = await Promise.all([
      cacher.watch('/pods', { resourceVersion: '2' }),
      cacher.watch('/pods', { resourceVersion: '3' }),
      cacher.watch('/pods', { resourceVersion: '2', selection: by('color=red') }),
    ]);
    const [all, later, red] = watches.map((watch) => new Seen(watch));
    await create('c');
    await turns();
    expect(all.brief()).toEqual(['ADDED b 3', 'MODIFIED b 4', 'DELETED a 5', 'ADDED c 6']);
    expect(later.brief()).toEqual(['MODIFIED b 4', 'DELETED a 5', 'ADDED c 6']);
    expect(red.brief()).toEqual(['ADDED b 3', 'DELETED b 4']);
    expect(asked).toBe(1);
    // So a past state can be made as well.
    const { objects } = await cacher.list('/pods', { resourceVersion: '3', resourceVersionMatch: 'Exact' });
    expect(objects.map(({ key }) => key)).toEqual(['/pods/ns/a', '/pods/ns/b']);
  });

  test('a place that the store has forgotten is asked for once, and refused', async () => {
    let asked = 0;
    const { cacher, backend, create } = await setUp(
      {},
      counted('2', () => (asked += 1)),
    );
    for (const name of ['a', 'b', 'c']) await create(name);
    backend.space.compact(4);
    await cacher.whenReady(1_000);
    for (let time = 0; time < 3; time += 1) {
      const seen = new Seen(await cacher.watch('/pods', { resourceVersion: '2' }));
      await turns();
      expect(seen.brief()).toEqual(['ERROR 410 too old resource version: 2 (4)']);
    }
    expect(asked).toBe(1);
  });

  test('a place that is yet to come: nothing up to it is shown', async () => {
    const { cacher, create } = await setUp();
    await cacher.whenReady(1_000);
    const seen = new Seen(await cacher.watch('/pods', { resourceVersion: '3' }));
    for (const name of ['a', 'b', 'c']) await create(name);
    await turns();
    expect(seen.brief()).toEqual(['ADDED c 4']);
  });

  test('bookmarks: once a minute, two seconds before the end, as new as the store', async () => {
    const { cacher, clock, create, backend } = await setUp();
    await cacher.whenReady(1_000);
    await create('a');
    const options = { resourceVersion: '0', bookmarks: true };
    const long = new Seen(await cacher.watch('/pods', { ...options, timeoutMs: 1_800_000 }));
    const short = new Seen(
      await cacher.watch('/pods', { ...options, timeoutMs: 20_000, sendInitialEvents: true }),
    );
    const none = new Seen(await cacher.watch('/pods', { resourceVersion: '0' }));
    await backend.storage({ ...PODS, prefix: '/other' }).create('/other/x/y', pod('x', 'y'));
    await clock.pass(17_000);
    expect(short.brief().at(-1)).toMatch(/^BOOKMARK \d end$/);
    await clock.pass(2_500);
    expect(short.brief().at(-1)).toBe('BOOKMARK 3');
    expect(long.brief().filter((line) => line.startsWith('BOOKMARK'))).toEqual([]);
    await clock.pass(42_000);
    expect(long.brief().filter((line) => line.startsWith('BOOKMARK'))).toEqual(['BOOKMARK 3']);
    await clock.pass(60_000);
    expect(long.brief().filter((line) => line.startsWith('BOOKMARK'))).toHaveLength(2);
    expect(none.brief()).toEqual(['ADDED a 2']);
  });

  test('one who does not read is ended, after what he had; the others lose nothing', async () => {
    const { cacher, clock, create } = await setUp({ watcherQueueMax: 5 });
    await cacher.whenReady(1_000);
    const stuck = await cacher.watch('/pods', { resourceVersion: '1' });
    const brisk = new Seen(await cacher.watch('/pods', { resourceVersion: '1' }));
    for (let index = 0; index < 12; index += 1) {
      await create(`p${index}`);
      await clock.pass(100);
    }
    expect(brisk.brief()).toHaveLength(12);
    expect(brisk.ended).toBe(false);
    expect(cacher.metrics.terminatedWatchers).toBe(1);
    expect(cacher.watcherCount).toBe(1);
    const late = new Seen(stuck);
    await turns();
    expect(late.brief()).toEqual(['p0 2', 'p1 3', 'p2 4', 'p3 5', 'p4 6'].map((each) => `ADDED ${each}`));
    expect(late.ended).toBe(true);
  });

  test('an event is made once for all who see it so', async () => {
    const { cacher, create, put, storage } = await setUp();
    await cacher.whenReady(1_000);
    await create('a', { on: 'yes' });
    const selection = by('on=yes');
    const watchers: Seen[] = [];
    for (let index = 0; index < 3; index += 1) {
      watchers.push(new Seen(await cacher.watch('/pods', { resourceVersion: '2', selection })));
    }
    await put('a', { on: 'no' });
    await put('a', { on: 'yes' });
    await storage.delete('/pods/ns/a');
    await turns();
    const [first, ...others] = watchers;
    expect(first?.brief()).toEqual(['DELETED a 3', 'ADDED a 4', 'DELETED a 5']);
    for (const other of others) {
      for (const [index, event] of other.events.entries()) expect(event).toBe(first?.events[index]);
    }
  });

  test('a source that breaks is taken up where it was; one whose place is gone is listed anew, and watchers are ended', async () => {
    let running: Watch | undefined;
    let hold: Promise<void> = Promise.resolve();
    const cut = (storage: Storage): Storage =>
      new Proxy(storage, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name, target);
          if (typeof member !== 'function') return member;
          if (name !== 'watch') return member.bind(target);
          return async (...words: Parameters<Storage['watch']>) => {
            await hold;
            running = await target.watch('/pods', words[1] ?? {});
            return running;
          };
        },
      });
    const { cacher, clock, create, backend } = await setUp({}, cut);
    await cacher.whenReady(1_000);
    await turns();
    const seen = new Seen(await cacher.watch('/pods', { resourceVersion: '1' }));
    await create('a');
    await turns();
    running?.stop();
    await create('b');
    await clock.pass(1_000);
    expect(seen.brief()).toEqual(['ADDED a 2', 'ADDED b 3']);
    expect(cacher.metrics.initializations).toBe(1);

    let release = (): void => undefined;
    hold = new Promise((resolve) => (release = resolve));
    running?.stop();
    await clock.pass(1_000);
    for (const name of ['c', 'd', 'e']) await create(name);
    backend.space.compact(6);
    release();
    await clock.pass(5_000);
    expect(seen.ended).toBe(true);
    expect(seen.brief()).toHaveLength(2);
    expect(cacher.metrics.initializations).toBe(2);
    expect((await cacher.list('/pods', { resourceVersion: '0' })).objects).toHaveLength(5);
    const back = new Seen(await cacher.watch('/pods', { resourceVersion: '3' }));
    await turns();
    expect(back.brief()).toEqual(['ERROR 410 too old resource version: 3 (6)']);
  });

  test('stopping ends its watches', async () => {
    const { cacher } = await setUp();
    const seen = new Seen(await cacher.watch('/pods', { resourceVersion: '0' }));
    cacher.stop();
    await turns();
    expect(seen.ended).toBe(true);
  });
});

test('a backend with caches: all but events have one, and end with it', async () => {
  const clock = new StepClock();
  const backend = new CachedBackend(new MemoryBackend({ clock }), { clock, logger: silentLogger });
  backend.storage({ ...PODS, resource: { group: '', resource: 'events' }, prefix: '/events' });
  const pods = backend.storage(PODS);
  expect(backend.cachers).toEqual([pods]);
  await pods.create('/pods/ns/a', pod('ns', 'a'));
  const seen = new Seen(await pods.watch('/pods'));
  await turns();
  expect(seen.brief()).toEqual(['ADDED a 2']);
  backend.close();
  await turns();
  expect(seen.ended).toBe(true);
});

/** The obviously right one: all states there ever were. */
class Twin {
  readonly states = new Map<number, ReadonlyMap<string, KubeObject>>([[1, new Map()]]);
  revision = 1;

  wrote(key: string, value: KubeObject | undefined): void {
    const state = new Map(this.states.get(this.revision));
    this.revision += 1;
    if (value === undefined) state.delete(key);
    else state.set(key, value);
    this.states.set(this.revision, state);
  }

  list(revision: number, prefix: string, selection: Selection): string[] {
    return [...(this.states.get(revision) ?? [])]
      .filter(([key, value]) => key.startsWith(prefix) && matches(PODS, selection, value))
      .map(([key]) => key)
      .sort();
  }

  events(from: number, prefix: string, selection: Selection): string[] {
    const events: string[] = [];
    for (let revision = from + 1; revision <= this.revision; revision += 1) {
      const before = this.states.get(revision - 1) ?? new Map<string, KubeObject>();
      const now = this.states.get(revision) ?? new Map<string, KubeObject>();
      for (const key of new Set([...before.keys(), ...now.keys()])) {
        const was = before.get(key);
        const is = now.get(key);
        if (was === is || !key.startsWith(prefix)) continue;
        const then = was !== undefined && matches(PODS, selection, was);
        const after = is !== undefined && matches(PODS, selection, is);
        const type = after ? (then ? 'MODIFIED' : 'ADDED') : then ? 'DELETED' : undefined;
        if (type !== undefined) events.push(`${type} ${key.slice(key.lastIndexOf('/') + 1)} ${revision}`);
      }
    }
    return events;
  }
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

test.each(SEEDS)('any writes, watches, lists and pages agree with a twin (seed %i)', async (seed) => {
  const prng = new Prng(seed);
  const pick = <T>(items: readonly [T, ...T[]]): T => items[prng.below(items.length)] ?? items[0];
  const { cacher, storage } = await setUp();
  await cacher.whenReady(1_000);
  const twin = new Twin();
  const selections: readonly [Selection, ...Selection[]] = [
    by(''),
    by('on=a'),
    by('on!=a'),
    by('', 'spec.nodeName=n1'),
    by('on in (a,b)', 'spec.nodeName=n2'),
    by('', 'metadata.name=p3'),
  ];
  const prefixes: readonly [string, ...string[]] = ['/pods', '/pods/x', '/pods/y', '/pods/none'];
  const watches: { seen: Seen; from: number; prefix: string; selection: Selection }[] = [];

  for (let step = 0; step < 150; step += 1) {
    const namespace = pick(['x', 'y', 'xy']);
    const name = `p${prng.below(6)}`;
    const key = `/pods/${namespace}/${name}`;
    if (prng.below(4) === 0) {
      if (twin.states.get(twin.revision)?.has(key) === true) {
        await cacher.delete(key);
        twin.wrote(key, undefined);
      }
    } else {
      const value = { ...pod(namespace, name, { on: pick(['a', 'b', 'c']) }, pick(['', 'n1', 'n2'])), step };
      await cacher.guaranteedUpdate(key, () => ({ value }), { ignoreNotFound: true });
      twin.wrote(key, value);
    }
    if (prng.below(5) === 0) {
      const from = 1 + prng.below(twin.revision);
      const prefix = pick(prefixes);
      const selection = pick(selections);
      const watch = await cacher.watch(prefix, { resourceVersion: String(from), selection });
      watches.push({ seen: new Seen(watch), from, prefix, selection });
    }
    if (prng.below(5) === 0) {
      const prefix = pick(prefixes);
      const selection = pick(selections);
      const limit = prng.below(4);
      await cacher.list('/pods');
      const at = 2 + prng.below(twin.revision - 1);
      const exact = prng.below(2) === 0 && at <= twin.revision;
      const first = exact ? { resourceVersion: String(at), resourceVersionMatch: 'Exact' as const } : {};
      const revision = exact ? at : twin.revision;
      const keys: string[] = [];
      let token = '';
      do {
        const options = token === '' ? first : { continue: token };
        const page = await cacher.list(prefix, { ...options, limit, selection });
        expect(page.revision).toBe(revision);
        keys.push(...page.objects.map((object) => object.key));
        token = page.continue;
        const all = twin.list(revision, `${prefix}/`, selection);
        if (page.remainingItemCount !== undefined) {
          expect(page.remainingItemCount).toBe(all.length - keys.length);
        }
        // The next page is of the same state, whatever happens meanwhile.
        if (token !== '' && prng.below(2) === 0) {
          const value = { ...pod('x', 'p0', { on: 'a' }), step: `${step}/${keys.length}` };
          await storage.guaranteedUpdate('/pods/x/p0', () => ({ value }), { ignoreNotFound: true });
          twin.wrote('/pods/x/p0', value);
        }
      } while (token !== '');
      expect(keys).toEqual(twin.list(revision, `${prefix}/`, selection));
    }
    if (prng.below(8) === 0) await turns();
  }

  await cacher.list('/pods');
  await turns();
  for (const { seen, from, prefix, selection } of watches) {
    expect(seen.brief()).toEqual(twin.events(from, `${prefix}/`, selection));
    expect(seen.ended).toBe(false);
  }
});

test('what is there is told without a wait, once the cache is filled; what are many is not', async () => {
  const { cacher, create } = await setUp();
  await create('a');
  await create('b', {}, '', 'other');
  expect(cacher.peek('/pods/ns/a')).toBeUndefined();
  expect(cacher.peekList('/pods/ns')).toBeUndefined();
  await cacher.whenReady(1_000);
  await turns();
  expect(cacher.peek('/pods/ns/a')?.value.metadata.name).toBe('a');
  expect(cacher.peek('/pods/ns/b')).toBeUndefined();
  expect(cacher.peekList('/pods/ns')?.map(({ value }) => value.metadata.name)).toEqual(['a']);
  expect(cacher.peekList('/pods')).toHaveLength(2);
  expect(cacher.peekList('/pods/none')).toEqual([]);
  for (let at = 0; at < 100; at += 1) await create(`more-${at}`);
  await turns();
  expect(cacher.peekList('/pods/ns')).toBeUndefined();
  expect(cacher.peekList('/pods/other')).toHaveLength(1);
});
