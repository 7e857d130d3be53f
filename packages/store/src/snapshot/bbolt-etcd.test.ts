/**
 * Against a real etcd: its files read here, ours opened there. Needs etcd and etcdctl 3.4 or 3.5 on the path
 * (later ones moved snapshot status and restore to etcdutl); elsewhere the tests are skipped by name.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BboltReader, type BboltFile } from './bbolt-reader.ts';
import { planBbolt, writeBbolt } from './bbolt-writer.ts';
import type { BucketSource } from './pages.ts';
import { ETCD_VERSION, HAS_ETCD, startEtcd, type EtcdProcess } from '../../../base/test/etcd-process.ts';
import { freePorts } from '../../../base/test/free-ports.ts';

const run = promisify(execFile);
const ENV = { ...process.env, ETCDCTL_API: '3' };

const withEtcd = HAS_ETCD && /^3\.[45]\./.test(ETCD_VERSION ?? '') ? describe : describe.skip;

async function etcdctl(...args: string[]): Promise<string> {
  return (await run('etcdctl', args, { env: ENV, maxBuffer: 64 * 2 ** 20 })).stdout;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function call(etcd: EtcdProcess, path: string, body: unknown): Promise<void> {
  const answer = await fetch(`${etcd.url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
}

function fileOf(handle: FileHandle): BboltFile {
  return {
    size: async () => (await handle.stat()).size,
    async read(position, length) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
  };
}

async function withReader<T>(path: string, use: (reader: BboltReader) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  try {
    return await use(await BboltReader.open(fileOf(handle)));
  } finally {
    await handle.close();
  }
}

async function pairsOf(bucket: BucketSource): Promise<{ key: Buffer; value: Buffer }[]> {
  const pairs: { key: Buffer; value: Buffer }[] = [];
  for await (const batch of bucket.entries()) {
    for (const { key, value } of batch) pairs.push({ key: Buffer.from(key), value: Buffer.from(value) });
  }
  return pairs;
}

/** Field 1 of mvccpb.KeyValue, the user's key; short keys only. */
function userKey(keyValue: Buffer): string {
  expect(keyValue[0]).toBe(0x0a);
  return keyValue.toString('latin1', 2, 2 + keyValue[1]);
}

const COUNT = 1500;
const keyOf = (i: number): string => `/registry/things/${String(i).padStart(6, '0')}`;
const valueOf = (i: number): string => `value ${i} `.repeat(1 + (i % 40));

