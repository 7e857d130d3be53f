/** A key service as it is asked: three calls of gRPC on a socket of this machine. Nothing is asked twice. */

import type { Channel, MethodDescriptor } from '@keelson/rpc';

import {
  DECRYPT_REQUEST,
  DECRYPTED,
  ENCRYPT_REQUEST,
  ENCRYPTED,
  NOTHING,
  STATUS,
  type KmsDecryptRequest,
  type KmsEncrypted,
  type KmsEncryptRequest,
  type KmsStatus,
} from './kms-messages.ts';

export interface KeyService {
  status(): Promise<KmsStatus>;
  encrypt(request: KmsEncryptRequest): Promise<KmsEncrypted>;
  decrypt(request: KmsDecryptRequest): Promise<Buffer>;
}

const SERVICE = '/v2.KeyManagementService';
export const STATUS_METHOD: MethodDescriptor<undefined, KmsStatus> = {
  path: `${SERVICE}/Status`,
  kind: 'unary',
  request: NOTHING,
  response: STATUS,
};
export const ENCRYPT_METHOD: MethodDescriptor<KmsEncryptRequest, KmsEncrypted> = {
  path: `${SERVICE}/Encrypt`,
  kind: 'unary',
  request: ENCRYPT_REQUEST,
  response: ENCRYPTED,
};
export const DECRYPT_METHOD: MethodDescriptor<KmsDecryptRequest, Buffer> = {
  path: `${SERVICE}/Decrypt`,
  kind: 'unary',
  request: DECRYPT_REQUEST,
  response: DECRYPTED,
};

/** @param timeoutMs of each call */
export function keyService(channel: Channel, timeoutMs: number): KeyService {
  const options = { timeoutMs };
  return {
    status: () => channel.unary(STATUS_METHOD, undefined, options),
    encrypt: (request) => channel.unary(ENCRYPT_METHOD, request, options),
    decrypt: (request) => channel.unary(DECRYPT_METHOD, request, options),
  };
}
