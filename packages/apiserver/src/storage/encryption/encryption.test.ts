/** Encryption at rest: layouts, which provider reads what, configurations that are refused, and a store that holds no plain text. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';
import { Prng, systemClock } from '@keelson/base';

import { MemoryKeySpace } from '../memory-key-space.ts';
import { ObjectStorage } from '../object-storage.ts';
import { customCodec } from '../object-codec.ts';
import type { TransformedValue, ValueTransformer } from '../storage.ts';
import { readEncryptionConfig } from './encryption-config.ts';
import { Encryption } from './encryption.ts';
import { openBox, sealBox } from './secretbox.ts';

const SECRETS = { group: '', resource: 'secrets' };
const KEY = '/registry/secrets/default/a';

const prng = new Prng(5);
const random = (size: number): Buffer => Buffer.from(Array.from({ length: size }, () => prng.below(256)));

const key = (name: string, size = 32): object => ({
  name,
  secret: Buffer.alloc(size, name).toString('base64'),
});

function fileOf(resources: readonly object[]): string {
  return JSON.stringify({
    kind: 'EncryptionConfiguration',
    apiVersion: 'apiserver.config.k8s.io/v1',
    resources,
  });
}

function made(resources: readonly object[]): Encryption {
  return new Encryption(fileOf(resources), { random });
}

/** Of secrets. */
function of(...providers: object[]): ValueTransformer {
  return made([{ resources: ['secrets'], providers }]).transformer(SECRETS);
}

const read = async (transformer: ValueTransformer, bytes: Buffer, path = KEY): Promise<TransformedValue> =>
  await transformer.fromStorage(bytes, path);

describe('secretbox', () => {
  test("NaCl's published vector", () => {
    const hex = (text: string): Buffer => Buffer.from(text, 'hex');
    const secret = hex('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389');
    const nonce = hex('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37');
    const text = hex(
      'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
    );
    const sealed = sealBox(text, nonce, secret);
    expect(sealed.toString('hex')).toBe(
      'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5',
    );
    expect(openBox(sealed, nonce, secret)?.equals(text)).toBe(true);
  });

  test.each([0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 1000, 4097])(
    '%i bytes there and back; a changed one is no box',
    (size) => {
      const [secret, nonce, text] = [random(32), random(24), random(size)];
      const sealed = sealBox(text, nonce, secret);
      expect(openBox(sealed, nonce, secret)?.equals(text)).toBe(true);
      for (const at of [0, sealed.length - 1]) {
        const changed = Buffer.from(sealed);
        changed[at] ^= 1;
        expect(openBox(changed, nonce, secret)).toBeUndefined();
      }
    },
  );
});

