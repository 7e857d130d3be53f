/** Everything but watches through the proxy, before our own members in this process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createClient } from '@keelson/client';
import { etcdserverpb, services, v3electionpb, v3lockpb } from '@keelson/proto';
import { Metadata, nativeChannel, type Channel } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import {
  WatchClient,
  channelTo,
  closeAll,
  get,
  memberPorts,
  metric,
  proxied,
  put,
  serving,
  startProxy,
} from './grpc-harness.ts';
import { freePorts } from '../../base/test/free-ports.ts';

afterEach(closeAll);

const SERIALIZABLE = { serializable: true };
const CACHE = ['hits', 'misses', 'keys'].map((name) => `etcd_grpc_proxy_cache_${name}_total`);

describe('the cache', () => {
  test('serves serializable reads until a write through the proxy touches them', async () => {
    const { proxy, channel, direct } = await proxied();
    const cache = (): number[] => CACHE.map((name) => metric(proxy, name));
    await put(channel, 'a', '1');
    expect(await get(channel, 'a')).toEqual(['a=1']);
    expect(cache()).toEqual([0, 0, 1]);
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=1']);
    expect(cache()).toEqual([1, 0, 1]);
    // A write that went past is not seen by a serializable read; a linearizable one brings it.
    await put(direct, 'a', '2');
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=1']);
    expect(await get(channel, 'a')).toEqual(['a=2']);
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=2']);
    expect(await get(channel, 'a', { rangeEnd: Buffer.from('b'), ...SERIALIZABLE })).toEqual(['a=2']);
    expect(cache()).toEqual([3, 1, 2]);
    await put(channel, 'a', '3');
    expect(cache()[2]).toBe(0);
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=3']);
    const { RequestOp, PutRequest, TxnRequest } = etcdserverpb;
    const inner = new TxnRequest({
      success: [
        new RequestOp({ requestPut: new PutRequest({ key: Buffer.from('a'), value: Buffer.from('4') }) }),
      ],
    });
    const txn = new TxnRequest({ success: [new RequestOp({ requestTxn: inner })] });
    await channel.unary(services.KV.methods.txn, txn);
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=4']);
    const all = new etcdserverpb.DeleteRangeRequest({ key: Buffer.of(0), rangeEnd: Buffer.of(0) });
    await channel.unary(services.KV.methods.deleteRange, all);
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual([]);
  });

  test('a revision that was compacted is refused without asking', async () => {
    const { proxy, channel } = await proxied();
    const first = await put(channel, 'a', '1');
    const second = await put(channel, 'a', '2');
    expect(await get(channel, 'a', { revision: first, ...SERIALIZABLE })).toEqual(['a=1']);
    await channel.unary(
      services.KV.methods.compact,
      new etcdserverpb.CompactionRequest({ revision: second }),
    );
    await expect(get(channel, 'a', { revision: first, ...SERIALIZABLE })).rejects.toThrow(
      'etcdserver: mvcc: required revision has been compacted',
    );
    expect(metric(proxy, CACHE[0])).toBe(1);
  });

  test('nobody reads what somebody else was allowed to; a shared watch asks for each', async () => {
    const { proxy, channel } = await proxied();
    const admin = createClient({ endpoints: [`127.0.0.1:${proxy.port}`] });
    try {
      await admin.auth.userAdd('root', 'r');
      await admin.auth.roleAdd('root');
      await admin.auth.userGrantRole('root', 'root');
      await admin.auth.userAdd('reader', 'r');
      await admin.auth.userAdd('other', 'o');
      await admin.auth.roleAdd('a');
      await admin.auth.roleGrantPermission('a', 'read', 'a');
      await admin.auth.userGrantRole('reader', 'a');
      await admin.kv.put('a', 'secret');
      expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=secret']);
      await admin.auth.enable();
      const login = async (name: string, password: string): Promise<Metadata> => {
        const request = new etcdserverpb.AuthenticateRequest({ name, password });
        return Metadata.of({
          token: (await channel.unary(services.Auth.methods.authenticate, request)).token,
        });
      };
      const [reader, other] = [await login('reader', 'r'), await login('other', 'o')];
      expect(await get(channel, 'a', SERIALIZABLE, reader)).toEqual(['a=secret']);
      await expect(get(channel, 'a', SERIALIZABLE, other)).rejects.toThrow('etcdserver: permission denied');
      await expect(get(channel, 'a', SERIALIZABLE)).rejects.toThrow('etcdserver: user name is empty');

      const [first, second, third] = [reader, reader, other].map((who) => new WatchClient(channel, who));
      for (const client of [first, second, third]) {
        client.create('a');
        await client.until(() => client.created === 1);
      }
      expect(third.responses[0]).toMatchObject({
        watchId: -1n,
        created: true,
        canceled: true,
        cancelReason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
      });
      expect(metric(proxy, 'keelson_grpc_proxy_upstream_watches')).toBe(1);
    } finally {
      admin.close();
    }
  });
});

describe('a namespace', () => {
  test('is all that is seen: keys, transactions, watches, leases, locks', async () => {
    const { proxy, channel, direct } = await proxied(1, ['--namespace=ns/']);
    await put(direct, 'a', 'outside');
    const watch = new WatchClient(channel);
    watch.create('\0', '\0');
    await watch.until(() => watch.created === 1);
    await put(channel, 'a', 'inside');
    await put(direct, 'zz', 'outside');
    const everything = { rangeEnd: Buffer.of(0) };
    expect(await get(channel, '\0', everything)).toEqual(['a=inside']);
    expect(await get(direct, '\0', everything)).toEqual(['a=outside', 'ns/a=inside', 'zz=outside']);

    const { ID } = await channel.unary(
      services.Lease.methods.leaseGrant,
      new etcdserverpb.LeaseGrantRequest({ TTL: 100 }),
    );
    const attached = (key: string): etcdserverpb.PutRequest =>
      new etcdserverpb.PutRequest({ key: Buffer.from(key), lease: ID });
    await channel.unary(services.KV.methods.put, attached('leased'));
    await direct.unary(services.KV.methods.put, attached('leased outside'));
    const asked = new etcdserverpb.LeaseTimeToLiveRequest({ ID, keys: true });
    const { keys } = await channel.unary(services.Lease.methods.leaseTimeToLive, asked);
    expect(keys.map(String)).toEqual(['leased']);

    const lock = await channel.unary(
      services.Lock.methods.lock,
      new v3lockpb.LockRequest({ name: Buffer.from('l'), lease: ID }),
    );
    expect(lock.key.toString()).toBe(`l/${ID.toString(16)}`);
    expect(await get(direct, `ns/${lock.key.toString()}`)).toHaveLength(1);
    await channel.unary(services.Lock.methods.unlock, new v3lockpb.UnlockRequest({ key: lock.key }));
    await watch.until(() => watch.seen(0n).length === 4);
    expect(watch.seen(0n).map((event) => event.replace(/^\d+ /, ''))).toEqual([
      'PUT a=inside',
      'PUT leased=',
      `PUT ${lock.key.toString()}=`,
      `DELETE ${lock.key.toString()}=`,
    ]);
    expect(metric(proxy, 'keelson_grpc_proxy_watchers')).toBe(1);
    await expect(put(channel, '', 'x')).rejects.toThrow('etcdserver: key is not provided');
  });
});

describe('keep-alives', () => {
  test('a hundred clients share one stream; each of them gets its answer', async () => {
    const { proxy, channel } = await proxied();
    const grant = new etcdserverpb.LeaseGrantRequest({ TTL: 100 });
    const leases = await Promise.all(
      Array.from(
        { length: 10 },
        async () => (await channel.unary(services.Lease.methods.leaseGrant, grant)).ID,
      ),
    );
    const missing = 12_345n;
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => {
        const stream = channelOf(i, proxy.port, channel).bidi(services.Lease.methods.leaseKeepAlive);
        const told: [bigint, number][] = [];
        for (const ID of [leases[i % 10], missing, leases[i % 10]])
          stream.write(new etcdserverpb.LeaseKeepAliveRequest({ ID }));
        stream.end();
        for await (const { ID, TTL } of stream) told.push([ID, TTL]);
        return told;
      }),
    );
    for (const [i, told] of answers.entries()) {
      const own = told.filter(([id]) => id === leases[i % 10]);
      expect(own).toEqual([
        [leases[i % 10], 100],
        [leases[i % 10], 100],
      ]);
      expect(told.filter(([id]) => id === missing)).toEqual([[missing, 0]]);
    }
    expect(metric(proxy, 'keelson_grpc_proxy_keep_alives_total')).toBe(300);
    expect(metric(proxy, 'keelson_grpc_proxy_upstream_keep_alives_total')).toBeLessThan(300);
    expect(metric(proxy, 'keelson_grpc_proxy_upstream_keep_alive_streams')).toBe(0);
  });
});

describe('streams of answers', () => {
  test('a snapshot and a streamed range pass through whole', async () => {
    const { channel, direct } = await proxied(1, ['--namespace=ns/']);
    for (let i = 0; i < 20; i++) await put(channel, `k${i}`, 'x'.repeat(10_000));
    const whole = async (from: Channel): Promise<Buffer> => {
      const blobs: Buffer[] = [];
      const request = new etcdserverpb.SnapshotRequest();
      for await (const { blob } of from.serverStream(services.Maintenance.methods.snapshot, request))
        blobs.push(blob);
      return Buffer.concat(blobs);
    };
    const [through, past] = [await whole(channel), await whole(direct)];
    expect(through.length).toBe(past.length);
    const request = new etcdserverpb.RangeRequest({ key: Buffer.of(0), rangeEnd: Buffer.of(0) });
    const keys: string[] = [];
    for await (const { rangeResponse } of channel.serverStream(services.KV.methods.rangeStream, request))
      keys.push(...(rangeResponse?.kvs ?? []).map(({ key }) => key.toString()));
    expect(keys).toEqual(Array.from({ length: 20 }, (_, i) => `k${i}`).sort());
  });

  test('an election: who leads is told, and who follows is heard', async () => {
    const { channel, direct } = await proxied(1, ['--namespace=ns/']);
    const grant = new etcdserverpb.LeaseGrantRequest({ TTL: 100 });
    const { ID: lease } = await channel.unary(services.Lease.methods.leaseGrant, grant);
    const { campaign, leader, observe, resign } = services.Election.methods;
    const name = Buffer.from('e');
    const watching = channel.serverStream(observe, new v3electionpb.LeaderRequest({ name }));
    const seen: string[] = [];
    const observed = (async () => {
      for await (const { kv } of watching) {
        seen.push(`${kv!.key.toString()}=${kv!.value.toString()}`);
        break;
      }
    })();
    const request = new v3electionpb.CampaignRequest({ name, lease, value: Buffer.from('me') });
    const { leader: won } = await channel.unary(campaign, request);
    const key = `e/${lease.toString(16)}`;
    expect([won?.name.toString(), won?.key.toString()]).toEqual(['e', key]);
    const { kv } = await channel.unary(leader, new v3electionpb.LeaderRequest({ name }));
    expect(kv?.key.toString()).toBe(key);
    await observed;
    expect(seen).toEqual([`${key}=me`]);
    expect(await get(direct, `ns/${key}`)).toEqual([`ns/${key}=me`]);
    await channel.unary(resign, new v3electionpb.ResignRequest({ leader: won! }));
    expect(await get(direct, `ns/${key}`)).toEqual([]);
  });
});

/** A few connections for many clients. */
function channelOf(i: number, port: number, first: Channel): Channel {
  return i % 25 === 0 ? channelTo(port) : first;
}

