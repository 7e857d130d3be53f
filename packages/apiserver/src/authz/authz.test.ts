import { describe, expect, test } from '@jest/globals';

import { bareRequest } from '../../test/bare-request.ts';
import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { ApiError } from '../api/status.ts';
import type { UserInfo } from '../api/user-info.ts';
import { aggregatedRules } from './aggregation.ts';
import { attributesOf, resourceAttributes } from './attributes.ts';
import { authorize } from './authorize.ts';
import { bootstrapPolicy, type BootstrapPolicy } from './bootstrap-policy.ts';
import { ALWAYS_ALLOW, ALWAYS_DENY, AuthorizerChain } from './chain.ts';
import { EscalationCheck } from './escalation.ts';
import { impersonate } from './impersonate.ts';
import { RbacObjects } from './rbac-objects.ts';
import { RbacAuthorizer } from './rbac.ts';
import { reconcileBinding, reconcileRole } from './reconcile.ts';
import { reviewLocalSubjectAccess, reviewSelfRules, reviewSubjectAccess } from './reviews.ts';

const API = 'rbac.authorization.k8s.io/v1';
const JANE = user('jane', 'dev', 'system:authenticated');

function user(name: string, ...groups: string[]): UserInfo {
  return { name, uid: '', groups, extra: {} };
}

function clusterRole(name: string, rules: unknown, more: object = {}): KubeObject {
  return { apiVersion: API, kind: 'ClusterRole', metadata: { name }, rules, ...more };
}

function bind(
  kind: string,
  name: string,
  role: [string, string],
  subjects: unknown,
  namespace?: string,
): KubeObject {
  const metadata = namespace === undefined ? { name } : { name, namespace };
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: role[0], name: role[1] };
  return { apiVersion: API, kind, metadata, roleRef, subjects };
}

function rbacOf(...objects: KubeObject[]): RbacAuthorizer {
  const all = new RbacObjects();
  for (const object of objects) all.put(object);
  return new RbacAuthorizer(all);
}

/** A cluster with the default policy, its aggregated roles filled, and what a test adds. */
function cluster(...more: KubeObject[]): RbacAuthorizer {
  const policy = bootstrapPolicy();
  let roles = [...policy.clusterRoles];
  for (let round = 0; round < 3; round += 1) {
    roles = roles.map((role) => {
      const rules = aggregatedRules(role, roles);
      return rules === undefined ? role : { ...role, rules };
    });
  }
  return rbacOf(...roles, ...policy.clusterRoleBindings, ...policy.roles, ...policy.roleBindings, ...more);
}

function request(
  method: string,
  target: string,
  who: UserInfo | undefined,
  headers: Record<string, string[]> = {},
): ApiRequest {
  return bareRequest(target, { method, user: who, headers });
}

const DONE: ApiResponse = { kind: 'json', code: 200, value: null };

async function statusOf(answer: Promise<unknown>): Promise<ApiError> {
  const error: unknown = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error(`no ApiError but ${String(error)}`);
  return error;
}

