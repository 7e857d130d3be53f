import { expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { finish, LOOK_EVERY, type Sliced } from '../api/sliced.ts';
import {
  metadataErrors,
  metadataErrorsInSlices,
  metadataUpdateErrorsInSlices,
  subdomainName,
} from './metadata.ts';

const COUNT = 1_000;
const members = (value: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: COUNT }, (_none, at) => [`k-${at}`, value]));
const ALWAYS = { due: () => true };

function stepsOf(work: Sliced<unknown>): number {
  for (let steps = 0; ; steps += 1) if (work.next().done === true) return steps;
}

test.each<[string, Partial<KubeObject['metadata']>]>([
  ['labels', { labels: members('v') }],
  ['labels that are wrong', { labels: members('v v') }],
  ['annotations', { annotations: members('v') }],
  ['annotations that are too long', { annotations: members('v'.repeat(300)) }],
  ['finalizers', { finalizers: Object.keys(members('')) }],
])('metadata with many %s is checked in slices', (_name, more) => {
  const object: KubeObject = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'm', namespace: 'n', resourceVersion: '1', ...more },
  };
  const made = (): Sliced<unknown> => metadataErrorsInSlices(object, true, subdomainName, undefined, ALWAYS);
  const changed = (): Sliced<unknown> => metadataUpdateErrorsInSlices(object, object, undefined, ALWAYS);
  const want = metadataErrors(object, true, subdomainName);
  expect([finish(made()), finish(changed())]).toEqual([want, want]);
  expect(stepsOf(made())).toBeGreaterThan(COUNT / LOOK_EVERY);
  expect(stepsOf(changed())).toBeGreaterThan(COUNT / LOOK_EVERY);
});
