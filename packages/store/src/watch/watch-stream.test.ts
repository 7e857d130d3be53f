import { describe, expect, test } from '@jest/globals';
import { Bench } from '../../test/mvcc/bench.ts';
import { WatchHub } from './hub.ts';
import { WatchStream, type WatchCreate, type WatchOutlet, type WatchResponse } from './watch-stream.ts';

class Outlet implements WatchOutlet {
  responses: WatchResponse[] = [];
  open = true;

  writable(): boolean {
    return this.open;
  }

  write(response: WatchResponse): void {
    this.responses.push(response);
  }

  /** Takes what was written, a line each. */
  take(): string[] {
    const lines = this.responses.map((response) => {
      const words = [`id=${response.watchId}`, `rev=${response.revision}`];
      if (response.created) words.push('created');
      if (response.canceled) words.push('canceled');
      if (response.compactRevision !== 0) words.push(`compact=${response.compactRevision}`);
      if (response.cancelReason !== '') words.push(`"${response.cancelReason}"`);
      if (response.fragment) words.push('fragment');
      for (const { type, kv } of response.batch?.events ?? [])
        words.push(`${type === 0 ? '+' : '-'}${kv.keyString}`);
      return words.join(' ');
    });
    this.responses = [];
    return lines;
  }
}

const REQUEST: WatchCreate = {
  key: 'a',
  rangeEnd: '',
  startRevision: 0,
  progressNotify: false,
  noPut: false,
  noDelete: false,
  prevKv: false,
  watchId: 0n,
  fragment: false,
};

async function open(): Promise<{ bench: Bench; hub: WatchHub; outlet: Outlet; stream: WatchStream }> {
  const bench = await Bench.open();
  const hub = new WatchHub(bench.store);
  const outlet = new Outlet();
  const stream = new WatchStream(hub, outlet, { fragmentBytes: 200, headerBytes: () => 20 });
  return { bench, hub, outlet, stream };
}