describe('reasons', () => {
  test.each<[string, UserInfo, string, string]>([
    ['a user', JANE, 'red', 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "all" to User "jane"'],
    [
      'a group',
      user('x', 'ops'),
      'red',
      'RBAC: allowed by RoleBinding "g/red" of ClusterRole "all" to Group "ops"',
    ],
    [
      "an account of the binding's namespace",
      user('system:serviceaccount:red:robot'),
      'red',
      'RBAC: allowed by RoleBinding "s/red" of Role "own" to ServiceAccount "robot/red"',
    ],
    ['nobody', user('x'), 'red', ''],
    ['a role that is missing', user('lost'), 'red', 'RBAC: role.rbac.authorization.k8s.io "gone" not found'],
  ])('%s', (_name, who, namespace, reason) => {
    const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
    const rbac = rbacOf(
      clusterRole('all', rules),
      { apiVersion: API, kind: 'Role', metadata: { name: 'own', namespace: 'red' }, rules },
      bind('ClusterRoleBinding', 'b', ['ClusterRole', 'all'], [{ kind: 'User', name: 'jane' }]),
      bind('RoleBinding', 'g', ['ClusterRole', 'all'], [{ kind: 'Group', name: 'ops' }], 'red'),
      bind('RoleBinding', 's', ['Role', 'own'], [{ kind: 'ServiceAccount', name: 'robot' }], 'red'),
      bind('RoleBinding', 'l', ['Role', 'gone'], [{ kind: 'User', name: 'lost' }], 'red'),
    );
    expect(rbac.decide(resourceAttributes(who, 'get', { resource: 'pods', namespace })).reason).toBe(reason);
  });
});

describe('refusals', () => {
  test.each<[string, string, string]>([
    [
      'GET',
      '/api/v1/namespaces/red/pods',
      'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "red"',
    ],
    [
      'GET',
      '/api/v1/namespaces/red/pods/p/log',
      'pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "red"',
    ],
    [
      'DELETE',
      '/apis/apps/v1/namespaces/red/deployments',
      'deployments.apps is forbidden: User "jane" cannot deletecollection resource "deployments" in API group "apps" in the namespace "red"',
    ],
    [
      'GET',
      '/api/v1/nodes/n',
      'nodes "n" is forbidden: User "jane" cannot get resource "nodes" in API group "" at the cluster scope',
    ],
    ['GET', '/metrics', 'forbidden: User "jane" cannot get path "/metrics"'],
    ['GET', '/<script>&', 'forbidden: User "jane" cannot get path "/&lt;script&gt;&amp;"'],
    [
      'GET',
      '/api/v1/namespaces/red/secrets?fieldSelector=metadata.name%3Ds',
      'secrets "s" is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "red"',
    ],
  ])('%s %s', async (method, target, message) => {
    const filter = authorize(new AuthorizerChain([{ authorizer: rbacOf(), rules: rbacOf() }]));
    const asked = request(method, target, JANE);
    const error = await statusOf(filter(asked, () => Promise.resolve(DONE)));
    expect([error.code, error.reason, error.message]).toEqual([403, 'Forbidden', message]);
    expect(asked.context.auditAnnotations.get('authorization.k8s.io/decision')).toBe('forbid');
  });

  test('the reason of an authorizer stands behind', async () => {
    const filter = authorize(new AuthorizerChain([ALWAYS_DENY]));
    const error = await statusOf(filter(request('GET', '/version', JANE), () => Promise.resolve(DONE)));
    expect(error.message).toBe('forbidden: User "jane" cannot get path "/version": Everything is forbidden.');
  });

  test('a question that nobody could answer is counted as such, and is no refusal', async () => {
    const told: string[] = [];
    const failing = {
      authorize: () => Promise.resolve({ kind: 'deny', reason: '', error: 'no <route>' } as const),
    };
    const filter = authorize(failing, { decided: (kind) => told.push(kind), monotonicMs: () => 0 });
    const asked = request('GET', '/version', JANE);
    const answer = await filter(asked, () => Promise.resolve(DONE));
    expect(answer).toMatchObject({ kind: 'bytes', code: 500 });
    expect(told).toEqual(['error']);
    expect([...asked.context.auditAnnotations]).toEqual([['authorization.k8s.io/reason', 'internal error']]);
  });

  test('selectors are told to the authorizer, unless they do not parse', () => {
    const { info } = request('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dn&labelSelector=a%20b', JANE);
    const attributes = attributesOf(JANE, info);
    expect(attributes.fieldSelector).toEqual([{ field: 'spec.nodeName', operator: '=', value: 'n' }]);
    expect(attributes.labelSelector).toBeUndefined();
  });
});

describe('chain', () => {
  test('masters pass before anybody is asked; the first that decides does', async () => {
    const root = resourceAttributes(user('x', 'system:masters'), 'get', { resource: 'pods' });
    expect((await new AuthorizerChain([ALWAYS_DENY]).authorize(root)).kind).toBe('allow');
    const plain = resourceAttributes(JANE, 'get', { resource: 'pods' });
    expect((await new AuthorizerChain([]).authorize(plain)).kind).toBe('no-opinion');
    expect((await new AuthorizerChain([ALWAYS_DENY, ALWAYS_ALLOW]).authorize(plain)).kind).toBe('allow');
  });
});

describe('default policy', () => {
  const rbac = cluster(
    bind('RoleBinding', 'a', ['ClusterRole', 'admin'], [{ kind: 'User', name: 'adam' }], 'red'),
    bind('RoleBinding', 'e', ['ClusterRole', 'edit'], [{ kind: 'User', name: 'edith' }], 'red'),
    bind('RoleBinding', 'v', ['ClusterRole', 'view'], [{ kind: 'User', name: 'vera' }], 'red'),
  );
  const nobody = user('system:anonymous', 'system:unauthenticated');

  test.each<[string, string, string, string, boolean]>([
    ['adam', 'create', 'rbac.authorization.k8s.io', 'roles', true],
    ['edith', 'create', 'rbac.authorization.k8s.io', 'roles', false],
    ['edith', 'create', 'apps', 'deployments', true],
    ['edith', 'get', '', 'secrets', true],
    ['edith', 'list', '', 'pods', true],
    ['vera', 'list', '', 'pods', true],
    ['vera', 'get', '', 'secrets', false],
    ['vera', 'create', '', 'pods', false],
    ['adam', 'get', '', 'nodes', false],
  ])('%s may %s %s %s: %s', (name, verb, group, resource, want) => {
    const decision = rbac.decide(resourceAttributes(user(name), verb, { group, resource, namespace: 'red' }));
    expect(decision.kind === 'allow').toBe(want);
  });

  test.each<[string, UserInfo, string, boolean]>([
    ['nobody sees health', nobody, '/livez', true],
    ['nobody sees no discovery', nobody, '/api', false],
    ['everybody known sees discovery', JANE, '/apis/apps/v1', true],
    ['metrics are for monitoring', JANE, '/metrics', false],
    ['metrics for monitoring', user('m', 'system:monitoring'), '/metrics', true],
    ['accounts read the issuer', user('s', 'system:serviceaccounts'), '/openid/v1/jwks', true],
  ])('%s', (_name, who, path, want) => {
    const asked = { ...resourceAttributes(who, 'get', { path }), isResource: false };
    expect(rbac.decide(asked).kind === 'allow').toBe(want);
  });

  test('every binding names a role that exists, and every object is marked', () => {
    const policy = bootstrapPolicy();
    const names = new Set(policy.clusterRoles.map((role) => role.metadata.name));
    expect(names.size).toBe(policy.clusterRoles.length);
    for (const { roleRef } of policy.clusterRoleBindings) {
      expect(names).toContain((roleRef as { name: string }).name);
    }
    const kinds: (keyof BootstrapPolicy)[] = ['clusterRoles', 'clusterRoleBindings', 'roles', 'roleBindings'];
    for (const { metadata } of kinds.flatMap((kind) => policy[kind])) {
      expect(metadata.labels).toHaveProperty(['kubernetes.io/bootstrapping'], 'rbac-defaults');
      expect(metadata.annotations).toHaveProperty(['rbac.authorization.kubernetes.io/autoupdate'], 'true');
    }
  });
});

describe('reconciliation', () => {
  const rule = (resource: string): object => ({ verbs: ['get'], apiGroups: [''], resources: [resource] });
  const standard = clusterRole('r', [rule('pods'), rule('nodes')]);

  test('creates, adds what is missing, leaves the rest', () => {
    expect(reconcileRole(standard, undefined)).toEqual({ kind: 'create', object: standard });
    expect(reconcileRole(standard, standard)).toEqual({ kind: 'none' });
    const stored = clusterRole('r', [rule('secrets'), rule('pods')]);
    const done = reconcileRole(standard, stored);
    expect(done.kind === 'update' && done.object.rules).toEqual([
      rule('secrets'),
      rule('pods'),
      rule('nodes'),
    ]);
  });

  test('an administrator can forbid it', () => {
    const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    const stored = { ...clusterRole('r', []), metadata: { name: 'r', annotations } };
    expect(reconcileRole(standard, stored)).toEqual({ kind: 'none' });
  });

  test('a binding to another role is made anew, subjects are added', () => {
    const group = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'g' };
    const wanted = bind('ClusterRoleBinding', 'b', ['ClusterRole', 'r'], [group]);
    const other = bind('ClusterRoleBinding', 'b', ['ClusterRole', 'q'], [group]);
    expect(reconcileBinding(wanted, other).kind).toBe('recreate');
    const mine = { kind: 'User', name: 'u' };
    const done = reconcileBinding(wanted, bind('ClusterRoleBinding', 'b', ['ClusterRole', 'r'], [mine]));
    expect(done.kind === 'update' && done.object.subjects).toEqual([mine, group]);
    expect(reconcileBinding(wanted, wanted)).toEqual({ kind: 'none' });
  });
});