describe('providers', () => {
  test.each<[string, object, string]>([
    ['aescbc', { aescbc: { keys: [key('one')] } }, 'k8s:enc:aescbc:v1:one:'],
    ['aesgcm', { aesgcm: { keys: [key('one', 16)] } }, 'k8s:enc:aesgcm:v1:one:'],
    ['secretbox', { secretbox: { keys: [key('one')] } }, 'k8s:enc:secretbox:v1:one:'],
  ])('%s: the prefix, no plain text, and back', async (_name, provider, prefix) => {
    const transformer = of(provider, { identity: {} });
    for (const size of [0, 1, 15, 16, 17, 5_000]) {
      const plain = Buffer.alloc(size, 'plain text ');
      const stored = await transformer.toStorage(plain, KEY);
      expect(stored.subarray(0, prefix.length).toString()).toBe(prefix);
      expect(stored.includes('plain text')).toBe(false);
      expect((await transformer.toStorage(plain, KEY)).equals(stored)).toBe(false);
      expect(await read(transformer, stored)).toEqual({ value: plain, stale: false });
    }
    // What was there before encryption was turned on.
    expect(await read(transformer, Buffer.from('{}'))).toEqual({ value: Buffer.from('{}'), stale: true });
  });

  test('AES-GCM binds a value to its key in the store', async () => {
    const transformer = of({ aesgcm: { keys: [key('one')] } });
    const stored = await transformer.toStorage(Buffer.from('x'), KEY);
    const elsewhere = async (): Promise<TransformedValue> =>
      read(transformer, stored, '/registry/secrets/default/b');
    await expect(elsewhere()).rejects.toThrow('cipher: message authentication failed');
  });

  test('an older key, an older provider, and the same provider twice: read, and stale', async () => {
    const old = of({ aescbc: { keys: [key('old')] } });
    const stored = await old.toStorage(Buffer.from('x'), KEY);
    const want = { value: Buffer.from('x'), stale: true };
    expect(await read(of({ aescbc: { keys: [key('new'), key('old')] } }), stored)).toEqual(want);
    expect(
      await read(of({ secretbox: { keys: [key('new')] } }, { aescbc: { keys: [key('old')] } }), stored),
    ).toEqual(want);
    expect(
      await read(of({ aescbc: { keys: [key('new')] } }, { aescbc: { keys: [key('old')] } }), stored),
    ).toEqual(want);
    // On the way out of encryption.
    expect(await read(of({ identity: {} }, { aescbc: { keys: [key('old')] } }), stored)).toEqual(want);
  });

  test.each<[string, ValueTransformer, string]>([
    [
      'a key that is gone',
      of({ aescbc: { keys: [key('new')] } }),
      'no matching key was found for the provided AES transformer',
    ],
    ['a provider that is gone', of({ secretbox: { keys: [key('new')] } }), 'no matching prefix found'],
    ['no encryption any more', of({ identity: {} }), 'no matching prefix found'],
    [
      'never any',
      made([{ resources: ['configmaps'], providers: [{ identity: {} }] }]).transformer(SECRETS),
      'identity transformer tried to read encrypted data',
    ],
  ])('%s: refused', async (_name, transformer, text) => {
    const stored = await of({ aescbc: { keys: [key('old')] } }).toStorage(Buffer.from('x'), KEY);
    await expect((async () => read(transformer, stored))()).rejects.toThrow(text);
  });

  test.each<[string, string, { group: string; resource: string }, boolean]>([
    ['by name', 'secrets', SECRETS, true],
    ['another group', 'secrets', { group: 'example.com', resource: 'secrets' }, false],
    ['the core group', '*.', { group: '', resource: 'configmaps' }, true],
    ['the core group alone', '*.', { group: 'apps', resource: 'deployments' }, false],
    ['a group', '*.apps', { group: 'apps', resource: 'deployments' }, true],
    ['everything', '*.*', { group: 'example.com', resource: 'widgets' }, true],
  ])('resources: %s', async (_name, pattern, resource, encrypted) => {
    const transformer = made([
      { resources: [pattern], providers: [{ aesgcm: { keys: [key('k')] } }] },
    ]).transformer(resource);
    const stored = await transformer.toStorage(Buffer.from('x'), KEY);
    expect(stored.toString('latin1').startsWith('k8s:enc:')).toBe(encrypted);
  });

  test('an earlier entry masks a later one', async () => {
    const transformer = made([
      { resources: ['configmaps'], providers: [{ identity: {} }] },
      { resources: ['*.*'], providers: [{ aesgcm: { keys: [key('k')] } }] },
      { resources: ['secrets'], providers: [{ identity: {} }] },
    ]);
    const begins = async (resource: string): Promise<string> =>
      (await transformer.transformer({ group: '', resource }).toStorage(Buffer.from('plain'), KEY)).toString(
        'latin1',
        0,
        5,
      );
    expect(await begins('configmaps')).toBe('plain');
    expect(await begins('secrets')).toBe('k8s:e');
  });
});

interface Case {
  readonly name: string;
  readonly resources: readonly object[];
  readonly error: string;
}
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own data
const CASES = JSON.parse(
  readFileSync(new URL('../../../test/testdata/encryption/configurations.json', import.meta.url), 'utf8'),
) as Case[];

describe('configurations that are refused', () => {
  test.each(CASES.map((one) => [one.name, one] as const))('%s', (_name, { resources, error }) => {
    expect(() => readEncryptionConfig(fileOf(resources))).toThrow(new Error(error));
  });

  test('a word that is none', () => {
    const file = fileOf([{ resources: ['secrets'], providers: [{ aescbc: { key: [] } }] }]);
    expect(() => readEncryptionConfig(file)).toThrow(
      'strict decoding error: unknown field "resources[0].providers[0].aescbc.key"',
    );
  });

  test('another kind of file', () => {
    expect(() => readEncryptionConfig('kind: Pod\napiVersion: v1\n')).toThrow('no kind "Pod" is registered');
  });
});

