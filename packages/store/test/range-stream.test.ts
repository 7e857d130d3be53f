/** RangeStream over time: what is written while a slow client reads is in no part of the answer, and in no header. */
import { afterEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { inProcessChannel, type Channel } from '@keelson/rpc';
import { parseServerConfig } from '../src/config/config.ts';
import { StoreServer } from '../src/server.ts';
import { realWorld } from '../src/world.ts';

const { KV } = services;
const KEYS = 60;
const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function start(): Promise<Channel> {
  const dataDir = await mkdtemp(join(tmpdir(), 'keelson-range-stream-'));
  ends.push(() => rm(dataDir, { recursive: true }));
  const url = 'http://127.0.0.1:0';
  const flags = [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${url}`,
    `--initial-advertise-peer-urls=${url}`,
    `--initial-cluster=default=${url}`,
  ];
  const parsed = parseServerConfig(flags, {}, () => '');
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  const server = await StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
  ends.push(() => server.stop());
  await server.ready();
  return inProcessChannel(server.table);
}

async function put(channel: Channel, key: string): Promise<number> {
  const request = new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.alloc(64 * 1024) });
  return (await channel.unary(KV.methods.put, request)).header?.revision ?? 0;
}

/** Reads all, and writes as soon as the first part is there. */
async function readWhileWritten(channel: Channel, revision: number): Promise<etcdserverpb.RangeResponse[]> {
  const request = new etcdserverpb.RangeRequest({
    key: Buffer.from('k'),
    rangeEnd: Buffer.from('l'),
    revision,
  });
  const parts: etcdserverpb.RangeResponse[] = [];
  const reader = channel.serverStream(KV.methods.rangeStream, request);
  await new Promise<void>((resolve, reject) => {
    reader.onMessage(({ rangeResponse }) => {
      if (rangeResponse === undefined) return;
      parts.push(rangeResponse);
      if (parts.length > 1) return;
      reader.pause();
      put(channel, 'k99').then(() => reader.resume(), reject);
    });
    reader.onEnd((error) => (error === undefined ? resolve() : reject(error)));
  });
  return parts;
}

test('the revision of the header is that from which a watch misses nothing', async () => {
  const channel = await start();
  let newest = 0;
  for (let i = 0; i < KEYS; i++) newest = await put(channel, `k${i + 10}`);
  const parts = await readWhileWritten(channel, 0);
  expect(parts.length).toBeGreaterThan(2);
  const keys = parts.flatMap(({ kvs }) => kvs.map(({ key }) => key.toString()));
  expect(keys).toEqual(Array.from({ length: KEYS }, (_, i) => `k${i + 10}`));
  expect(parts.map(({ header }) => header?.revision)).toEqual([
    ...parts.slice(1).map(() => undefined),
    newest,
  ]);
  expect(parts.at(-1)?.count).toBe(KEYS);
  // Asked for a past revision it is still the newest at the beginning, as of any range.
  const past = await readWhileWritten(channel, newest - 1);
  expect(past.at(-1)).toMatchObject({ count: KEYS - 1, header: { revision: newest + 1 } });
});
