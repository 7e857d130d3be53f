/**
 * The form of the policy cases in testdata/policies, and how one is run: policies with their bindings, a cluster, a
 * request, and what becomes of it. Each group names the upstream table or rule it covers.
 */

import { readFileSync } from 'node:fs';

import { type Clock, systemClock } from '@keelson/base';

import { mutates, validates, type Operation } from '../src/admission/admission.ts';
import { AdmissionChain } from '../src/admission/chain.ts';
import { defaultPlugins } from '../src/admission/default-plugins.ts';
import type { PluginContext } from '../src/admission/plugin-context.ts';
import { PolicyObjects } from '../src/admission/policies/policy-objects.ts';
import type { ResourceVersions } from '../src/admission/webhooks/resource-versions.ts';
import type { Json, JsonObject } from '../src/api/json.ts';
import type { KubeObject } from '../src/api/meta.ts';
import { ApiError } from '../src/api/status.ts';
import { readYaml } from '../src/codec/yaml.ts';
import { asObject, typeName } from '../src/codec/object-codec.ts';
import { conform } from '../src/codec/typed.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { allowing, attributesFor, Cluster, pluginContext } from './admission-cluster.ts';

export interface PolicyCase {
  readonly name: string;
  /** Of one policy `p`; what is not said is as below. */
  readonly policy?: JsonObject;
  /** Further ones, by name. */
  readonly policies?: Readonly<Record<string, JsonObject>>;
  /** Of one binding `b`; null: there is none. */
  readonly binding?: JsonObject | null;
  /** Further ones, by name. */
  readonly bindings?: Readonly<Record<string, JsonObject>>;
  readonly cluster?: readonly KubeObject[];
  /** What authorization allows, see allowing(). */
  readonly allowed?: readonly string[];
  readonly operation?: Operation;
  /** Laid over a pod `web` in `ns`; null: there is none. */
  readonly object?: JsonObject | null;
  readonly old?: JsonObject;
  readonly subresource?: string;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly dryRun?: boolean;
  /** What it is refused with; absent: it is let in. */
  readonly refused?: {
    readonly code?: number;
    readonly reason?: string;
    readonly message: string;
    readonly causes?: Json;
  };
  readonly warnings?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  /** `policy binding error action`, in order. */
  readonly counted?: readonly string[];
  /** What the object has afterwards: each member that is named, null for one that is not there. */
  readonly after?: Json;
}

export interface PolicyGroup {
  readonly covers: string;
  readonly cases: readonly PolicyCase[];
}

export function readPolicyCases(name: string): readonly PolicyGroup[] {
  const text = readFileSync(new URL(`./testdata/policies/${name}.yaml`, import.meta.url), 'utf8');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own data
  return readYaml(text) as unknown as readonly PolicyGroup[];
}

const EVERYTHING = {
  matchPolicy: 'Equivalent',
  namespaceSelector: {},
  objectSelector: {},
  resourceRules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }],
};
const GROUP = 'admissionregistration.k8s.io/v1';
const NAMESPACE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'ns', labels: { team: 'a' } },
};
const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'ns' } };

function merged(base: JsonObject, over: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const own = result[name];
    result[name] = isPlain(own) && isPlain(value) ? merged(own, value) : value;
  }
  return result;
}

