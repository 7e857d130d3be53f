import { expect, test } from '@jest/globals';

import { conditionsOf, laidOver, type Sweep } from './conditions.ts';

const CLEAN: Sweep = { failures: [], remaining: [], finalizers: new Map() };
const NOW = '2026-01-02T03:04:05Z';
const LATER = '2026-01-02T03:04:15Z';

const resource = (group: string, name: string) => ({ group, version: 'v1', resource: name });

/** Cases of upstream's status_condition_utils_test, and the texts that kubectl describe shows. */
test.each<[string, Sweep, Readonly<Record<string, readonly [string, string]>>]>([
  ['nothing is left', CLEAN, {}],
  [
    'content with finalizers is left',
    {
      ...CLEAN,
      remaining: [
        { resource: resource('apps', 'deployments'), count: 2 },
        { resource: resource('', 'configmaps'), count: 1 },
      ],
      finalizers: new Map([
        ['example.com/z', 1],
        ['example.com/a', 2],
      ]),
    },
    {
      NamespaceContentRemaining: [
        'SomeResourcesRemain',
        'Some resources are remaining: configmaps. has 1 resource instances, deployments.apps has 2 resource instances',
      ],
      NamespaceFinalizersRemaining: [
        'SomeFinalizersRemain',
        'Some content in the namespace has finalizers remaining: example.com/a in 2 resource instances, example.com/z in 1 resource instances',
      ],
    },
  ],
  [
    'two kinds could not be deleted',
    { ...CLEAN, failures: ['second', 'first'] },
    {
      NamespaceDeletionContentFailure: [
        'ContentDeletionFailed',
        'Failed to delete all resource types, 2 remaining: first, second',
      ],
    },
  ],
  [
    'a group does not answer',
    { ...CLEAN, discoveryFailure: { message: 'unable to retrieve', groups: 1 } },
    {
      NamespaceDeletionDiscoveryFailure: [
        'DiscoveryFailed',
        'Discovery failed for some groups, 1 failing: unable to retrieve',
      ],
    },
  ],
  [
    'discovery fails as a whole',
    { ...CLEAN, discoveryFailure: { message: 'refused', groups: 0 } },
    { NamespaceDeletionDiscoveryFailure: ['DiscoveryFailed', 'refused'] },
  ],
])('%s', (_name, sweep, ill) => {
  const conditions = conditionsOf(sweep);
  expect(conditions.map(({ type }) => type)).toEqual([
    'NamespaceDeletionDiscoveryFailure',
    'NamespaceDeletionGroupVersionParsingFailure',
    'NamespaceDeletionContentFailure',
    'NamespaceContentRemaining',
    'NamespaceFinalizersRemaining',
  ]);
  const found = conditions.filter(({ status }) => status === 'True');
  expect(Object.fromEntries(found.map(({ type, reason, message }) => [type, [reason, message]]))).toEqual(
    ill,
  );
});

test('a condition keeps its time while its status stays, and others are left alone', () => {
  const other = { type: 'Other', status: 'True' };
  const held: Sweep = { ...CLEAN, remaining: [{ resource: resource('', 'pods'), count: 2 }] };
  const first = laidOver([other], conditionsOf(held), NOW) ?? [];
  expect(first[0]).toBe(other);
  expect(laidOver(first, conditionsOf(held), LATER)).toBeUndefined();
  const fewer: Sweep = { ...CLEAN, remaining: [{ resource: resource('', 'pods'), count: 1 }] };
  expect(laidOver(first, conditionsOf(fewer), LATER)?.[4]).toMatchObject({
    message: 'Some resources are remaining: pods. has 1 resource instances',
    lastTransitionTime: NOW,
  });
  expect(laidOver(first, conditionsOf(CLEAN), LATER)?.[4]).toMatchObject({
    status: 'False',
    reason: 'ContentRemoved',
    lastTransitionTime: LATER,
  });
});