describe('the list of members', () => {
  const list = async (channel: Channel): Promise<string[]> => {
    const request = new etcdserverpb.MemberListRequest();
    const { members } = await channel.unary(services.Cluster.methods.memberList, request);
    return members.map(({ name, clientURLs }) => `${name} ${clientURLs.join(',')}`);
  };

  test('is the proxies that registered, and loses one that stops', async () => {
    const members = await serving();
    const [one, two] = await freePorts(2);
    const start = (port: number): ReturnType<typeof startProxy> =>
      startProxy(memberPorts(members), [
        `--listen-addr=127.0.0.1:${port}`,
        `--advertise-client-url=127.0.0.1:${port}`,
        '--resolver-prefix=proxies',
        '--resolver-ttl=6',
      ]);
    const first = await start(one);
    const second = await start(two);
    const channel = channelTo(first.port);
    const both = [`tester 127.0.0.1:${one}`, `tester 127.0.0.1:${two}`].sort();
    await until(async () => (await list(channel)).join() === both.join(), 'both are listed');
    expect(await get(channelTo(members.port), `proxies/127.0.0.1:${one}`)).toEqual([
      `proxies/127.0.0.1:${one}={"Op":0,"Addr":"127.0.0.1:${one}","Metadata":"{\\"name\\":\\"tester\\"}"}`,
    ]);
    await second.stop();
    await until(async () => (await list(channel)).join() === `tester 127.0.0.1:${one}`, 'one is listed');

    // A lease that is lost is replaced by another.
    const lost = new etcdserverpb.RangeRequest({ key: Buffer.from(`proxies/127.0.0.1:${one}`) });
    const { kvs } = await channelTo(members.port).unary(services.KV.methods.range, lost);
    const revoke = new etcdserverpb.LeaseRevokeRequest({ ID: kvs[0].lease });
    await channel.unary(services.Lease.methods.leaseRevoke, revoke);
    await until(async () => {
      const found = await channelTo(members.port).unary(services.KV.methods.range, lost);
      return found.kvs.length === 1;
    }, 'it is registered anew');
  });

  test('is this one without a prefix, and the cluster’s without an address to advertise', async () => {
    const members = await serving();
    const plain = await startProxy(memberPorts(members), ['--advertise-client-url=proxy:1']);
    expect(await list(channelTo(plain.port))).toEqual(['tester proxy:1']);
    const open = await startProxy(memberPorts(members), ['--advertise-client-url=']);
    expect(await list(channelTo(open.port))).toEqual(await list(channelTo(members.port)));
  });
});

