/**
 * How large the backend is and how much of it is in use, on a real disk: as Status and the metrics tell it, through
 * compaction, defragmentation and a restart that defragments (--bootstrap-defrag-threshold-megabytes).
 */
import { afterEach, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { inProcessChannel } from '@keelson/rpc';
import { parseServerConfig } from '../src/config/config.ts';
import { StoreServer } from '../src/server.ts';
import { realWorld } from '../src/world.ts';
import { Bench } from './mvcc/bench.ts';

const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function start(dataDir: string, ...flags: string[]): Promise<StoreServer> {
  const url = 'http://127.0.0.1:0';
  const parsed = parseServerConfig(
    [
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${url}`,
      `--initial-advertise-peer-urls=${url}`,
      `--initial-cluster=default=${url}`,
      '--election-timeout=200',
      '--heartbeat-interval=20',
      ...flags,
    ],
    {},
    () => '',
  );
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  const server = await StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
  ends.push(() => server.stop());
  await server.ready();
  return server;
}

const KIB = 1024;

/** Bytes that do not compress. */
function noise(seed: number, bytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 64 < bytes; i++) blocks.push(createHash('sha512').update(`${seed}.${i}`).digest());
  return Buffer.concat(blocks).subarray(0, bytes);
}

interface Sizes {
  readonly size: number;
  readonly inUse: number;
}

async function sizesOf(server: StoreServer): Promise<Sizes> {
  const channel = inProcessChannel(server.table);
  const status = await channel.unary(services.Maintenance.methods.status, new etcdserverpb.StatusRequest());
  channel.close();
  return { size: status.dbSize, inUse: status.dbSizeInUse };
}

test('in use is what is stored: it sinks with a compaction, the size with a defragmentation', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'keelson-size-'));
  ends.push(() => rm(dataDir, { recursive: true }));
  let server = await start(dataDir);
  const channel = inProcessChannel(server.table);
  const { KV, Maintenance } = services;
  const value = (i: number): Buffer => noise(i, 64 * KIB);
  // Less than what a compaction writes the files anew for.
  for (let i = 0; i < 60; i++)
    await channel.unary(
      KV.methods.put,
      new etcdserverpb.PutRequest({ key: Buffer.from(`k${i % 10}`), value: value(i) }),
    );
  await server.replica.state.buffer.commit();
  const full = await sizesOf(server);
  expect(full.inUse).toBeGreaterThan(3_840 * KIB);
  expect(full.inUse).toBeLessThan(4_100 * KIB);
  expect(full.size).toBeGreaterThanOrEqual(full.inUse);

  await channel.unary(
    KV.methods.compact,
    new etcdserverpb.CompactionRequest({ revision: 61, physical: true }),
  );
  await server.replica.state.buffer.commit();
  const compacted = await sizesOf(server);
  expect(compacted.inUse).toBeGreaterThan(640 * KIB);
  expect(compacted.inUse).toBeLessThan(800 * KIB);
  expect(compacted.size).toBeGreaterThan(3_600 * KIB);
  channel.close();
  await server.stop();

  // A restart counts anew and finds the same; what would be freed is too little, then enough.
  server = await start(dataDir, '--bootstrap-defrag-threshold-megabytes=100');
  const again = await sizesOf(server);
  expect(Math.abs(again.inUse - compacted.inUse)).toBeLessThan(KIB);
  expect(again.size).toBeGreaterThan(3_600 * KIB);
  await server.stop();
  server = await start(dataDir, '--bootstrap-defrag-threshold-megabytes=3');
  const small = await sizesOf(server);
  expect(small.size).toBeLessThan(1_000 * KIB);
  expect(small.inUse).toBeGreaterThan(640 * KIB);

  // What packs well takes less than is stored, once it was seen to.
  const packed = inProcessChannel(server.table);
  for (let i = 0; i < 30; i++) {
    const key = Buffer.from(`zero${i}`);
    await packed.unary(KV.methods.put, new etcdserverpb.PutRequest({ key, value: Buffer.alloc(128 * KIB) }));
  }
  await packed.unary(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest());
  const last = await sizesOf(server);
  expect(last.size).toBeLessThan(2_000 * KIB);
  expect(last.inUse).toBeLessThanOrEqual(last.size);
  expect(last.inUse).toBeGreaterThan(last.size * 0.9);
  packed.close();
  const page = server.instruments.registry.text();
  expect(page).toMatch(/^etcd_mvcc_db_total_size_in_use_in_bytes \d+$/m);
});

test('compaction estimates what it dropped from a sample; equal sizes are exact', async () => {
  const bench = await Bench.open();
  for (let i = 0; i < 500; i++) bench.put(`k${String(i % 7).padStart(2, '0')}`, 'v'.repeat(100));
  bench.delete('k03');
  const before = bench.store.storedBytes;
  expect(before).toBeGreaterThan(50_000);
  expect(bench.compact(400)).toBe('ok');
  await bench.store.runCompaction(() => Promise.resolve());
  const { storedBytes } = bench.store;
  expect(storedBytes).toBeLessThan(before / 3);
  const { store: again } = await bench.reopen();
  expect(Math.abs(again.storedBytes - storedBytes)).toBeLessThan(500);
});