describe('escalation', () => {
  const held = clusterRole('held', [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] }]);
  const rbac = rbacOf(
    held,
    clusterRole('strong', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]),
    clusterRole('binder', [
      {
        verbs: ['bind'],
        apiGroups: ['rbac.authorization.k8s.io'],
        resources: ['clusterroles'],
        resourceNames: ['strong'],
      },
    ]),
    bind('ClusterRoleBinding', 'h', ['ClusterRole', 'held'], [{ kind: 'User', name: 'jane' }]),
    bind('ClusterRoleBinding', 'x', ['ClusterRole', 'binder'], [{ kind: 'User', name: 'bob' }]),
  );
  const check = new EscalationCheck(rbac, rbac);
  const write = (who: UserInfo): { user: UserInfo; namespace: string; name: string } => ({
    user: who,
    namespace: '',
    name: '',
  });

  test('what is held may be handed on, what is not is named', async () => {
    await check.role(write(JANE), clusterRole('n', held.rules), undefined);
    const more = clusterRole('n', [
      { verbs: ['get', 'delete', 'patch'], apiGroups: [''], resources: ['pods', 'nodes'] },
      { verbs: ['get'], nonResourceURLs: ['/metrics'] },
    ]);
    const error = await statusOf(check.role(write(JANE), more, undefined));
    expect(error.code).toBe(403);
    expect(error.message).toBe(
      'clusterroles.rbac.authorization.k8s.io "n" is forbidden: user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "delete" "patch"]}\n' +
        '{APIGroups:[""], Resources:["pods"], Verbs:["delete" "patch"]}\n' +
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    );
  });

  test('masters may everything; a write of finalizers is not asked', async () => {
    const strong = clusterRole('n', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
    await check.role(write(user('root', 'system:masters')), strong, undefined);
    const after = { ...strong, metadata: { name: 'n', finalizers: ['x/y'] } };
    await check.role(write(JANE), after, strong);
  });

  test('an aggregation rule needs everything', async () => {
    const gathers = clusterRole('n', null, {
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: {} }] },
    });
    const error = await statusOf(check.role(write(JANE), gathers, undefined));
    expect(error.message).toContain('must have cluster-admin privileges to use the aggregationRule');
  });

  test('bind stands for the rules of a role, of that role only', async () => {
    const strong = bind('ClusterRoleBinding', 'b', ['ClusterRole', 'strong'], []);
    await check.binding(write(user('bob')), strong, undefined);
    expect((await statusOf(check.binding(write(JANE), strong, undefined))).code).toBe(403);
    const missing = bind('ClusterRoleBinding', 'b', ['ClusterRole', 'gone'], []);
    const error = await statusOf(check.binding(write(JANE), missing, undefined));
    expect([error.code, error.message]).toEqual([
      404,
      'clusterrolebindings.rbac.authorization.k8s.io "gone" not found',
    ]);
  });
});

