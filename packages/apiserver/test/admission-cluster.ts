/**
 * A cluster of a few objects for tests of admission: look-ups answered from memory, and the attributes of a request
 * as the handlers would make them.
 */

import { Prng, systemClock, type Clock } from '@keelson/base';

import type { AdmissionAttributes, Operation } from '../src/admission/admission.ts';
import type { PluginContext, PluginSettings } from '../src/admission/plugin-context.ts';
import { objectLookup, type ObjectLookup, type ResourceLookup } from '../src/admission/resource-lookup.ts';
import { describeResource, parseApiVersion, type GroupResource, type KubeObject } from '../src/api/meta.ts';
import { Turns } from '../src/flowcontrol/turns.ts';
import { eventLoop } from '../src/http/event-loop.ts';
import { requestInfo } from '../src/api/request-info.ts';
import { alreadyExists, conflict, notFound } from '../src/api/status.ts';
import type { AuthorizationAttributes, Authorizer, UserInfo } from '../src/api/user-info.ts';

/** Kinds of the tests' clusters, by the names of their resources. */
const RESOURCES: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  Pod: 'pods',
  Node: 'nodes',
  LimitRange: 'limitranges',
  ServiceAccount: 'serviceaccounts',
  ResourceQuota: 'resourcequotas',
  PersistentVolume: 'persistentvolumes',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  PriorityClass: 'priorityclasses',
  StorageClass: 'storageclasses',
  CSIDriver: 'csidrivers',
  RuntimeClass: 'runtimeclasses',
  IngressClass: 'ingressclasses',
  Deployment: 'deployments',
  Service: 'services',
  EndpointSlice: 'endpointslices',
  Event: 'events',
  ConfigMap: 'configmaps',
  MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
  ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
};

const CLUSTER_WIDE: ReadonlySet<string> = new Set([
  'namespaces',
  'nodes',
  'priorityclasses',
  'storageclasses',
]);

function resourceOf({ apiVersion, kind }: KubeObject): GroupResource {
  return { group: parseApiVersion(apiVersion)?.group ?? '', resource: RESOURCES[kind] ?? kind.toLowerCase() };
}

/** Objects by resource and `namespace/name`; a resource is served when the tests know its kind. */
export class Cluster implements ResourceLookup {
  /** Names (`resource namespace/name`) the cache does not know yet. */
  readonly unseen = new Set<string>();
  /** Called before each status write with the quota's name: to overtake it. */
  beforeChange: ((name: string) => void) | undefined;
  statusWrites = 0;
  private readonly objects = new Map<string, Map<string, KubeObject>>();
  private revision = 1;

  constructor(objects: readonly KubeObject[] = []) {
    for (const object of objects) this.put(object);
  }

  put(object: KubeObject): KubeObject {
    const resource = describeResource(resourceOf(object));
    const { namespace = '', name = '' } = object.metadata;
    const kept = this.objects.get(resource) ?? new Map<string, KubeObject>();
    this.objects.set(resource, kept);
    this.revision += 1;
    const metadata = { uid: `uid-${name}`, ...object.metadata, resourceVersion: String(this.revision) };
    const stored = { ...object, metadata };
    kept.set(`${namespace}/${name}`, stored);
    return stored;
  }

  of(resource: GroupResource): ObjectLookup | undefined {
    const name = describeResource(resource);
    const kept = (): Map<string, KubeObject> => this.objects.get(name) ?? new Map<string, KubeObject>();
    const seen = (key: string, cached: boolean): boolean => !cached || !this.unseen.has(`${name} ${key}`);
    return objectLookup(
      {
        read: (namespace, object, { resourceVersion }) => {
          const key = `${namespace}/${object}`;
          const found = kept().get(key);
          return found === undefined || !seen(key, resourceVersion === '0')
            ? Promise.reject(notFound(resource, object))
            : Promise.resolve({ value: found });
        },
        page: (namespace, { resourceVersion }) =>
          Promise.resolve({
            objects: [...kept()]
              .filter(([key]) => namespace === '' || key.startsWith(`${namespace}/`))
              .filter(([key]) => seen(key, resourceVersion === '0'))
              .map(([, value]) => ({ value })),
          }),
        create: (namespace, object) => {
          if (kept().has(`${namespace}/${object.metadata.name}`)) {
            return Promise.reject(alreadyExists(resource, object.metadata.name ?? ''));
          }
          return Promise.resolve(this.put(object));
        },
      },
      async (namespace, object, change) => {
        await Promise.resolve();
        this.beforeChange?.(object);
        const current = kept().get(`${namespace}/${object}`);
        if (current === undefined) throw notFound(resource, object);
        const next = change(current);
        await Promise.resolve();
        if (kept().get(`${namespace}/${object}`) !== current) throw conflict(resource, object, 'overtaken');
        this.statusWrites += 1;
        return this.put(next);
      },
    );
  }