function isPlain(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** No slice of work is ever over by it: what was decided at once does not depend on how busy the machine is. */
const STILL_CLOCK: Clock = { ...systemClock, monotonicMs: () => 0 };

export interface PolicyRun {
  readonly object: KubeObject | undefined;
  readonly refused: ApiError | undefined;
  readonly warnings: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly counted: readonly string[];
  /** Whether it was decided without waiting for anything. */
  readonly atOnce: boolean;
}

/** Two names of the same objects, and forms as they are. */
export function testVersions(types: TypeTable): ResourceVersions {
  return {
    schema: ({ kind }) => types.struct(typeName(kind)),
    equivalents: ({ resource, group }) =>
      resource === 'events'
        ? [group === '' ? 'events.k8s.io' : ''].map((other) => ({
            resource: { group: other, version: 'v1', resource: 'events' },
            kind: { group: other, version: 'v1', kind: 'Event' },
          }))
        : [],
    show: (object, { kind }) =>
      kind.kind === 'Event'
        ? { ...object, apiVersion: kind.group === '' ? 'v1' : `${kind.group}/v1` }
        : object,
    take: (value, { kind }, unknown) =>
      asObject(
        conform(types.struct(typeName(kind)), value, {
          schemaProps: types.struct('apiextensions.v1.JSONSchemaProps'),
          ...(unknown === undefined ? {} : { unknown }),
        }),
      ),
  };
}

export function policyContextOf(
  data: PolicyCase,
  sort: 'validating' | 'mutating',
): { readonly context: PluginContext; readonly counted: string[] } {
  const objects = new PolicyObjects();
  const kind = sort === 'validating' ? 'ValidatingAdmissionPolicy' : 'MutatingAdmissionPolicy';
  const cache = objects[sort];
  const defaults: JsonObject =
    sort === 'validating'
      ? { failurePolicy: 'Fail', matchConstraints: EVERYTHING }
      : { failurePolicy: 'Fail', matchConstraints: EVERYTHING, reinvocationPolicy: 'Never' };
  const { policy = {}, policies = {}, binding = {}, bindings = {} } = data;
  for (const [name, spec] of Object.entries({ p: policy, ...policies })) {
    cache.policies.put({
      apiVersion: GROUP,
      kind,
      metadata: { name, uid: name, generation: 1 },
      spec: merged(defaults, spec),
    });
  }
  for (const [name, spec] of Object.entries({ ...(binding === null ? {} : { b: binding }), ...bindings })) {
    cache.bindings.put({
      apiVersion: GROUP,
      kind: `${kind}Binding`,
      metadata: { name, uid: name, generation: 1 },
      spec: { policyName: 'p', ...(sort === 'validating' ? { validationActions: ['Deny'] } : {}), ...spec },
    });
  }
  const cluster = new Cluster([NAMESPACE, ...(data.cluster ?? [])]);
  objects.followed.find(({ resource }) => resource === 'namespaces')?.handler.put(cluster.put(NAMESPACE));
  const counted: string[] = [];
  const base = pluginContext({ cluster, clock: STILL_CLOCK, authorizer: allowing(data.allowed ?? []) });
  return {
    counted,
    context: {
      ...base,
      policies: {
        objects,
        versions: testVersions(new TypeTable()),
        observer: {
          validated: ({ policy: name, binding: bound, error }, action) =>
            counted.push(`${name} ${bound} ${error} ${action}`),
          mutated: ({ policy: name, binding: bound, error }) => counted.push(`${name} ${bound} ${error}`),
        },
      },
      conditions: {
        failed: ({ name }) => counted.push(`${name} condition failed`),
        excluded: ({ name }) => counted.push(`${name} excluded`),
        evaluated: () => undefined,
      },
    },
  };
}

export async function runPolicyCase(data: PolicyCase, sort: 'validating' | 'mutating'): Promise<PolicyRun> {
  const { context, counted } = policyContextOf(data, sort);
  const name = sort === 'validating' ? 'ValidatingAdmissionPolicy' : 'MutatingAdmissionPolicy';
  const plugins = defaultPlugins(context).filter((plugin) => plugin.name === name);
  const chain = new AdmissionChain(plugins);
  const { operation = 'CREATE', object = {} } = data;
  const about = object === null ? undefined : asObject(merged(POD, object));
  const attributes = attributesFor({
    operation,
    object: operation === 'DELETE' ? undefined : about,
    oldObject:
      data.old === undefined
        ? operation === 'CREATE' || operation === 'CONNECT'
          ? undefined
          : about
        : asObject(merged(POD, data.old)),
    subresource: data.subresource ?? '',
    dryRun: data.dryRun ?? false,
    user: {
      name: data.user ?? 'jane',
      uid: '',
      groups: data.groups ?? ['system:authenticated'],
      extra: {},
    },
  });
  let admitted: KubeObject | undefined = attributes.object;
  let refused: ApiError | undefined;
  let atOnce = true;
  try {
    const [plugin] = plugins;
    if (plugin !== undefined && validates(plugin)) {
      const pending = plugin.validate(attributes);
      atOnce = pending === undefined;
      await pending;
    } else if (plugin !== undefined && mutates(plugin)) admitted = await chain.mutate(attributes);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    refused = error;
  }
  const { warnings, annotations } = attributes;
  return { object: admitted, refused, warnings, annotations, counted, atOnce };
}