withEtcd('a real etcd (skipped where etcd and etcdctl 3.4 or 3.5 are not installed)', () => {
  let dir: string;
  let saved: string;
  let dataDir: string;
  let served: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'keelson-bbolt-'));
    dataDir = join(dir, 'source');
    saved = join(dir, 'saved.db');
    const etcd = await startEtcd({ name: 'm1', dataDir });
    try {
      for (let i = 0; i < COUNT; i += 50) {
        const batch = Array.from({ length: 50 }, (_, j) => ({ key: base64(keyOf(i + j)), value: base64(valueOf(i + j)) })); // prettier-ignore
        await Promise.all(batch.map((put) => call(etcd, 'kv/put', put)));
      }
      await call(etcd, 'kv/put', { key: base64('/large'), value: base64('L'.repeat(1_000_000)) });
      await call(etcd, 'kv/deleterange', { key: base64(keyOf(0)), range_end: base64(keyOf(300)) });
      await call(etcd, 'kv/compaction', { revision: '1000', physical: true });
      await call(etcd, 'lease/grant', { TTL: '3600', ID: '77' });
      await call(etcd, 'kv/put', { key: base64('/leased'), value: base64('x'), lease: '77' });
      await call(etcd, 'auth/role/add', { name: 'reader' });
      await etcdctl(`--endpoints=${etcd.endpoint}`, 'snapshot', 'save', saved);
      served = await etcdctl(`--endpoints=${etcd.endpoint}`, 'get', '', '--prefix', '-w', 'json');
    } finally {
      await etcd.stop('SIGTERM');
    }
  });

  afterAll(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  test('its saved snapshot is read here', async () => {
    await withReader(saved, async (reader) => {
      const summary = await reader.check();
      expect(summary.pageSize).toBe(4096);
      const names = (await reader.buckets()).map((bucket) => bucket.name.toString());
      expect(names).toEqual(
        ['alarm', 'auth', 'authRoles', 'authUsers', 'cluster', 'key', 'lease', 'members', 'members_removed', 'meta'], // prettier-ignore
      );
      const pairs = await pairsOf((await reader.bucket('key'))!);
      const byUserKey = new Map<string, Buffer>();
      for (const { key, value } of pairs) {
        expect(key.length === 17 || (key.length === 18 && key[17] === 0x74)).toBe(true);
        expect(key[8]).toBe(0x5f);
        byUserKey.set(userKey(value), value);
      }
      for (let i = 300; i < COUNT; i++) {
        expect(byUserKey.get(keyOf(i))?.includes(valueOf(i))).toBe(true);
      }
      expect(byUserKey.get('/large')?.length).toBeGreaterThan(1_000_000);
      // 300 deletions, each its own tombstone.
      expect(pairs.filter(({ key }) => key.length === 18).length).toBe(300);
      expect((await pairsOf((await reader.bucket('lease'))!)).map(({ key }) => key.readBigInt64BE())).toEqual(
        [77n],
      );
      expect((await pairsOf((await reader.bucket('authRoles'))!)).map(({ key }) => key.toString())).toEqual([
        'reader',
      ]);
    });
  });

  test('its db file, stopped, is read in place and holds the same keys', async () => {
    const live = await withReader(join(dataDir, 'member', 'snap', 'db'), async (reader) => {
      const summary = await reader.check();
      expect(reader.meta.freelist).toBeUndefined();
      expect(summary.freePageCount).toBeGreaterThan(0);
      return pairsOf((await reader.bucket('key'))!);
    });
    expect(live).toEqual(await withReader(saved, async (reader) => pairsOf((await reader.bucket('key'))!)));
  });

  test('rewritten here, it has the same hash there, restores, and serves the same keys', async () => {
    const rewritten = join(dir, 'rewritten.db');
    await withReader(saved, async (reader) => {
      const buckets = await reader.buckets();
      const plan = await planBbolt(buckets);
      const chunks: Buffer[] = [];
      for await (const chunk of writeBbolt(plan, buckets)) chunks.push(Buffer.from(chunk));
      const database = Buffer.concat(chunks);
      expect(database.length).toBe(plan.bytes);
      expect(database.length).toBeLessThan((await readFile(saved)).length);
      await writeFile(rewritten, [database, createHash('sha256').update(database).digest()]);
    });

    const status = async (path: string): Promise<Record<string, number>> =>
      JSON.parse(await etcdctl('snapshot', 'status', path, '-w', 'json'));
    const [before, after] = [await status(saved), await status(rewritten)];
    expect({ ...after, totalSize: 0 }).toEqual({ ...before, totalSize: 0 });
    expect(after.totalKey).toBeGreaterThan(COUNT);
    expect(after.hash).toBeGreaterThan(0);

    const ports = await freePorts(2);
    const restored = join(dir, 'restored');
    const peer = `http://127.0.0.1:${ports[1]}`;
    await etcdctl(
      'snapshot',
      'restore',
      rewritten,
      `--data-dir=${restored}`,
      '--name=m1',
      `--initial-cluster=m1=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
    );
    const etcd = await startEtcd({ name: 'm1', dataDir: restored, ports });
    try {
      const get = async (): Promise<{ kvs: unknown[]; count: number }> =>
        JSON.parse(await etcdctl(`--endpoints=${etcd.endpoint}`, 'get', '', '--prefix', '-w', 'json'));
      const want: { kvs: unknown[]; count: number } = JSON.parse(served);
      expect(want.count).toBe(COUNT - 300 + 2);
      expect((await get()).kvs).toEqual(want.kvs);
      // bbolt goes on changing our pages: splits full leaves, frees what it replaces, compacts.
      for (let i = 0; i < 300; i += 50) {
        await Promise.all(
          Array.from({ length: 50 }, (_, j) => call(etcd, 'kv/put', { key: base64(keyOf(i + j)), value: base64('again') })), // prettier-ignore
        );
      }
      await call(etcd, 'kv/deleterange', { key: base64(keyOf(700)), range_end: base64(keyOf(1200)) });
      await call(etcd, 'kv/compaction', { revision: '1750', physical: true });
      await call(etcd, 'maintenance/defragment', {});
      expect((await get()).count).toBe(COUNT - 500 + 2);
    } finally {
      await etcd.stop('SIGTERM');
    }
    await withReader(join(restored, 'member', 'snap', 'db'), async (reader) => {
      expect((await reader.check()).bucketCount).toBeGreaterThanOrEqual(10);
    });
  });
});
