/**
 * How one key encrypts a value: AES-GCM, AES-CBC and secretbox, each in the layout kube-apiserver writes, so that a
 * store can change servers. AES-GCM alone binds a value to its key in the store.
 *
 * Modelled on apiserver's storage/value/encrypt, texts included. Chance is an argument.
 */

import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type CipherGCMTypes,
  type KeyObject,
} from 'node:crypto';

import type { TransformedValue } from '../storage.ts';
import { openBox, sealBox, SECRETBOX_NONCE_BYTES } from './secretbox.ts';

/** Random bytes nobody can foresee. */
export type RandomBytes = (size: number) => Buffer;

/** As a ValueTransformer that never waits. */
export interface Cipher {
  /** @throws Error */
  fromStorage(value: Buffer, key: string): TransformedValue;
  toStorage(value: Buffer, key: string): Buffer;
}

const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;
const AES_BLOCK_BYTES = 16;

const TOO_SHORT = 'the stored data was shorter than the required size';

const GCM: Readonly<Record<number, CipherGCMTypes>> = {
  16: 'aes-128-gcm',
  24: 'aes-192-gcm',
  32: 'aes-256-gcm',
};

/** Nonce, text, tag; the key in the store is authenticated with it. */
export function aesGcm(secret: Buffer, random: RandomBytes): Cipher {
  const algorithm = GCM[secret.length];
  const key: KeyObject = createSecretKey(secret);
  return {
    fromStorage: (value, path) => ({ value: openGcm(algorithm, key, value, path), stale: false }),
    toStorage(value, path) {
      const nonce = random(GCM_NONCE_BYTES);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(path));
      return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
    },
  };
}

function openGcm(algorithm: CipherGCMTypes, key: KeyObject, value: Buffer, path: string): Buffer {
  if (value.length < GCM_NONCE_BYTES) throw new Error(TOO_SHORT);
  const end = value.length - GCM_TAG_BYTES;
  if (end < GCM_NONCE_BYTES) throw new Error('cipher: message authentication failed');
  const decipher = createDecipheriv(algorithm, key, value.subarray(0, GCM_NONCE_BYTES), {
    authTagLength: GCM_TAG_BYTES,
  })
    .setAAD(Buffer.from(path))
    .setAuthTag(value.subarray(end));
  const text = decipher.update(value.subarray(GCM_NONCE_BYTES, end));
  try {
    decipher.final();
  } catch (error) {
    throw new Error('cipher: message authentication failed', { cause: error });
  }
  return text;
}

/** Initial vector, then the text padded to whole blocks. Nothing is authenticated: kept for stores that have it. */
export function aesCbc(secret: Buffer, random: RandomBytes): Cipher {
  const algorithm = `aes-${secret.length * 8}-cbc`;
  const key: KeyObject = createSecretKey(secret);
  return {
    fromStorage(value) {
      if (value.length < AES_BLOCK_BYTES) throw new Error(TOO_SHORT);
      const text = value.subarray(AES_BLOCK_BYTES);
      if (text.length % AES_BLOCK_BYTES !== 0) {
        throw new Error('the stored data is not a multiple of the block size');
      }
      if (text.length === 0) throw new Error('invalid PKCS7 data (empty or not padded)');
      const decipher = createDecipheriv(algorithm, key, value.subarray(0, AES_BLOCK_BYTES));
      const start = decipher.update(text);
      try {
        return { value: Buffer.concat([start, decipher.final()]), stale: false };
      } catch (error) {
        throw new Error('invalid padding on input', { cause: error });
      }
    },
    toStorage(value) {
      const vector = random(AES_BLOCK_BYTES);
      const cipher = createCipheriv(algorithm, key, vector);
      return Buffer.concat([vector, cipher.update(value), cipher.final()]);
    },
  };
}

/** Nonce, then the box. */
export function secretbox(secret: Buffer, random: RandomBytes): Cipher {
  return {
    fromStorage(value) {
      if (value.length < SECRETBOX_NONCE_BYTES) throw new Error(TOO_SHORT);
      const text = openBox(
        value.subarray(SECRETBOX_NONCE_BYTES),
        value.subarray(0, SECRETBOX_NONCE_BYTES),
        secret,
      );
      if (text === undefined) throw new Error('invalid secretbox data');
      return { value: text, stale: false };
    },
    toStorage(value) {
      const nonce = random(SECRETBOX_NONCE_BYTES);
      return Buffer.concat([nonce, sealBox(value, nonce, secret)]);
    },
  };
}

const ENCRYPTED = Buffer.from('k8s:enc:');

/** No encryption; what is encrypted is not its to read, so that nobody takes it for an object. */
export const identity: Cipher = {
  fromStorage(value) {
    if (value.subarray(0, ENCRYPTED.length).equals(ENCRYPTED)) {
      throw new Error('identity transformer tried to read encrypted data');
    }
    return { value, stale: false };
  },
  toStorage: (value) => value,
};
