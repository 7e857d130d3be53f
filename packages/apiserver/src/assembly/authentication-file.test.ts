/** Issuers of --authentication-config: a file that changes while the server runs. */
import { expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';

import { FollowedFile } from '../../test/followed-file.ts';
import { AuthenticationError } from '../authn/authenticator.ts';
import { keyIdOf, signJwt } from '../authn/jwt.ts';
import { newKeys } from '../pki/authority.ts';
import { AuthenticationFile } from './authentication-file.ts';

const { privateKey, publicKey } = newKeys();
const FAILED = 'apiserver_authentication_config_controller_automatic_reloads_total{id,status="failure"} 1';

function fileOf(names: readonly string[], more: object = {}): string {
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: names.map((name) => ({
      issuer: { url: `https://${name}.example`, audiences: ['cluster'] },
      claimMappings: { username: { claim: 'sub', prefix: `${name}:` } },
    })),
    ...more,
  });
}

function tokenOf(name: string): string {
  return signJwt(
    { iss: `https://${name}.example`, aud: 'cluster', sub: 'mia', exp: 2_000 },
    privateKey,
    keyIdOf(publicKey),
  );
}

interface World {
  readonly file: FollowedFile;
  readonly tokens: AuthenticationFile;
  /** Issuers that do not answer. */
  readonly silent: Set<string>;
  readonly nameOf: (issuer: string) => Promise<string | undefined>;
}

function world(text: string, anonymousGiven = false): World {
  const file = new FollowedFile(text);
  const silent = new Set<string>();
  const tokens = new AuthenticationFile({
    path: file.path,
    ownIssuers: ['https://own.example'],
    anonymousGiven,
    readFile: file.readFile,
    issuerKeys:
      ({ issuer }) =>
      () =>
        silent.has(issuer)
          ? Promise.reject(new AuthenticationError('no route'))
          : Promise.resolve([{ id: keyIdOf(publicKey), key: publicKey }]),
    clock: file.clock,
    logger: silentLogger,
    metrics: file.metrics,
    serverId: file.serverId,
  });
  tokens.reload.start();
  const nameOf = async (issuer: string): Promise<string | undefined> =>
    (await tokens.authenticateToken(tokenOf(issuer), []))?.user.name;
  return { file, tokens, silent, nameOf };
}

test('issuers come and go with the file', async () => {
  const { file, nameOf } = world(fileOf(['red']));
  expect([await nameOf('red'), await nameOf('blue')]).toEqual(['red:mia', undefined]);
  file.text = fileOf(['blue']);
  await file.look();
  expect([await nameOf('red'), await nameOf('blue')]).toEqual([undefined, 'blue:mia']);
  file.text = fileOf([]);
  await file.look();
  expect(await nameOf('blue')).toBeUndefined();
  expect(file.counted()).toContain(
    'apiserver_authentication_config_controller_automatic_reloads_total{id,status="success"} 2',
  );
});

test.each<[string, string]>([
  ['no YAML', '{'],
  ['nothing', ''],
  ['another kind', JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'Other' })],
  ['an issuer that is the server itself', fileOf(['blue', 'own'])],
  ['anonymous requests, which the start settled', fileOf(['blue'], { anonymous: { enabled: true } })],
])('%s: the old file goes on', async (_name, text) => {
  const { file, nameOf } = world(fileOf(['red']));
  file.text = text;
  await file.look();
  expect([await nameOf('red'), await nameOf('blue')]).toEqual(['red:mia', undefined]);
  expect(file.counted()).toContain(FAILED);
});

test('what the file says of anonymous requests must stay', async () => {
  const anonymous = { enabled: true, conditions: [{ path: '/livez' }] };
  const { file, tokens, nameOf } = world(fileOf(['red'], { anonymous }));
  expect(tokens.anonymous).toEqual({ enabled: true, paths: ['/livez'] });
  file.text = fileOf(['blue']);
  await file.look();
  expect(await nameOf('red')).toBe('red:mia');
  file.text = fileOf(['blue'], { anonymous });
  await file.look();
  expect(await nameOf('blue')).toBe('blue:mia');
});

test('a new issuer counts once its keys are known', async () => {
  const { file, silent, nameOf } = world(fileOf(['red']));
  silent.add('https://blue.example');
  file.text = fileOf(['blue']);
  await file.look();
  expect(await nameOf('red')).toBe('red:mia');
  expect(file.counted()).toContain(FAILED);
  silent.clear();
  await file.look();
  expect([await nameOf('red'), await nameOf('blue')]).toEqual([undefined, 'blue:mia']);
});

test('anonymous requests are settled by the flag or by the file', () => {
  expect(() => world(fileOf([], { anonymous: { enabled: false } }), true)).toThrow(
    'anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file',
  );
});
