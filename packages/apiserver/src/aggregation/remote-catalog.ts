/**
 * What aggregated servers say they serve: their documents of discovery, fetched in the background, once for all versions
 * behind one service, again every minute and when an APIService changes. Where a server does not answer, what it said
 * before stays and is told as stale; where it says nonsense, its version is told without resources. Bounded: a document
 * of a size, so many words of it.
 *
 * Modelled on kube-aggregator's apiserver/handler_discovery.go.
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import type { Json, JsonObject } from '../api/json.ts';
import { isJsonObject } from '../api/json.ts';
import { readJson } from '../codec/json-reader.ts';
import { same } from '../validation/value.ts';
import type { RegisteredApis } from './registered-apis.ts';
import type { RemoteCaller } from './remote-caller.ts';
import { pathOf, type RemoteApi } from './remote-api.ts';
import type { RemoteOpenApi } from './remote-open-api.ts';

/** A version of another server, as discovery tells of it. */
export interface RemoteVersion {
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** In the words of the aggregated document. */
  readonly words: readonly JsonObject[];
  readonly stale: boolean;
}

export interface RemoteCatalogOptions {
  readonly apis: RegisteredApis;
  readonly caller: RemoteCaller;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Resolves when services are known. */
  readonly ready: () => Promise<void>;
  /** Asked for whatever else the server says of itself, after each answer. */
  readonly openApi: RemoteOpenApi;
}

/** What a service said of one version. */
interface Said {
  readonly words: readonly JsonObject[];
  readonly stale: boolean;
}

const REFRESH_MS = 60_000;
/** One that is available and yet did not answer. */
const RETRY_MS = 10_000;
const ANSWER_MS = 5_000;
/** All kinds of a full cluster take 150 kB. */
const BYTES_MAX = 4 * 1024 * 1024;
/** Of one version. */
const RESOURCES_MAX = 2_000;
const AGGREGATED = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(',');
const ACCEPT = `${AGGREGATED},application/json`;
const NOTHING: Said = { words: [], stale: true };

export class RemoteCatalog {
  private readonly options: RemoteCatalogOptions;
  /** By the name of the APIService. */
  private readonly said = new Map<string, Said>();
  /** Aggregated documents by service, with their tags. */
  private readonly documents = new Map<
    string,
    { readonly etag: string; readonly versions: ReadonlyMap<string, readonly JsonObject[]> }
  >();
  private readonly timers = new Map<string, Timer>();
  private readonly working = new Map<string, Promise<void>>();
  private readonly again = new Set<string>();
  private readonly stopping = new AbortController();
  private changes = 0;

  constructor(options: RemoteCatalogOptions) {
    this.options = options;
  }

  /** Another number after each change. */
  generation(): number {
    return this.changes;
  }

  versions(): RemoteVersion[] {
    return [...this.options.apis.remotes()].map(
      ({ name, group, version, groupPriority, versionPriority }) => ({
        group,
        version,
        groupPriority,
        versionPriority,
        ...(this.said.get(name) ?? NOTHING),
      }),
    );
  }

  /** Whether something is told of an APIService. */
  knows(name: string): boolean {
    return this.said.has(name);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
    await Promise.all(this.working.values());
  }

  /** An APIService is new, changed or gone: asks the server behind it, soon. */
  refresh(name: string): void {
    this.changes += 1;
    this.begin(name);
  }

  private begin(name: string): void {
    if (this.stopping.signal.aborted) return;
    this.timers.get(name)?.cancel();
    this.timers.delete(name);
    if (this.working.has(name)) {
      this.again.add(name);
      return;
    }
    const work = this.fetch(name).finally(() => {
      this.working.delete(name);
      if (this.again.delete(name)) this.begin(name);
    });
    this.working.set(name, work);
  }

  private async fetch(name: string): Promise<void> {
    const { apis, logger, clock, ready } = this.options;
    await ready();
    const api = remoteNamed(apis, name);
    if (this.stopping.signal.aborted) return;
    if (api === undefined) {
      this.forget(name);
      return;
    }
    let next: Said;
    try {
      if (!api.available) throw new Error('service unavailable');
      next = { words: await this.ask(api), stale: false };
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      if (api.available) {
        logger.warn('discovery of an aggregated API failed', { name, error: toError(error).message });
      }
      next = { words: this.said.get(name)?.words ?? [], stale: true };
    }
    const before = this.said.get(name);
    this.said.set(name, next);
    if (before?.stale !== next.stale || !same(before.words, next.words)) this.changes += 1;
    if (api.available) await this.options.openApi.update(api, this.stopping.signal);
    if (this.stopping.signal.aborted) return;
    // One that does not answer is asked again when its condition changes.
    if (!api.available) return;
    this.timers.get(name)?.cancel();
    this.timers.set(
      name,
      clock.setTimer(next.stale ? RETRY_MS : REFRESH_MS, () => this.begin(name)),
    );
  }

  private forget(name: string): void {
    this.said.delete(name);
    this.changes += 1;
    this.options.openApi.forget(name);
    const services = new Set([...this.options.apis.remotes()].map(serviceKey));
    for (const key of this.documents.keys()) if (!services.has(key)) this.documents.delete(key);
  }

