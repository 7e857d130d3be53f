/**
 * The built-in kinds as the flags have them: networks of services, how long events live, how kubelets are reached,
 * whether containers may be privileged.
 */

import type { Clock } from '@keelson/base';

import type { GroupVersionKind } from '../api/meta.ts';
import type { Authorizer } from '../api/user-info.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ServerConfig } from '../options/config.ts';
import type { BackendCaller } from '../outbound/backend-caller.ts';
import { admissionLookup } from '../registry/admission-lookup.ts';
import { withParamAccess } from '../registry/admissionregistration/param-access.ts';
import { componentStatuses } from '../registry/core/componentstatuses.ts';
import { builtInResources } from '../registry/kinds/built-in.ts';
import { unprivileged } from '../registry/kinds/unprivileged.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { Scheme } from '../registry/scheme.ts';
import type { TypeTable } from '../schema/type-table.ts';
import type { StorageBackend } from '../storage/storage.ts';
import { allocationMetrics } from './allocation-metrics.ts';
import { makeNodeConnector } from './node-connector.ts';

export interface KindParts {
  readonly config: Pick<
    ServerConfig,
    'serviceNetworks' | 'nodePorts' | 'eventTtlSeconds' | 'kubelets' | 'allowPrivileged'
  >;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly readFile: (path: string) => string;
  /** Of what is handed on to nodes. */
  readonly caller: BackendCaller;
  readonly authorizer: Authorizer;
  readonly backend: StorageBackend;
  /** Asked at each request: the scheme is made of these kinds. */
  readonly scheme: () => Scheme;
}

export function builtInKinds(types: TypeTable, parts: KindParts): ResourceDefinition[] {
  const { config, clock, readFile, caller, authorizer, backend } = parts;
  const { serviceNetworks: networks, nodePorts, eventTtlSeconds } = config;
  const connector = makeNodeConnector({ config: config.kubelets, caller, clock, readFile, authorizer });
  const ranges = { networks, nodePorts, observer: allocationMetrics(parts.metrics, clock) };
  const builtIn = builtInResources(types, ranges, connector).map((definition) => {
    const { resource, backing } = definition;
    if (resource !== 'events' || backing.kind !== 'stored') return definition;
    return { ...definition, backing: { ...backing, ttlSeconds: () => eventTtlSeconds } };
  });
  const lookup = admissionLookup(parts.scheme);
  const paramAccess = {
    authorizer,
    resourceOf: (kind: GroupVersionKind) => lookup.resourcesOf(kind)[0]?.resource,
  };
  const checked = builtIn.map((definition) => {
    const guarded = withParamAccess(definition, paramAccess);
    return config.allowPrivileged ? guarded : unprivileged(guarded);
  });
  return [...checked, componentStatuses(new Map([['etcd-0', () => backend.ready()]]))];
}
