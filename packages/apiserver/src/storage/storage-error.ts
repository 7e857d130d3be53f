/**
 * What a storage refuses, and the answer a client gets for it. The storage knows the key; only the registry knows what
 * the object is called, so these errors become ApiErrors where an operation ends.
 *
 * Codes and texts as kubernetes/apiserver pkg/storage/errors.go, the answers as its errors/storage.go: the texts of
 * failed preconditions reach clients whole.
 */

import type { GroupResource } from '../api/meta.ts';
import { ApiError, alreadyExists, conflict, notFound, serverTimeout } from '../api/status.ts';

export type StorageErrorCode =
  | 'KEY_NOT_FOUND'
  | 'KEY_EXISTS'
  | 'CONFLICT'
  | 'INVALID_OBJECT'
  | 'UNREACHABLE'
  | 'TIMEOUT'
  | 'CORRUPT_OBJECT';

const TEXTS: Readonly<Record<StorageErrorCode, readonly [number: number, text: string]>> = {
  KEY_NOT_FOUND: [1, 'key not found'],
  KEY_EXISTS: [2, 'key exists'],
  CONFLICT: [3, 'resource version conflicts'],
  INVALID_OBJECT: [4, 'invalid object'],
  UNREACHABLE: [5, 'server unreachable'],
  TIMEOUT: [6, 'request timeout'],
  CORRUPT_OBJECT: [7, 'corrupt object'],
};

export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;
  /** The full key; of a value that does not decode, the key below the prefix. */
  readonly key: string;
  /** Revision the error is about; 0: none. */
  readonly revision: number;

  constructor(code: StorageErrorCode, key: string, revision: number, detail = '', cause?: unknown) {
    const [number, text] = TEXTS[code];
    super(
      `StorageError: ${text}, Code: ${number}, Key: ${key}, ResourceVersion: ${revision}, AdditionalErrorMsg: ${detail}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.key = key;
    this.revision = revision;
  }
}

/** Whether an error is a StorageError with this code. */
export function hasCode(error: unknown, code: StorageErrorCode): error is StorageError {
  return error instanceof StorageError && error.code === code;
}

export type StorageOperation = 'get' | 'list' | 'watch' | 'create' | 'update' | 'delete';

/** A caller may try again after as many seconds when the store did not answer. */
const RETRY_AFTER_SECONDS = 2;

/** What a client is told; an ApiError passes as it is, what is unknown becomes a plain 500 with its own text. */
export function toApiError(
  error: unknown,
  operation: StorageOperation,
  resource: GroupResource,
  name: string,
): ApiError {
  if (error instanceof ApiError) return error;
  if (!(error instanceof StorageError)) return plainError(error);
  switch (error.code) {
    case 'KEY_NOT_FOUND':
      return operation === 'create' ? plainError(error) : notFound(resource, name);
    case 'KEY_EXISTS':
      if (operation === 'create') return alreadyExists(resource, name);
      return conflict(resource, name, error.message);
    case 'CONFLICT':
    case 'INVALID_OBJECT':
      return operation === 'create' ? plainError(error) : conflict(resource, name, error.message);
    case 'UNREACHABLE':
    case 'TIMEOUT':
      return serverTimeout(resource, operation, RETRY_AFTER_SECONDS);
    case 'CORRUPT_OBJECT':
      return new ApiError(
        { code: 500, reason: 'StorageReadError', message: error.message },
        { cause: error },
      );
  }
}

function plainError(error: unknown): ApiError {
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError({ code: 500, reason: '', message }, { cause: error });
}
