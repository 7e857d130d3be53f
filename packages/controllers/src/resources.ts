/** The resources that loops know by name. */

import type { Resource } from '@keelson/kube-client';

export const NAMESPACES: Resource = { group: '', version: 'v1', resource: 'namespaces' };
export const PODS: Resource = { group: '', version: 'v1', resource: 'pods' };
export const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', resource: 'serviceaccounts' };
export const CONFIG_MAPS: Resource = { group: '', version: 'v1', resource: 'configmaps' };
export const SECRETS: Resource = { group: '', version: 'v1', resource: 'secrets' };
export const VOLUME_CLAIMS: Resource = { group: '', version: 'v1', resource: 'persistentvolumeclaims' };
export const VOLUMES: Resource = { group: '', version: 'v1', resource: 'persistentvolumes' };
export const JOBS: Resource = { group: 'batch', version: 'v1', resource: 'jobs' };
export const RESOURCE_QUOTAS: Resource = { group: '', version: 'v1', resource: 'resourcequotas' };
export const SERVICES: Resource = { group: '', version: 'v1', resource: 'services' };
export const NODES: Resource = { group: '', version: 'v1', resource: 'nodes' };
export const ENDPOINTS: Resource = { group: '', version: 'v1', resource: 'endpoints' };
export const ENDPOINT_SLICES: Resource = {
  group: 'discovery.k8s.io',
  version: 'v1',
  resource: 'endpointslices',
};
export const SERVICE_CIDRS: Resource = {
  group: 'networking.k8s.io',
  version: 'v1',
  resource: 'servicecidrs',
};
export const IP_ADDRESSES: Resource = { group: 'networking.k8s.io', version: 'v1', resource: 'ipaddresses' };
