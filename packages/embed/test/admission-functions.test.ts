/** Admission functions of one control plane: they change, warn and refuse there, and nowhere else. */
import { afterEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  AdmissionDenied,
  startControlPlane,
  type AdmissionFunction,
  type ControlPlane,
} from '../src/index.ts';

const started: ControlPlane[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
  for (const each of folders.splice(0)) rmSync(each, { recursive: true });
});

async function plane(
  admission: readonly AdmissionFunction[],
  flags: readonly string[] = [],
): Promise<ControlPlane> {
  const made = await startControlPlane({ readyTimeoutMs: 150_000, controllers: [], admission, flags });
  started.push(made);
  return made;
}

interface Answer {
  readonly code: number;
  readonly json: Record<string, unknown>;
  readonly warnings: readonly string[];
}

async function ask(of: ControlPlane, method: string, target: string, body?: object): Promise<Answer> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const answer = await of.call(target, {
    method,
    headers:
      bytes === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(bytes.length) },
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the server answers with objects
  const json = JSON.parse((await answer.bytes()).toString('utf8')) as Record<string, unknown>;
  return { code: answer.code, json, warnings: answer.headers.get('warning') ?? [] };
}

const MAPS = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: Record<string, string> = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

test('changes by what is returned, warnings, annotations, refusals: of one instance alone', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keelson-functions-'));
  folders.push(folder);
  const policy = path.join(folder, 'audit.yaml');
  const audit = path.join(folder, 'audit.log');
  writeFileSync(policy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{ level: Metadata }]\n');
  const owners: AdmissionFunction = {
    name: 'owners.example.com',
    operations: ['CREATE', 'UPDATE'],
    resources: ['configmaps'],
    mutate({ object, user, warn, annotate }) {
      if (object?.metadata.annotations?.['owner'] !== undefined) return undefined;
      warn('the owner was filled in');
      annotate('owner', user?.name ?? '');
      const annotations = { ...object?.metadata.annotations, owner: user?.name ?? '' };
      return { ...object, metadata: { ...object?.metadata, annotations } };
    },
    async validate({ object }) {
      await Promise.resolve();
      const data = object?.['data'];
      if (JSON.stringify(data ?? {}).includes('secret'))
        throw new AdmissionDenied('no secrets in config maps', { code: 422, reason: 'Invalid' });
    },
  };
  const one = await plane(
    [owners],
    [`--audit-policy-file=${policy}`, `--audit-log-path=${audit}`, '--audit-log-mode=blocking'],
  );
  const other = await plane([]);
  const made = await ask(one, 'POST', MAPS, map('a', { b: 'c' }));
  expect(made).toMatchObject({
    code: 201,
    json: { metadata: { annotations: { owner: 'system:apiserver' } }, data: { b: 'c' } },
    warnings: ['299 - "the owner was filled in"'],
  });
  expect(await ask(one, 'GET', `${MAPS}/a`)).toMatchObject({
    json: { metadata: { annotations: { owner: 'system:apiserver' } } },
  });
  expect(await ask(one, 'POST', MAPS, map('d', { x: 'secret' }))).toMatchObject({
    code: 422,
    json: {
      reason: 'Invalid',
      message: 'admission function "owners.example.com" denied the request: no secrets in config maps',
    },
  });
  expect(readFileSync(audit, 'utf8')).toContain('"owners.example.com/owner":"system:apiserver"');
  const plain = await ask(other, 'POST', MAPS, map('a', { x: 'secret' }));
  expect([plain.code, plain.warnings]).toEqual([201, []]);
  expect(plain.json['metadata']).not.toHaveProperty('annotations');
});

test('a function that takes too long fails closed, and others go on meanwhile', async () => {
  const one = await plane([
    {
      name: 'slow.example.com',
      resources: ['secrets'],
      timeoutMs: 50,
      validate: () => new Promise<void>(() => undefined),
    },
  ]);
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } };
  const slow = ask(one, 'POST', '/api/v1/namespaces/default/secrets', secret);
  expect(await ask(one, 'POST', MAPS, map('a'))).toMatchObject({ code: 201 });
  expect(await slow).toMatchObject({
    code: 500,
    json: {
      message:
        'Internal error occurred: failed calling admission function "slow.example.com": it did not answer within 50 ms',
    },
  });
});

test('functions that cannot be end the start', async () => {
  await expect(plane([{ name: 'x', resources: ['*'] }])).rejects.toThrow(
    'admission function "x" does nothing: it has neither mutate nor validate',
  );
  const create = { name: 'x', resources: ['*'], operations: ['Create' as 'CREATE'], validate: () => {} };
  await expect(plane([create])).rejects.toThrow(
    'admission function "x": there is no operation "Create"; there are CREATE, UPDATE, DELETE, CONNECT',
  );
});
