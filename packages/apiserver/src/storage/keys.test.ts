import { describe, expect, test } from '@jest/globals';

import { builtInPrefix, customPrefix, fullKey, listKey, objectKey } from './keys.ts';

describe('where resources lie', () => {
  test.each([
    ['', 'pods', '/pods'],
    ['', 'nodes', '/minions'],
    ['', 'services', '/services/specs'],
    ['', 'endpoints', '/services/endpoints'],
    ['', 'replicationcontrollers', '/controllers'],
    ['networking.k8s.io', 'ingresses', '/ingress'],
    ['networking.k8s.io', 'networkpolicies', '/networkpolicies'],
    ['apps', 'deployments', '/deployments'],
    // Only the core group's are exceptions.
    ['metrics.example.com', 'nodes', '/nodes'],
    ['events.k8s.io', 'events', '/events'],
    ['apiregistration.k8s.io', 'apiservices', '/apiregistration.k8s.io/apiservices'],
    ['apiextensions.k8s.io', 'customresourcedefinitions', '/apiextensions.k8s.io/customresourcedefinitions'],
  ])('%s %s', (group, resource, prefix) => {
    expect(builtInPrefix({ group, resource })).toBe(prefix);
  });

  test('custom resources', () => {
    expect(customPrefix({ group: 'stable.example.com', resource: 'crontabs' })).toBe(
      '/stable.example.com/crontabs',
    );
  });
});

test('keys of objects and lists', () => {
  expect(objectKey('/pods', 'default', 'web-0')).toBe('/pods/default/web-0');
  expect(objectKey('/minions', '', 'n1')).toBe('/minions/n1');
  expect(listKey('/pods', '')).toBe('/pods');
  expect(listKey('/pods', 'default')).toBe('/pods/default');
});

test.each([
  ['', 'Name parameter required.'],
  ['..', 'Name parameter invalid: "..": may not be \'..\''],
  ['a/b', 'Name parameter invalid: "a/b": may not contain \'/\''],
  ['%/', "Name parameter invalid: \"%/\": may not contain '/';may not contain '%'"],
])('the name %j is refused', (name, message) => {
  expect(() => objectKey('/pods', 'default', name)).toThrow(message);
});

test.each([
  ['/pods/a', false, '/registry/pods/a'],
  ['pods/a', false, '/registry/pods/a'],
  ['/pods/a', true, '/registry/pods/a/'],
  ['/pods/a/', true, '/registry/pods/a/'],
  ['/pods/...', true, '/registry/pods/.../'],
])('full key of %j, as a prefix %s', (key, recursive, wanted) => {
  expect(fullKey('/registry', key, recursive)).toBe(wanted);
});
