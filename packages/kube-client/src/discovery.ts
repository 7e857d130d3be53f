/**
 * What a server serves: groups, versions, resources and kinds, from the aggregated documents or, where a server has
 * none, from the older ones. Asked again, it costs two requests that answer "not modified" as long as nothing changed.
 *
 * Modelled on client-go's discovery client and REST mapper.
 */

import { hasReason, KubeError } from './kube-error.ts';
import { apiVersionOf, isRecord, type Resource } from './objects.ts';
import type { RestClient } from './rest-client.ts';

export interface ServedResource extends Resource {
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

export interface Served {
  /** Every version of every resource, in the order of the server's preference; no subresources. */
  readonly all: readonly ServedResource[];
  /** Each resource once, in the version the server prefers. */
  readonly preferred: readonly ServedResource[];
  /** apiVersions whose resources are not known now, and why. */
  readonly failures: ReadonlyMap<string, string>;
  /** By `apiVersion kind`. */
  readonly kinds: ReadonlyMap<string, ServedResource>;
}

/** Some groups could not be asked; what is known of the others stands in `served`. */
export function discoveryFailure({ failures }: Served): string {
  const parts = [...failures].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `unable to retrieve the complete list of server APIs: ${parts
    .map(([version, reason]) => `${version}: ${reason}`)
    .join(', ')}`;
}

const AGGREGATED =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';

interface Document {
  readonly etag: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export class Discovery {
  private readonly client: RestClient;
  private readonly documents = new Map<string, Document>();
  private known: Served | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(client: RestClient) {
    this.client = client;
  }

  /** What was found last; asks if nobody did yet. */
  async served(): Promise<Served> {
    return this.known ?? (await this.refresh());
  }

  /**
   * Asks the server.
   *
   * @returns the same value as the last time when nothing changed
   * @throws KubeError when nothing at all can be learned
   */
  refresh(signal?: AbortSignal): Promise<Served> {
    // One after the other: what one is told has changed, the next one must not take for known.
    const asking = this.last.then(() => this.ask(signal));
    this.last = asking.catch(() => undefined);
    return asking;
  }

  private async ask(signal: AbortSignal | undefined): Promise<Served> {
    const core = await this.document('/api', signal);
    const groups = await this.document('/apis', signal);
    const { known } = this;
    if (known !== undefined && known.failures.size === 0 && core.same && groups.same) return known;
    const all: ServedResource[] = [];
    const failures = new Map<string, string>();
    for (const [json, legacy] of [
      [core.json, (value: typeof core.json) => this.legacyCore(value, all, failures, signal)],
      [groups.json, (value: typeof core.json) => this.legacyGroups(value, all, failures, signal)],
    ] as const) {
      if (json['kind'] === 'APIGroupDiscoveryList') readAggregated(json, all, failures);
      else await legacy(json);
    }
    const served: Served = { all, failures, preferred: preferredOf(all), kinds: kindsOf(all) };
    this.known = served;
    return served;
  }

  /**
   * The resource of a kind.
   *
   * @returns undefined for a kind that is not served, as far as is known; refresh() may know more
   */
  async resourceOf(apiVersion: string, kind: string): Promise<ServedResource | undefined> {
    return (await this.served()).kinds.get(`${apiVersion} ${kind}`);
  }

  private async document(
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly json: Document['json']; readonly same: boolean }> {
    const before = this.documents.get(path);
    const { code, headers, json } = await this.client.raw('GET', path, {
      accept: AGGREGATED,
      ...(before === undefined ? {} : { headers: { 'if-none-match': before.etag } }),
      signal,
    });
    if (code === 304 && before !== undefined) return { json: before.json, same: true };
    if (!isRecord(json)) throw new KubeError('PROTOCOL', `${path} is no discovery document`);
    const etag = headers.get('etag')?.[0];
    // Only of an aggregated document the tag covers all that follows from it.
    if (etag !== undefined && json['kind'] === 'APIGroupDiscoveryList')
      this.documents.set(path, { etag, json });
    else this.documents.delete(path);
    return { json, same: before !== undefined && etag === before.etag };
  }

  private async legacyCore(
    json: Document['json'],
    all: ServedResource[],
    failures: Map<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const version of textsOf(json['versions'])) {
      await this.legacyVersion('', version, `/api/${version}`, all, failures, signal);
    }
  }

  private async legacyGroups(
    json: Document['json'],
    all: ServedResource[],
    failures: Map<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const group of recordsOf(json['groups'])) {
      const name = textOf(group['name']);
      const preferred = isRecord(group['preferredVersion'])
        ? textOf(group['preferredVersion']['version'])
        : '';
      const versions = recordsOf(group['versions']).map((version) => textOf(version['version']));
      for (const version of new Set([preferred, ...versions])) {
        if (version === '') continue;
        await this.legacyVersion(name, version, `/apis/${name}/${version}`, all, failures, signal);
      }
    }
  }

  private async legacyVersion(
    group: string,
    version: string,
    path: string,
    all: ServedResource[],
    failures: Map<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      const { json } = await this.client.raw('GET', path, { signal });
      for (const resource of recordsOf(isRecord(json) ? json['resources'] : undefined)) {
        const name = textOf(resource['name']);
        if (name.includes('/')) continue;
        all.push({
          group,
          version,
          resource: name,
          kind: textOf(resource['kind']),
          namespaced: resource['namespaced'] === true,
          verbs: textsOf(resource['verbs']),
        });
      }
    } catch (error) {
      if (!(error instanceof KubeError) || error.code === 'CANCELLED') throw error;
      // A version that went away between the two requests is no failure.
      if (!hasReason(error, 'NotFound')) failures.set(apiVersionOf(group, version), error.message);
    }
  }
}

function readAggregated(json: Document['json'], all: ServedResource[], failures: Map<string, string>): void {
  for (const item of recordsOf(json['items'])) {
    const group = isRecord(item['metadata']) ? textOf(item['metadata']['name']) : '';
    for (const served of recordsOf(item['versions'])) {
      const version = textOf(served['version']);
      if (served['freshness'] === 'Stale') {
        failures.set(
          apiVersionOf(group, version),
          `stale GroupVersion discovery: ${apiVersionOf(group, version)}`,
        );
        continue;
      }
      for (const resource of recordsOf(served['resources'])) {
        const kind = isRecord(resource['responseKind']) ? textOf(resource['responseKind']['kind']) : '';
        // Without a kind only its subresources are served.
        if (kind === '') continue;
        all.push({
          group,
          version,
          resource: textOf(resource['resource']),
          kind,
          namespaced: resource['scope'] === 'Namespaced',
          verbs: textsOf(resource['verbs']),
        });
      }
    }
  }
}

function preferredOf(all: readonly ServedResource[]): ServedResource[] {
  const found = new Map<string, ServedResource>();
  for (const one of all) {
    const key = `${one.group}/${one.resource}`;
    if (!found.has(key)) found.set(key, one);
  }
  return [...found.values()];
}

function kindsOf(all: readonly ServedResource[]): Map<string, ServedResource> {
  const kinds = new Map<string, ServedResource>();
  for (const one of all) {
    const key = `${apiVersionOf(one.group, one.version)} ${one.kind}`;
    // What can be read stands for the kind, not what merely answers with it (bindings).
    const before = kinds.get(key);
    if (before === undefined || (!before.verbs.includes('get') && one.verbs.includes('get')))
      kinds.set(key, one);
  }
  return kinds;
}

function recordsOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter((one) => isRecord(one)) : [];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
