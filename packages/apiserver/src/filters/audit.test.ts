/** The station of audit and a connection that leaves HTTP: its last event comes when the connection is over. */

import { expect, test } from '@jest/globals';

import { systemClock } from '@keelson/base';

import type { ApiRequest, ApiResponse, ByteConnection } from '../api/exchange.ts';
import { pathSegments, requestInfo } from '../api/request-info.ts';
import { AuditPolicy } from '../audit/policy.ts';
import { audit } from './audit.ts';

const TARGET = '/api/v1/namespaces/a/pods/b/exec';

function requestOf(path: string): ApiRequest {
  return {
    method: 'GET',
    path,
    query: new URLSearchParams(),
    headers: new Map(),
    peer: { address: '10.0.0.9', certificates: [], secure: true },
    info: requestInfo('GET', path, pathSegments(path), new URLSearchParams()),
    signal: new AbortController().signal,
    body: () => Promise.resolve(Buffer.alloc(0)),
    pieces: () => {
      throw new Error('nobody hands it on');
    },
    upgrade: 'SPDY/3.1',
    warn: () => undefined,
    context: {
      auditId: 'id',
      user: { name: 'jane', uid: '', groups: [], extra: {} },
      impersonator: undefined,
      auditAnnotations: new Map(),
      receivedMs: 0,
    },
  };
}

test.each([
  ['that lasts', TARGET, ['RequestReceived', 'ResponseStarted'], 'join'],
  ['that lasts, and nobody is left', TARGET, ['RequestReceived', 'ResponseStarted'], 'abandon'],
  ['of another server', '/apis/x.io/v1/things/a/console', ['RequestReceived'], 'join'],
])('a connection %s', async (_name, path, before, end) => {
  const told: string[] = [];
  let finish: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (finish = resolve));
  const calls: string[] = [];
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
  const stages = (): string[] => told.map((line) => line.split(' ')[0]);
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
