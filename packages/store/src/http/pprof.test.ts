/** Profiles as pprof would read them, and the pages around them. */
import { afterEach, expect, test } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { encodeProfile, systemClock } from '@keelson/base';
import { ask } from '../../test/http-calls.ts';
import { plainDoor } from './client-http.ts';
import { HttpListener } from './http-listener.ts';
import { pprofHandlers } from './pprof.ts';
import { NO_FACTS } from './process-facts.ts';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(): Promise<string> {
  const facts = { ...NO_FACTS, commandLine: ['etcd', '--name', 'a'] };
  const listener = new HttpListener(plainDoor(pprofHandlers(facts, systemClock)));
  const server = createServer((socket) => listener.accept(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => {
    listener.cut();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/debug/pprof/`;
}

/** Fields of a message by number: numbers of varints, bytes of the rest. */
function fields(bytes: Buffer): ReadonlyMap<number, (number | Buffer)[]> {
  const found = new Map<number, (number | Buffer)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = (tag & 7) === 0 ? varint() : varint();
    const list = found.get(tag >>> 3) ?? [];
    found.set(tag >>> 3, list);
    if ((tag & 7) === 0) list.push(value);
    else {
      list.push(bytes.subarray(at, at + value));
      at += value;
    }
  }
  return found;
}

const strings = (profile: ReadonlyMap<number, (number | Buffer)[]>): string[] =>
  (profile.get(6) ?? []).map((text) => text.toString());

test('a tree becomes samples with their stacks, leaf first, and each name once', () => {
  const frame = (functionName: string, lineNumber: number) => ({ functionName, url: 'file.ts', lineNumber });
  const leaf = { frame: frame('leaf', 9), values: [3, 30], children: [] };
  const middle = { frame: frame('middle', 4), values: [0, 0], children: [leaf] };
  const root = { frame: frame('(root)', 0), values: [0, 0], children: [middle, leaf] };
  const bytes = encodeProfile(root, {
    kinds: [
      { type: 'samples', unit: 'count' },
      { type: 'cpu', unit: 'nanoseconds' },
    ],
    period: 10,
    timeMs: 1_000,
    durationMs: 2_000,
  });
  const profile = fields(bytes);
  const names = strings(profile);
  expect(names).toEqual(['', 'samples', 'count', 'cpu', 'nanoseconds', 'leaf', 'file.ts', 'middle']);
  const samples = (profile.get(2) ?? []).map((sample) => {
    const parts = fields(Buffer.from(sample as Buffer));
    return [[...(parts.get(1)![0] as Buffer)], [...(parts.get(2)![0] as Buffer)]];
  });
  // Locations are numbered as they are met: leaf below the root, then middle.
  expect(samples).toEqual([
    [[1], [3, 30]],
    [
      [1, 2],
      [3, 30],
    ],
  ]);
  const functions = (profile.get(5) ?? []).map((each) => names[fields(each as Buffer).get(2)![0] as number]);
  expect(functions).toEqual(['leaf', 'middle']);
  expect([profile.get(9), profile.get(10), profile.get(12)]).toEqual([[1e9], [2e9], [10]]);
});

test('pages: what there is, what there is not, what was asked wrongly', async () => {
  const url = await serve();
  expect((await ask(url)).body).toContain('<a href="profile?seconds=30">');
  expect((await ask(`${url}cmdline`)).body).toBe('etcd\0--name\0a');
  const unknown = await ask(`${url}goroutine`);
  expect([unknown.status, unknown.body]).toEqual([404, 'Unknown profile\n']);
  for (const seconds of ['0', '-1', 'x', '601'])
    expect((await ask(`${url}profile?seconds=${seconds}`)).status).toBe(400);
});

function download(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const call = request(url, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
    });
    call.on('error', reject);
    call.end();
  });
}

test('a profile of work shows who worked; a second one meanwhile is refused', async () => {
  const url = await serve();
  const taking = download(`${url}profile?seconds=0.3`);
  let busy: number;
  do {
    const endMs = performance.now() + 30;
    let sum = 0;
    while (performance.now() < endMs) sum += Math.sqrt(sum + 1);
    busy = (await ask(`${url}profile?seconds=0.01`)).status;
  } while (busy !== 500);
  for (let i = 0; i < 10; i++) {
    const endMs = performance.now() + 20;
    while (performance.now() < endMs) spin();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const profile = fields(gunzipSync(await taking));
  expect(strings(profile)).toContain('spin');
  expect(strings(profile).some((text) => text.endsWith('pprof.test.ts'))).toBe(true);
  expect(profile.get(2)!.length).toBeGreaterThan(0);
});

function spin(): number {
  let sum = 0;
  for (let i = 0; i < 10_000; i++) sum += Math.sqrt(sum + i);
  return sum;
}

test('a profile of the heap shows who allocated', async () => {
  const url = await serve();
  const taking = download(`${url}heap?seconds=0.2`);
  const kept: unknown[] = [];
  for (let i = 0; i < 20; i++) {
    kept.push(hoard());
    await new Promise((resolve) => setImmediate(resolve));
  }
  const profile = fields(gunzipSync(await taking));
  expect(strings(profile).slice(0, 3)).toEqual(['', 'inuse_space', 'bytes']);
  expect(strings(profile)).toContain('hoard');
  expect(kept).toHaveLength(20);
});

function hoard(): object[] {
  return Array.from({ length: 50_000 }, (_, i) => ({ i }));
}
