/**
 * The token a page of a list ends with: where the next one starts and at which revision. Clients may keep and send it,
 * not read it; servers of either kind read each other's.
 *
 * base64url without padding of `{"v":"meta.k8s.io/v1","rv":N,"start":"KEY\u0000"}`, KEY being what follows the list's
 * key prefix. A start that would climb out of the prefix is refused. Modelled on kubernetes/apiserver
 * pkg/storage/continue.go.
 */

import { isJsonObject, type Json } from '../api/json.ts';
import { badRequest, type ApiError } from '../api/status.ts';
import { readJson } from '../codec/json-reader.ts';
import { writeJson } from '../codec/json-writer.ts';
import type { ListOptions } from './storage.ts';

const VERSION = 'meta.k8s.io/v1';

/** In place of a revision: go on at the newest. Not 0, which a token without a revision would have. */
export const NEWEST = -1;

export interface ContinueToken {
  /** First full key of the next page. */
  readonly start: string;
  /** The revision to read at; NEWEST after the first one was compacted away. */
  readonly revision: number;
}

/**
 * @param start full key, below `keyPrefix`
 * @throws Error when it is not
 */
export function encodeContinue(start: string, keyPrefix: string, revision: number): string {
  if (keyPrefix === '' || !start.startsWith(keyPrefix)) {
    throw new Error('unable to encode next field: the key and key prefix do not match');
  }
  const token = { v: VERSION, rv: revision, start: start.slice(keyPrefix.length) };
  return Buffer.from(writeJson(token), 'utf8').toString('base64url');
}

/** @throws ApiError 400 for what is no token of this list */
export function decodeContinue(text: string, keyPrefix: string): ContinueToken {
  const { v: version, rv: revision = 0, start = '' } = fieldsOf(text);
  if (version !== VERSION) {
    const named = typeof version === 'string' ? version : '';
    throw invalid(`continue key is not valid: server does not recognize this encoded version ${named}`);
  }
  if (typeof revision !== 'number' || !Number.isInteger(revision) || typeof start !== 'string') {
    throw invalid('continue key is not valid: a field is of another type');
  }
  if (revision === 0) {
    throw invalid(`continue key is not valid: incorrect encoded start resourceVersion (version ${VERSION})`);
  }
  if (start === '') throw invalid(`continue key is not valid: encoded start key empty (version ${VERSION})`);
  const key = start.startsWith('/') ? start : `/${start}`;
  if (!isClean(key)) throw invalid(`continue key is not valid: ${start}`);
  return { start: keyPrefix + key.slice(1), revision };
}

/**
 * Where a list goes on that was begun before; undefined for one that begins.
 *
 * @throws ApiError 400 for what is no token of this list, or a version beside it
 */
export function continuedAt(
  keyPrefix: string,
  { continue: token = '', resourceVersion = '', recursive = true }: ListOptions,
): ContinueToken | undefined {
  if (!recursive || token === '') return undefined;
  const decoded = decodeContinue(token, keyPrefix);
  if (resourceVersion !== '' && resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  return decoded;
}

function fieldsOf(text: string): { readonly [name: string]: Json } {
  // Node's decoder passes over what is no base64url; a token is taken whole or not at all.
  if (!/^[\w-]*$/.test(text) || text.length % 4 === 1) {
    throw invalid('continue key is not valid: illegal base64 data');
  }
  let value: Json;
  try {
    value = readJson(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw invalid(`continue key is not valid: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isJsonObject(value)) throw invalid('continue key is not valid: not an object');
  return value;
}

/** Whether a path is what cleaning it would make of it: no empty, `.` or `..` segment. The root is clean. */
function isClean(path: string): boolean {
  if (path === '/') return true;
  return path
    .slice(1)
    .split('/')
    .every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

function invalid(message: string): ApiError {
  return badRequest(`invalid continue token: ${message}`);
}
