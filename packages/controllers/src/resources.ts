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
