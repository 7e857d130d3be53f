/** Profiles and the log's level, asked over a door as anybody would; answers as kube-apiserver 1.36 gave them. */

import { gunzipSync } from 'node:zlib';

import { expect, test } from '@jest/globals';

import { Profiles, silentLogger, systemClock } from '@keelson/base';

import type { Handler } from '../api/exchange.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { ProtobufReader } from '../codec/protobuf-wire.ts';
import { Door } from '../http/door.ts';
import { callInProcess, type CallOptions } from '../http/in-process.ts';
import { TypeTable } from '../schema/type-table.ts';
import { debugPages } from './debug-pages.ts';
import { pathNotFound, pathTable } from './paths.ts';

const levels: number[] = [];
const pages = pathTable(
  debugPages({
    profiler: new Profiles(systemClock),
    setVerbosity: (verbosity) => void levels.push(verbosity),
  }),
);
const handler: Handler = (request) => pages(request.path)?.(request) ?? Promise.resolve(pathNotFound());
const codec = new ObjectCodec(new TypeTable());
const door = new Door({ handler, codec, clock: systemClock, logger: silentLogger });

async function ask(
  target: string,
  options: CallOptions = {},
): Promise<{ code: number; type: string; text: string; bytes: Buffer }> {
  const answer = await callInProcess(door, target, options);
  const bytes = await answer.bytes();
  const type = answer.headers.get('content-type')?.[0] ?? '';
  return { code: answer.code, type, text: bytes.toString('utf8'), bytes };
}

test.each<[string, string, string, number, string]>([
  ['PUT', '/debug/flags/v', '7', 200, 'successfully set klog.logging.verbosity to 7'],
  ['PUT', '/debug/flags/v', 'abc', 400, 'strconv.ParseUint: parsing "abc": invalid syntax'],
  [
    'PUT',
    '/debug/flags/v',
    '99999999999',
    400,
    'strconv.ParseUint: parsing "99999999999": value out of range',
  ],
  ['GET', '/debug/flags/v', '', 406, 'unsupported http method'],
  ['POST', '/debug/flags/v', '3', 406, 'unsupported http method'],
  ['GET', '/debug/pprof/goroutine', '', 404, 'Unknown profile\n'],
  ['GET', '/debug/pprof', '', 302, '<a href="/debug/pprof/">Found</a>.\n\n'],
])('%s %s %j is answered %d', async (method, path, body, code, text) => {
  const before = levels.length;
  const answer = await ask(path, { method, ...(body === '' ? {} : { body: Buffer.from(body) }) });
  expect([answer.code, answer.text]).toEqual([code, text]);
  expect(levels.slice(before)).toEqual(code === 200 ? [7] : []);
});

test.each(['/debug/flags', '/debug/flags/', '/debug/flags/vmodule', '/debug/pprof/'])(
  '%s is a page',
  async (path) => {
    const { code, type, text } = await ask(path);
    expect([code, type]).toEqual([200, 'text/html; charset=utf-8']);
    expect(text).toMatch(/^<html>\n<head>\n<title>\/debug\//);
  },
);

/** Strings of a profile, and how many samples, locations and functions it has. */
function contents(profile: Buffer): { readonly texts: string[]; readonly counts: Record<number, number> } {
  const reader = new ProtobufReader(profile);
  const texts: string[] = [];
  const counts: Record<number, number> = {};
  while (!reader.done) {
    const tag = reader.varint();
    const field = tag >>> 3;
    counts[field] = (counts[field] ?? 0) + 1;
    if ((tag & 7) === 0) reader.varint64();
    else {
      const length = reader.varint();
      if (field === 6) texts.push(profile.toString('utf8', reader.at, reader.at + length));
      reader.at += length;
    }
  }
  return { texts, counts };
}

/** What a profile of time is to find. */
function burnWhile(going: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const spin = (): void => {
      const end = performance.now() + 20;
      let sum = 0;
      while (performance.now() < end) sum += Math.sqrt(sum + 1);
      if (going()) setImmediate(spin);
      else resolve();
    };
    spin();
  });
}

test('a CPU profile has what ran; a second one at a time is refused', async () => {
  let going = true;
  const burning = burnWhile(() => going);
  const first = ask('/debug/pprof/profile?seconds=0.5');
  await new Promise((resolve) => setImmediate(resolve));
  expect(await ask('/debug/pprof/heap?seconds=0.1')).toMatchObject({
    code: 500,
    text: 'Could not enable profiling: profiling already in use\n',
  });
  const { code, type, bytes } = await first;
  going = false;
  await burning;
  expect([code, type]).toEqual([200, 'application/octet-stream']);
  const { texts, counts } = contents(gunzipSync(bytes));
  // Which names there are is V8's affair: it may have put one function into another.
  expect(texts).toEqual(expect.arrayContaining(['samples', 'count', 'cpu', 'nanoseconds']));
  expect(counts[2]).toBeGreaterThan(0);
});

test.each(['heap', 'allocs'])('a profile of memory: %s', async (name) => {
  const { code, bytes } = await ask(`/debug/pprof/${name}?seconds=0.05`);
  expect(code).toBe(200);
  expect(contents(gunzipSync(bytes)).texts).toContain('inuse_space');
});