test('a storage holds no plain text, and an update that changes nothing writes anew after a rotation', async () => {
  const space = new MemoryKeySpace({ clock: systemClock });
  const encryption = made([{ resources: ['secrets'], providers: [{ aescbc: { keys: [key('old')] } }] }]);
  const storage = new ObjectStorage(
    {
      resource: SECRETS,
      prefix: '/secrets',
      codec: customCodec(),
      fieldsOf: () => ({}),
      transformer: encryption.transformer(SECRETS),
    },
    space,
    { prefix: '/registry', clock: systemClock },
  );
  const raw = async (): Promise<string> =>
    (await space.get(KEY, undefined)).pair?.value.toString('latin1') ?? '';
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'a', namespace: 'default' },
    data: { password: 'aHVudGVyMg==' },
  };
  const created = await storage.create('/secrets/default/a', secret);
  expect(await raw()).toMatch(/^k8s:enc:aescbc:v1:old:/);
  expect(await raw()).not.toContain('password');
  expect((await storage.get('/secrets/default/a')).value['data']).toEqual(secret.data);

  expect(
    encryption.reload(
      fileOf([
        {
          resources: ['secrets'],
          providers: [{ secretbox: { keys: [key('new')] } }, { aescbc: { keys: [key('old')] } }],
        },
      ]),
    ),
  ).toBe(true);
  const update = async (): Promise<number> =>
    (await storage.guaranteedUpdate('/secrets/default/a', (current) => ({ value: current?.value ?? secret })))
      .revision;
  const rewritten = await update();
  expect(rewritten).toBeGreaterThan(created.revision);
  expect(await raw()).toMatch(/^k8s:enc:secretbox:v1:new:/);
  expect(await update()).toBe(rewritten);
  const { objects } = await storage.list('/secrets');
  expect(objects.map(({ value }) => value['data'])).toEqual([secret.data]);
});

test('what is encrypted and read is told with its resource, whichever configuration counts', async () => {
  const told: string[] = [];
  let nowMs = 0;
  const encryption = new Encryption(
    fileOf([{ resources: ['*.*'], providers: [{ aescbc: { keys: [key('old')] } }] }]),
    {
      random,
      observer: (resource) => ({
        monotonicMs: () => (nowMs += 5),
        transformed: (direction, prefix, succeeded, seconds) =>
          told.push(`${resource} ${direction} ${prefix} ${succeeded} ${seconds}`),
      }),
    },
  );
  const deployments = encryption.transformer({ group: 'apps', resource: 'deployments' });
  const secrets = encryption.transformer(SECRETS);
  const sealed = await secrets.toStorage(Buffer.from('x'), KEY);
  await deployments.toStorage(Buffer.from('x'), '/registry/deployments/a/b');
  encryption.reload(
    fileOf([
      { resources: ['secrets'], providers: [{ secretbox: { keys: [key('new')] } }, { identity: {} }] },
    ]),
  );
  await deployments.toStorage(Buffer.from('x'), '/registry/deployments/a/b');
  await secrets.fromStorage(await secrets.toStorage(Buffer.from('x'), KEY), KEY);
  expect(() => secrets.fromStorage(sealed, KEY)).toThrow('no matching prefix found');
  expect(told).toEqual([
    'secrets to_storage k8s:enc:aescbc:v1: true 0.005',
    'deployments.apps to_storage k8s:enc:aescbc:v1: true 0.005',
    'secrets to_storage k8s:enc:secretbox:v1: true 0.005',
    'secrets from_storage k8s:enc:secretbox:v1: true 0.005',
    'secrets from_storage unknown false 0',
  ]);
});

test('a configuration that cannot be used leaves the old one', async () => {
  const encryption = made([{ resources: ['secrets'], providers: [{ aescbc: { keys: [key('old')] } }] }]);
  const sealed = async (): Promise<string> =>
    (await encryption.transformer(SECRETS).toStorage(Buffer.from('x'), KEY)).toString('latin1');
  expect(() => encryption.reload('no configuration')).toThrow();
  expect(await sealed()).toContain('aescbc');
  const file = fileOf([{ resources: ['secrets'], providers: [{ aesgcm: { keys: [key('new')] } }] }]);
  expect(encryption.reload(file)).toBe(true);
  expect(await sealed()).toContain('aesgcm');
  expect(encryption.reload(file)).toBe(false);
});