describe('WatchStream', () => {
  test('ids: a counter that skips those in use', async () => {
    const { outlet, stream } = await open();
    stream.create({ ...REQUEST, watchId: 1n });
    stream.create(REQUEST);
    stream.create(REQUEST);
    stream.create({ ...REQUEST, watchId: 2n });
    stream.create({ ...REQUEST, watchId: 9_007_199_254_740_993n });
    stream.cancel(0n);
    stream.create(REQUEST);
    stream.cancel(77n);
    expect(outlet.take()).toEqual([
      'id=1 rev=1 created',
      'id=0 rev=1 created',
      'id=2 rev=1 created',
      'id=-1 rev=1 created canceled "mvcc: duplicate watch ID provided on the WatchStream"',
      'id=9007199254740993 rev=1 created',
      'id=0 rev=1 canceled',
      'id=3 rev=1 created',
    ]);
  });

  test.each<[string, Partial<WatchCreate>, string, string]>([
    ['negative start', { startRevision: -1 }, '', 'etcdserver: mvcc: required revision has been compacted'],
    [
      'negative start before permission',
      { startRevision: -1 },
      'no',
      'etcdserver: mvcc: required revision has been compacted',
    ],
    [
      'not permitted',
      {},
      'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
      'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    ],
    ['empty range', { key: 'b', rangeEnd: 'b' }, '', 'mvcc: watcher range is empty'],
    ['range turned round', { key: 'b', rangeEnd: 'a' }, '', 'mvcc: watcher range is empty'],
  ])('refused: %s', async (_name, request, denied, reason) => {
    const { outlet, stream, hub } = await open();
    stream.create({ ...REQUEST, ...request }, denied);
    expect(outlet.take()).toEqual([`id=-1 rev=1 created canceled "${reason}"`]);
    expect(hub.watcherCount).toBe(0);
  });

  test('an empty key is every key', async () => {
    const { bench, hub, outlet, stream } = await open();
    stream.create({ ...REQUEST, key: '', rangeEnd: '\0' });
    hub.notify(bench.put('z', '1'));
    expect(outlet.take()).toEqual(['id=0 rev=1 created', 'id=0 rev=2 +z']);
  });

  test('a compacted start: created, then canceled without a reason; the id stays until canceled', async () => {
    const { bench, hub, outlet, stream } = await open();
    for (let i = 0; i < 4; i++) hub.notify(bench.put('a', '1'));
    bench.compact(4);
    stream.create({ ...REQUEST, startRevision: 2, watchId: 5n });
    hub.syncSome();
    stream.create({ ...REQUEST, watchId: 5n });
    stream.requestProgress();
    stream.cancel(5n);
    expect(outlet.take()).toEqual([
      'id=5 rev=5 created',
      'id=5 rev=0 canceled compact=4',
      'id=-1 rev=5 created canceled "mvcc: duplicate watch ID provided on the WatchStream"',
      'id=5 rev=5 canceled',
    ]);
  });

  test('a progress request is answered only when every watch is synced', async () => {
    const { bench, hub, outlet, stream } = await open();
    stream.requestProgress();
    hub.notify(bench.put('a', '1'));
    stream.create(REQUEST);
    stream.requestProgress();
    stream.create({ ...REQUEST, startRevision: 2 });
    stream.requestProgress();
    hub.syncSome();
    stream.requestProgress();
    stream.create({ ...REQUEST, startRevision: 4 });
    stream.requestProgress();
    hub.notify(bench.put('b', '1'));
    hub.notify(bench.put('b', '1'));
    stream.requestProgress();
    expect(outlet.take()).toEqual([
      'id=0 rev=2 created',
      'id=-1 rev=2',
      'id=1 rev=2 created',
      'id=1 rev=2 +a',
      'id=-1 rev=2',
      'id=2 rev=2 created',
      'id=-1 rev=4',
    ]);
  });

  test('progress ticks: for those who asked, unless there were events, only when synced', async () => {
    const { bench, hub, outlet, stream } = await open();
    stream.create({ ...REQUEST, progressNotify: true });
    stream.create(REQUEST);
    stream.create({ ...REQUEST, startRevision: 5, progressNotify: true });
    outlet.take();
    stream.progressTick();
    hub.notify(bench.put('a', '1'));
    stream.progressTick();
    stream.progressTick();
    outlet.open = false;
    hub.notify(bench.put('a', '1'));
    stream.progressTick();
    outlet.open = true;
    stream.progressTick();
    hub.syncSome();
    stream.progressTick();
    stream.progressTick();
    expect(outlet.take()).toEqual([
      'id=0 rev=1',
      'id=0 rev=2 +a',
      'id=1 rev=2 +a',
      'id=0 rev=2',
      'id=0 rev=3 +a',
      'id=1 rev=3 +a',
      'id=0 rev=3',
    ]);
  });

  test('fragments for those who asked; a revision is whole for others', async () => {
    const { bench, hub, outlet, stream } = await open();
    stream.create({ ...REQUEST, rangeEnd: '\0', fragment: true });
    stream.create({ ...REQUEST, rangeEnd: '\0' });
    outlet.take();
    hub.notify(
      bench.write((txn) => {
        for (const key of ['a', 'b', 'c', 'd', 'e']) txn.put(key, Buffer.alloc(50), 0n);
      }),
    );
    hub.notify(bench.put('x', 'y'.repeat(1000)));
    expect(outlet.take()).toEqual([
      'id=0 rev=2 fragment +a +b',
      'id=0 rev=2 fragment +c +d',
      'id=0 rev=2 +e',
      'id=1 rev=2 +a +b +c +d +e',
      'id=0 rev=3 +x',
      'id=1 rev=3 +x',
    ]);
  });

  test('close ends every watch and writes nothing', async () => {
    const { bench, hub, outlet, stream } = await open();
    stream.create(REQUEST);
    stream.create({ ...REQUEST, startRevision: 1 });
    outlet.take();
    stream.close();
    hub.notify(bench.put('a', '1'));
    hub.syncSome();
    expect(outlet.take()).toEqual([]);
    expect(hub.watcherCount).toBe(0);
  });
});
