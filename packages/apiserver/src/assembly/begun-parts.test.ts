/** Checks of the parts that begin with the store. */

import { expect, test } from '@jest/globals';

import { BegunParts } from './begun-parts.ts';

test('a check is red until its part has begun, and there for the parts a server has', async () => {
  const parts = new BegunParts(['access', 'aggregation']);
  const { signal } = new AbortController();
  const said = async (): Promise<Map<string, string | undefined>> =>
    new Map(
      await Promise.all(parts.checks.map(async (each) => [each.name, await each.check(signal)] as const)),
    );
  expect([...(await said()).values()].every((text) => text === 'not finished')).toBe(true);
  parts.add('access');
  const now = await said();
  expect(now.get('poststarthook/generic-apiserver-start-informers')).toBeUndefined();
  expect(now.get('poststarthook/apiservice-registration-controller')).toBe('not finished');
  expect(now.has('poststarthook/priority-and-fairness-filter')).toBe(false);
});
