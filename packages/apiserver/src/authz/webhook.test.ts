import { describe, expect, test } from '@jest/globals';

import type { UserInfo } from '../api/user-info.ts';
import { resourceAttributes } from './attributes.ts';
import { readAuthorizationConfig } from './authorization-config.ts';
import { WebhookAuthorizer, type WebhookAuthorizerOptions } from './webhook.ts';

const JANE: UserInfo = { name: 'jane', uid: '7', groups: ['team'], extra: { scopes: ['a'] } };

/** A webhook that answers the same, what it was asked, and a clock. */
function webhook(
  status: object | Error,
  options: Partial<WebhookAuthorizerOptions> = {},
): { readonly authorizer: WebhookAuthorizer; readonly asked: object[]; nowMs: number } {
  const world = { asked: [] as object[], nowMs: 0 };
  const authorizer = new WebhookAuthorizer({
    post: (review) => {
      world.asked.push(review);
      return status instanceof Error ? Promise.reject(status) : Promise.resolve({ status });
    },
    version: 'v1',
    authorizedTtlMs: 300_000,
    unauthorizedTtlMs: 30_000,
    failurePolicy: 'NoOpinion',
    monotonicMs: () => world.nowMs,
    ...options,
  });
  return Object.assign(world, { authorizer });
}

const GET = resourceAttributes(JANE, 'get', {
  resource: 'pods',
  namespace: 'red',
  version: 'v1',
  name: 'web',
});

describe('answers', () => {
  test.each<[string, object | Error, object]>([
    ['yes', { allowed: true, reason: 'because' }, { kind: 'allow', reason: 'because' }],
    ['nothing', { allowed: false, reason: 'who?' }, { kind: 'no-opinion', reason: 'who?' }],
    ['no', { allowed: false, denied: true, reason: 'never' }, { kind: 'deny', reason: 'never' }],
    [
      'both',
      { allowed: true, denied: true },
      {
        kind: 'deny',
        reason: '',
        error: 'webhook subject access review returned both allow and deny response',
      },
    ],
    ['none', new Error('no route'), { kind: 'no-opinion', reason: '', error: 'no route' }],
  ])('%s', async (_name, status, decision) => {
    expect(await webhook(status).authorizer.authorize(GET)).toEqual(decision);
  });

  test('none, where that is a no', async () => {
    const { authorizer } = webhook(new Error('no route'), { failurePolicy: 'Deny' });
    expect(await authorizer.authorize(GET)).toEqual({ kind: 'deny', reason: '', error: 'no route' });
  });
});

describe('questions', () => {
  test('name the user and what he wants', async () => {
    const { authorizer, asked } = webhook({ allowed: true });
    await authorizer.authorize({
      ...resourceAttributes(JANE, 'list', { resource: 'pods', group: '', version: 'v1' }),
      fieldSelector: [{ field: 'spec.nodeName', operator: '=', value: 'n1' }],
      labelSelector: [
        { key: 'app', operator: 'in', values: ['a', 'b'] },
        { key: 'size', operator: 'gt', values: ['3'] },
        { key: 'old', operator: '!', values: [] },
      ],
    });
    await authorizer.authorize({ ...GET, isResource: false, verb: 'get', path: '/metrics' });
    expect(asked).toEqual([
      {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: { creationTimestamp: null },
        spec: {
          resourceAttributes: {
            verb: 'list',
            version: 'v1',
            resource: 'pods',
            fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n1'] }] },
            labelSelector: {
              requirements: [
                { key: 'app', operator: 'In', values: ['a', 'b'] },
                { key: 'old', operator: 'DoesNotExist' },
              ],
            },
          },
          user: 'jane',
          groups: ['team'],
          extra: { scopes: ['a'] },
          uid: '7',
        },
        status: { allowed: false },
      },
      expect.objectContaining({
        spec: {
          nonResourceAttributes: { path: '/metrics', verb: 'get' },
          user: 'jane',
          groups: ['team'],
          extra: { scopes: ['a'] },
          uid: '7',
        },
      }),
    ]);
  });

  test('in the old version', async () => {
    const { authorizer, asked } = webhook({ allowed: true }, { version: 'v1beta1' });
    await authorizer.authorize(GET);
    expect(asked[0]).toMatchObject({ apiVersion: 'authorization.k8s.io/v1beta1', spec: { group: ['team'] } });
  });

  test('are asked once while the answer is good', async () => {
    const yes = webhook({ allowed: true });
    await Promise.all([yes.authorizer.authorize(GET), yes.authorizer.authorize(GET)]);
    yes.nowMs = 299_999;
    await yes.authorizer.authorize(GET);
    expect(yes.asked).toHaveLength(1);
    yes.nowMs = 300_000;
    await yes.authorizer.authorize(GET);
    expect(yes.asked).toHaveLength(2);
    const no = webhook({ allowed: false });
    await no.authorizer.authorize(GET);
    no.nowMs = 30_000;
    await no.authorizer.authorize(GET);
    expect(no.asked).toHaveLength(2);
  });

  test('are asked again after a failure, when they are long, and when nothing is to be kept', async () => {
    const failing = webhook(new Error('x'));
    const long = webhook({ allowed: true });
    const none = webhook({ allowed: true }, { authorizedTtlMs: 0 });
    const wide = { ...GET, name: 'x'.repeat(10_000) };
    for (let time = 0; time < 2; time += 1) {
      await failing.authorizer.authorize(GET);
      await long.authorizer.authorize(wide);
      await none.authorizer.authorize(GET);
    }
    expect([failing.asked.length, long.asked.length, none.asked.length]).toEqual([2, 2, 2]);
  });

  test('that do not match are not asked', async () => {
    const { authorizer, asked } = webhook({ allowed: true }, { matches: ({ verb }) => verb === 'list' });
    expect(await authorizer.authorize(GET)).toEqual({ kind: 'no-opinion', reason: '' });
    expect(asked).toEqual([]);
  });
});

