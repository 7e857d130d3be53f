/**
 * What a client is told about who may do what, request by request, beside what kube-apiserver 1.36 told it: impersonation by
 * the constrained rights and by the old one, the reviews of access, roles that are not held. The data were recorded from
 * that server; the requests are sent in their order, since the first of a group give the rights the others are about.
 */
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { until } from '../../base/test/until.ts';
import type { Json, JsonObject } from '../src/api/json.ts';
import { part, parts } from '../src/validation/value.ts';
import { accessServer, type AccessServer } from './access-server.ts';

interface Recorded {
  readonly name: string;
  readonly user: string;
  /** Method, path and query. */
  readonly ask: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: JsonObject;
  readonly code: number;
  readonly message?: string;
  readonly reason?: string;
  readonly causes?: Json;
  /** Of a review that was answered. */
  readonly status?: Json;
}

const FILE = new URL('testdata/access/answers.json', import.meta.url);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
const GROUPS = JSON.parse(readFileSync(FILE, 'utf8')) as Readonly<Record<string, readonly Recorded[]>>;

describe.each(Object.entries(GROUPS))('%s', (_title, rows) => {
  let world: AccessServer;

  async function ask({ user, ask: line, headers, body, ...want }: Recorded): Promise<object> {
    const [method, target] = line.split(' ', 2);
    const { code, json } = await world.ask(user, method, target, body, headers);
    const details = part(json, 'details');
    return {
      name: want.name,
      code,
      ...(want.message === undefined ? {} : { message: json['message'] }),
      ...(want.reason === undefined ? {} : { reason: json['reason'] }),
      ...(want.causes === undefined ? {} : { causes: parts(details, 'causes') }),
      ...(want.status === undefined ? {} : { status: json['status'] }),
    };
  }

  beforeAll(async () => {
    world = accessServer();
    await world.ready();
  }, 60_000);
  afterAll(() => world.stop());

  test.each(rows.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const { name, user, ask: line, headers, body, ...want } = row;
    void [user, line, headers, body];
    let told = await ask(row);
    // Rights count when the watch has told of them.
    const allowed = row.code < 300;
    if (allowed && JSON.stringify(told) !== JSON.stringify({ name, ...want })) {
      const known = async (): Promise<boolean> => {
        told = await ask(row);
        return JSON.stringify(told) === JSON.stringify({ name, ...want });
      };
      await until(known, 'the rights are known', 10_000).catch(() => undefined);
    }
    expect(told).toEqual({ name, ...want });
  });
});
