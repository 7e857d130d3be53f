/** Who may do what, through the whole server: reviews, tokens, escalation, refusals. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { until } from '../../base/test/until.ts';
import { accessServer, type AccessServer } from './access-server.ts';
import { member } from './small-server.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const AUTHORIZATION = '/apis/authorization.k8s.io/v1';
const AUTHENTICATION = '/apis/authentication.k8s.io/v1';

let world: AccessServer;

beforeAll(async () => {
  world = accessServer();
  await world.ready();
  for (const name of ['red', 'blue'])
    await world.ask('admin', 'POST', '/api/v1/namespaces', { metadata: { name } });
  await world.ask(
    'admin',
    'POST',
    `${RBAC}/namespaces/red/rolebindings`,
    binding('editor', 'edit', 'editor'),
  );
  await world.ask(
    'admin',
    'POST',
    `${RBAC}/namespaces/red/rolebindings`,
    binding('viewer', 'view', 'viewer'),
  );
  await until(async () => (await world.ask('viewer', 'GET', '/api/v1/namespaces/red/pods')).code === 200);
});

afterAll(async () => {
  await world.stop();
});

function binding(name: string, role: string, user: string): object {
  return {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user }],
  };
}

describe('what is refused', () => {
  test.each<[string, string, string, string]>([
    [
      'nobody',
      'GET',
      '/api/v1/namespaces/red/pods',
      'pods is forbidden: User "nobody" cannot list resource "pods" in API group "" in the namespace "red"',
    ],
    [
      'viewer',
      'GET',
      '/api/v1/namespaces/red/secrets/s',
      'secrets "s" is forbidden: User "viewer" cannot get resource "secrets" in API group "" in the namespace "red"',
    ],
    [
      'editor',
      'GET',
      '/api/v1/namespaces/blue/pods',
      'pods is forbidden: User "editor" cannot list resource "pods" in API group "" in the namespace "blue"',
    ],
    [
      'viewer',
      'DELETE',
      '/apis/apps/v1/namespaces/red/deployments/web',
      'deployments.apps "web" is forbidden: User "viewer" cannot delete resource "deployments" in API group "apps" in the namespace "red"',
    ],
    ['nobody', 'GET', '/metrics', 'forbidden: User "nobody" cannot get path "/metrics"'],
    [
      '',
      'GET',
      '/api/v1/nodes',
      'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API group "" at the cluster scope',
    ],
    [
      'system:node:n1',
      'GET',
      '/api/v1/nodes',
      'nodes is forbidden: User "system:node:n1" cannot list resource "nodes" in API group "" at the cluster scope: node \'n1\' cannot read all nodes, only its own Node object',
    ],
  ])('%s: %s %s', async (user, method, target, message) => {
    const { code, json } = await world.ask(user, method, target);
    expect([code, json['reason'], json['message']]).toEqual([403, 'Forbidden', message]);
  });

  test('an unknown token is no anonymous request', async () => {
    const { code, json } = await world.ask('who', 'GET', '/healthz');
    expect([code, json['reason'], json['message']]).toEqual([401, 'Unauthorized', 'Unauthorized']);
  });

  test('a PUT that would create needs the verb create', async () => {
    await world.ask('admin', 'POST', `${RBAC}/namespaces/blue/roles`, {
      metadata: { name: 'updates' },
      rules: [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['update', 'get'] }],
    });
    await world.ask('admin', 'POST', `${RBAC}/namespaces/blue/rolebindings`, {
      ...binding('updates', 'updates', 'nobody'),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'updates' },
    });
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec: {} };
    const target = '/apis/coordination.k8s.io/v1/namespaces/blue/leases/l';
    await until(async () => (await world.ask('nobody', 'GET', target)).code === 404);
    const refused = await world.ask('nobody', 'PUT', target, lease);
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'leases.coordination.k8s.io "l" is forbidden: User "nobody" cannot create resource "leases" in API group "coordination.k8s.io" in the namespace "blue"',
    ]);
    expect((await world.ask('admin', 'PUT', target, lease)).code).toBe(201);
    expect((await world.ask('nobody', 'PUT', target, lease)).code).toBe(422);
  });
});

describe('escalation', () => {
  const role = (name: string, rules: readonly object[]): object => ({ metadata: { name }, rules });
  const rule = (resource: string, ...verbs: string[]): object => ({
    apiGroups: [''],
    resources: [resource],
    verbs,
  });

  beforeAll(async () => {
    await world.ask(
      'admin',
      'POST',
      `${RBAC}/namespaces/red/rolebindings`,
      binding('admin', 'admin', 'editor'),
    );
    await until(async () => (await world.ask('editor', 'GET', `${RBAC}/namespaces/red/roles`)).code === 200);
  });

  test('nobody writes a role with more than he holds', async () => {
    const held = await world.ask(
      'editor',
      'POST',
      `${RBAC}/namespaces/red/roles`,
      role('held', [rule('pods', 'get')]),
    );
    expect(held.code).toBe(201);
    const more = await world.ask(
      'editor',
      'POST',
      `${RBAC}/namespaces/red/roles`,
      role('more', [rule('nodes', 'get', 'list')]),
    );
    expect([more.code, more.json['message']]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "editor" (groups=["team" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}',
    ]);
    const changed = await world.ask('editor', 'PATCH', `${RBAC}/namespaces/red/roles/held`, {
      rules: [rule('nodes', 'get')],
    });
    expect(changed.code).toBe(403);
    const labelled = await world.ask('editor', 'PATCH', `${RBAC}/namespaces/red/roles/held`, {
      metadata: { labels: { a: 'b' } },
    });
    expect(labelled.code).toBe(200);
    expect(
      (
        await world.ask(
          'editor',
          'POST',
          `${RBAC}/namespaces/red/roles?dryRun=All`,
          role('x', [rule('nodes', 'get')]),
        )
      ).code,
    ).toBe(403);
  });

  test('nobody binds a role with more than he holds', async () => {
    const refused = await world.ask(
      'editor',
      'POST',
      `${RBAC}/namespaces/red/rolebindings`,
      binding('up', 'cluster-admin', 'editor'),
    );
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'rolebindings.rbac.authorization.k8s.io "up" is forbidden: user "editor" (groups=["team" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}',
    ]);
    const missing = await world.ask(
      'editor',
      'POST',
      `${RBAC}/namespaces/red/rolebindings`,
      binding('none', 'no-such-role', 'editor'),
    );
    expect([missing.code, missing.json['message']]).toEqual([
      404,
      'rolebindings.rbac.authorization.k8s.io "no-such-role" not found',
    ]);
    expect(
      (
        await world.ask(
          'editor',
          'POST',
          `${RBAC}/namespaces/red/rolebindings`,
          binding('down', 'view', 'nobody'),
        )
      ).code,
    ).toBe(201);
  });

  test('the verbs escalate and bind allow it', async () => {
    await world.ask('admin', 'POST', `${RBAC}/clusterroles`, {
      metadata: { name: 'escalates' },
      rules: [
        { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['escalate', 'create'] },
        {
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['clusterroles'],
          resourceNames: ['system:node'],
          verbs: ['bind'],
        },
        { apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'], verbs: ['create'] },
      ],
    });
    await world.ask(
      'admin',
      'POST',
      `${RBAC}/namespaces/blue/rolebindings`,
      binding('escalates', 'escalates', 'viewer'),
    );
    const escalated = (): Promise<{ readonly code: number }> =>
      world.ask('viewer', 'POST', `${RBAC}/namespaces/blue/roles?dryRun=All`, role('big', [rule('*', '*')]));
    await until(async () => (await escalated()).code === 201);
    const bound = (name: string): Promise<{ readonly code: number }> =>
      world.ask('viewer', 'POST', `${RBAC}/namespaces/blue/rolebindings?dryRun=All`, binding('b', name, 'x'));
    expect((await bound('system:node')).code).toBe(201);
    expect((await bound('cluster-admin')).code).toBe(403);
  });
});

describe('questions', () => {
  test('about oneself', async () => {
    const can = async (verb: string, resource: string): Promise<unknown> => {
      const { code, json } = await world.ask('viewer', 'POST', `${AUTHORIZATION}/selfsubjectaccessreviews`, {
        spec: { resourceAttributes: { namespace: 'red', verb, resource } },
      });
      expect(code).toBe(201);
      return json['status'];
    };
    expect(await can('list', 'pods')).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "viewer/red" of ClusterRole "view" to User "viewer"',
    });
    expect(await can('delete', 'pods')).toEqual({ allowed: false });
    const { json } = await world.ask('viewer', 'POST', `${AUTHORIZATION}/selfsubjectrulesreviews`, {
      spec: { namespace: 'red' },
    });
    // The list of a node is not whole; of anybody else it is.
    expect(json['status']).toMatchObject({ incomplete: false });
    expect(json['status']).not.toHaveProperty('evaluationError');
    expect(member(json, 'status', 'resourceRules')).toEqual(
      expect.arrayContaining([
        { verbs: ['create'], apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'] },
      ]),
    );
    const who = await world.ask('editor', 'POST', `${AUTHENTICATION}/selfsubjectreviews`, {});
    expect([who.code, who.json['status']]).toEqual([
      201,
      { userInfo: { username: 'editor', uid: '2', groups: ['team', 'system:authenticated'] } },
    ]);
  });

  test('about others need the right to ask', async () => {
    const review = {
      spec: { user: 'viewer', resourceAttributes: { namespace: 'red', verb: 'get', resource: 'pods' } },
    };
    const answered = await world.ask('admin', 'POST', `${AUTHORIZATION}/subjectaccessreviews`, review);
    expect([answered.code, member(answered.json, 'status', 'allowed')]).toEqual([201, true]);
    expect((await world.ask('viewer', 'POST', `${AUTHORIZATION}/subjectaccessreviews`, review)).code).toBe(
      403,
    );
    const local = `${AUTHORIZATION}/namespaces/red/localsubjectaccessreviews`;
    expect(member((await world.ask('editor', 'POST', local, review)).json, 'status', 'allowed')).toBe(true);
    const elsewhere = await world.ask('admin', 'POST', local, {
      spec: { ...review.spec, resourceAttributes: { namespace: 'blue', verb: 'get', resource: 'pods' } },
    });
    expect([elsewhere.code, elsewhere.json['message']]).toEqual([
      422,
      '.authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "blue": must match metadata.namespace',
    ]);
    const token = await world.ask('admin', 'POST', `${AUTHENTICATION}/tokenreviews`, {
      spec: { token: 'viewer-token' },
    });
    expect([token.code, token.json['status']]).toEqual([
      201,
      {
        authenticated: true,
        user: { username: 'viewer', uid: '3', groups: ['system:authenticated'] },
      },
    ]);
  });

  test('have no columns: nothing is asked of who wants a table', async () => {
    const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
    const rules = { spec: { nonResourceAttributes: { path: '/', verb: 'get' } } };
    const target = `${AUTHORIZATION}/selfsubjectaccessreviews`;
    const { code, json } = await world.ask('viewer', 'POST', target, rules, table);
    expect([code, json['reason']]).toEqual([406, 'NotAcceptable']);
    const token = '/api/v1/namespaces/red/serviceaccounts/default/token';
    expect((await world.ask('admin', 'POST', token, { spec: {} }, table)).code).toBe(406);
  });

  test('are answered to who is impersonated', async () => {
    const as = { 'impersonate-user': 'jane', 'impersonate-group': 'team' };
    const { json } = await world.ask('admin', 'POST', `${AUTHENTICATION}/selfsubjectreviews`, {}, as);
    expect(member(json, 'status', 'userInfo')).toEqual({
      username: 'jane',
      groups: ['team', 'system:authenticated'],
    });
    const refused = await world.ask('editor', 'GET', '/api/v1/nodes', undefined, as);
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'nodes is forbidden: User "editor" cannot impersonate-on:user-info:list resource "nodes" in API group "" at the cluster scope',
    ]);
  });
});

describe('tokens of service accounts', () => {
  const ACCOUNTS = '/api/v1/namespaces/red/serviceaccounts';
  const request = (spec: object = {}): object => ({ spec });

  beforeAll(async () => {
    await world.ask('admin', 'POST', ACCOUNTS, { metadata: { name: 'robot' } });
    await world.ask('admin', 'POST', `${RBAC}/namespaces/red/rolebindings`, {
      ...binding('robot', 'view', 'x'),
      subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: 'red' }],
    });
  });

  async function tokenOf(name: string, spec: object = {}): Promise<string> {
    const { code, json } = await world.ask('admin', 'POST', `${ACCOUNTS}/${name}/token`, request(spec));
    expect(code).toBe(201);
    return String(member(json, 'status', 'token'));
  }

  test('are minted, let their account in, and end with it', async () => {
    await world.ask('admin', 'POST', ACCOUNTS, { metadata: { name: 'short' } });
    const token = await tokenOf('short');
    const day = 86_400;
    const cut = await world.ask(
      'admin',
      'POST',
      `${ACCOUNTS}/short/token`,
      request({ expirationSeconds: day + 1 }),
    );
    expect([cut.warnings, member(cut.json, 'spec', 'expirationSeconds')]).toEqual([
      [`299 - "requested expiration of ${day + 1} seconds shortened to ${day} seconds"`],
      day,
    ]);
    expect(cut.json.metadata).toMatchObject({ name: 'short', namespace: 'red' });
    const self = await world.ask(token, 'POST', `${AUTHENTICATION}/selfsubjectreviews`, {});
    expect(member(self.json, 'status', 'userInfo')).toMatchObject({
      username: 'system:serviceaccount:red:short',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:red', 'system:authenticated'],
    });
    await world.ask('admin', 'DELETE', `${ACCOUNTS}/short`);
    expect((await world.ask(token, 'GET', '/api')).code).toBe(401);
    const robot = await tokenOf('robot');
    await until(async () => (await world.ask(robot, 'GET', '/api/v1/namespaces/red/pods')).code === 200);
  });

  test('are of an audience, and no longer than was allowed', async () => {
    const { json } = await world.ask(
      'admin',
      'POST',
      `${ACCOUNTS}/robot/token`,
      request({ audiences: ['vault'], expirationSeconds: 600 }),
    );
    expect(member(json, 'spec', 'expirationSeconds')).toBe(600);
    const token = String(member(json, 'status', 'token'));
    expect((await world.ask(token, 'GET', '/api')).code).toBe(401);
    const seen = async (audiences: readonly string[]): Promise<unknown> => {
      const review = await world.ask('admin', 'POST', `${AUTHENTICATION}/tokenreviews`, {
        spec: { token, audiences },
      });
      return member(review.json, 'status', 'authenticated') ?? false;
    };
    expect([await seen(['vault', 'other']), await seen(['other'])]).toEqual([true, false]);
    const short = await world.ask(
      'admin',
      'POST',
      `${ACCOUNTS}/robot/token`,
      request({ expirationSeconds: 60 }),
    );
    expect([short.code, short.json['message']]).toEqual([
      422,
      'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
    ]);
    const another = await world.ask('admin', 'POST', `${ACCOUNTS}/robot/token`, {
      metadata: { name: 'other' },
      spec: {},
    });
    expect([another.code, another.json['message']]).toEqual([
      422,
      'TokenRequest.authentication.k8s.io "robot" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified',
    ]);
    const anew = await world.ask('admin', 'POST', `${ACCOUNTS}/robot/token`, {
      metadata: { uid: 'old' },
      spec: {},
    });
    expect([anew.code, anew.json['message']]).toEqual([
      409,
      expect.stringMatching(
        /^Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "robot": the UID in the token request \(old\) does not match the UID of the service account \(0{8}-/,
      ),
    ]);
    expect((await world.ask('admin', 'POST', `${ACCOUNTS}/nobody/token`, request())).code).toBe(404);
    expect((await world.ask('viewer', 'POST', `${ACCOUNTS}/robot/token`, request())).code).toBe(403);
  });

  test('are bound to a pod, and end with it', async () => {
    const PODS = '/api/v1/namespaces/red/pods';
    const pod = await world.ask('admin', 'POST', PODS, {
      metadata: { name: 'p' },
      spec: { serviceAccountName: 'robot', containers: [{ name: 'c', image: 'i' }] },
    });
    expect(pod.code).toBe(201);
    const token = await tokenOf('robot', {
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: pod.json.metadata.uid },
    });
    expect((await world.ask(token, 'GET', PODS)).code).toBe(200);
    await world.ask('admin', 'DELETE', `${PODS}/p?gracePeriodSeconds=0`);
    expect((await world.ask(token, 'GET', PODS)).code).toBe(401);
    const wrong = await world.ask(
      'admin',
      'POST',
      `${ACCOUNTS}/robot/token`,
      request({
        boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p' },
      }),
    );
    expect([wrong.code, wrong.json['message']]).toEqual([404, 'pods "p" not found']);
  });
});

test('discovery tells of all of it', async () => {
  const authn = await world.ask('nobody', 'GET', AUTHENTICATION);
  expect(member(authn.json, 'resources')).toEqual([
    {
      name: 'selfsubjectreviews',
      singularName: 'selfsubjectreview',
      namespaced: false,
      kind: 'SelfSubjectReview',
      verbs: ['create'],
    },
    {
      name: 'tokenreviews',
      singularName: 'tokenreview',
      namespaced: false,
      kind: 'TokenReview',
      verbs: ['create'],
    },
  ]);
  const core = await world.ask('nobody', 'GET', '/api/v1');
  expect(member(core.json, 'resources')).toEqual(
    expect.arrayContaining([
      {
        name: 'serviceaccounts/token',
        singularName: '',
        namespaced: true,
        group: 'authentication.k8s.io',
        version: 'v1',
        kind: 'TokenRequest',
        verbs: ['create'],
      },
    ]),
  );
});
