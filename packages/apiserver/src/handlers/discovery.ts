/**
 * Discovery: what is served, at /api, /apis and below. Clients that know the aggregated form ask for it by Accept and get
 * everything in one document, with a tag by which they see that nothing changed; all others walk from group to version.
 *
 * Documents are made on first demand and kept until the catalog's generation changes.
 */

import { createHash } from 'node:crypto';

import { negotiate } from '../api/accept.ts';
import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import type { JsonObject } from '../api/json.ts';
import type { GroupVersionKind } from '../api/meta.ts';
import { genericNotFound, notAcceptable } from '../api/status.ts';
import { asObject, type ObjectCodec } from '../codec/object-codec.ts';
import type { CatalogGroup, ResourceCatalog } from './catalog.ts';
import {
  coreVersions,
  groupDiscoveryList,
  groupDocument,
  groupList,
  resourceList,
} from './discovery-documents.ts';

const MEDIA_TYPES: readonly string[] = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
];
const DISCOVERY_GROUP = 'apidiscovery.k8s.io';

interface StoredDocument {
  readonly bytes: Buffer;
  readonly contentType: string;
  /** Empty for the older form, which has none. */
  readonly etag: string;
}

export interface DiscoveryOptions {
  readonly catalog: ResourceCatalog;
  readonly codec: ObjectCodec;
  /** `host:port` under which clients reach the server. */
  readonly serverAddress: () => string;
  /** Whether JSON is indented for this client. */
  readonly pretty: (request: ApiRequest) => boolean;
}

export class Discovery {
  private readonly catalog: ResourceCatalog;
  private readonly codec: ObjectCodec;
  private readonly serverAddress: () => string;
  private readonly pretty: (request: ApiRequest) => boolean;
  private generation = -1;
  private groups = new Map<string, CatalogGroup>();
  private readonly documents = new Map<string, StoredDocument>();

  constructor({ catalog, codec, serverAddress, pretty }: DiscoveryOptions) {
    this.catalog = catalog;
    this.codec = codec;
    this.serverAddress = serverAddress;
    this.pretty = pretty;
  }

  /** All paths that lead to a document. */
  paths(): string[] {
    this.refresh();
    const paths = ['/api', '/apis'];
    for (const { name, versions } of this.groups.values()) {
      const base = name === '' ? '/api' : `/apis/${name}`;
      if (name !== '') paths.push(base);
      for (const { version } of versions) paths.push(`${base}/${version}`);
    }
    return paths;
  }

  /** The handler of a path; undefined where discovery has nothing to say. */
  handlerOf(path: string): Handler | undefined {
    if (!path.startsWith('/api')) return undefined;
    this.refresh();
    const [prefix, ...rest] = path.replace(/\/$/, '').slice(1).split('/');
    if (prefix === 'api') {
      if (rest.length === 0) {
        return this.endpoint('/api', true, () => coreVersions(this.groups.get(''), this.serverAddress()));
      }
      return rest.length === 1 ? (this.versionEndpoint('', rest[0]) ?? noVersion) : undefined;
    }
    if (prefix !== 'apis') return undefined;
    if (rest.length === 0) {
      return this.endpoint('/apis', true, () => groupList([...this.groups.values()]));
    }
    if (rest.length === 2) {
      const [name, version] = rest;
      return (
        this.versionEndpoint(name, version) ?? (this.groups.has(name) && name !== '' ? noVersion : undefined)
      );
    }
    const group = rest.length === 1 && rest[0] !== '' ? this.groups.get(rest[0]) : undefined;
    return group && this.endpoint(`/apis/${group.name}`, false, () => groupDocument(group));
  }

  private versionEndpoint(name: string, version: string): Handler | undefined {
    const found = this.groups.get(name)?.versions.find((candidate) => candidate.version === version);
    return found && this.endpoint(`${name}/${version}`, false, () => resourceList(name, found));
  }

  private refresh(): void {
    const generation = this.catalog.generation();
    if (generation === this.generation) return;
    this.generation = generation;
    this.documents.clear();
    this.groups = new Map(
      this.catalog
        .groups()
        .filter(({ versions }) => versions.length > 0)
        .map((group) => [group.name, group]),
    );
  }

  /** @param aggregated whether the path has the aggregated form as well */
  private endpoint(path: string, aggregated: boolean, make: () => JsonObject): Handler {
    return (request) => {
      const accepted = negotiate(request.headers.get('accept')?.join(','), MEDIA_TYPES, (as) =>
        as === undefined ? true : aggregated && isDiscoveryList(as),
      );
      if (accepted === undefined) throw notAcceptable(MEDIA_TYPES);
      const { mediaType, as } = accepted;
      const pretty =
        mediaType === 'application/json' && (accepted.pretty || (as === undefined && this.pretty(request)));
      const key = `${path} ${mediaType} ${as?.version ?? ''} ${String(pretty)}`;
      let document = this.documents.get(key);
      if (document === undefined) {
        const value = as === undefined ? make() : groupDiscoveryList(as.version, this.groupsOf(path));
        document = this.store(value, mediaType, as, pretty);
        this.documents.set(key, document);
      }
      return Promise.resolve(as === undefined ? plain(document) : tagged(request, document));
    };
  }

  private groupsOf(path: string): CatalogGroup[] {
    return [...this.groups.values()].filter(({ name }) => (name === '') === (path === '/api'));
  }

  private store(
    value: JsonObject,
    mediaType: string,
    as: GroupVersionKind | undefined,
    pretty: boolean,
  ): StoredDocument {
    const bytes = this.encode(value, mediaType, pretty);
    if (as === undefined) return { bytes, contentType: mediaType, etag: '' };
    const contentType = `${mediaType};g=${as.group};v=${as.version};as=${as.kind}`;
    const digest = createHash('sha512').update(bytes).digest('hex').toUpperCase();
    return { bytes, contentType, etag: `"${digest}"` };
  }

  private encode(value: JsonObject, mediaType: string, pretty: boolean): Buffer {
    const object = asObject(value);
    if (mediaType === 'application/yaml') return this.codec.yaml(object);
    if (mediaType === 'application/json') return this.codec.json(object, pretty);
    // Documents of the core group leave their version out of JSON; an envelope has it.
    return (
      this.codec.envelope({
        ...object,
        apiVersion: typeof value['apiVersion'] === 'string' ? value['apiVersion'] : 'v1',
      }) ?? this.codec.json(object)
    );
  }
}

/** The group is there, the version is not. */
function noVersion(): Promise<ApiResponse> {
  return Promise.reject(genericNotFound());
}

function isDiscoveryList({ group, version, kind }: GroupVersionKind): boolean {
  return (
    group === DISCOVERY_GROUP &&
    kind === 'APIGroupDiscoveryList' &&
    (version === 'v2' || version === 'v2beta1')
  );
}

function plain({ bytes, contentType }: StoredDocument): ApiResponse {
  return { kind: 'bytes', code: 200, contentType, body: bytes };
}

/** With its tag; nothing but the tag for a client that has the document. */
function tagged(request: ApiRequest, { bytes, contentType, etag }: StoredDocument): ApiResponse {
  const headers = new Map([
    ['etag', [etag]],
    ['vary', ['Accept']],
    ['cache-control', ['public']],
  ]);
  const known = request.headers.get('if-none-match') ?? [];
  if (known.some((tag) => tag === etag)) {
    return { kind: 'bytes', code: 304, contentType: '', body: Buffer.alloc(0), headers };
  }
  return { kind: 'bytes', code: 200, contentType, body: bytes, headers };
}