  scopeOf({ resource }: GroupResource): 'Namespaced' | 'Cluster' | undefined {
    if (!Object.values(RESOURCES).includes(resource)) return undefined;
    return CLUSTER_WIDE.has(resource) ? 'Cluster' : 'Namespaced';
  }

  resourcesOf({ group, version, kind }: { group: string; version: string; kind: string }): {
    group: string;
    version: string;
    resource: string;
  }[] {
    return Object.hasOwn(RESOURCES, kind) ? [{ group, version, resource: RESOURCES[kind] }] : [];
  }
}

/** Allows what is listed as `verb resource[/subresource][ name]`. */
export function allowing(allowed: readonly string[]): Authorizer & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    authorize({ verb, resource, subresource, name }: AuthorizationAttributes) {
      const what = `${verb} ${resource}${subresource === '' ? '' : `/${subresource}`}`;
      asked.push(`${what} ${name}`);
      const yes = allowed.includes(what) || allowed.includes(`${what} ${name}`);
      return Promise.resolve(
        yes ? { kind: 'allow', reason: '' } : { kind: 'no-opinion', reason: 'no rule matched' },
      );
    },
  };
}

export interface ContextOptions {
  readonly cluster?: Cluster;
  readonly settings?: PluginSettings;
  readonly authorizer?: Authorizer;
  readonly clock?: Clock;
}

export function pluginContext(options: ContextOptions = {}): PluginContext {
  const prng = new Prng(11);
  return {
    lookup: options.cluster ?? new Cluster(),
    authorizer: options.authorizer ?? allowing([]),
    clock: options.clock ?? systemClock,
    turns: new Turns(eventLoop),
    random: (limit) => prng.below(limit),
    settings: options.settings ?? {},
  };
}

export interface RequestOptions {
  readonly operation?: Operation;
  readonly object?: KubeObject | undefined;
  readonly oldObject?: KubeObject | undefined;
  /** The plural name; guessed from the object's kind where it is known. */
  readonly resource?: string;
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly user?: UserInfo;
  readonly dryRun?: boolean;
  readonly options?: KubeObject;
}

export interface Told {
  readonly warnings: string[];
  readonly annotations: Record<string, string>;
}

export function attributesFor(request: RequestOptions): AdmissionAttributes & Told {
  const { object, oldObject } = request;
  const about = object ?? oldObject;
  const guessed = about === undefined ? { group: '', resource: '' } : resourceOf(about);
  const version = about === undefined ? 'v1' : (parseApiVersion(about.apiVersion)?.version ?? 'v1');
  const warnings: string[] = [];
  const annotations: Record<string, string> = {};
  const group = request.group ?? guessed.group;
  return {
    operation: request.operation ?? 'CREATE',
    kind: { group, version: request.version ?? version, kind: request.kind ?? about?.kind ?? '' },
    resource: { group, version: request.version ?? version, resource: request.resource ?? guessed.resource },
    subresource: request.subresource ?? '',
    namespace: request.namespace ?? about?.metadata.namespace ?? '',
    name: request.name ?? about?.metadata.name ?? '',
    object,
    oldObject,
    options: request.options,
    dryRun: request.dryRun ?? false,
    user: request.user ?? { name: 'jane', uid: '', groups: ['system:authenticated'], extra: {} },
    info: requestInfo('POST', '/', [], new URLSearchParams()),
    signal: new AbortController().signal,
    convert: (value) => value,
    warn: (text) => warnings.push(text),
    annotate: (key, value) => {
      annotations[key] ??= value;
    },
    warnings,
    annotations,
  };
}
