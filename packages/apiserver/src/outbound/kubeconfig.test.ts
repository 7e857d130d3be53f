/** A kubeconfig read for calls: the server of the current context, credentials in each form, whose go to which webhook. */

import { describe, expect, test } from '@jest/globals';

import { Kubeconfig } from './kubeconfig.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const files: Record<string, string> = {
  '/etc/hooks/ca.crt': 'CA',
  '/etc/hooks/client.crt': 'CERT',
  '/keys/client.key': 'KEY',
  '/etc/hooks/token': 'first\n',
};

function kubeconfig(value: object): Kubeconfig {
  return new Kubeconfig(value, '/etc/hooks/config', (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`open ${path}: no such file or directory`);
    return text;
  });
}

function withUser(user: object | undefined, cluster: object = {}): Kubeconfig {
  return kubeconfig({
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'c', ...(user === undefined ? {} : { user: 'u' }) } }],
    clusters: [{ name: 'c', cluster: { server: 'https://hooks:8443/ask', ...cluster } }],
    users: user === undefined ? [] : [{ name: 'u', user }],
  });
}

describe('the current context', () => {
  test('with files beside it, and elsewhere', () => {
    const found = withUser(
      { 'client-certificate': 'client.crt', 'client-key': '/keys/client.key' },
      { 'certificate-authority': 'ca.crt', 'tls-server-name': 'inner' },
    ).current();
    expect(found).toEqual({
      url: 'https://hooks:8443/ask',
      caBundle: 'CA',
      serverName: 'inner',
      credentials: { pair: { cert: 'CERT', key: 'KEY' } },
    });
  });

  test('with data in place, which go before files', () => {
    const { caBundle } = withUser(undefined, {
      'certificate-authority': 'nowhere',
      'certificate-authority-data': base64('OTHER'),
    }).current();
    expect(caBundle).toBe('OTHER');
  });

  test.each<[string, object, string]>([
    ['a token', { token: 't' }, 'Bearer t'],
    ['a name and a password', { username: 'a', password: 'b' }, `Basic ${base64('a:b')}`],
    [
      'a file with a token, which goes before one in place',
      { token: 't', tokenFile: 'token' },
      'Bearer first',
    ],
  ])('with %s', (_name, user, header) => {
    expect(withUser(user).current().credentials.authorization?.()).toBe(header);
  });

  test('reads a token anew at each call', () => {
    const { authorization } = withUser({ tokenFile: 'token' }).current().credentials;
    files['/etc/hooks/token'] = 'second';
    expect(authorization?.()).toBe('Bearer second');
  });

  test.each<[string, Kubeconfig, string]>([
    ['no context', kubeconfig({}), 'context was not found for specified context: '],
    [
      'no server',
      withUser(undefined, { server: '' }),
      'invalid configuration: no server found for cluster "c"',
    ],
    [
      'a key without its certificate',
      withUser({ 'client-key': '/keys/client.key' }),
      'user "u": client-certificate and client-key must be specified together',
    ],
    ['a program', withUser({ exec: {} }), 'user "u": credentials made by a program are not supported'],
    ['a file that is gone', withUser({ 'client-key': 'x' }), 'open /etc/hooks/x: no such file or directory'],
  ])('is refused with %s', (_name, config, message) => {
    expect(() => config.current()).toThrow(message);
  });
});

describe('credentials of webhooks', () => {
  const user = (name: string): object => ({ name, user: { token: name } });
  const names = ['hook.red.svc:443', '*.blue.svc', '*.example.com:8443', 'plain.org'];
  const config = kubeconfig({ users: names.map(user) });
  const withStar = kubeconfig({ users: [...names, '*'].map(user) });

  test.each<[string, string | undefined]>([
    ['hook.red.svc:443', 'hook.red.svc:443'],
    ['hook.blue.svc:443', '*.blue.svc'],
    ['a.b.blue.svc:443', '*.blue.svc'],
    ['hook.blue.svc:8443', undefined],
    ['deep.hook.example.com:8443', '*.example.com:8443'],
    ['plain.org:443', 'plain.org'],
    ['plain.org:444', undefined],
  ])('%s', (address, name) => {
    const shown = (from: Kubeconfig): string | undefined => from.credentialsFor(address).authorization?.();
    expect(shown(config)).toBe(name === undefined ? undefined : `Bearer ${name}`);
    expect(shown(withStar)).toBe(`Bearer ${name ?? '*'}`);
  });
});
