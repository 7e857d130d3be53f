/** The resources that loops know by name. */

import type { Resource } from '@keelson/kube-client';

export const NAMESPACES: Resource = { group: '', version: 'v1', resource: 'namespaces' };
export const PODS: Resource = { group: '', version: 'v1', resource: 'pods' };
export const SERVICE_ACCOUNTS: Resource = { group: '', version: 'v1', resource: 'serviceaccounts' };
export const CONFIG_MAPS: Resource = { group: '', version: 'v1', resource: 'configmaps' };
