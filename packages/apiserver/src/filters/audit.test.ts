/** The station of audit and the last event of a request, however it ends: once, and not before it is over. */

import { expect, test } from '@jest/globals';

import { systemClock } from '@keelson/base';

import { bareRequest } from '../../test/bare-request.ts';
import type { ApiRequest, ApiResponse, ByteConnection, Filter } from '../api/exchange.ts';
import { timeout } from '../api/status.ts';
import { AuditPolicy } from '../audit/policy.ts';
import { audit } from './audit.ts';

/** The station, and what it tells: stage and answer of each event. */
function station(): { readonly filter: Filter; readonly told: string[]; readonly stages: () => string[] } {
  const told: string[] = [];
  const filter = audit({
    policy: new AuditPolicy('{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}'),
    backend: {
      process: (event) => {
        told.push(`${event.stage} ${JSON.stringify(event.object['responseStatus'] ?? null)}`);
        return Promise.resolve(true);
      },
      stop: () => Promise.resolve(),
    },
    clock: systemClock,
    observer: { level: () => undefined, event: () => undefined, rejected: () => undefined },
  });
  return { filter, told, stages: () => told.map((line) => line.split(' ')[0]) };
}

const TARGET = '/api/v1/namespaces/a/pods/b/exec';

function requestOf(path: string, signal = new AbortController().signal): ApiRequest {
  return bareRequest(path, {
    signal,
    peer: { address: '10.0.0.9' },
    upgrade: 'SPDY/3.1',
    auditId: 'id',
    user: { name: 'jane', uid: '', groups: [], extra: {} },
  });
}

test.each([
  ['that lasts', TARGET, ['RequestReceived', 'ResponseStarted'], 'join'],
  ['that lasts, and nobody is left', TARGET, ['RequestReceived', 'ResponseStarted'], 'abandon'],
  ['of another server', '/apis/x.io/v1/things/a/console', ['RequestReceived'], 'join'],
])('a connection %s', async (_name, path, before, end) => {
  const { filter, told, stages } = station();
  let finish: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (finish = resolve));
  const calls: string[] = [];
  const response: ApiResponse = await filter(requestOf(path), () =>
    Promise.resolve({
      kind: 'switch',
      code: 101,
      headers: new Map(),
      join: async () => {
        calls.push('join');
        await over;
      },
      abandon: () => calls.push('abandon'),
    }),
  );
  expect(stages()).toEqual(before);
  if (response.kind !== 'switch') throw new Error('it was a switch');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nobody reads it
  const joined = end === 'join' ? response.join({} as ByteConnection) : Promise.resolve(response.abandon());
  if (end === 'join') expect(stages()).toEqual(before);
  finish();
  await joined;
  expect(stages()).toEqual([...before, 'ResponseComplete']);
  expect(told.at(-1)).toContain('"code":101');
  expect(calls).toEqual([end]);
});

const WATCH = '/api/v1/watch/pods';

/** A stream of one piece that then waits; closed by who leaves. */
function waiting(closed: () => void): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      let sent = false;
      return {
        next() {
          if (sent) return new Promise(() => undefined);
          sent = true;
          return Promise.resolve({ done: false, value: Buffer.from('x') });
        },
        return() {
          closed();
          return Promise.resolve({ done: true, value: undefined });
        },
      };
    },
  };
}

test.each([
  ['before he began', 0],
  ['while it waits', 1],
  ['while a piece is waited for', 2],
])('a stream whose reader leaves %s', async (_name, pieces) => {
  const { filter, told, stages } = station();
  let closed = 0;
  const response = await filter(requestOf(WATCH), () =>
    Promise.resolve({
      kind: 'stream',
      code: 200,
      contentType: '',
      chunks: waiting(() => (closed += 1)),
      headers: new Map(),
    }),
  );
  if (response.kind !== 'stream') throw new Error('it was a stream');
  const iterator = response.chunks[Symbol.asyncIterator]();
  if (pieces > 0) expect((await iterator.next()).done).toBe(false);
  if (pieces > 1) void iterator.next();
  expect(stages()).toEqual(['RequestReceived', 'ResponseStarted']);
  await iterator.return?.();
  await iterator.return?.();
  expect(closed).toBeGreaterThan(0);
  expect(stages()).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete']);
  expect(told.at(-1)).toContain('"code":200');
});

test.each<[string, unknown, string, string]>([
  ['its client went away', new Error('gone'), 'ResponseComplete', '"code":500'],
  ['its time was up', timeout('too long', 0), 'ResponseComplete', '"code":504'],
  ['nobody gave up', undefined, 'Panic', '"code":500'],
])('work that fails when %s', async (_name, reason, stage, code) => {
  const { filter, told } = station();
  const gone = new AbortController();
  const failing = filter(requestOf('/api/v1/pods', gone.signal), () => {
    if (reason !== undefined) gone.abort(reason);
    return Promise.reject(new Error('cancelled'));
  });
  await expect(failing).rejects.toThrow('cancelled');
  expect(told.map((line) => line.split(' ')[0])).toEqual(['RequestReceived', stage]);
  expect(told.at(-1)).toContain(code);
});
