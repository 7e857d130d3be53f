/** A kubeconfig read for calls: the server of the current context, credentials in each form, whose go to which webhook, and programs that make them. */

import { beforeEach, describe, expect, test } from '@jest/globals';

import type { ProgramEnd, ProgramRunner } from './exec-credentials.ts';
import { Kubeconfig } from './kubeconfig.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const files: Record<string, string> = {
  '/etc/hooks/ca.crt': 'CA',
  '/etc/hooks/client.crt': 'CERT',
  '/keys/client.key': 'KEY',
  '/etc/hooks/token': 'first\n',
};

function kubeconfig(value: object): Kubeconfig {
  const readFile = (path: string): string => {
    const text = files[path];
    if (text === undefined) throw new Error(`open ${path}: no such file or directory`);
    return text;
  };
  return new Kubeconfig(value, '/etc/hooks/config', { readFile, programs });
}

/** Programs that ran, and what the next one does. */
const ran: { command: string; args: readonly string[]; env: Readonly<Record<string, string>> }[] = [];
let nowMs = 0;
let next: () => ProgramEnd = () => ({ kind: 'missing' });
const programs: ProgramRunner = {
  run: (command, args, env) => {
    ran.push({ command, args, env });
    return Promise.resolve(next());
  },
  nowMs: () => nowMs,
};

function withUser(user: object | undefined, cluster: object = {}): Kubeconfig {
  return kubeconfig({
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'c', ...(user === undefined ? {} : { user: 'u' }) } }],
    clusters: [{ name: 'c', cluster: { server: 'https://hooks:8443/ask', ...cluster } }],
    users: user === undefined ? [] : [{ name: 'u', user }],
  });
}

describe('the current context', () => {
  test('with files beside it, and elsewhere', async () => {
    const { credentials, ...found } = withUser(
      { 'client-certificate': 'client.crt', 'client-key': '/keys/client.key' },
      { 'certificate-authority': 'ca.crt', 'tls-server-name': 'inner' },
    ).current();
    expect(found).toEqual({ url: 'https://hooks:8443/ask', caBundle: 'CA', serverName: 'inner' });
    expect(await credentials.shown()).toEqual({ pair: { cert: 'CERT', key: 'KEY' } });
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
    ['a token in place of a file that is gone', { token: 't', tokenFile: 'gone' }, 'Bearer t'],
  ])('with %s', async (_name, user, header) => {
    expect(await withUser(user).current().credentials.shown()).toEqual({ authorization: header });
  });

  test('reads a token anew at each call', async () => {
    const { credentials } = withUser({ tokenFile: 'token' }).current();
    files['/etc/hooks/token'] = 'second';
    expect(await credentials.shown()).toEqual({ authorization: 'Bearer second' });
  });

  test.each<[string, Kubeconfig, string]>([
    ['no context', kubeconfig({}), 'context was not found for specified context: '],
    [
      'no server',
      withUser(undefined, { server: '' }),
      'invalid configuration: no server found for cluster "c"',
    ],
    [
      'a certificate without its key',
      withUser({ 'client-certificate': 'client.crt' }),
      'invalid configuration: client-key-data or client-key must be specified for u to use the clientCert authentication method.',
    ],
    [
      'two ways to say who it is',
      withUser({ token: 't', username: 'a' }),
      'invalid configuration: more than one authentication method found for u; found [token basicAuth], only one is allowed',
    ],
    [
      'a program of which nothing is said',
      withUser({ exec: { env: [{ value: 'x' }] } }),
      'invalid configuration: [command must be specified for u to use exec authentication plugin, apiVersion must be specified for u to use exec authentication plugin, env variable name must be specified for u to use exec authentication plugin, interactiveMode must be specified for u to use exec authentication plugin]',
    ],
    [
      'a program of another time',
      withUser({
        exec: { command: 'x', apiVersion: 'client.authentication.k8s.io/v1alpha1', interactiveMode: 'Never' },
      }),
      'exec plugin: invalid apiVersion "client.authentication.k8s.io/v1alpha1"',
    ],
    [
      'an authority, and none asked for',
      withUser(undefined, { 'certificate-authority': 'ca.crt', 'insecure-skip-tls-verify': true }),
      'specifying a root certificates file with the insecure flag is not allowed',
    ],
    [
      'a file that is gone',
      withUser({ 'client-certificate': 'client.crt', 'client-key': 'x' }),
      'open /etc/hooks/x: no such file or directory',
    ],
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
  ])('%s', async (address, name) => {
    const shown = async (from: Kubeconfig): Promise<string | undefined> =>
      (await from.credentialsFor(address).shown()).authorization;
    expect(await shown(config)).toBe(name === undefined ? undefined : `Bearer ${name}`);
    expect(await shown(withStar)).toBe(`Bearer ${name ?? '*'}`);
  });
});

