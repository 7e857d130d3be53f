/**
 * /openapi/v2 and /openapi/v3: the documents as JSON or gnostic's protobuf, compressed where the client takes that,
 * with tags by which it sees that nothing changed. The index of version 3 names each document with its hash; whoever
 * asks with the hash may keep the answer for good.
 *
 * Modelled on kube-openapi's handler and handler3.
 */

import type { Clock } from '@keelson/base';

import { negotiate } from '../api/accept.ts';
import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import type { Format } from '../openapi/documents.ts';
import {
  addressOf,
  OpenApiStore,
  plainBytes,
  type OpenApiStoreOptions,
  type StoredDocument,
} from './openapi-store.ts';

/** Media types of a version, the older spelling of protobuf last; the newer one is what is answered. */
function mediaTypes(version: 'v2' | 'v3'): readonly string[] {
  const name = `application/com.github.proto-openapi.spec.${version}`;
  return ['application/json', `${name}.v1.0+protobuf`, `${name}@v1.0+protobuf`];
}

const V2_TYPES = mediaTypes('v2');
const V3_TYPES = mediaTypes('v3');
const YEAR_MS = 365 * 24 * 3_600_000;
const V3_PREFIX = '/openapi/v3/';

/** The handlers by path, and by how a path begins: what ApiServer takes as `paths` and `prefixes`. */
export interface OpenApiHandlers {
  readonly paths: ReadonlyMap<string, Handler>;
  readonly prefixes: ReadonlyMap<string, Handler>;
}

/** Costs nothing until the first request. */
export function openApiHandlers(options: OpenApiStoreOptions): OpenApiHandlers {
  let made: OpenApiStore | undefined;
  const store = () => (made ??= new OpenApiStore(options));
  return {
    paths: new Map<string, Handler>([
      ['/openapi/v2', (request) => serveV2(request, store())],
      ['/openapi/v3', (request) => serveIndex(request, store())],
    ]),
    prefixes: new Map<string, Handler>([[V3_PREFIX, (request) => serveV3(request, store(), options.clock)]]),
  };
}

async function serveV2(request: ApiRequest, store: OpenApiStore): Promise<ApiResponse> {
  const accepted = chosen(request, V2_TYPES);
  if (accepted === undefined) return notAcceptable();
  const document = await store.v2(accepted.format);
  return await answer(request, document, document.hash, accepted.contentType);
}

async function serveIndex(request: ApiRequest, store: OpenApiStore): Promise<ApiResponse> {
  const document = await store.index();
  return await answer(request, document, document.hash, V3_TYPES[0]);
}

async function serveV3(request: ApiRequest, store: OpenApiStore, clock: Clock): Promise<ApiResponse> {
  const key = request.path.slice(V3_PREFIX.length);
  const json = store.v3(key, 'json');
  if (json === undefined) return text(404, '404 page not found\n');
  const accepted = chosen(request, V3_TYPES);
  if (accepted === undefined) return notAcceptable();
  const { hash } = await json;
  const asked = request.query.get('hash') ?? '';
  if (asked !== '' && asked !== hash) {
    return { ...text(301, ''), headers: new Map([['location', [addressOf(key, hash)]]]) };
  }
  const document = await (accepted.format === 'json' ? json : (store.v3(key, accepted.format) ?? json));
  const forGood: [string, string[]][] =
    asked === ''
      ? []
      : [
          ['cache-control', ['public, immutable']],
          ['expires', [new Date(clock.nowMs() + YEAR_MS).toUTCString()]],
        ];
  return await answer(request, document, hash, accepted.contentType, forGood);
}

function chosen(
  request: ApiRequest,
  types: readonly string[],
): { readonly format: Format; readonly contentType: string } | undefined {
  const accepted = negotiate(request.headers.get('accept')?.join(','), types, () => true);
  if (accepted === undefined) return undefined;
  return accepted.mediaType === types[0]
    ? { format: 'json', contentType: types[0] }
    : { format: 'protobuf', contentType: types[1] };
}

/** The document, or nothing but its tag for a client that has it. */
async function answer(
  request: ApiRequest,
  document: StoredDocument,
  hash: string,
  contentType: string,
  more: readonly [string, string[]][] = [],
): Promise<ApiResponse> {
  const etag = `"${hash}"`;
  const headers = new Map<string, string[]>([
    ['etag', [etag]],
    ['vary', ['Accept', 'Accept-Encoding']],
    ...more,
  ]);
  if (knows(request, etag)) {
    return { kind: 'bytes', code: 304, contentType: '', body: Buffer.alloc(0), headers };
  }
  if (!takesGzip(request)) {
    return { kind: 'bytes', code: 200, contentType, body: await plainBytes(document), headers };
  }
  headers.set('content-encoding', ['gzip']);
  return { kind: 'bytes', code: 200, contentType, body: document.gzip, headers };
}

function knows({ headers }: ApiRequest, etag: string): boolean {
  const tags = (headers.get('if-none-match') ?? []).flatMap((value) => value.split(','));
  return tags.some((tag) => {
    const clean = tag.trim().replace(/^W\//, '');
    return clean === etag || clean === '*';
  });
}

function takesGzip({ headers }: ApiRequest): boolean {
  const accepted = (headers.get('accept-encoding') ?? []).flatMap((value) => value.split(','));
  return accepted.some((value) => {
    const [name, ...parameters] = value.split(';').map((part) => part.trim());
    return name === 'gzip' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

function notAcceptable(): ApiResponse {
  return text(406, '');
}

function text(code: number, body: string): Extract<ApiResponse, { kind: 'bytes' }> {
  return { kind: 'bytes', code, contentType: 'text/plain; charset=utf-8', body: Buffer.from(body) };
}