describe('HTTP', () => {
  test('health and metrics, of the cluster and of its own', async () => {
    const members = await serving();
    const [port] = await freePorts(1);
    const proxy = await startProxy(memberPorts(members), [
      `--listen-addr=127.0.0.1:${port}`,
      `--advertise-client-url=127.0.0.1:${port}`,
      '--metrics-addr=http://127.0.0.1:0',
      '--enable-pprof',
    ]);
    for (const at of [proxy.port, proxy.metricsPort]) {
      const ask = async (what: string): Promise<[number, string]> => {
        const answer = await fetch(`http://127.0.0.1:${at}${what}`);
        return [answer.status, await answer.text()];
      };
      for (const what of ['/health', '/proxy/health'])
        expect(await ask(what)).toEqual([200, '{"health":"true","reason":""}']);
      expect((await ask('/metrics'))[1]).toContain('etcd_server_has_leader 1');
      expect((await ask('/proxy/metrics'))[1]).toContain(
        '# TYPE etcd_grpc_proxy_events_coalescing_total counter',
      );
      expect((await ask('/elsewhere'))[0]).toBe(404);
      expect((await ask('/debug/pprof/cmdline'))[0]).toBe(200);
    }
    await members.cluster.stopMember(0);
    const sick = await fetch(`http://127.0.0.1:${proxy.port}/health`);
    expect([sick.status, (await sick.text()).slice(0, 38)]).toEqual([
      503,
      '{"health":"false","reason":"GET ERROR:',
    ]);
    expect((await fetch(`http://127.0.0.1:${proxy.port}/metrics`)).status).toBe(500);
  });
});