describe('a program', () => {
  const VERSION = 'client.authentication.k8s.io/v1';
  const EXEC = {
    command: './login',
    args: ['--for', 'hooks'],
    apiVersion: VERSION,
    interactiveMode: 'Never',
  };
  const printed = (status: object, more: object = {}): (() => ProgramEnd) => {
    return () => ({
      kind: 'ended',
      code: 0,
      stdout: JSON.stringify({ kind: 'ExecCredential', apiVersion: VERSION, status, ...more }),
    });
  };

  beforeEach(() => {
    ran.length = 0;
    nowMs = Date.UTC(2026, 0, 1);
  });

  test('is run once, and again when what it said has expired or was not taken', async () => {
    const { credentials } = withUser({ exec: { ...EXEC, env: [{ name: 'REALM', value: 'x' }] } }).current();
    next = printed({ token: 'one', expirationTimestamp: '2026-01-01T00:01:00Z' });
    const [first, same] = await Promise.all([credentials.shown(), credentials.shown()]);
    expect([first.authorization, same.authorization, ran.length]).toEqual(['Bearer one', 'Bearer one', 1]);
    expect(ran[0]).toEqual({
      command: '/etc/hooks/login',
      args: ['--for', 'hooks'],
      env: {
        REALM: 'x',
        KUBERNETES_EXEC_INFO: `{"kind":"ExecCredential","apiVersion":"${VERSION}","spec":{"interactive":false}}`,
      },
    });
    nowMs += 60_001;
    next = printed({ token: 'two' });
    const second = await credentials.shown();
    expect([second.authorization, ran.length]).toEqual(['Bearer two', 2]);
    credentials.refused(first);
    expect((await credentials.shown()).authorization).toBe('Bearer two');
    credentials.refused(second);
    next = printed({ clientCertificateData: 'C', clientKeyData: 'K' });
    expect(await credentials.shown()).toMatchObject({ pair: { cert: 'C', key: 'K' } });
    expect(ran).toHaveLength(3);
  });

  test('is told of the server where it asks for that', async () => {
    const { credentials } = withUser(
      {
        exec: {
          ...EXEC,
          command: 'login',
          apiVersion: 'client.authentication.k8s.io/v1beta1',
          interactiveMode: '',
          provideClusterInfo: true,
        },
      },
      {
        'certificate-authority': 'ca.crt',
        'tls-server-name': 'inner',
        extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'a' } }],
      },
    ).current();
    next = () => ({
      kind: 'ended',
      code: 0,
      stdout:
        '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"t"}}',
    });
    await credentials.shown();
    expect(ran[0].command).toBe('login');
    expect(JSON.parse(ran[0].env['KUBERNETES_EXEC_INFO'])).toMatchObject({
      spec: {
        cluster: {
          server: 'https://hooks:8443/ask',
          'tls-server-name': 'inner',
          'certificate-authority-data': base64('CA'),
          config: { audience: 'a' },
        },
      },
    });
  });

  test('is not asked where the file says who it is', async () => {
    const { credentials } = withUser({ token: 't', exec: EXEC }).current();
    expect(await credentials.shown()).toEqual({ authorization: 'Bearer t' });
    expect(ran).toEqual([]);
  });

  test.each<[what: string, end: () => ProgramEnd, message: string]>([
    [
      'is not there',
      () => ({ kind: 'missing' }),
      'exec: executable /etc/hooks/login not found\n\ninstall it',
    ],
    [
      'fails',
      () => ({ kind: 'ended', code: 3, stdout: '' }),
      'exec: executable /etc/hooks/login failed with exit code 3',
    ],
    ['is killed', () => ({ kind: 'failed', why: 'signal: SIGKILL' }), 'exec: signal: SIGKILL'],
    [
      'speaks another version',
      printed({ token: 't' }, { apiVersion: 'client.authentication.k8s.io/v1beta1' }),
      `exec plugin is configured to use API version ${VERSION}, plugin returned version client.authentication.k8s.io/v1beta1`,
    ],
    [
      'says nothing of a status',
      printed({}, { status: undefined }),
      "exec plugin didn't return a status field",
    ],
    ['says nothing', printed({}), "exec plugin didn't return a token or cert/key pair"],
    ['says half', printed({ clientKeyData: 'K' }), 'exec plugin returned only certificate or key, not both'],
    [
      'prints something else',
      () => ({ kind: 'ended', code: 0, stdout: '{}' }),
      'decoding stdout: no kind "" is registered',
    ],
  ])('that %s', async (_what, end, message) => {
    next = end;
    const { credentials } = withUser({ exec: { ...EXEC, installHint: 'install it' } }).current();
    await expect(credentials.shown()).rejects.toThrow(`getting credentials: ${message}`);
    next = printed({ token: 't' });
    expect((await credentials.shown()).authorization).toBe('Bearer t');
  });
});