describe('impersonation', () => {
  const rbac = rbacOf(
    clusterRole('imp', [
      {
        verbs: ['impersonate'],
        apiGroups: [''],
        resources: ['users'],
        resourceNames: ['anne', 'system:anonymous'],
      },
      { verbs: ['impersonate'], apiGroups: [''], resources: ['groups'], resourceNames: ['dev'] },
      { verbs: ['impersonate'], apiGroups: [''], resources: ['serviceaccounts'] },
      { verbs: ['impersonate'], apiGroups: ['authentication.k8s.io'], resources: ['userextras/scopes'] },
    ]),
    bind('ClusterRoleBinding', 'i', ['ClusterRole', 'imp'], [{ kind: 'User', name: 'jane' }]),
  );
  const filter = impersonate(rbac);
  const run = async (headers: Record<string, string[]>): Promise<ApiRequest> => {
    let seen: ApiRequest | undefined;
    await filter(request('GET', '/api/v1/pods', JANE, headers), (behind) => {
      seen = behind;
      return Promise.resolve(DONE);
    });
    if (seen === undefined) throw new Error('the request did not pass');
    return seen;
  };

  test('user, group and extra, each asked for; headers are gone', async () => {
    const behind = await run({
      'impersonate-user': ['anne'],
      'impersonate-group': ['dev'],
      'impersonate-extra-scopes': ['view', 'edit'],
      accept: ['*/*'],
    });
    expect(behind.context.user).toEqual({
      name: 'anne',
      uid: '',
      groups: ['dev', 'system:authenticated'],
      extra: { scopes: ['view', 'edit'] },
    });
    expect(behind.context.impersonator).toEqual(JANE);
    expect([...behind.headers.keys()]).toEqual(['accept']);
  });

  test('an account has its groups, nobody the group of nobody', async () => {
    const account = await run({ 'impersonate-user': ['system:serviceaccount:red:robot'] });
    expect(account.context.user?.groups).toEqual([
      'system:serviceaccounts',
      'system:serviceaccounts:red',
      'system:authenticated',
    ]);
    const nobody = await run({ 'impersonate-user': ['system:anonymous'] });
    expect(nobody.context.user?.groups).toEqual(['system:unauthenticated']);
  });

  test.each<[string, Record<string, string[]>, string]>([
    [
      'another user',
      { 'impersonate-user': ['bob'] },
      'users "bob" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope',
    ],
    [
      'masters',
      { 'impersonate-user': ['anne'], 'impersonate-group': ['system:masters'] },
      'groups "system:masters" is forbidden: User "jane" cannot impersonate resource "groups" in API group "" at the cluster scope',
    ],
    [
      'a uid',
      { 'impersonate-user': ['anne'], 'impersonate-uid': ['7'] },
      'uids.authentication.k8s.io "7" is forbidden: User "jane" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope',
    ],
    [
      'another extra',
      { 'impersonate-user': ['anne'], 'impersonate-extra-x%2fy': ['1'] },
      'userextras.authentication.k8s.io "1" is forbidden: User "jane" cannot impersonate resource "userextras/x/y" in API group "authentication.k8s.io" at the cluster scope',
    ],
    [
      'an account of a name that none can have',
      { 'impersonate-user': [`system:serviceaccount:${'n'.repeat(64)}:robot`] },
      `users "system:serviceaccount:${'n'.repeat(64)}:robot" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope`,
    ],
  ])('%s is refused', async (_name, headers, message) => {
    // Who was somebody else by the old right is told what of that right he lacks.
    await run({ 'impersonate-user': ['anne'] });
    expect((await statusOf(run(headers))).message).toBe(message);
  });

  test('by a constrained right, keys of extra values are lowercase', async () => {
    const rights = rbacOf(
      clusterRole('some', [
        { verbs: ['impersonate-on:user-info:list'], apiGroups: [''], resources: ['pods'] },
        { verbs: ['impersonate:user-info'], apiGroups: ['authentication.k8s.io'], resources: ['*'] },
      ]),
      bind('ClusterRoleBinding', 's', ['ClusterRole', 'some'], [{ kind: 'User', name: 'jane' }]),
    );
    const asAnne = (header: string): Promise<ApiResponse> =>
      impersonate(rights)(
        request('GET', '/api/v1/pods', JANE, { 'impersonate-user': ['anne'], [header]: ['1'] }),
        () => Promise.resolve(DONE),
      );
    expect(await asAnne('impersonate-extra-a.io%2fb')).toBe(DONE);
    expect((await statusOf(asAnne('impersonate-extra-a.io%2f%42'))).message).toBe(
      'userextras.authentication.k8s.io is forbidden: User "jane" cannot impersonate:user-info resource "userextras" in API group "authentication.k8s.io" at the cluster scope: impersonating a non-lowercase key in extra is not allowed: "a.io/B"',
    );
  });

  test('groups without a user are a bad request', async () => {
    const error = await statusOf(run({ 'impersonate-group': ['dev'] }));
    expect([error.code, error.message]).toEqual([
      400,
      'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)} without impersonating a user name',
    ]);
  });
});

