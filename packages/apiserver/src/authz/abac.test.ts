/** Policies of a file and what they allow; the rows are those of kubernetes' abac_test.go. */

import { describe, expect, test } from '@jest/globals';

import type { AuthorizationAttributes } from '../api/user-info.ts';
import { readAbacPolicies } from './abac.ts';

const FILE = `# Comments and blank lines are passed by.

{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"admin","namespace":"*","resource":"*","apiGroup":"*","nonResourcePath":"*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"alice","namespace":"shop","resource":"pods"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"bob","readonly":true,"namespace":"*","resource":"*","apiGroup":"apps"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"ops","user":"carol","resource":"*","apiGroup":"*","namespace":"*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"*","readonly":true,"nonResourcePath":"/version*"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"namespace":"*","resource":"*"}}
`;

function attributes(who: string, verb: string, what: string): AuthorizationAttributes {
  const [name, ...groups] = who.split(' ');
  const user = { name, uid: '', groups: [...groups, 'system:authenticated'], extra: {} };
  const none = { group: '', version: '', resource: '', subresource: '', namespace: '', name: '', path: '' };
  if (what.startsWith('/')) return { ...none, user, verb, isResource: false, path: what };
  const [namespace, resource, group = ''] = what.split(' ');
  return { ...none, user, verb, isResource: true, namespace, resource, group };
}

async function allowed(file: string, who: string, verb: string, what: string): Promise<boolean> {
  const { authorizer } = readAbacPolicies(file, 'policy');
  const decision = await authorizer.authorize(attributes(who, verb, what));
  if (decision.kind !== 'allow')
    expect(decision).toEqual({ kind: 'no-opinion', reason: 'No policy matched.' });
  return decision.kind === 'allow';
}

test.each<[who: string, verb: string, what: string, may: boolean]>([
  ['admin', 'delete', 'shop deployments apps', true],
  ['admin', 'post', '/anything', true],
  ['alice', 'create', 'shop pods', true],
  ['alice', 'create', 'other pods', false],
  ['alice', 'create', 'shop services', false],
  ['alice', 'create', 'shop pods metrics.k8s.io', false],
  ['alice', 'get', '/shop', false],
  ['bob', 'list', 'any deployments apps', true],
  ['bob', 'delete', 'any deployments apps', false],
  ['bob', 'get', 'any pods', false],
  ['carol ops', 'delete', 'any pods', true],
  ['carol', 'delete', 'any pods', false],
  ['dave ops', 'delete', 'any pods', false],
  ['dave', 'get', '/version', true],
  ['dave', 'get', '/version/x', true],
  ['dave', 'post', '/version', false],
  ['dave', 'get', '/metrics', false],
  ['dave', 'get', 'any pods', false],
])('%s may %s %s: %s', async (who, verb, what, may) => {
  expect(await allowed(FILE, who, verb, what)).toBe(may);
});

describe('a line from before there were versions', () => {
  test.each<[line: object, who: string, verb: string, what: string, may: boolean]>([
    [{}, 'anybody', 'delete', 'any pods apps', true],
    [{}, 'anybody', 'post', '/x', true],
    [{ user: 'alice' }, 'alice', 'delete', 'any pods', true],
    [{ user: 'alice' }, 'bob', 'delete', 'any pods', false],
    [{ group: '*', readonly: true }, 'bob', 'get', '/x', true],
    [{ group: '*', readonly: true }, 'bob', 'create', 'any pods', false],
    [{ user: 'alice', resource: 'pods' }, 'alice', 'get', '/x', false],
    [{ user: 'alice', namespace: 'shop' }, 'alice', 'get', 'shop pods', true],
    [{ user: 'alice', namespace: 'shop' }, 'alice', 'get', 'other pods', false],
  ])('%j: %s %s %s: %s', async (line, who, verb, what, may) => {
    const file = JSON.stringify(line);
    expect(readAbacPolicies(file, 'policy').unversioned).toBe(1);
    expect(await allowed(file, who, verb, what)).toBe(may);
  });
});

test.each([
  ['{"user":', /^error reading policy file policy, line 1: \{"user":: /],
  ['[]', /line 1: \[\]: a policy is an object$/],
  ['{"apiVersion":"v1","kind":"Policy"}', /no kind "Policy" is registered for version "v1"$/],
])('%s is no policy', (line, message) => {
  expect(() => readAbacPolicies(`\n${line}\n`, 'policy')).toThrow(message);
});

test('what a user may do is told', () => {
  const { authorizer } = readAbacPolicies(FILE, 'policy');
  const { user } = attributes('bob', 'get', '/');
  expect(authorizer.rulesFor(user, 'shop')).toEqual({
    resourceRules: [{ verbs: ['get', 'list', 'watch'], apiGroups: ['apps'], resources: ['*'] }],
    nonResourceRules: [{ verbs: ['get', 'list', 'watch'], nonResourceURLs: [''] }],
    incomplete: false,
    errors: [],
  });
});
