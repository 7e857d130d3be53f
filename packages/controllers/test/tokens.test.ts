/** Tokens: of old ones that nobody uses, and signatures for those that bootstrap a node. */

import { createHmac } from 'node:crypto';

import { afterEach, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '@keelson/kube-client';

import { signatureOf } from '../src/tokens/bootstrap-signer.ts';
import { cluster, shiftedClock, until, type Cluster } from './cluster.ts';

const DAY_MS = 24 * 3_600_000;
let running: Cluster | undefined;
const clock = shiftedClock();

afterEach(async () => {
  await running?.stop();
  running = undefined;
  clock.shiftMs = 0;
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

describe('service account tokens of old', () => {
  const SECRETS = '/api/v1/namespaces/n/secrets';
  const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';

  /** A server with tokens a–f, and what has become of them when the loop has run once, `days` from now. */
  async function after(days: number, marks: Record<string, string> = {}): Promise<Record<string, string>> {
    const stage = await cluster({ controllers: [] });
    running = stage;
    const { create } = stage;
    for (const name of ['kube-system', 'n']) await create('/api/v1/namespaces', { metadata: { name } });
    await create('/api/v1/namespaces/kube-system/configmaps', {
      metadata: { name: 'kube-apiserver-legacy-service-account-token-tracking' },
      data: { since: dateOf(Date.now()) },
    });
    await create('/api/v1/namespaces/n/serviceaccounts', {
      metadata: { name: 'robot' },
      secrets: ['auto', 'used', 'mounted', 'marked'].map((name) => ({ name })),
    });
    const secret = (name: string, labels: object = {}): Promise<KubeObject> =>
      create(SECRETS, {
        metadata: { name, labels, annotations: { 'kubernetes.io/service-account.name': 'robot' } },
        type: 'kubernetes.io/service-account-token',
      });
    await secret('auto');
    await secret('asked-for');
    await secret('used', { 'kubernetes.io/legacy-token-last-used': dateOf(Date.now() + days * DAY_MS) });
    await secret('mounted');
    await secret('marked', { [INVALID_SINCE]: marks['marked'] ?? '' });
    await create('/api/v1/namespaces/n/pods', {
      metadata: { name: 'p' },
      spec: {
        containers: [{ name: 'c', image: 'i' }],
        volumes: [{ name: 'v', secret: { secretName: 'mounted' } }],
      },
    });
    clock.shiftMs = days * DAY_MS;
    const loops = await stage.more({ controllers: ['legacy-service-account-token-cleaner'], clock });
    await until(() => loops.quiet(), 'the loop has looked at all');
    await loops.stop();
    const { json } = await stage.small.ask('GET', SECRETS);
    const items = json['items'] as readonly KubeObject[];
    return Object.fromEntries(
      items.map(({ metadata }) => [metadata.name ?? '', metadata.labels?.[INVALID_SINCE] ?? '']),
    );
  }

  test('are marked when nobody has used them for a year; others stay as they are', async () => {
    const today = dateOf(Date.now() + 400 * DAY_MS);
    expect(await after(400)).toEqual({ auto: today, 'asked-for': '', used: '', mounted: '', marked: today });
  });

  test('are deleted a year after they were marked', async () => {
    const left = await after(800, { marked: dateOf(Date.now() + 400 * DAY_MS) });
    expect(Object.keys(left)).not.toContain('marked');
    expect(left['auto']).not.toBe('');
    expect(left['mounted']).toBe('');
  });

  test('stay while their use was not written down for a year', async () => {
    expect(await after(300)).toEqual({ auto: '', 'asked-for': '', used: '', mounted: '', marked: '' });
  });
});

describe('cluster-info', () => {
  const MAP = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
  const TOKENS = '/api/v1/namespaces/kube-system/secrets';
  const SECRET = '0123456789abcdef';

  test('a signature is what others make of the same words', () => {
    const [header = '', payload, signature] = signatureOf('content', 'abcdef', SECRET).split('.');
    expect(payload).toBe('');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ alg: 'HS256', kid: 'abcdef' });
    const signed = `${header}.${Buffer.from('content').toString('base64url')}`;
    expect(signature).toBe(createHmac('sha256', SECRET).update(signed).digest('base64url'));
  });

  test('carries a signature for each token that may sign, and drops those of others', async () => {
    running = await cluster({ controllers: ['bootstrapsigner'], clock });
    const on = running;
    for (const name of ['kube-system', 'kube-public'])
      await on.create('/api/v1/namespaces', { metadata: { name } });
    const token = (id: string, more: Record<string, string>): Promise<KubeObject> =>
      on.create(TOKENS, {
        metadata: { name: `bootstrap-token-${id}` },
        type: 'bootstrap.kubernetes.io/token',
        stringData: { 'token-id': id, 'token-secret': SECRET, ...more },
      });
    const signs = { 'usage-bootstrap-signing': 'true' };
    await token('aaaaaa', signs);
    await token('bbbbbb', { 'usage-bootstrap-authentication': 'true' });
    await token('cccccc', { ...signs, expiration: new Date(Date.now() + 3_600_000).toISOString() });
    await token('dddddd', { ...signs, expiration: new Date(Date.now() - 1_000).toISOString() });
    await on.create('/api/v1/namespaces/kube-public/configmaps', {
      metadata: { name: 'cluster-info' },
      data: { kubeconfig: 'one', 'jws-kubeconfig-zzzzzz': 'old' },
    });
    const data = async (): Promise<Record<string, string>> =>
      ((await on.get(MAP))?.['data'] ?? {}) as Record<string, string>;
    const ids = async (): Promise<string> =>
      Object.keys(await data())
        .filter((name) => name !== 'kubeconfig')
        .toSorted()
        .join();
    await until(async () => (await ids()) === 'jws-kubeconfig-aaaaaa,jws-kubeconfig-cccccc', 'it is signed');
    expect((await data())['jws-kubeconfig-aaaaaa']).toBe(signatureOf('one', 'aaaaaa', SECRET));
    await on.small.ask('PATCH', MAP, { data: { kubeconfig: 'two' } });
    await until(
      async () => (await data())['jws-kubeconfig-aaaaaa'] === signatureOf('two', 'aaaaaa', SECRET),
      'what is new is signed',
    );
    await on.small.ask('PATCH', `${TOKENS}/bootstrap-token-cccccc`, {
      data: { expiration: base64('2020-01-01T00:00:00Z') },
    });
    await until(async () => (await ids()) === 'jws-kubeconfig-aaaaaa', 'an expired token signs no longer');
  });
});
