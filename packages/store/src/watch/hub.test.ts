import { describe, expect, test } from '@jest/globals';
import { etcdserverpb } from '@keelson/proto';
import { Bench, noPause } from '../../test/mvcc/bench.ts';
import { EventType, type WatchBatch } from './events.ts';
import { WatchHub, type WatchHubOptions } from './hub.ts';
import type { Watcher, WatchRequest, WatchSink } from './watcher.ts';

class TestSink implements WatchSink {
  readonly batches: WatchBatch[] = [];
  compactedAt: number[] = [];
  open = true;

  writable(): boolean {
    return this.open;
  }

  offer(batch: WatchBatch): boolean {
    if (this.open) this.batches.push(batch);
    return this.open;
  }

  compacted(revision: number): void {
    this.compactedAt.push(revision);
  }

  /** revision:type key … of each batch. */
  get text(): string {
    return this.batches
      .map(({ revision, events }) => {
        const parts = events.map(
          ({ type, kv }) => `${type === EventType.PUT ? '+' : '-'}${kv.keyString}@${kv.modRevision}`,
        );
        return `${revision}:${parts.join(',')}`;
      })
      .join(' ');
  }
}

class HubBench {
  readonly bench: Bench;
  readonly hub: WatchHub;

  constructor(bench: Bench, options: WatchHubOptions = {}) {
    this.bench = bench;
    this.hub = new WatchHub(bench.store, options);
  }

  static async open(options: WatchHubOptions = {}): Promise<HubBench> {
    return new HubBench(await Bench.open(), options);
  }

  put(...keys: string[]): void {
    this.hub.notify(
      this.bench.write((txn) => {
        for (const key of keys) txn.put(key, Buffer.from('v'), 0n);
      }),
    );
  }

  delete(key: string, end = ''): void {
    this.hub.notify(this.bench.delete(key, end));
  }

  watch(request: Partial<WatchRequest>): { sink: TestSink; watcher: Watcher } {
    const sink = new TestSink();
    const watcher = this.hub.watch(
      {
        key: 'a',
        end: '',
        startRevision: 0,
        wantsPuts: true,
        wantsDeletes: true,
        withPrevious: false,
        ...request,
      },
      sink,
    );
    return { sink, watcher };
  }

  sync(): void {
    while (this.hub.syncSome());
  }
}

