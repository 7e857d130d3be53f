/** Versions of other servers among ours: which group, and which version of it, a client takes first. */

import { expect, test } from '@jest/globals';

import type { RemoteVersion } from '../aggregation/remote-catalog.ts';
import { builtInResources } from '../registry/kinds/built-in.ts';
import { TypeTable } from '../schema/type-table.ts';
import { makeScheme } from '../server.ts';
import { MemoryBackend } from '../storage/memory-storage.ts';
import { systemClock } from '@keelson/base';
import { groupDiscoveryList, groupList, inOrder } from './discovery-documents.ts';
import { resourceCatalog } from './resource-catalog.ts';

const remote = (
  group: string,
  version: string,
  groupPriority: number,
  versionPriority: number,
): RemoteVersion => ({
  group,
  version,
  groupPriority,
  versionPriority,
  words: [{ resource: 'things' }],
  stale: version === 'v3',
});

const { scheme } = makeScheme({
  backend: new MemoryBackend({ clock: systemClock }),
  clock: systemClock,
  uuid: () => '',
  random: () => 0,
  customResources: false,
  resources: builtInResources(new TypeTable()).filter(({ group }) => group === 'apps' || group === 'batch'),
});

test.each<[string, RemoteVersion[], string[]]>([
  ['without any', [], ['apps: v1', 'batch: v1']],
  ['a group by its priority', [remote('a.io', 'v1', 17_500, 1)], ['apps: v1', 'a.io: v1', 'batch: v1']],
  [
    'equal ones by name; the highest of its versions is the group',
    [remote('b.io', 'v1', 10, 1), remote('a.io', 'v1', 5, 1), remote('a.io', 'v2', 10, 1)],
    ['apps: v1', 'batch: v1', 'a.io: v2 v1', 'b.io: v1'],
  ],
  [
    'versions by priority, equal ones as Kubernetes orders them',
    [
      remote('a.io', 'v1alpha1', 5, 20),
      remote('a.io', 'v1beta1', 5, 10),
      remote('a.io', 'v2', 5, 10),
      remote('a.io', 'odd', 5, 10),
    ],
    ['apps: v1', 'batch: v1', 'a.io: v1alpha1 v2 v1beta1 odd'],
  ],
  ['a version beside ours', [remote('apps', 'v9', 5, 99)], ['apps: v9 v1', 'batch: v1']],
  ['in place of ours', [remote('batch', 'v1', 5, 1)], ['apps: v1', 'batch: v1']],
])('%s', (_name, versions, expected) => {
  const groups = resourceCatalog(scheme, { generation: () => 1, versions: () => versions }).groups();
  const told = inOrder(groups).map(
    ({ name, versions: of }) => `${name}: ${of.map(({ version }) => version).join(' ')}`,
  );
  expect(told).toEqual(expected);
  expect(JSON.stringify(groupList(groups))).not.toContain('"things"');
});

test("other servers' words are told as they are, and what is old as stale", () => {
  const catalog = resourceCatalog(scheme, {
    generation: () => 1,
    versions: () => [remote('batch', 'v1', 5, 1), remote('a.io', 'v3', 5, 1)],
  });
  const { items } = groupDiscoveryList('v2', catalog.groups());
  expect(items).toMatchObject([
    { metadata: { name: 'apps' } },
    {
      metadata: { name: 'batch' },
      versions: [{ freshness: 'Current', resources: [{ resource: 'things' }] }],
    },
    { metadata: { name: 'a.io' }, versions: [{ version: 'v3', freshness: 'Stale' }] },
  ]);
  expect(catalog.generation()).toBe(scheme.generation() + 1);
});
