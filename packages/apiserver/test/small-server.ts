/**
 * A whole API server for tests: memory storage, a handful of kinds with the least a kind may say, everything
 * allowed, nothing random that a test could not repeat.
 */

import { Prng, silentLogger, systemClock, type Clock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import { AdmissionChain } from '../src/admission/chain.ts';
import type { AdmissionPlugin } from '../src/admission/admission.ts';
import type { Json, JsonObject } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import type { UserInfo } from '../src/api/user-info.ts';
import type { ConversionCalls } from '../src/crd/webhook-converter.ts';
import { readJson } from '../src/codec/json-reader.ts';
import { firstGeneration, keepField, nextGeneration, withoutField } from '../src/registry/generation.ts';
import { ALL_VERBS, UPDATE_VERBS, type ResourceDefinition } from '../src/registry/resource.ts';
import type { Strategy } from '../src/registry/strategy.ts';
import { ApiServer } from '../src/server.ts';
import { MemoryBackend } from '../src/storage/memory-storage.ts';
import type { CallOptions } from '../src/http/in-process.ts';

const PLAIN: Strategy = { validate: () => [], validateUpdate: () => [] };

/** ConfigMaps: data, no spec, no status. */
export const CONFIG_MAPS: ResourceDefinition = {
  group: '',
  resource: 'configmaps',
  singular: 'configmap',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  categories: [],
  scope: 'Namespaced',
  versions: [{ version: 'v1', typeName: 'core.v1.ConfigMap' }],
  verbs: ALL_VERBS,
  backing: { kind: 'stored', keyPrefix: 'configmaps', version: { group: '', version: 'v1' } },
  strategy: PLAIN,
  subresources: [],
};

/** Namespaces, as far as their deletion waits for spec.finalizers. */
export const NAMESPACES: ResourceDefinition = {
  group: '',
  resource: 'namespaces',
  singular: 'namespace',
  kind: 'Namespace',
  shortNames: ['ns'],
  categories: [],
  scope: 'Cluster',
  versions: [{ version: 'v1', typeName: 'core.v1.Namespace' }],
  verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'),
  backing: { kind: 'stored', keyPrefix: 'namespaces', version: { group: '', version: 'v1' } },
  strategy: {
    ...PLAIN,
    prepareForCreate: (object) => ({
      ...object,
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    }),
    prepareForUpdate: (object, old) => keepField(keepField(object, old, 'spec'), old, 'status'),
  },
  subresources: [
    {
      name: 'finalize',
      verbs: ['update'],
      backing: {
        kind: 'update',
        strategy: {
          prepareForUpdate: (object, old) => keepField(object, old, 'status'),
          validateUpdate: () => [],
        },
      },
    },
  ],
  selectable: {
    names: ['status.phase'],
    values: (object) => ({ 'status.phase': text(member(object, 'status', 'phase')) }),
  },
  hooks: {
    removable: (object) => ((member(object, 'spec', 'finalizers') as Json[] | undefined) ?? []).length === 0,
    terminating: (object) => ({ ...object, status: { phase: 'Terminating' } }),
  },
  returnsDeletedObject: true,
};

/** Deployments: a generation, a status, a scale. */
export const DEPLOYMENTS: ResourceDefinition = {
  group: 'apps',
  resource: 'deployments',
  singular: 'deployment',
  kind: 'Deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  scope: 'Namespaced',
  versions: [{ version: 'v1', typeName: 'apps.v1.Deployment' }],
  verbs: ALL_VERBS,
  backing: { kind: 'stored', keyPrefix: 'deployments', version: { group: 'apps', version: 'v1' } },
  strategy: {
    prepareForCreate: (object) => firstGeneration({ ...withoutField(object, 'status'), status: {} }),
    prepareForUpdate: (object, old) => nextGeneration(keepField(object, old, 'status'), old),
    validate: (object) =>
      Number(member(object, 'spec', 'replicas') ?? 0) < 0
        ? [
            {
              type: 'FieldValueInvalid',
              field: 'spec.replicas',
              body: `Invalid value: ${String(member(object, 'spec', 'replicas'))}: must be greater than or equal to 0`,
            },
          ]
        : [],
    validateUpdate: () => [],
    resetFields: [['status']],
  },
  subresources: [
    {
      name: 'status',
      verbs: UPDATE_VERBS,
      backing: {
        kind: 'update',
        strategy: {
          prepareForUpdate: (object, old) => keepField(object, old, 'spec'),
          validateUpdate: () => [],
          resetFields: [['spec']],
        },
      },
    },
    {
      name: 'scale',
      kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      typeName: 'autoscaling.v1.Scale',
      verbs: UPDATE_VERBS,
      backing: {
        kind: 'scale',
        fields: {
          specReplicas: ['spec', 'replicas'],
          statusReplicas: ['status', 'replicas'],
          selector: () => 'app=web',
        },
      },
    },
  ],
};

/** Pods, as far as they die by degrees. */
export const PODS: ResourceDefinition = {
  group: '',
  resource: 'pods',
  singular: 'pod',
  kind: 'Pod',
  shortNames: ['po'],
  categories: ['all'],
  scope: 'Namespaced',
  versions: [{ version: 'v1', typeName: 'core.v1.Pod' }],
  verbs: ALL_VERBS,
  backing: { kind: 'stored', keyPrefix: 'pods', version: { group: '', version: 'v1' } },
  strategy: {
    ...PLAIN,
    prepareForCreate: (object) => firstGeneration({ ...object, status: { phase: 'Pending' } }),
    checkGracefulDelete: (_object, seconds) => seconds ?? 30,
  },
  subresources: [],
  returnsDeletedObject: true,
};

/** Kinds that must say which version they change. */
export const LEASES: ResourceDefinition = {
  group: 'coordination.k8s.io',
  resource: 'leases',
  singular: 'lease',
  kind: 'Lease',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  versions: [{ version: 'v1', typeName: 'coordination.v1.Lease' }],
  verbs: ALL_VERBS,
  backing: {
    kind: 'stored',
    keyPrefix: 'leases',
    version: { group: 'coordination.k8s.io', version: 'v1' },
  },
  strategy: { ...PLAIN, allowCreateOnUpdate: true, allowUnconditionalUpdate: false },
  subresources: [],
};

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A member of a member. */
export function member(object: KubeObject, ...path: readonly string[]): unknown {
  let at: unknown = object;
  for (const name of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined;
  return at;
}

export interface SmallServer {
  readonly server: ApiServer;
  readonly backend: MemoryBackend;
  /** Sends JSON, gets JSON; a text where the answer is none. */
  ask(method: string, target: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  stop(): Promise<void>;
}

export interface Answer {
  readonly code: number;
  readonly json: KubeObject & JsonObject;
  readonly text: string;
  readonly warnings: readonly string[];
}

export interface SmallServerOptions {
  readonly plugins?: readonly AdmissionPlugin[];
  readonly clock?: Clock;
  /** `built-in`: all of Kubernetes' own. */
  readonly resources?: readonly ResourceDefinition[] | 'built-in';
  readonly random?: (limit: number) => number;
  readonly conversionCalls?: ConversionCalls;
  readonly runtimeConfig?: ReadonlyMap<string, boolean>;
  readonly featureGates?: ReadonlyMap<string, boolean>;
  /** Who asks; nobody unless said. */
  readonly user?: UserInfo;
  /** The store, which other servers may share; one of its own unless said. */
  readonly backend?: MemoryBackend;
}

export function smallServer(options: SmallServerOptions = {}): SmallServer {
  const clock = options.clock ?? systemClock;
  const backend = options.backend ?? new MemoryBackend({ clock });
  const prng = new Prng(7);
  let serial = 0;
  const server = new ApiServer({
    backend,
    clock,
    logger: silentLogger,
    uuid: () => `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`,
    random: options.random ?? ((limit) => prng.below(limit)),
    ...(options.resources === 'built-in'
      ? {}
      : { resources: options.resources ?? [CONFIG_MAPS, NAMESPACES, DEPLOYMENTS, PODS, LEASES] }),
    ...(options.runtimeConfig === undefined ? {} : { runtimeConfig: options.runtimeConfig }),
    ...(options.featureGates === undefined ? {} : { featureGates: options.featureGates }),
    ...(options.conversionCalls === undefined ? {} : { conversionCalls: options.conversionCalls }),
    admission: new AdmissionChain(options.plugins ?? []),
    authenticate: (request, next) => {
      request.context.user = options.user;
      return next(request);
    },
  });
  return {
    server,
    backend,
    async ask(method, target, body, headers = {}) {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const bytes =
        body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const call: CallOptions = {
        method,
        headers: {
          'user-agent': 'test/1',
          ...(bytes === undefined ? {} : { 'content-type': type, 'content-length': String(bytes.length) }),
          ...headers,
        },
        ...(bytes === undefined ? {} : { body: bytes }),
      };
      const answer = await server.call(target, call);
      const text = (await answer.bytes()).toString('utf8');
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tests look at what they asked for
      const json = (text.startsWith('{') ? readJson(text) : {}) as KubeObject & JsonObject;
      return { code: answer.code, json, text, warnings: answer.headers.get('warning') ?? [] };
    },
    stop: () => server.stop(1_000),
  };
}

/** All of Kubernetes' own resources, custom ones served as they are defined, and the namespace `default`. */
export async function customServer(options: SmallServerOptions = {}): Promise<SmallServer> {
  const small = smallServer({ resources: 'built-in', ...options });
  small.server.customResources?.start();
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  await small.ask('POST', '/api/v1/namespaces', namespace);
  return small;
}

/** Asks until the answer is as it should become. */
export async function answered(
  ask: () => Promise<Answer>,
  good: (answer: Answer) => boolean,
): Promise<Answer> {
  let last = await ask();
  if (good(last)) return last;
  await until(
    async () => good((last = await ask())),
    () => `the answer is as it should become; it is ${last.code} ${last.text}`,
  );
  return last;
}