  /** The version's resources, in the words of the aggregated document. */
  private async ask(api: RemoteApi): Promise<readonly JsonObject[]> {
    const { caller } = this.options;
    const key = serviceKey(api);
    const known = this.documents.get(key);
    const own = `${api.group}/${api.version}`;
    const request = { timeoutMs: ANSWER_MS, bytesMax: BYTES_MAX, signal: this.stopping.signal };
    const answer = await caller.ask(api, caller.place(api), {
      ...request,
      path: api.group === '' ? '/api' : '/apis',
      accept: ACCEPT,
      ...(known === undefined ? {} : { etag: known.etag }),
    });
    if (answer.code === 304 && known !== undefined) return found(known.versions.get(own));
    if (answer.code === 200 && answer.contentType.includes('as=APIGroupDiscoveryList')) {
      const versions = versionsOf(readJson(answer.body.toString('utf8')));
      this.documents.set(key, { etag: answer.etag, versions });
      return found(versions.get(own));
    }
    // Servers from before the aggregated document; and those that know nothing but their own version.
    const older = await caller.ask(api, caller.place(api), {
      ...request,
      path: pathOf(api),
      accept: 'application/json',
    });
    if (older.code !== 200) throw new Error(`failed to download discovery for ${pathOf(api)}: ${older.code}`);
    return olderWords(readJson(older.body.toString('utf8')));
  }
}

function found(words: readonly JsonObject[] | undefined): readonly JsonObject[] {
  if (words === undefined) throw new Error('the server does not tell of this version');
  return words;
}

function remoteNamed(apis: RegisteredApis, name: string): RemoteApi | undefined {
  for (const api of apis.remotes()) if (api.name === name) return api;
  return undefined;
}

function serviceKey({ service: { namespace, name, port } }: RemoteApi): string {
  return `${namespace}/${name}:${port}`;
}

/** Resources of all versions of an aggregated document, by `group/version`. */
function versionsOf(document: Json): ReadonlyMap<string, readonly JsonObject[]> {
  const versions = new Map<string, readonly JsonObject[]>();
  for (const group of objects(document, 'items')) {
    const metadata = group['metadata'];
    const name = isJsonObject(metadata) ? textOf(metadata, 'name') : '';
    for (const version of objects(group, 'versions')) {
      versions.set(
        `${name}/${textOf(version, 'version')}`,
        objects(version, 'resources').slice(0, RESOURCES_MAX).flatMap(resourceWords),
      );
    }
  }
  return versions;
}

/** What we tell of a resource: the members that there are, and no others. */
function resourceWords(resource: JsonObject): JsonObject[] {
  const name = textOf(resource, 'resource');
  if (name === '') return [];
  const subresources = objects(resource, 'subresources').flatMap((subresource) => {
    const subresourceName = textOf(subresource, 'subresource');
    return subresourceName === ''
      ? []
      : [
          {
            subresource: subresourceName,
            responseKind: kindWords(subresource['responseKind']),
            verbs: texts(subresource, 'verbs'),
          },
        ];
  });
  return [
    {
      resource: name,
      responseKind: kindWords(resource['responseKind']),
      scope: textOf(resource, 'scope') === 'Namespaced' ? 'Namespaced' : 'Cluster',
      singularResource: textOf(resource, 'singularResource'),
      verbs: texts(resource, 'verbs'),
      ...more(resource, subresources),
    },
  ];
}

/** An APIResourceList in the words of the aggregated document. */
function olderWords(list: Json): JsonObject[] {
  const entries = objects(list, 'resources').slice(0, RESOURCES_MAX);
  const below = new Map<string, JsonObject[]>();
  for (const entry of entries) {
    const [parent, subresource = ''] = textOf(entry, 'name').split('/', 2);
    if (subresource === '') continue;
    const known = below.get(parent) ?? [];
    known.push({ subresource, responseKind: kindWords(entry), verbs: texts(entry, 'verbs') });
    below.set(parent, known);
  }
  return entries.flatMap((entry) => {
    const name = textOf(entry, 'name');
    if (name === '' || name.includes('/')) return [];
    return [
      {
        resource: name,
        responseKind: kindWords(entry),
        scope: entry['namespaced'] === true ? 'Namespaced' : 'Cluster',
        singularResource: textOf(entry, 'singularName'),
        verbs: texts(entry, 'verbs'),
        ...more(entry, below.get(name) ?? []),
      },
    ];
  });
}

/** Members that are left out where there is nothing to say. */
function more(resource: JsonObject, subresources: readonly JsonObject[]): JsonObject {
  const shortNames = texts(resource, 'shortNames');
  const categories = texts(resource, 'categories');
  return {
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
    ...(subresources.length > 0 && { subresources }),
  };
}

function kindWords(value: Json | undefined): JsonObject {
  const from = isJsonObject(value) ? value : {};
  return { group: textOf(from, 'group'), version: textOf(from, 'version'), kind: textOf(from, 'kind') };
}

function objects(value: Json | undefined, name: string): JsonObject[] {
  const list = isJsonObject(value) ? value[name] : undefined;
  return Array.isArray(list) ? list.filter((item) => isJsonObject(item)) : [];
}

function texts(from: JsonObject, name: string): string[] {
  const list = from[name];
  return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
}

function textOf(from: JsonObject, name: string): string {
  const value = from[name];
  return typeof value === 'string' ? value : '';
}
