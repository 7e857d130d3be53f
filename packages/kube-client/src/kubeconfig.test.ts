import { describe, expect, test } from '@jest/globals';

import { inClusterConfig, KubeconfigError, loadKubeconfig } from './kubeconfig.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const CONFIG = {
  'current-context': 'main',
  clusters: [
    { name: 'c', cluster: { server: 'https://c:6443', 'certificate-authority-data': base64('CA') } },
    {
      name: 'files',
      cluster: { server: 'https://f', 'certificate-authority': 'ca.pem', 'tls-server-name': 'api' },
    },
    { name: 'open', cluster: { server: 'https://o', 'insecure-skip-tls-verify': true } },
    {
      name: 'both',
      cluster: {
        server: 'https://b',
        'insecure-skip-tls-verify': true,
        'certificate-authority-data': base64('CA'),
      },
    },
  ],
  users: [
    { name: 'cert', user: { 'client-certificate-data': base64('CERT'), 'client-key': '/abs/key.pem' } },
    { name: 'token', user: { token: 'abc' } },
    { name: 'file', user: { token: 'abc', tokenFile: 'token' } },
    { name: 'basic', user: { username: 'u', password: 'p' } },
    { name: 'plugin', user: { exec: { command: 'aws' } } },
  ],
  contexts: [
    { name: 'main', context: { cluster: 'c', user: 'cert', namespace: 'shop' } },
    { name: 'token', context: { cluster: 'open', user: 'token' } },
    { name: 'file', context: { cluster: 'files', user: 'file' } },
    { name: 'basic', context: { cluster: 'c', user: 'basic' } },
    { name: 'nobody', context: { cluster: 'c' } },
    { name: 'plugin', context: { cluster: 'c', user: 'plugin' } },
    { name: 'both', context: { cluster: 'both', user: '' } },
    { name: 'no cluster', context: { cluster: 'x', user: 'cert' } },
    { name: 'no user', context: { cluster: 'c', user: 'x' } },
  ],
};

const readFile = (path: string): Promise<string> => Promise.resolve(`<${path}>`);

function load(context?: string, configs: readonly object[] = [CONFIG]) {
  const files = configs.map((config) => ({ folder: '/home', text: JSON.stringify(config) }));
  return loadKubeconfig(files, (text) => JSON.parse(text) as unknown, readFile, context);
}

describe('a kubeconfig', () => {
  test.each<[string, object, string | undefined]>([
    [
      'main',
      { server: 'https://c:6443', namespace: 'shop', tls: { ca: 'CA', cert: 'CERT', key: '</abs/key.pem>' } },
      undefined,
    ],
    ['token', { server: 'https://o', namespace: 'default', tls: { insecure: true } }, 'Bearer abc'],
    [
      'file',
      { server: 'https://f', namespace: 'default', tls: { ca: '</home/ca.pem>', serverName: 'api' } },
      'Bearer </home/token>',
    ],
    [
      'basic',
      { server: 'https://c:6443', namespace: 'default', tls: { ca: 'CA' } },
      `Basic ${base64('u:p')}`,
    ],
    ['nobody', { server: 'https://c:6443', namespace: 'default', tls: { ca: 'CA' } }, undefined],
  ])('context %s', async (context, wanted, header) => {
    const { authorization, ...config } = await load(context);
    expect(config).toEqual(wanted);
    expect(await authorization?.()).toBe(header);
  });

  test('of several files: the first that says something counts', async () => {
    const first = { 'current-context': 'token', users: [{ name: 'token', user: { token: 'first' } }] };
    const { authorization, server } = await load(undefined, [first, CONFIG]);
    expect([server, await authorization?.()]).toEqual(['https://o', 'Bearer first']);
  });

  test.each([
    ['plugin', 'user "plugin" has a credential plugin (exec), which is not supported'],
    ['both', 'specifying a root certificates file with the insecure flag is not allowed'],
    ['no cluster', 'cluster "x" does not exist'],
    ['no user', 'auth info "x" does not exist'],
    ['none', 'context "none" does not exist'],
  ])('context %s is refused', async (context, message) => {
    await expect(load(context)).rejects.toThrow(new KubeconfigError(message));
  });

  test('without a context is refused', async () => {
    await expect(load(undefined, [{}])).rejects.toThrow('no context is chosen: current-context is not set');
  });
});

describe('in a cluster', () => {
  test('the pod says where', async () => {
    const config = await inClusterConfig(
      { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' },
      readFile,
    );
    expect(config.server).toBe('https://[fd00::1]:443');
    expect(config.namespace).toBe('</var/run/secrets/kubernetes.io/serviceaccount/namespace>');
    expect(await config.authorization?.()).toBe(
      'Bearer </var/run/secrets/kubernetes.io/serviceaccount/token>',
    );
  });

  test('outside of one it is refused', async () => {
    await expect(inClusterConfig({}, readFile)).rejects.toThrow(/^unable to load in-cluster configuration/);
  });
});