describe('TLS', () => {
  test('clients must show a certificate where a CA is named; gRPC and HTTP/1 share the port', async () => {
    const authority = new TestAuthority();
    try {
      const issued = authority.issue('proxy');
      const members = await serving();
      const proxy = await startProxy(memberPorts(members), [
        `--cert-file=${issued.certFile}`,
        `--key-file=${issued.keyFile}`,
        `--trusted-ca-file=${authority.caFile}`,
      ]);
      const ca = [authority.certified.certificate];
      const { certificate: cert, key } = authority.issue('client');
      const pair = { cert: Buffer.from(cert), key: Buffer.from(key) };
      const trusted = nativeChannel(`127.0.0.1:${proxy.port}`, { tls: () => ({ ca, ...pair }) });
      const unknown = nativeChannel(`127.0.0.1:${proxy.port}`, { tls: () => ({ ca }) });
      await put(trusted, 'a', '1');
      expect(await get(trusted, 'a')).toEqual(['a=1']);
      await expect(get(unknown, 'a')).rejects.toThrow();
      await expect(get(channelTo(proxy.port), 'a')).rejects.toThrow();
      trusted.close();
      unknown.close();
    } finally {
      authority.dispose();
    }
  });

  test('--auto-tls makes a certificate and keeps it', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'keelson-proxy-'));
    try {
      const members = await serving();
      const proxy = await startProxy(memberPorts(members), ['--auto-tls', `--data-dir=${folder}`]);
      const channel = nativeChannel(`127.0.0.1:${proxy.port}`, { tls: () => ({ skipVerify: true }) });
      await put(channel, 'a', '1');
      expect(await get(channel, 'a')).toEqual(['a=1']);
      channel.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('the members', () => {
  test('serializable reads never go back, with --experimental-serializable-ordering', async () => {
    const { proxy, channel } = await proxied(1, ['--experimental-serializable-ordering']);
    await put(channel, 'a', '1');
    expect(await get(channel, 'a', SERIALIZABLE)).toEqual(['a=1']);
    // What was kept is older than what another key's write has shown since.
    const header = async (key: string): Promise<number> => {
      const request = new etcdserverpb.RangeRequest({ key: Buffer.from(key), ...SERIALIZABLE });
      return (await channel.unary(services.KV.methods.range, request)).header!.revision;
    };
    await header('kept');
    const newest = await put(channel, 'other', '2');
    expect([await header('kept'), await header('kept')]).toEqual([newest, newest]);
    expect(metric(proxy, CACHE[0])).toBe(1);
  });
});
