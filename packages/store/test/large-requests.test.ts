/**
 * A value of 20 MiB, as --max-request-bytes allows it, on three members with real disks, sockets and the peer protocol:
 * written through a follower, restored after a restart of all, watched in fragments, sent as a snapshot. Every reader
 * on its way has a bound, and one too small loses the member.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@keelson/base';
import { createClient, op, type Client } from '@keelson/client';
import { etcdserverpb, services } from '@keelson/proto';
import { nativeChannel } from '@keelson/rpc';
import { freePorts } from '../../base/test/free-ports.ts';
import { until } from '../../base/test/until.ts';
import { parseServerConfig } from '../src/config/config.ts';
import { StoreServer } from '../src/server.ts';
import { realWorld } from '../src/world.ts';

const MIB = 1024 * 1024;
const MEMBERS = 3;
const servers: StoreServer[] = [];
let folder: string;
let peerPorts: number[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-large-'));
  peerPorts = await freePorts(MEMBERS);
});

afterAll(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await rm(folder, { recursive: true });
});

async function startAll(): Promise<void> {
  const started = await Promise.all(
    peerPorts.map((port, i) => {
      const parsed = parseServerConfig(
        [
          `--name=m${i}`,
          `--data-dir=${join(folder, `m${i}`)}`,
          '--listen-client-urls=http://127.0.0.1:0',
          '--advertise-client-urls=http://127.0.0.1:0',
          `--listen-peer-urls=http://127.0.0.1:${port}`,
          `--initial-advertise-peer-urls=http://127.0.0.1:${port}`,
          `--initial-cluster=${peerPorts.map((each, j) => `m${j}=http://127.0.0.1:${each}`).join()}`,
          // The members need not agree: what one has logged, all must read.
          ...(i === 0 ? ['--max-request-bytes=1572864'] : ['--max-request-bytes=67108864']),
          // Of a machine that does other things, too.
          '--election-timeout=8000',
          '--heartbeat-interval=500',
        ],
        {},
        () => '',
      );
      if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
      return StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
    }),
  );
  servers.push(...started);
  await Promise.all(started.map((server) => server.ready()));
}

const address = (i: number): string => `127.0.0.1:${servers[i].clientPorts[0].port}`;

/** Over the member's port, so that what its RPC takes and sends counts, too. */
function clientOf(i: number): Client {
  return createClient({ endpoints: [address(i)], requestTimeoutMs: 120_000 });
}

function value(seed: string, bytes: number): Buffer {
  const block = createHash('sha512').update(seed).digest();
  return Buffer.alloc(bytes, block);
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test('a value of 20 MiB lives through everything', async () => {
  await startAll();
  const big = value('one', 20 * MIB);
  let client = clientOf(2);
  // The member with the small bound: each event is more than one of its messages should have.
  const watching = nativeChannel(address(0));
  const watch = watching.bidi(services.Watch.methods.watch);
  watch.write(
    new etcdserverpb.WatchRequest({
      createRequest: new etcdserverpb.WatchCreateRequest({
        key: Buffer.from('big'),
        rangeEnd: Buffer.from('bih'),
        fragment: true,
      }),
    }),
  );
  const seen = watch[Symbol.asyncIterator]();
  const next = async (): Promise<etcdserverpb.WatchResponse> => {
    const { value: response, done } = await seen.next();
    if (done === true) throw new Error('the watch ended');
    return response;
  };
  expect((await next()).created).toBe(true);
  const { header } = await client.kv.put('big/1', big);
  expect(header?.revision).toBe(2);
  await client.kv.txn({
    success: [op.put('big/2', value('two', 4 * MIB)), op.put('big/3', value('three', 2 * MIB))],
  });
  const first = await next();
  expect([first.fragment, first.events.map(({ kv }) => kv!.value.length)]).toEqual([false, [20 * MIB]]);
  for (const [fragment, bytes] of [
    [true, 4 * MIB],
    [false, 2 * MIB],
  ] as const) {
    const part = await next();
    expect([part.fragment, part.events.map(({ kv }) => kv!.value.length)]).toEqual([fragment, [bytes]]);
  }
  watch.cancel();
  watching.close();
  client.close();

  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await startAll();
  for (let i = 0; i < MEMBERS; i++) {
    await until(() => servers[i].replica.state.mvcc.currentRevision === 3, 'the member to have everything');
    client = clientOf(i);
    const { kvs } = await client.kv.get('big/1', { serializable: true });
    expect(digest(kvs[0].value)).toBe(digest(big));
    client.close();
  }

  const channel = nativeChannel(address(0));
  let bytes = 0;
  for await (const part of channel.serverStream(
    services.Maintenance.methods.snapshot,
    new etcdserverpb.SnapshotRequest(),
  ))
    bytes += part.blob.length;
  channel.close();
  expect(bytes).toBeGreaterThan(26 * MIB);
}, 240_000);
