import { expect, test } from '@jest/globals';

import { member, smallServer } from '../../../test/small-server.ts';
import { namespaces } from './namespaces.ts';

test('a namespace is terminating until its finalizers are gone', async () => {
  const small = smallServer({ resources: [namespaces] });
  const made = await small.ask('POST', '/api/v1/namespaces', {
    metadata: { name: 'n', labels: { a: 'b' } },
  });
  expect(member(made.json, 'status', 'phase')).toBe('Active');
  const { code, json } = await small.ask('DELETE', '/api/v1/namespaces/n');
  expect([code, member(json, 'status', 'phase')]).toEqual([200, 'Terminating']);
  expect(json.metadata.deletionTimestamp).toBeDefined();
  expect(json.metadata.deletionGracePeriodSeconds).toBeUndefined();
  const again = await small.ask('DELETE', '/api/v1/namespaces/n');
  expect(again.json.metadata.resourceVersion).toBe(json.metadata.resourceVersion);
  const kept = await small.ask('PUT', '/api/v1/namespaces/n/finalize', {
    ...json,
    spec: { finalizers: ['a.b/c'] },
  });
  // What this endpoint never writes nobody owns through it.
  expect(JSON.stringify(kept.json.metadata)).toContain('"subresource":"finalize"');
  expect(JSON.stringify(kept.json.metadata)).not.toContain('f:status');
  const ended = await small.ask('PUT', '/api/v1/namespaces/n/finalize', {
    ...kept.json,
    spec: { finalizers: [] },
  });
  expect(ended.code).toBe(200);
  expect((await small.ask('GET', '/api/v1/namespaces/n')).code).toBe(404);
  await small.stop();
});