describe('AuthorizationConfiguration', () => {
  const config = (...authorizers: object[]): string =>
    JSON.stringify({
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'AuthorizationConfiguration',
      authorizers,
    });
  const good = {
    timeout: '3s',
    subjectAccessReviewVersion: 'v1',
    failurePolicy: 'Deny',
    connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/etc/webhook' },
  };

  test('modes in their order', () => {
    expect(
      readAuthorizationConfig(
        config(
          { type: 'Node', name: 'node' },
          { type: 'RBAC', name: 'rbac' },
          {
            type: 'Webhook',
            name: 'one',
            webhook: {
              ...good,
              authorizedTTL: '1m30s',
              matchConditionSubjectAccessReviewVersion: 'v1',
              matchConditions: [{ expression: 'has(request.resourceAttributes)' }],
            },
          },
          { type: 'Webhook', name: 'two', webhook: { ...good, connectionInfo: { type: 'InClusterConfig' } } },
        ),
      ),
    ).toEqual([
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
      {
        type: 'Webhook',
        name: 'one',
        webhook: {
          authorizedTtlMs: 90_000,
          unauthorizedTtlMs: 30_000,
          timeoutMs: 3_000,
          version: 'v1',
          failurePolicy: 'Deny',
          kubeconfig: '/etc/webhook',
          matchConditions: ['has(request.resourceAttributes)'],
        },
      },
      expect.objectContaining({
        name: 'two',
        webhook: expect.objectContaining({ authorizedTtlMs: 300_000, kubeconfig: undefined }),
      }),
    ]);
  });

  test('answers that are not to be kept', () => {
    const hook = { ...good, authorizedTTL: '1m', cacheAuthorizedRequests: false };
    expect(readAuthorizationConfig(config({ type: 'Webhook', name: 'a', webhook: hook }))).toEqual([
      expect.objectContaining({
        webhook: expect.objectContaining({ authorizedTtlMs: 0, unauthorizedTtlMs: 30_000 }),
      }),
    ]);
  });

  test('a word that is none', () => {
    const hook = { ...good, failurePolice: 'Deny' };
    expect(() => readAuthorizationConfig(config({ type: 'Webhook', name: 'a', webhook: hook }))).toThrow(
      'strict decoding error: unknown field "authorizers[0].webhook.failurePolice"',
    );
  });

  test.each<[string, object[], string]>([
    ['no modes', [], 'authorizers: Required value: at least one authorization mode must be defined'],
    ['no type', [{ name: 'x' }], 'authorizers[0].type: Required value'],
    [
      'an unknown type',
      [{ type: 'Magic', name: 'x' }],
      'authorizers[0].type: Unsupported value: "Magic": supported values: "ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
    ],
    [
      'a type twice',
      [
        { type: 'RBAC', name: 'a' },
        { type: 'RBAC', name: 'b' },
      ],
      'authorizers[1].type: Duplicate value: "RBAC"',
    ],
    [
      'a name twice',
      [
        { type: 'Node', name: 'a' },
        { type: 'RBAC', name: 'a' },
      ],
      'authorizers[1].name: Duplicate value: "a"',
    ],
    ['no name', [{ type: 'RBAC' }], 'authorizers[0].name: Required value'],
    [
      'a webhook of RBAC',
      [{ type: 'RBAC', name: 'a', webhook: {} }],
      'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook',
    ],
    [
      'a long timeout',
      [{ type: 'Webhook', name: 'a', webhook: { ...good, timeout: '31s' } }],
      'authorizers[0].webhook.timeout: Invalid value: "31s": must be > 0s and <= 30s',
    ],
    [
      'no timeout',
      [{ type: 'Webhook', name: 'a', webhook: { ...good, timeout: undefined } }],
      'authorizers[0].webhook.timeout: Required value',
    ],
    [
      'an unknown version',
      [{ type: 'Webhook', name: 'a', webhook: { ...good, subjectAccessReviewVersion: 'v2' } }],
      'authorizers[0].webhook.subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
    ],
    [
      'conditions without their version',
      [{ type: 'Webhook', name: 'a', webhook: { ...good, matchConditions: [{ expression: 'true' }] } }],
      'authorizers[0].webhook.matchConditionSubjectAccessReviewVersion: Required value',
    ],
    [
      'an unknown policy',
      [{ type: 'Webhook', name: 'a', webhook: { ...good, failurePolicy: 'Allow' } }],
      'authorizers[0].webhook.failurePolicy: Unsupported value: "Allow": supported values: "NoOpinion", "Deny"',
    ],
    [
      'a relative file',
      [
        {
          type: 'Webhook',
          name: 'a',
          webhook: { ...good, connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'webhook' } },
        },
      ],
      'authorizers[0].webhook.connectionInfo.kubeConfigFile: Invalid value: "webhook": must be an absolute path',
    ],
  ])('%s', (_name, authorizers, message) => {
    expect(() => readAuthorizationConfig(config(...authorizers))).toThrow(new Error(message));
  });
});
