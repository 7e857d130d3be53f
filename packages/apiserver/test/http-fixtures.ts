/**
 * A small catalog and requests without a transport, for tests of what lies around HTTP.
 */

import type { ApiRequest } from '../src/api/exchange.ts';
import type { ResourceCatalog } from '../src/handlers/catalog.ts';
import { HttpRequest } from '../src/http/request.ts';

const VERBS = ['get', 'list', 'create', 'update', 'patch', 'watch', 'delete', 'deletecollection'];

export const discoveryCatalog: ResourceCatalog = {
  generation: () => 1,
  groups: () => [
    {
      name: 'example.com',
      versions: [{ version: 'v2', resources: [] }],
    },
    {
      name: 'apps',
      versions: [
        {
          version: 'v1',
          resources: [
            {
              name: 'deployments',
              singular: 'deployment',
              kind: 'Deployment',
              namespaced: true,
              verbs: VERBS,
              shortNames: ['deploy'],
              categories: ['all'],
              storageKind: { group: 'apps', version: 'v1', kind: 'Deployment' },
              subresources: [
                {
                  name: 'scale',
                  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
                  verbs: ['get', 'update', 'patch'],
                },
              ],
            },
          ],
        },
      ],
    },
    {
      name: '',
      versions: [
        {
          version: 'v1',
          resources: [
            {
              name: 'pods',
              singular: 'pod',
              kind: 'Pod',
              namespaced: true,
              verbs: VERBS,
              shortNames: ['po'],
              categories: ['all'],
              storageKind: { group: '', version: 'v1', kind: 'Pod' },
              subresources: [
                {
                  name: 'status',
                  kind: { group: '', version: 'v1', kind: 'Pod' },
                  verbs: ['get', 'update', 'patch'],
                },
                {
                  name: 'eviction',
                  kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
                  verbs: ['create'],
                },
              ],
            },
            {
              name: 'configmaps',
              singular: 'configmap',
              kind: 'ConfigMap',
              namespaced: true,
              verbs: VERBS,
              shortNames: ['cm'],
              categories: [],
              subresources: [],
            },
          ],
        },
      ],
    },
  ],
};

/** A GET of `/` with these headers. */
export function requestOf(headers: Readonly<Record<string, string>>, query = ''): ApiRequest {
  return new HttpRequest(
    {
      method: 'GET',
      target: `/?${query}`,
      headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value]])),
      peer: { address: '127.0.0.1', certificates: [], secure: true },
      contentLength: undefined,
      read: () => Promise.resolve(undefined),
      whole: () => Promise.resolve(Buffer.alloc(0)),
      onGone: () => {},
    },
    0,
  );
}
