/** Watches against a real etcd: order, resume across restarts, compaction, slow readers, many at once. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { WatchCompactedError, type Client, type Event, type WatchBatch, type Watcher } from '@keelson/client';
import { ETCD_VERSION } from '../../base/test/etcd-process.ts';
import { Etcd } from './etcd.ts';
import { freePorts } from '../../base/test/free-ports.ts';

const suite = ETCD_VERSION === undefined ? describe.skip : describe;
const note = ETCD_VERSION === undefined ? 'skipped: no etcd is installed' : `etcd ${ETCD_VERSION}`;

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const task of cleanup.splice(0).toReversed()) await task();
});

async function start(...flags: string[]): Promise<{ etcd: Etcd; client: Client }> {
  const etcd = await Etcd.start(...flags);
  const client = etcd.client();
  cleanup.push(
    () => etcd.stop(),
    () => client.close(),
  );
  return { etcd, client };
}

async function take(watcher: Watcher, count: number): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of watcher.events()) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const line = (event: Event): string =>
  `${event.type === 0 ? 'put' : 'delete'} ${event.kv?.key.toString()}=${event.kv?.value.toString()}`;

suite(`watch (${note})`, () => {
  test('events in order, filters, previous values, ranges; a transaction in one batch', async () => {
    const { client } = await start();
    const all = client.watch.create('k', { prefix: true, prevKv: true });
    const puts = client.watch.create('k', { prefix: true, filter: 'no-delete' });
    const deletes = client.watch.create('k', { prefix: true, filter: 'no-put' });
    const one = client.watch.create('k2');
    await Promise.all([all, puts, deletes, one].map((watcher) => watcher.created));
    await client.kv.put('k1', 'a');
    await client.kv.put('other', 'x');
    await client.kv.put('k1', 'b');
    await client.kv.put('k2', 'c');
    await client.kv.delete('k', { prefix: true });
    const events = await take(all, 5);
    expect(events.map(line)).toEqual(['put k1=a', 'put k1=b', 'put k2=c', 'delete k1=', 'delete k2=']);
    expect(events.map((event) => event.prevKv?.value.toString())).toEqual([
      undefined,
      'a',
      undefined,
      'b',
      'c',
    ]);
    expect((await take(puts, 3)).map(line)).toEqual(['put k1=a', 'put k1=b', 'put k2=c']);
    expect((await take(deletes, 2)).map(line)).toEqual(['delete k1=', 'delete k2=']);
    expect((await take(one, 2)).map(line)).toEqual(['put k2=c', 'delete k2=']);
    for await (const batch of client.watch.create('k', { prefix: true, startRevision: 2 })) {
      expect(batch.progress).toBe(false);
      expect(batch.events.at(-1)?.kv?.modRevision).toBeLessThanOrEqual(batch.revision);
      break;
    }
  });

  test('history from a revision, and only from there', async () => {
    const { client } = await start();
    await client.kv.put('k', '1');
    const second = (await client.kv.put('k', '2')).header?.revision ?? 0;
    await client.kv.put('k', '3');
    expect((await take(client.watch.create('k', { startRevision: second }), 2)).map(line)).toEqual([
      'put k=2',
      'put k=3',
    ]);
  });

  test('a killed and restarted server loses no event and repeats none', async () => {
    const { etcd, client } = await start();
    const live = client.watch.create('k', { prefix: true });
    const listened: string[] = [];
    const listener = client.watch.create('k', { prefix: true });
    let heardLast: () => void = () => {};
    const lastHeard = new Promise<void>((resolve) => (heardLast = resolve));
    listener.listen({
      batch(batch: WatchBatch) {
        listened.push(...batch.events.map(line));
        if (listened.at(-1) === 'put k-last=x') heardLast();
      },
      end: () => {},
    });
    await Promise.all([live.created, listener.created]);
    const writer = etcd.client();
    cleanup.push(() => writer.close());
    const want: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) {
        await writer.kv.put(`k${round}`, `${i}`, { timeoutMs: 20_000 });
        want.push(`put k${round}=${i}`);
      }
      await etcd.kill();
      await etcd.run();
    }
    await writer.kv.put('k-last', 'x', { timeoutMs: 20_000 });
    want.push('put k-last=x');
    const got = (await take(live, want.length)).map(line);
    expect(got).toEqual(want);
    await lastHeard;
    expect(listened).toEqual(want);
  });

  test('what happens while a watch "from now on" is cut off is delivered later', async () => {
    const { etcd, client } = await start();
    const watcher = client.watch.create('k');
    await watcher.created;
    await etcd.kill();
    await etcd.run();
    const writer = etcd.client();
    cleanup.push(() => writer.close());
    // May come before or after the watcher is back: it starts where it was confirmed in either case.
    await writer.kv.put('k', 'meanwhile');
    expect((await take(watcher, 1)).map(line)).toEqual(['put k=meanwhile']);
  });

  test('a compacted start ends the watch with the revision to start from', async () => {
    const { client } = await start();
    for (let i = 0; i < 5; i++) await client.kv.put('k', `${i}`);
    const { header } = await client.kv.put('k', 'last');
    const revision = header?.revision ?? 0;
    await client.kv.compact(revision);
    const watcher = client.watch.create('k', { startRevision: 2 });
    const error: unknown = await watcher[Symbol.asyncIterator]()
      .next()
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WatchCompactedError);
    expect(error).toMatchObject({ compactRevision: revision, reason: 'COMPACTED' });
    expect(watcher.closed).toBe(true);
    // Others on the stream do not notice; the compacted revision itself can be watched.
    expect(await take(client.watch.create('k', { startRevision: revision }), 1)).toHaveLength(1);
  });

  test('a slow reader is parked within its bound and misses nothing', async () => {
    const { client } = await start();
    const count = 400;
    const slow = client.watch.create('k', { bufferEventsMax: 20 });
    const quick = client.watch.create('k');
    await Promise.all([slow.created, quick.created]);
    const seenByQuick = take(quick, count);
    for (let i = 0; i < count; i++) await client.kv.put('k', `${i}`);
    // The quick one is not held up by the slow one on the same stream.
    expect(await seenByQuick).toHaveLength(count);
    const got = await take(slow, count);
    expect(got.map((event) => event.kv?.value.toString())).toEqual(
      Array.from({ length: count }, (_u, i) => `${i}`),
    );
  });

  test('responses cut into fragments arrive whole', async () => {
    const { client } = await start('--max-request-bytes', '20000');
    // One revision with more than a response may hold: 60 deletes of keys with large previous values.
    const value = Buffer.alloc(15_000, 1);
    for (let i = 0; i < 60; i++) await client.kv.put(`k${i}`, value);
    const watcher = client.watch.create('k', { prefix: true, prevKv: true });
    await watcher.created;
    await client.kv.delete('k', { prefix: true });
    for await (const batch of watcher) {
      expect(batch.events).toHaveLength(60);
      expect(batch.events.every((event) => event.prevKv?.value.length === value.length)).toBe(true);
      expect(new Set(batch.events.map((event) => event.kv?.modRevision)).size).toBe(1);
      break;
    }
  });

  test('progress on request, and many watchers on one stream', async () => {
    const { client } = await start();
    const watchers = Array.from({ length: 200 }, (_u, i) => client.watch.create(`k${i}`));
    await Promise.all(watchers.map((watcher) => watcher.created));
    const { header } = await client.kv.put('elsewhere', 'x');
    const first = watchers[0];
    if (first === undefined) throw new Error('no watcher');
    client.watch.requestProgress();
    for await (const batch of first) {
      expect(batch.progress).toBe(true);
      expect(batch.revision).toBeGreaterThanOrEqual(header?.revision ?? Infinity);
      break;
    }
    const rest = watchers.slice(1);
    const events = rest.map((watcher) => take(watcher, 1));
    await Promise.all(rest.map((_watcher, i) => client.kv.put(`k${i + 1}`, `${i + 1}`)));
    const got = (await Promise.all(events)).flat().map((event) => event.kv?.value.toString());
    expect(got).toEqual(rest.map((_watcher, i) => `${i + 1}`));
  });

  test('progress notifications move the place to resume from', async () => {
    const { client } = await start('--experimental-watch-progress-notify-interval', '100ms');
    const watcher = client.watch.create('quiet', { progressNotify: true });
    await watcher.created;
    const { header } = await client.kv.put('elsewhere', 'x');
    for await (const batch of watcher) {
      expect(batch.progress).toBe(true);
      if (batch.revision >= (header?.revision ?? Infinity)) break;
    }
    expect(watcher.nextRevision).toBeGreaterThan(header?.revision ?? Infinity);
  });

  test('cancelling ends the iteration; a listener hears the end once', async () => {
    const { client } = await start();
    const watcher = client.watch.create('k');
    await watcher.created;
    const iteration = take(watcher, 1);
    watcher.cancel();
    expect(await iteration).toEqual([]);
    const ends: unknown[] = [];
    const other = client.watch.create('k');
    other.listen({ batch: () => {}, end: (error) => ends.push(error) });
    await other.created;
    other.cancel();
    other.cancel();
    expect(ends).toEqual([undefined]);
    // The stream was closed with its last watcher; a new one opens another.
    const again = client.watch.create('k');
    await again.created;
    await client.kv.put('k', 'x');
    expect(await take(again, 1)).toHaveLength(1);
  });
});

suite(`endpoints (${note})`, () => {
  test('a dead endpoint is passed over: reads, writes, watches and keepers', async () => {
    const { etcd } = await start();
    const [dead = 0] = await freePorts(1);
    for (let i = 0; i < 4; i++) {
      const client = etcd.client({ endpoints: [`127.0.0.1:${dead}`, etcd.endpoint] });
      cleanup.push(() => client.close());
      // Nothing of the write left for the dead one: that is why it may go to the other.
      await client.kv.put('k', `${i}`);
      expect((await client.kv.value('k'))?.toString()).toBe(`${i}`);
      const watcher = client.watch.create('k', { startRevision: 2 });
      expect(await take(watcher, 1)).toHaveLength(1);
      const { ID } = await client.lease.grant(30);
      expect(await client.lease.keepAliveOnce(ID)).toBe(30);
    }
  });

  test('only dead endpoints: the error is definite', async () => {
    const [one = 0, two = 0] = await freePorts(2);
    const { etcd } = await start();
    const client = etcd.client({
      endpoints: [`127.0.0.1:${one}`, `127.0.0.1:${two}`],
      requestTimeoutMs: 300,
    });
    cleanup.push(() => client.close());
    await expect(client.kv.put('k', 'v')).rejects.toMatchObject({ reason: 'NO_ENDPOINT', definite: true });
  });

  test('two servers, one dies: reads go on at the other', async () => {
    const first = await start();
    const second = await start();
    const client = first.etcd.client({ endpoints: [first.etcd.endpoint, second.etcd.endpoint] });
    cleanup.push(() => client.close());
    await first.client.kv.put('name', 'first');
    await second.client.kv.put('name', 'second');
    const now = (await client.kv.value('name'))?.toString();
    // Sticky: the same one as long as it works.
    for (let i = 0; i < 5; i++) expect((await client.kv.value('name'))?.toString()).toBe(now);
    await (now === 'first' ? first : second).etcd.kill();
    expect((await client.kv.value('name'))?.toString()).toBe(now === 'first' ? 'second' : 'first');
  });

  test('a keeper survives a restart of its server', async () => {
    const { etcd, client } = await start();
    const { ID } = await client.lease.grant(30);
    let again: () => void = () => {};
    const lost: unknown[] = [];
    const keeper = client.lease.keepAlive(ID, { renewed: () => again(), lost: (error) => lost.push(error) });
    await keeper.first;
    const renewed = new Promise<void>((resolve) => (again = resolve));
    await etcd.kill();
    await etcd.run();
    await renewed;
    expect(lost).toEqual([]);
    keeper.stop();
  });
});
