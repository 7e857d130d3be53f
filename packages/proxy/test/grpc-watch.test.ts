/** Watches through the proxy, before our own members in this process. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { etcdserverpb, services } from '@keelson/proto';
import { Metadata } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import {
  WatchClient,
  channelTo,
  closeAll,
  memberPorts,
  metric,
  proxied,
  put,
  serving,
  startProxy,
} from './grpc-harness.ts';

afterEach(closeAll);

const wholeOf = (proxy: Parameters<typeof metric>[0]): number[] => [
  metric(proxy, 'keelson_grpc_proxy_watchers'),
  metric(proxy, 'keelson_grpc_proxy_upstream_watches'),
  metric(proxy, 'keelson_grpc_proxy_upstream_watch_streams'),
  metric(proxy, 'etcd_grpc_proxy_watchers_coalescing_total'),
];

describe('coalescing', () => {
  test('200 watchers on 20 streams share one watch upstream; each sees each event once, in order', async () => {
    const { proxy, direct, members } = await proxied();
    const history: string[] = [];
    for (let i = 0; i < 30; i++)
      history.push(`${await put(direct, `k${i % 7}`, `old${i}`)} PUT k${i % 7}=old${i}`);
    const first = Number(history[0].split(' ')[0]);
    const clients = Array.from({ length: 20 }, () => new WatchClient(channelTo(proxy.port)));
    for (const [at, client] of clients.entries())
      for (let i = 0; i < 10; i++) {
        // Every second one from old revisions: the beginning, or somewhere in the middle.
        const startRevision = i % 2 === 0 ? 0 : first + ((at * 10 + i) % 30);
        client.create('k', 'l', { startRevision, watchId: BigInt(i + 1) });
      }
    await Promise.all(clients.map((client) => client.until(() => client.created === 10)));
    const later: string[] = [];
    for (let i = 0; i < 20; i++)
      later.push(`${await put(direct, `k${i % 5}`, `new${i}`)} PUT k${i % 5}=new${i}`);
    await Promise.all(
      clients.map((client) =>
        client.until(() =>
          [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n].every((id) => client.seen(id).at(-1) === later.at(-1)),
        ),
      ),
    );
    for (const [at, client] of clients.entries())
      for (let i = 0; i < 10; i++) {
        const from = i % 2 === 0 ? 30 : (at * 10 + i) % 30;
        expect(client.seen(BigInt(i + 1))).toEqual([...history.slice(from), ...later]);
      }
    expect(wholeOf(proxy)).toEqual([200, 1, 1, 199]);
    expect(metric(proxy, 'etcd_grpc_proxy_events_coalescing_total')).toBeGreaterThanOrEqual(199);
    // The member sees the shared one, and the one that listens for a leader.
    const atMember = await (await fetch(`http://127.0.0.1:${members.port}/metrics`)).text();
    expect(atMember).toContain('\netcd_debugging_mvcc_watch_stream_total 2\n');
    expect(atMember).toContain('\netcd_debugging_mvcc_watcher_total 2\n');

    for (const client of clients) client.stream.cancel();
    await until(() => wholeOf(proxy).join() === '0,0,0,0', 'nobody watches');
  });

  test('each watcher sees what it asked for: filters, values before, progress', async () => {
    const { proxy, direct } = await proxied();
    await put(direct, 'a', '1');
    const client = new WatchClient(channelTo(proxy.port));
    const { NOPUT, NODELETE } = etcdserverpb.FilterType;
    client.create('a');
    client.create('a', '', { prevKv: true });
    client.create('a', '', { filters: [NOPUT] });
    client.create('a', '', { filters: [NODELETE], prevKv: true });
    await client.until(() => client.created === 4);
    const second = await put(direct, 'a', '2');
    const request = new etcdserverpb.DeleteRangeRequest({ key: Buffer.from('a') });
    await direct.unary(services.KV.methods.deleteRange, request);
    const third = await put(direct, 'a', '3');
    await client.until(
      () => client.seen(0n).length === 3 && client.seen(1n).length === 3 && client.seen(3n).length === 2,
    );
    expect(client.seen(0n)).toEqual([`${second} PUT a=2`, `${second + 1} DELETE a=`, `${third} PUT a=3`]);
    expect(client.seen(2n)).toEqual([`${second + 1} DELETE a=`]);
    expect(client.seen(3n)).toEqual([`${second} PUT a=2`, `${third} PUT a=3`]);
    const before = (id: bigint): (string | undefined)[] =>
      client.events.get(id)!.map(({ prevKv }) => prevKv?.value.toString());
    expect([before(0n), before(1n), before(3n)]).toEqual([
      [undefined, undefined, undefined],
      ['1', '2', undefined],
      ['1', undefined],
    ]);
    client.askProgress();
    await client.until(() => client.responses.at(-1)?.watchId === -1n);
    expect(client.responses.at(-1)?.header?.revision).toBe(third);
    expect(metric(proxy, 'keelson_grpc_proxy_upstream_watches')).toBe(1);
  });

  test('a watch from now on sees nothing from before, however late the shared one is told', async () => {
    const { channel } = await proxied();
    const client = new WatchClient(channel);
    client.create('k');
    await client.until(() => client.created === 1);
    for (let i = 0; i < 20; i++) {
      const revision = await put(channel, 'k', String(i));
      const id = BigInt(client.created);
      client.create('k');
      await client.until(() => BigInt(client.created) === id + 1n);
      const next = await put(channel, 'k', 'next');
      await client.until(() => client.seen(id).length > 0);
      expect(client.seen(id)[0]).toBe(`${next} PUT k=next`);
      expect(next).toBe(revision + 1);
    }
  });
});

describe('refusals', () => {
  test('as etcd: an empty range, an id twice, a revision that is gone', async () => {
    const { channel } = await proxied();
    for (let i = 0; i < 5; i++) await put(channel, 'k', String(i));
    const now = await put(channel, 'k', 'last');
    await channel.unary(
      services.KV.methods.compact,
      new etcdserverpb.CompactionRequest({ revision: now - 1 }),
    );
    const client = new WatchClient(channel);
    client.create('b', 'a');
    client.create('k', '', { watchId: 7n });
    client.create('k', '', { watchId: 7n });
    client.create('k', '', { startRevision: 2 });
    client.create('k', '', { startRevision: now });
    await client.until(() => client.seen(1n).length === 1);
    const told = client.responses
      .filter(({ created, canceled }) => created || canceled)
      .map(({ watchId, created, canceled, cancelReason, compactRevision }) => [
        watchId,
        created,
        canceled,
        cancelReason,
        compactRevision,
      ]);
    expect(told).toEqual([
      [-1n, true, true, 'mvcc: watcher range is empty', 0],
      [7n, true, false, '', 0],
      [-1n, true, true, 'mvcc: duplicate watch ID provided on the WatchStream', 0],
      [0n, true, false, '', 0],
      [0n, false, true, expect.anything(), now - 1],
      [1n, true, false, '', 0],
    ]);
    client.cancel(7n);
    await client.until(() => client.responses.at(-1)?.canceled === true);
    expect(client.responses.at(-1)).toMatchObject({ watchId: 7n, canceled: true, created: false });
  });
});

describe('a member that goes', () => {
  test('watches go on at another one without a gap, and so do writes', async () => {
    const members = await serving({}, 3);
    const proxy = await startProxy(memberPorts(members));
    const channel = channelTo(proxy.port);
    const clients = [new WatchClient(channel), new WatchClient(channelTo(proxy.port))];
    for (const client of clients) for (let i = 0; i < 5; i++) client.create('k', 'l');
    await Promise.all(clients.map((client) => client.until(() => client.created === 5)));
    const written = [`${await put(channel, 'k', 'before')} PUT k=before`];
    // The one all streams are at, told by its own count of them.
    const counts = await Promise.all(
      memberPorts(members).map(async (port) => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        return Number(/\netcd_debugging_mvcc_watch_stream_total (\d+)\n/.exec(text)?.[1]);
      }),
    );
    const at = counts.findIndex((count) => count > 0);
    await members.cluster.crashMember(at);
    await members.cluster.leader();
    for (let i = 0; i < 5; i++) {
      // A write that met the end is never repeated by the proxy: its caller decides.
      let revision: number | undefined;
      while (revision === undefined) revision = await put(channel, 'k', String(i)).catch(() => undefined);
      written.push(`${revision} PUT k=${i}`);
    }
    const last = written.at(-1)!;
    for (const client of clients)
      await client.until(() => [0n, 1n, 2n, 3n, 4n].every((id) => client.seen(id).includes(last)));
    for (const client of clients)
      for (const id of [0n, 1n, 2n, 3n, 4n]) {
        const seen = client.seen(id);
        expect(seen.filter((event) => written.includes(event))).toEqual(written);
        expect(seen.map((event) => Number(event.split(' ')[0]))).toEqual(
          seen.map((_, i) => Number(seen[0].split(' ')[0]) + i),
        );
      }
    expect(metric(proxy, 'keelson_grpc_proxy_upstream_watches')).toBe(1);
  });

  test('who wants a leader hears that there is none', async () => {
    const members = await serving({}, 3);
    const proxy = await startProxy(memberPorts(members));
    const wants = new WatchClient(channelTo(proxy.port), Metadata.of({ hasleader: 'true' }));
    const patient = new WatchClient(channelTo(proxy.port));
    for (const client of [wants, patient]) {
      client.create('k');
      await client.until(() => client.created === 1);
    }
    for (const i of [0, 1, 2]) members.cluster.isolate(i);
    expect(await wants.ended()).toBe('etcdserver: no leader');
    expect(patient.over).toBe(false);
    for (const i of [0, 1, 2]) members.cluster.mend(i);
    await members.cluster.leader();
    const channel = channelTo(proxy.port);
    let revision: number | undefined;
    while (revision === undefined) revision = await put(channel, 'k', 'again').catch(() => undefined);
    await patient.until(() => patient.seen(0n).includes(`${revision} PUT k=again`));
    await until(async () => {
      const again = new WatchClient(channelTo(proxy.port), Metadata.of({ hasleader: 'true' }));
      again.create('k');
      return again
        .until(() => again.created === 1)
        .then(
          () => true,
          () => false,
        );
    }, 'a leader is known');
  });
});

describe('a client that does not read', () => {
  test('holds a bounded number of bytes, and goes on without a gap once it reads', async () => {
    const { proxy, direct } = await proxied();
    const slow = new WatchClient(channelTo(proxy.port));
    slow.create('k');
    await slow.until(() => slow.created === 1);
    slow.stream.pause();
    const value = 'x'.repeat(200_000);
    const written: number[] = [];
    const parked = (): number => metric(proxy, 'keelson_grpc_proxy_watchers_parked');
    // Another one that reads says when an event has come as far as the proxy.
    const quick = new WatchClient(channelTo(proxy.port));
    quick.create('k');
    await quick.until(() => quick.created === 1);
    const write = async (): Promise<void> => {
      written.push(await put(direct, 'k', value));
      await quick.until(() => quick.events.get(0n)?.at(-1)?.kv?.modRevision === written.at(-1));
    };
    while (parked() === 0 && written.length < 100) await write();
    expect(parked()).toBe(1);
    for (let i = 0; i < 5; i++) await write();
    expect(metric(proxy, 'keelson_grpc_proxy_watch_queued_bytes')).toBeLessThan(8 * 1024 * 1024);
    slow.stream.resume();
    await slow.until(() => slow.events.get(0n)?.at(-1)?.kv?.modRevision === written.at(-1));
    expect(slow.events.get(0n)?.map(({ kv }) => kv?.modRevision)).toEqual(written);
    expect(parked()).toBe(0);
    expect(metric(proxy, 'keelson_grpc_proxy_watch_queued_bytes')).toBe(0);
  });

  test('is not answered without a bound either', async () => {
    const { proxy, direct } = await proxied();
    const slow = new WatchClient(channelTo(proxy.port));
    slow.create('k');
    await slow.until(() => slow.created === 1);
    slow.stream.pause();
    await put(direct, 'k', 'x'.repeat(1_000_000));
    const queued = (): number => metric(proxy, 'keelson_grpc_proxy_watch_queued_responses');
    await until(() => {
      slow.create('b', 'a');
      return Promise.resolve(queued() > 0);
    }, 'an answer waits');
    const before = slow.responses.length;
    for (let i = 0; i < 3_000; i++) slow.create('b', 'a');
    await until(() => queued() === 1_024, 'as many answers wait as may');
    for (let i = 0; i < 10; i++) await put(direct, 'other', String(i));
    expect(queued()).toBe(1_024);
    expect(slow.responses).toHaveLength(before);
    slow.stream.resume();
    await slow.until(() => slow.created >= 3_002);
    expect(queued()).toBe(0);
  });
});
