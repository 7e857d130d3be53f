/** KMS v2 against a key service on a unix socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Prng, systemClock } from '@keelson/base';
import { MethodTable, nativeChannel, nativeServer, type Channel, type RpcServer } from '@keelson/rpc';

import { DECRYPT_METHOD, ENCRYPT_METHOD, keyService, STATUS_METHOD } from './kms-client.ts';
import { ENCRYPTED_OBJECT } from './kms-messages.ts';
import { KmsTransformer } from './kms.ts';

const KEY = '/registry/secrets/default/a';
const prng = new Prng(9);
const random = (size: number): Buffer => Buffer.from(Array.from({ length: size }, () => prng.below(256)));

/** "Encrypts" by turning bytes over, under the key of the moment. */
const told = { keyId: 'key-1', healthz: 'ok', encrypts: 0, decrypts: 0 };
const turned = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0xff));

let folder: string;
let server: RpcServer;
let channel: Channel;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kms-'));
  const table = new MethodTable()
    .unary(STATUS_METHOD, () => ({ version: 'v2', healthz: told.healthz, keyId: told.keyId }))
    .unary(ENCRYPT_METHOD, ({ plaintext }) => {
      told.encrypts += 1;
      const annotations = new Map([['wrapped.kms.example', Buffer.from('yes')]]);
      return { ciphertext: turned(plaintext), keyId: told.keyId, annotations };
    })
    .unary(DECRYPT_METHOD, ({ ciphertext, annotations }) => {
      told.decrypts += 1;
      if (annotations.get('wrapped.kms.example')?.toString() !== 'yes') throw new Error('no annotation');
      return turned(ciphertext);
    });
  server = nativeServer(table);
  await server.listen({ path: join(folder, 'kms.sock') });
  channel = nativeChannel(`unix://${join(folder, 'kms.sock')}`);
});

afterAll(async () => {
  channel.close();
  await server.drain(1_000);
  rmSync(folder, { recursive: true, force: true });
});

function transformer(): KmsTransformer {
  return new KmsTransformer({
    name: 'test',
    service: keyService(channel, 5_000),
    random,
    uuid: () => 'uid',
    clock: systemClock,
  });
}

describe('KMS v2', () => {
  test('one seed for many values, none of them alike, none of them plain', async () => {
    const one = transformer();
    told.encrypts = 0;
    const plain = Buffer.from('plain text');
    const stored = await Promise.all(Array.from({ length: 20 }, async () => one.toStorage(plain, KEY)));
    expect(told.encrypts).toBe(1);
    expect(new Set(stored.map((bytes) => bytes.toString('hex'))).size).toBe(20);
    expect(stored.some((bytes) => bytes.includes('plain'))).toBe(false);
    told.decrypts = 0;
    for (const bytes of stored)
      expect(await one.fromStorage(bytes, KEY)).toEqual({ value: plain, stale: false });
    expect(told.decrypts).toBe(0);
    const object = ENCRYPTED_OBJECT.decode(stored[0]);
    expect(object).toMatchObject({ keyId: 'key-1', sourceType: 1 });
    await expect((async () => one.fromStorage(stored[0], `${KEY}b`))()).rejects.toThrow(
      'authentication failed',
    );

    // Another server, which has not seen the seed, asks for it once.
    const other = transformer();
    for (const bytes of stored) expect((await other.fromStorage(bytes, KEY)).value).toEqual(plain);
    expect(told.decrypts).toBe(1);

    // The service has another key: what the old one wrote is stale.
    told.keyId = 'key-2';
    expect(await one.problem()).toBeUndefined();
    expect(await one.fromStorage(stored[0], KEY)).toEqual({ value: plain, stale: true });
    expect(ENCRYPTED_OBJECT.decode(await one.toStorage(plain, KEY)).keyId).toBe('key-2');
  });

  test('a service that is not well', async () => {
    told.healthz = 'down';
    expect(await transformer().problem()).toBe(
      'kmsv2 Provider test is not healthy, error: got unexpected healthz status: down',
    );
    await expect((async () => transformer().toStorage(Buffer.from('x'), KEY))()).rejects.toThrow(
      'not healthy',
    );
    told.healthz = 'ok';
  });

  test('a message that is none', async () => {
    await expect((async () => transformer().fromStorage(Buffer.from([1, 2, 3]), KEY))()).rejects.toThrow();
    await expect((async () => transformer().fromStorage(Buffer.alloc(0), KEY))()).rejects.toThrow(
      'encrypted data is empty',
    );
  });
});
