/** A control plane in this process: ready when it says so, found again on disk, nothing left behind. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  startControlPlane,
  useControlPlane,
  type ControlPlane,
  type ControlPlaneOptions,
  type KubeConfig,
} from '../src/index.ts';

const started: ControlPlane[] = [];

async function plane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const made = await startControlPlane({ readyTimeoutMs: 150_000, ...options });
  started.push(made);
  return made;
}

afterEach(async () => {
  for (const each of started.splice(0)) await each.stop();
});

interface Answer {
  readonly code: number;
  readonly json: unknown;
}

/** As a client elsewhere, over TLS, with the certificates of a kubeconfig. */
function ask(config: KubeConfig, method: string, target: string, body?: object): Promise<Answer> {
  const [{ cluster }] = config.clusters;
  const [{ user }] = config.users;
  const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
  return new Promise((resolve, reject) => {
    const asked = request(
      `${cluster.server}${target}`,
      {
        method,
        agent: false,
        ca: decode(cluster['certificate-authority-data']),
        cert: decode(user['client-certificate-data']),
        key: decode(user['client-key-data']),
        headers: { 'content-type': 'application/json' },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ code: answer.statusCode ?? 0, json: text.startsWith('{') ? JSON.parse(text) : text });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const MAP = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' }, data: { a: 'b' } };
const MAPS = '/api/v1/namespaces/default/configmaps';

describe('in memory', () => {
  test('is ready, has what a fresh cluster has, and answers its administrator over TLS', async () => {
    const one = await plane();
    const config = one.kubeConfig();
    expect(config.clusters[0].cluster.server).toBe(one.url);
    expect((await ask(config, 'GET', '/readyz')).json).toBe('ok');
    const { json } = await ask(config, 'GET', '/api/v1/namespaces');
    expect(json).toMatchObject({
      items: ['default', 'kube-node-lease', 'kube-public', 'kube-system'].map((name) => ({
        metadata: { name },
      })),
    });
    expect((await ask(config, 'POST', MAPS, MAP)).code).toBe(201);
    const { kvs } = await one.etcd.kv.get('/registry/configmaps/default/kept');
    expect(kvs[0]?.value.subarray(0, 4)).toEqual(Buffer.from('k8s\0'));
  });

  test('two share nothing, not even their authorities', async () => {
    const [one, other] = await Promise.all([plane(), plane({ controllers: [] })]);
    expect((await ask(one.kubeConfig(), 'POST', MAPS, MAP)).code).toBe(201);
    expect((await ask(other.kubeConfig(), 'GET', `${MAPS}/kept`)).code).toBe(404);
    const crossed = { ...one.kubeConfig(), clusters: other.kubeConfig().clusters };
    expect((await ask(crossed, 'GET', MAPS)).code).toBe(401);
  });

  test('a call without a socket may do everything; one that nobody answers for is told so', async () => {
    const one = await plane({ controllers: [] });
    const answer = await one.call('/api/v1/namespaces/kube-system/secrets');
    expect(answer.code).toBe(200);
    await answer.bytes();
    const nobody = await one.call('/api/v1/namespaces/kube-system/secrets', {
      headers: { authorization: 'Bearer x' },
    });
    expect(nobody.code).toBe(401);
    await nobody.bytes();
  });

  test('after the end nothing answers, and a second end waits for the first', async () => {
    const one = await plane();
    const config = one.kubeConfig();
    await Promise.all([one.stop(), one.stop()]);
    await expect(ask(config, 'GET', '/readyz')).rejects.toThrow('ECONNREFUSED');
  });
});

test('on disk, objects and credentials are found again', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keelson-embed-'));
  try {
    const first = await plane({ disk: { path: folder }, controllers: [] });
    const before = first.kubeConfig();
    expect((await ask(before, 'POST', MAPS, MAP)).code).toBe(201);
    await first.stop();
    const second = await plane({ disk: { path: folder }, controllers: [] });
    const old = { ...before, clusters: second.kubeConfig().clusters };
    expect(second.kubeConfig().users).toEqual(before.users);
    expect((await ask(old, 'GET', `${MAPS}/kept`)).json).toMatchObject({ data: { a: 'b' } });
    await second.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('refusals, with nothing left', () => {
  test.each<[string, string[], string]>([
    ['an unknown flag', ['--bogus'], 'unknown flag: --bogus'],
    [
      'an unknown plugin',
      ['--enable-admission-plugins=No'],
      'enable-admission-plugins plugin "No" is unknown',
    ],
    ['a file that is not there', ['--token-auth-file=x'], 'open x: no such file or directory'],
  ])('%s', async (_name, flags, message) => {
    await expect(startControlPlane({ flags })).rejects.toThrow(message);
  });

  test.each<[string, object, string]>([
    [
      'an option that is not there',
      { dsk: 'memory' },
      'there is no option "dsk"; there are nodes, disk, port, flags, admission, controllers, logger, clock, readyTimeoutMs',
    ],
    [
      'three members',
      { nodes: 3 },
      'nodes is 1 in a process, not 3: "keelson up" starts three members as processes',
    ],
    ['a folder that is a text', { disk: './data' }, `disk is 'memory' or { path: FOLDER }, not "./data"`],
    ['flags as one text', { flags: '--v=4' }, `flags is a list of texts such as '--v=4', not "--v=4"`],
    ['flags by name', { flags: { v: '4' } }, `flags is a list of texts such as '--v=4', not {"v":"4"}`],
    [
      'another store',
      { flags: ['--etcd-servers=http://127.0.0.1:2379'] },
      '--etcd-servers=http://127.0.0.1:2379 cannot be: the store is in the process, and disk says where it keeps',
    ],
  ])('%s', async (_name, options, message) => {
    await expect(startControlPlane(options)).rejects.toThrow(`startControlPlane: ${message}`);
  });
});

describe('hooks of test runners', () => {
  const recorded = (): { readonly calls: unknown[][]; hook: (...args: unknown[]) => void } => {
    const calls: unknown[][] = [];
    return { calls, hook: (...args) => void calls.push(args.slice(1)) };
  };

  test('those of jest and vitest get more time than a control plane has to be ready, to start and to end', () => {
    const [before, after] = [recorded(), recorded()];
    useControlPlane({ beforeAll: before.hook, afterAll: after.hook }, { readyTimeoutMs: 20_000 });
    expect([before.calls, after.calls]).toEqual([[[35_000]], [[35_000]]]);
  });

  test('those of node:test, whose second argument is another, get none', () => {
    const [before, after] = [recorded(), recorded()];
    useControlPlane({ before: before.hook, after: after.hook });
    expect([before.calls, after.calls]).toEqual([[[]], [[]]]);
  });
});