describe('WatchHub', () => {
  test('ranges and filters', async () => {
    const bench = await HubBench.open();
    const one = bench.watch({ key: 'b' });
    const range = bench.watch({ key: 'a', end: 'c' });
    const fromKey = bench.watch({ key: 'b', end: '\0' });
    const noPut = bench.watch({ key: 'a', end: '\0', wantsPuts: false });
    const noDelete = bench.watch({ key: 'a', end: '\0', wantsDeletes: false });
    bench.put('a', 'b', 'c');
    bench.delete('a', 'c');
    expect(one.sink.text).toBe('2:+b@2 3:-b@3');
    expect(range.sink.text).toBe('2:+a@2,+b@2 3:-a@3,-b@3');
    expect(fromKey.sink.text).toBe('2:+b@2,+c@2 3:-b@3');
    expect(noPut.sink.text).toBe('3:-a@3,-b@3');
    expect(noDelete.sink.text).toBe('2:+a@2,+b@2,+c@2');
  });

  test('watchers due the same events share one batch, encoded once', async () => {
    const bench = await HubBench.open();
    const range = bench.watch({ key: 'a', end: 'c' });
    const wider = bench.watch({ key: 'a', end: 'x' });
    const previous = bench.watch({ key: 'a', end: 'x', withPrevious: true });
    bench.put('a', 'b');
    expect(range.sink.batches[0]).toBe(wider.sink.batches[0]);
    expect(range.sink.batches[0].encoded).toBe(wider.sink.batches[0].encoded);
    expect(previous.sink.batches[0]).not.toBe(range.sink.batches[0]);
    bench.put('b', 'd');
    expect(range.sink.batches[1]).not.toBe(wider.sink.batches[1]);
  });

  test('what is encoded is what the generated codec reads', async () => {
    const bench = await HubBench.open();
    bench.put('a');
    const { sink } = bench.watch({ key: 'a', end: '\0', withPrevious: true });
    bench.put('a', 'b');
    bench.delete('a', '\0');
    const events = sink.batches.flatMap((batch) => etcdserverpb.decodeWatchResponse(batch.encoded).events);
    expect(
      events.map(({ type, kv, prevKv }) => [
        type,
        kv?.key.toString(),
        kv?.version,
        kv?.modRevision,
        prevKv?.modRevision,
        prevKv?.value.toString(),
      ]),
    ).toEqual([
      [0, 'a', 2, 3, 2, 'v'],
      [0, 'b', 1, 3, undefined, undefined],
      [1, 'a', 0, 4, 3, 'v'],
      [1, 'b', 0, 4, 3, 'v'],
    ]);
  });

  test('a start in the past is caught up, then goes on', async () => {
    const bench = await HubBench.open({ revisionsMax: 2 });
    for (let i = 0; i < 5; i++) bench.put('a');
    const { sink, watcher } = bench.watch({ startRevision: 3 });
    expect(bench.hub.unsyncedCount).toBe(1);
    expect(bench.hub.progressRevision([watcher])).toBeUndefined();
    bench.put('b');
    bench.sync();
    expect(sink.text).toBe('7:+a@3,+a@4 7:+a@5,+a@6');
    expect(bench.hub.progressRevision([watcher])).toBe(7);
    bench.put('a');
    expect(sink.text).toBe('7:+a@3,+a@4 7:+a@5,+a@6 8:+a@8');
  });

  test('a start in the future gets nothing before it, not even progress', async () => {
    const bench = await HubBench.open();
    const { sink, watcher } = bench.watch({ startRevision: 4 });
    bench.put('a');
    bench.put('a');
    expect(bench.hub.progressRevision([watcher])).toBeUndefined();
    bench.put('a');
    expect(bench.hub.progressRevision([watcher])).toBe(4);
    expect(sink.text).toBe('4:+a@4');
  });

  test('a refused offer is repeated later, complete and in order', async () => {
    const bench = await HubBench.open();
    const { sink, watcher } = bench.watch({});
    const other = bench.watch({});
    bench.put('a');
    sink.open = false;
    bench.put('a');
    bench.put('b');
    bench.put('a');
    expect(watcher.state).toBe('unsynced');
    bench.sync();
    expect(sink.text).toBe('2:+a@2');
    sink.open = true;
    bench.sync();
    expect(sink.text).toBe('2:+a@2 5:+a@3,+a@5');
    expect(other.sink.text).toBe('2:+a@2 3:+a@3 5:+a@5');
    expect(watcher.state).toBe('synced');
    expect(bench.hub.counters.offersRefused).toBe(1);
  });

  test('a compacted start ends with one notice, also when the sink was full first', async () => {
    const bench = await HubBench.open();
    for (let i = 0; i < 5; i++) bench.put('a');
    bench.bench.compact(4);
    const at = bench.watch({ startRevision: 4 });
    const below = bench.watch({ startRevision: 3 });
    below.sink.open = false;
    bench.sync();
    expect(below.sink.compactedAt).toEqual([]);
    expect(at.sink.text).toBe('6:+a@4,+a@5,+a@6');
    below.sink.open = true;
    bench.sync();
    bench.sync();
    expect(below.sink.compactedAt).toEqual([4]);
    expect(below.watcher.state).toBe('compacted');
    bench.put('a');
    expect(below.sink.text).toBe('');
    bench.hub.cancel(below.watcher);
    expect(bench.hub.watcherCount).toBe(1);
  });

  test('a watch from the compacted revision gets the delete that happened there', async () => {
    const bench = await HubBench.open();
    bench.put('a');
    bench.delete('a');
    bench.put('b');
    bench.bench.compact(3);
    await bench.bench.store.runCompaction(noPause);
    const { sink } = bench.watch({ startRevision: 3, withPrevious: true });
    bench.sync();
    expect(sink.text).toBe('4:-a@3');
    expect(sink.batches[0].events[0].previous).toBeNull();
  });

  test('whoever was first is served first; far and near watchers take turns', async () => {
    const bench = await HubBench.open({ revisionsMax: 10 });
    for (let i = 0; i < 40; i++) bench.put('a');
    const far = bench.watch({ startRevision: 2 });
    const near = bench.watch({ startRevision: 39 });
    bench.hub.syncSome();
    bench.hub.syncSome();
    expect(near.watcher.state).toBe('synced');
    expect(far.watcher.state).toBe('unsynced');
    bench.sync();
    expect(far.sink.batches.flatMap((batch) => batch.events)).toHaveLength(40);
  });

  test('a canceled watcher gets nothing, not even from the turn that canceled it', async () => {
    const bench = await HubBench.open();
    const first = bench.watch({});
    const second = bench.watch({});
    first.sink.offer = (): boolean => {
      bench.hub.cancel(second.watcher);
      bench.hub.cancel(first.watcher);
      return false;
    };
    bench.put('a');
    bench.put('a');
    bench.sync();
    expect(second.sink.text).toBe('');
    expect(bench.hub.watcherCount).toBe(0);
  });

  test('after a snapshot watchers go on where they were', async () => {
    const bench = await HubBench.open();
    const ahead = await Bench.open();
    const watched = bench.watch({ key: 'a', end: '\0' });
    const idle = bench.watch({ key: 'x' });
    const future = bench.watch({ startRevision: 100 });
    const slow = bench.watch({ startRevision: 2 });
    slow.sink.open = false;
    const next = bench.watch({ startRevision: 6 });
    for (let i = 0; i < 3; i++) {
      bench.put('a');
      ahead.put('a', 'v');
    }
    ahead.put('b', 'v');
    ahead.put('x', 'v');
    ahead.compact(3);
    await ahead.store.runCompaction(noPause);
    bench.hub.replaceStore(ahead.store);
    slow.sink.open = true;
    bench.sync();
    expect(watched.sink.text).toBe('2:+a@2 3:+a@3 4:+a@4 6:+b@5,+x@6');
    expect(idle.sink.text).toBe('6:+x@6');
    expect(future.sink.text).toBe('');
    expect(slow.sink.compactedAt).toEqual([3]);
    expect(next.watcher.state).toBe('synced');
    bench.hub.notify(ahead.put('a', 'w'));
    expect(watched.sink.text).toMatch(/ 7:\+a@7$/);
    expect(next.sink.text).toBe('7:+a@7');
  });

  test('the bytes of a pass are bounded', async () => {
    const bench = await HubBench.open({ bytesMax: 1000 });
    for (let i = 0; i < 20; i++) bench.hub.notify(bench.bench.put('a', 'x'.repeat(400)));
    const { sink } = bench.watch({ startRevision: 2 });
    bench.sync();
    expect(sink.batches.map((batch) => batch.events.length)).toEqual([3, 3, 3, 3, 3, 3, 2]);
  });
});
