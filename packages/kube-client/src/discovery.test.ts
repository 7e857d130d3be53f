import { describe, expect, test } from '@jest/globals';

import { HandClock } from '../test/hand-clock.ts';
import { failure, ScriptedTransport, type Scripted } from '../test/scripted-transport.ts';
import { Discovery, discoveryFailure } from './discovery.ts';
import { MetricSet } from './metrics.ts';
import { RestClient } from './rest-client.ts';

function rig(paths: Readonly<Record<string, Scripted>>): {
  discovery: Discovery;
  transport: ScriptedTransport;
} {
  const transport = new ScriptedTransport();
  const fallback = transport.otherwise;
  transport.otherwise = (asked) =>
    paths[asked.path] ?? (typeof fallback === 'function' ? fallback(asked) : fallback);
  const client = new RestClient({
    transport,
    clock: new HandClock(),
    metrics: new MetricSet(),
    userAgent: 'test/1',
  });
  return { transport, discovery: new Discovery(client) };
}

const VERBS = ['get', 'list', 'watch', 'delete'];

function aggregated(etag: string, items: readonly object[]): Scripted {
  return { headers: { etag }, json: { kind: 'APIGroupDiscoveryList', metadata: {}, items } };
}

function served(resource: string, kind: string, scope = 'Namespaced', verbs = VERBS): object {
  return { resource, responseKind: { group: '', version: '', kind }, scope, verbs };
}

const CORE = aggregated('"core"', [
  {
    metadata: {},
    versions: [
      {
        version: 'v1',
        resources: [
          served('bindings', 'Binding', 'Namespaced', ['create']),
          served('pods', 'Pod'),
          served('nodes', 'Node', 'Cluster'),
        ],
      },
    ],
  },
]);

const GROUPS = aggregated('"groups"', [
  {
    metadata: { name: 'example.com' },
    versions: [
      { version: 'v2', resources: [served('widgets', 'Widget')] },
      { version: 'v1', resources: [served('widgets', 'Widget'), served('gadgets', 'Gadget')] },
    ],
  },
  {
    metadata: { name: 'slow.io' },
    versions: [{ version: 'v1', freshness: 'Stale', resources: [served('old', 'Old')] }],
  },
]);

describe('aggregated discovery', () => {
  test('says each resource in the preferred version, and every kind', async () => {
    const { discovery } = rig({ '/api': CORE, '/apis': GROUPS });
    const found = await discovery.served();
    expect(found.preferred.map(({ group, version, resource }) => `${group}/${version}/${resource}`)).toEqual([
      '/v1/bindings',
      '/v1/pods',
      '/v1/nodes',
      'example.com/v2/widgets',
      'example.com/v1/gadgets',
    ]);
    expect(found.preferred[2]).toMatchObject({ kind: 'Node', namespaced: false, verbs: VERBS });
    expect((await discovery.resourceOf('example.com/v1', 'Widget'))?.version).toBe('v1');
    expect(await discovery.resourceOf('example.com/v3', 'Widget')).toBeUndefined();
    expect([...found.failures.keys()]).toEqual(['slow.io/v1']);
    expect(discoveryFailure(found)).toBe(
      'unable to retrieve the complete list of server APIs: slow.io/v1: stale GroupVersion discovery: slow.io/v1',
    );
  });

  test('asked again says that nothing changed, by the tag', async () => {
    const none = aggregated('"none"', []);
    const paths: Record<string, Scripted> = { '/api': CORE, '/apis': none };
    const { discovery, transport } = rig(paths);
    const first = await discovery.refresh();
    paths['/api'] = { code: 304 };
    paths['/apis'] = { code: 304 };
    expect(await discovery.refresh()).toBe(first);
    expect(transport.asked[2].headers['if-none-match']).toBe('"core"');
    expect(transport.asked[3].headers['if-none-match']).toBe('"none"');
    paths['/apis'] = GROUPS;
    const second = await discovery.refresh();
    expect(second).not.toBe(first);
    expect(second.preferred.length).toBe(5);
  });
});

test('discovery of a server without aggregated documents asks each version', async () => {
  const resource = (name: string, kind: string): object => ({ name, kind, namespaced: true, verbs: VERBS });
  const { discovery } = rig({
    '/api': { json: { kind: 'APIVersions', versions: ['v1'] } },
    '/api/v1': { json: { resources: [resource('pods', 'Pod'), resource('pods/log', 'Pod')] } },
    '/apis': {
      json: {
        kind: 'APIGroupList',
        groups: [
          {
            name: 'example.com',
            versions: [{ version: 'v1' }, { version: 'v2' }],
            preferredVersion: { version: 'v2' },
          },
          { name: 'broken.io', versions: [{ version: 'v1' }], preferredVersion: { version: 'v1' } },
          { name: 'gone.io', versions: [{ version: 'v1' }], preferredVersion: { version: 'v1' } },
        ],
      },
    },
    '/apis/example.com/v1': { json: { resources: [resource('widgets', 'Widget')] } },
    '/apis/example.com/v2': { json: { resources: [resource('widgets', 'Widget')] } },
    '/apis/broken.io/v1': {
      code: 503,
      json: failure(503, 'ServiceUnavailable', 'the server is currently unable'),
    },
  });
  const found = await discovery.served();
  expect(found.preferred.map(({ version, resource: name }) => `${version}/${name}`)).toEqual([
    'v1/pods',
    'v2/widgets',
  ]);
  expect([...found.failures]).toEqual([['broken.io/v1', 'the server is currently unable']]);
  expect((await discovery.resourceOf('v1', 'Pod'))?.resource).toBe('pods');
});
