/**
 * One connection as client-go uses it: everything a controller does goes over one, so that what one stream does must not
 * be felt by another. Here a list of 30 MB stands still and 5,000 watches come and go, on a whole server with its watch
 * cache, while a watch hears of every change and reads and writes are answered.
 */
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';

import { afterEach, expect, test } from '@jest/globals';
import { Prng, silentLogger, systemClock, type Clock, type Timer } from '@keelson/base';

import { AdmissionChain } from '../src/admission/chain.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { ApiServer } from '../src/server.ts';
import { CachedBackend } from '../src/storage/cacher-backend.ts';
import { MemoryBackend } from '../src/storage/memory-storage.ts';
import { CONFIG_MAPS, PODS } from './small-server.ts';

const CANCELLED = 5_000;
/** Open at a time: below the limit of a connection, as a client's own bound is. */
const WAVE = 500;
const LARGE = 60;
const LARGE_BYTES = 500_000;
const LIMIT_MS = 180_000;

const NEVER: Timer = { cancel: () => undefined };

/** What gives up on slow clients waits for minutes; on a busy machine they are not up. */
const patientClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  setTimer: (delayMs, task) => (delayMs < 10_000 ? systemClock.setTimer(delayMs, task) : NEVER),
};

const cleanup: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const task of cleanup.splice(0).toReversed()) await task();
});

interface World {
  readonly server: ApiServer;
  readonly client: ClientHttp2Session;
}

async function world(): Promise<World> {
  const clock = patientClock;
  const memory = new MemoryBackend({ clock });
  const backend = new CachedBackend(memory, { clock, logger: silentLogger });
  const prng = new Prng(11);
  let serial = 0;
  const server = new ApiServer({
    backend,
    clock,
    logger: silentLogger,
    uuid: () => `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`,
    random: (limit) => prng.below(limit),
    resources: [CONFIG_MAPS, PODS],
    admission: new AdmissionChain([]),
  });
  const authority = CertificateAuthority.create('test-ca', systemClock.nowMs());
  const { certificate, key } = authority.server('apiserver', ['localhost'], systemClock.nowMs());
  const { port } = await server.listen(0, '127.0.0.1', { cert: certificate, key });
  cleanup.push(() => server.stop(0));
  const client = connect(`https://localhost:${port}`, {
    ca: authority.certificate,
    // As Go's transport: much for the connection, little for a stream that is not read.
    settings: { initialWindowSize: 1 << 20, enablePush: false },
  });
  await once(client, 'connect');
  client.setLocalWindowSize(1 << 30);
  cleanup.push(() => {
    client.destroy();
    return Promise.resolve();
  });
  return { server, client };
}

const CONFIG_MAP_PATH = '/api/v1/namespaces/default/configmaps';
const POD_PATH = '/api/v1/namespaces/default/pods';

function send(client: ClientHttp2Session, method: string, path: string, body?: object): ClientHttp2Stream {
  const stream = client.request(
    { ':method': method, ':path': path, 'content-type': 'application/json' },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(JSON.stringify(body));
  return stream;
}

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const [headers] = await once(stream, 'response');
  return Number(headers[':status']);
}

/** The status, and the answer whole. */
async function ask(
  client: ClientHttp2Session,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  const stream = send(client, method, path, body);
  const status = await statusOf(stream);
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return { status, text: Buffer.concat(parts).toString('utf8') };
}

const configMap = (name: string, value: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { value },
});

const pod = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'a', image: 'b' }] },
});

/** The names of what a watch was told, in order. */
class Told {
  readonly names: string[] = [];
  private rest = '';
  private waiting: { count: number; resolve: () => void } | undefined;

  constructor(stream: ClientHttp2Stream) {
    stream.on('data', (part: Buffer) => {
      const lines = (this.rest + part.toString('utf8')).split('\n');
      this.rest = lines.pop() ?? '';
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as {
          type: string;
          object: { metadata: { name?: string } };
        };
        this.names.push(`${type} ${object.metadata.name ?? ''}`);
      }
      if (this.waiting !== undefined && this.names.length >= this.waiting.count) this.waiting.resolve();
    });
  }

  until(count: number): Promise<void> {
    if (this.names.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiting = { count, resolve };
    });
  }
}

test(
  '5,000 cancelled watches and a stalled list of 30 MB on one connection disturb no other stream',
  async () => {
    const { server, client } = await world();
    let goodbyes = 0;
    client.on('goaway', () => (goodbyes += 1));
    for (let at = 0; at < LARGE; at++) {
      const { status } = await ask(
        client,
        'POST',
        CONFIG_MAP_PATH,
        configMap(`large-${at}`, 'x'.repeat(LARGE_BYTES)),
      );
      expect(status).toBe(201);
    }

    // Nobody reads it: its window fills up, and what is left stays with the server.
    const stalled = send(client, 'GET', CONFIG_MAP_PATH);
    stalled.pause();
    expect(await statusOf(stalled)).toBe(200);

    const lasting = send(client, 'GET', `${POD_PATH}?watch=true`);
    expect(await statusOf(lasting)).toBe(200);
    const told = new Told(lasting);

    let cancelled = 0;
    let created = 0;
    while (cancelled < CANCELLED) {
      const watches = Array.from({ length: WAVE }, () => send(client, 'GET', `${POD_PATH}?watch=true`));
      const heads = Promise.all(watches.map(statusOf));
      // In the midst of them somebody else writes, reads and waits for nobody.
      const name = `pod-${created++}`;
      const [made, statuses] = await Promise.all([ask(client, 'POST', POD_PATH, pod(name)), heads]);
      expect(made.status).toBe(201);
      expect(new Set(statuses)).toEqual(new Set([200]));
      for (const watch of watches) {
        watch.on('error', () => undefined);
        watch.close(constants.NGHTTP2_CANCEL);
      }
      cancelled += watches.length;
      const [read] = await Promise.all([ask(client, 'GET', `${POD_PATH}/${name}`), told.until(created)]);
      expect([read.status, JSON.parse(read.text)]).toEqual([200, expect.objectContaining({ kind: 'Pod' })]);
    }
    expect(told.names).toEqual(Array.from({ length: created }, (_, at) => `ADDED pod-${at}`));
    // Each that was cancelled is over for the server as well: what is left are the list and the watch.
    while (server.door.activeCount > 2) await new Promise((resolve) => setImmediate(resolve));
    expect([server.door.activeCount, goodbyes, client.closed]).toEqual([2, 0, false]);

    // The list goes on where it stood, and is whole.
    const parts: Buffer[] = [];
    for await (const part of stalled) parts.push(part);
    const bytes = Buffer.concat(parts);
    expect(bytes.length).toBeGreaterThan(LARGE * LARGE_BYTES);
    const list = JSON.parse(bytes.toString('utf8')) as { items: { data: { value: string } }[] };
    expect(list.items.map(({ data }) => data.value.length)).toEqual(Array(LARGE).fill(LARGE_BYTES));
    lasting.on('error', () => undefined);
    lasting.close(constants.NGHTTP2_CANCEL);
    while (server.door.activeCount > 0) await new Promise((resolve) => setImmediate(resolve));
  },
  LIMIT_MS,
);
