/** A server without --allow-privileged, for every kind that describes pods. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { smallServer, type SmallServer } from '../../../test/small-server.ts';
import { TypeTable } from '../../schema/type-table.ts';
import { builtInResources } from './built-in.ts';
import { unprivileged } from './unprivileged.ts';

let small: SmallServer;

beforeAll(() => {
  small = smallServer({ resources: builtInResources(new TypeTable()).map(unprivileged) });
});

afterAll(() => small.stop());

function podSpec(privileged: boolean, restartPolicy = 'Always'): object {
  return {
    restartPolicy,
    initContainers: [{ name: 'i', image: 'i' }],
    containers: [
      { name: 'a', image: 'i' },
      { name: 'b', image: 'i', securityContext: { privileged } },
    ],
  };
}

const labels = { app: 'web' };
const selector = { matchLabels: labels };
const template = (privileged: boolean, restartPolicy?: string): object => ({
  metadata: { labels },
  spec: podSpec(privileged, restartPolicy),
});

test.each<[target: string, kind: string, of: (privileged: boolean) => object, path: string]>([
  ['/api/v1/namespaces/a/pods', 'Pod', (yes) => ({ spec: podSpec(yes) }), 'spec'],
  [
    '/api/v1/namespaces/a/podtemplates',
    'PodTemplate',
    (yes) => ({ template: template(yes) }),
    'template.spec',
  ],
  [
    '/api/v1/namespaces/a/replicationcontrollers',
    'ReplicationController',
    (yes) => ({ spec: { selector: labels, template: template(yes) } }),
    'spec.template.spec',
  ],
  ...['DaemonSet', 'Deployment', 'ReplicaSet', 'StatefulSet'].map(
    (kind): [string, string, (privileged: boolean) => object, string] => [
      `/apis/apps/v1/namespaces/a/${kind.toLowerCase()}s`,
      kind,
      (yes) => ({ spec: { selector, template: template(yes) } }),
      'spec.template.spec',
    ],
  ),
  [
    '/apis/batch/v1/namespaces/a/jobs',
    'Job',
    (yes) => ({ spec: { template: { spec: podSpec(yes, 'Never') } } }),
    'spec.template.spec',
  ],
  [
    '/apis/batch/v1/namespaces/a/cronjobs',
    'CronJob',
    (yes) => ({
      spec: { schedule: '* * * * *', jobTemplate: { spec: { template: { spec: podSpec(yes, 'Never') } } } },
    }),
    'spec.jobTemplate.spec.template.spec',
  ],
])('%s', async (target, kind, of, path) => {
  const create = (name: string, privileged: boolean): ReturnType<SmallServer['ask']> => {
    const apiVersion = target.startsWith('/api/') ? 'v1' : target.split('/').slice(2, 4).join('/');
    return small.ask('POST', target, { apiVersion, kind, metadata: { name }, ...of(privileged) });
  };
  const refused = await create('x', true);
  expect(refused.code).toBe(422);
  expect(refused.json['message']).toContain(
    `: ${path}.containers[1].securityContext.privileged: Forbidden: disallowed by cluster policy`,
  );
  const made = await create('y', false);
  expect([made.text, made.code]).toEqual([expect.any(String), 201]);
});

test('ephemeral containers', async () => {
  const { code, text } = await small.ask('PATCH', '/api/v1/namespaces/a/pods/y/ephemeralcontainers', {
    spec: { ephemeralContainers: [{ name: 'debug', image: 'i', securityContext: { privileged: true } }] },
  });
  expect(code).toBe(422);
  expect(text).toContain(
    'spec.ephemeralContainers[0].securityContext.privileged: Forbidden: disallowed by cluster policy',
  );
});
