/**
 * --enable-distributed-tracing against a little collector: which spans a member sends for which call, whose children
 * they are, and that a collector that is not there disturbs nobody.
 */
import { afterEach, expect, test } from '@jest/globals';
import { etcdserverpb, services } from '@keelson/proto';
import { Metadata } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import { Collector, type Seen } from '../../rpc/test/span-collector.ts';
import type { ServerConfig } from '../src/config/flag-table.ts';
import { MemberCluster } from './members.ts';

const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function collector(): Promise<{ readonly spans: readonly Seen[]; readonly address: string }> {
  const made = new Collector();
  ends.push(() => made.server.close());
  return { spans: made.spans, address: await made.listen() };
}

async function member(address: string, config: Partial<ServerConfig>): Promise<MemberCluster> {
  const cluster = await MemberCluster.start({
    members: 1,
    config: { enableDistributedTracing: true, distributedTracingAddress: address, ...config },
  });
  ends.push(() => cluster.stop());
  await cluster.leader();
  return cluster;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const calledFrom = (flags: string): { readonly metadata: Metadata } => ({
  metadata: Metadata.of({ traceparent: `00-${TRACE}-${PARENT}-${flags}`, tracestate: 'rojo=1' }),
});
const { KV, Lease, Watch } = services;
const key = Buffer.from('k');

test('a sampled caller: the spans of its calls, by name, parent, attributes and events', async () => {
  const { spans, address } = await collector();
  const cluster = await member(address, {
    distributedTracingInstanceId: 'm-1',
    distributedTracingServiceName: 'mine',
  });
  const channel = cluster.channel(0);
  const options = calledFrom('01');
  const beforeMs = Date.now();
  await channel.unary(
    KV.methods.put,
    new etcdserverpb.PutRequest({ key, value: Buffer.from('secret') }),
    options,
  );
  await channel.unary(KV.methods.range, new etcdserverpb.RangeRequest({ key, limit: 3 }), options);
  const put = new etcdserverpb.RequestOp({ requestPut: new etcdserverpb.PutRequest({ key, lease: 7n }) });
  const compare = new etcdserverpb.Compare({ key, version: 1 });
  await expect(
    channel.unary(
      KV.methods.txn,
      new etcdserverpb.TxnRequest({ compare: [compare], success: [put] }),
      options,
    ),
  ).rejects.toThrow('lease not found');
  await channel.unary(KV.methods.deleteRange, new etcdserverpb.DeleteRangeRequest({ key }), options);
  await channel.unary(
    Lease.methods.leaseGrant,
    new etcdserverpb.LeaseGrantRequest({ ID: 7n, TTL: 60 }),
    options,
  );
  const renewals = channel.bidi(Lease.methods.leaseKeepAlive, options);
  const renewed = renewals[Symbol.asyncIterator]();
  for (const ID of [7n, 8n]) {
    renewals.write(new etcdserverpb.LeaseKeepAliveRequest({ ID }));
    const { value } = await renewed.next();
    expect(value).toMatchObject({ ID, TTL: ID === 7n ? 60 : 0 });
  }
  renewals.end();
  expect((await renewed.next()).done).toBe(true);
  await channel.unary(Lease.methods.leaseRevoke, new etcdserverpb.LeaseRevokeRequest({ ID: 7n }), options);
  await channel.unary(KV.methods.compact, new etcdserverpb.CompactionRequest({ revision: 2 }), options);
  const watch = channel.bidi(Watch.methods.watch, options);
  watch.write(new etcdserverpb.WatchRequest({ createRequest: new etcdserverpb.WatchCreateRequest({ key }) }));
  for await (const response of watch) {
    if (response.created) break;
  }
  watch.cancel();
  // Calls of nobody who is traced: the rate is 0.
  await channel.unary(KV.methods.put, new etcdserverpb.PutRequest({ key }));
  await channel.unary(KV.methods.put, new etcdserverpb.PutRequest({ key }), calledFrom('00'));
  await cluster.stop();

  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
  expect(spans[0].resource).toEqual({ 'service.name': 'mine', 'service.instance.id': 'm-1' });
  expect(new Set(spans.map(({ id }) => id)).size).toBe(spans.length);
  const server = spans.filter(({ kind }) => kind === 2);
  expect(server.map(({ name }) => name).toSorted()).toEqual([
    'etcdserverpb.KV/Compact',
    'etcdserverpb.KV/DeleteRange',
    'etcdserverpb.KV/Put',
    'etcdserverpb.KV/Range',
    'etcdserverpb.KV/Txn',
    'etcdserverpb.Lease/LeaseGrant',
    'etcdserverpb.Lease/LeaseKeepAlive',
    'etcdserverpb.Lease/LeaseRevoke',
    'etcdserverpb.Watch/Watch',
  ]);
  for (const { parent, state, sinceMs, tookMs, status } of server) {
    expect([parent, state, status]).toEqual([PARENT, 'rojo=1', undefined]);
    expect(sinceMs).toBeGreaterThan(beforeMs - 1_000);
    expect(sinceMs + tookMs).toBeLessThan(Date.now() + 1_000);
    expect(tookMs).toBeGreaterThanOrEqual(0);
  }
  const named = (name: string): Seen => spans.find((span) => span.name === name)!;
  expect(named('etcdserverpb.KV/Put').attributes).toMatchObject({
    'rpc.system': 'grpc',
    'rpc.service': 'etcdserverpb.KV',
    'rpc.method': 'Put',
    'rpc.grpc.status_code': 0,
  });
  expect(named('etcdserverpb.KV/Txn').attributes['rpc.grpc.status_code']).toBe(5);
  const proposed = ['Send raft proposal', 'Receive raft result'];
  const work: readonly (readonly [string, string, Record<string, unknown>, readonly string[]])[] = [
    ['put', 'KV/Put', { key: 'k' }, proposed],
    [
      'range',
      'KV/Range',
      { range_begin: 'k', range_end: '', rev: 0, limit: 3, count_only: false, keys_only: false },
      [],
    ],
    [
      'txn',
      'KV/Txn',
      {
        compare_first_key: 'k',
        success_first_key: 'k',
        success_first_type: 'put',
        success_first_lease: 7,
        compare_len: 1,
        success_len: 1,
        failure_len: 0,
        read_only: false,
      },
      proposed,
    ],
    ['delete_range', 'KV/DeleteRange', { range_begin: 'k', range_end: '' }, proposed],
    ['lease_grant', 'Lease/LeaseGrant', { id: 7, ttl: 60 }, proposed],
    ['lease_renew', 'Lease/LeaseKeepAlive', { id: 7 }, []],
    ['lease_revoke', 'Lease/LeaseRevoke', { id: 7 }, proposed],
    ['compact', 'KV/Compact', { is_physical: false, rev: 2 }, proposed],
  ];
  for (const [name, call, attributes, events] of work) {
    const span = named(name);
    const parent = named(`etcdserverpb.${call}`);
    expect([name, span.kind, span.parent]).toEqual([name, 1, parent.id]);
    expect(span.attributes).toEqual(attributes);
    expect(span.events).toEqual(events);
    expect(span.tookMs).toBeLessThanOrEqual(parent.tookMs);
  }
  expect(
    spans.filter(({ name }) => name === 'lease_renew').map(({ attributes }) => attributes['id']),
  ).toEqual([7, 8]);
  expect(spans).toHaveLength(server.length + work.length + 1);
  expect(
    JSON.stringify(spans, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  ).not.toContain('secret');
});

test('at a rate of a million in a million every call begins a trace; an unsampled caller keeps it from that', async () => {
  const { spans, address } = await collector();
  const cluster = await member(address, { distributedTracingSamplingRate: 1_000_000 });
  const channel = cluster.channel(0);
  for (let i = 0; i < 3; i++) await channel.unary(KV.methods.put, new etcdserverpb.PutRequest({ key }));
  await channel.unary(KV.methods.put, new etcdserverpb.PutRequest({ key }), calledFrom('00'));
  await cluster.stop();
  const roots = spans.filter(({ name, parent }) => name === 'etcdserverpb.KV/Put' && parent === '');
  expect(roots).toHaveLength(3);
  expect(new Set(roots.map(({ traceId }) => traceId)).size).toBe(3);
  expect(spans.filter(({ name }) => name === 'put')).toHaveLength(3);
  expect(roots[0].resource).toEqual({ 'service.name': 'etcd' });
});

test('a collector that is not there costs spans only, and they are counted', async () => {
  const gone = new Collector();
  const address = await gone.listen();
  await gone.server.close();
  const cluster = await member(address, { distributedTracingSamplingRate: 1_000_000 });
  const channel = cluster.channel(0);
  // More than a batch: the first one is tried at once.
  for (let i = 0; i < 300; i++) await channel.unary(KV.methods.put, new etcdserverpb.PutRequest({ key }));
  const { registry } = cluster.server(0).instruments;
  const dropped = (): number => {
    const line = /^keelson_tracing_dropped_spans_total (\d+)$/m.exec(registry.text());
    return Number(line?.[1]);
  };
  await until(() => dropped() >= 512, 'the first batch to be given up');
  await cluster.stop();
  expect(dropped()).toBe(600);
});