describe('reviews', () => {
  const rbac = cluster(
    bind('RoleBinding', 'v', ['ClusterRole', 'view'], [{ kind: 'User', name: 'vera' }], 'red'),
  );
  const review = (spec: object): KubeObject => ({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata: {},
    spec,
  });

  test('access of a subject', async () => {
    const resourceAttributes = { verb: 'get', resource: 'pods', namespace: 'red' };
    const yes = await reviewSubjectAccess(review({ user: 'vera', resourceAttributes }), rbac);
    expect(yes.status).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "v/red" of ClusterRole "view" to User "vera"',
    });
    const no = await reviewSubjectAccess(review({ user: 'bob', resourceAttributes }), rbac);
    expect(no.status).toEqual({ allowed: false });
  });

  test.each<[string, object, string]>([
    [
      'nothing asked',
      { user: 'x' },
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    ],
    [
      'both asked',
      { user: 'x', resourceAttributes: {}, nonResourceAttributes: {} },
      'cannot be specified in combination with resourceAttributes',
    ],
    ['nobody named', { resourceAttributes: {} }, 'at least one of user or group must be specified'],
  ])('%s', async (_name, spec, text) => {
    const error = await statusOf(reviewSubjectAccess(review(spec), rbac));
    expect(error.code).toBe(422);
    expect(error.message).toContain(text);
  });

  test('a local review is about its namespace', async () => {
    const asked = review({
      user: 'x',
      resourceAttributes: { namespace: 'blue', verb: 'get', resource: 'pods' },
    });
    const local = { ...asked, metadata: { namespace: 'red' } };
    const error = await statusOf(reviewLocalSubjectAccess(local, rbac));
    expect([error.code, error.message]).toEqual([
      422,
      '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "blue": must match metadata.namespace',
    ]);
  });

  test('rules of the one who asks', () => {
    const asked = review({ namespace: 'red' });
    const { status } = reviewSelfRules(asked, user('s', 'system:serviceaccounts'), rbac);
    expect(status).toEqual({
      resourceRules: [],
      nonResourceRules: [
        {
          verbs: ['get'],
          nonResourceURLs: [
            '/.well-known/openid-configuration',
            '/.well-known/openid-configuration/',
            '/openid/v1/jwks',
            '/openid/v1/jwks/',
          ],
        },
      ],
      incomplete: false,
    });
  });
});
