/** Modes of --authorization-config: a file that changes while the server runs. */
import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';

import { FollowedFile } from '../../test/followed-file.ts';
import { accessMetrics } from '../authz/access-metrics.ts';
import { resourceAttributes } from '../authz/attributes.ts';
import { Access } from '../bootstrap/access.ts';
import { HttpsCaller } from '../outbound/https-caller.ts';
import { makeAuthorization, type Authorization } from './authorization.ts';

const PREFIX = 'apiserver_authorization_config_controller_automatic_reloads_total';
const LOADED = `${PREFIX}{id,status="success"} 1`;
const REFUSED = `${PREFIX}{id,status="failure"} 1`;

const HOOK = '/etc/hook';
const FILES: Readonly<Record<string, string>> = {
  [HOOK]: JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: 'https://hook.example' } }],
    contexts: [{ name: 'x', context: { cluster: 'c' } }],
    'current-context': 'x',
  }),
  '/etc/policies': JSON.stringify({
    apiVersion: 'abac.authorization.kubernetes.io/v1beta1',
    kind: 'Policy',
    spec: { user: 'abe', namespace: '*', resource: '*', apiGroup: '*' },
  }),
};

const builtIn = (type: string, name = type.toLowerCase()): object => ({ type, name });

function webhook(kubeConfigFile = HOOK): object {
  return {
    type: 'Webhook',
    name: 'hook',
    webhook: {
      timeout: '3s',
      subjectAccessReviewVersion: 'v1',
      failurePolicy: 'Deny',
      connectionInfo: { type: 'KubeConfigFile', kubeConfigFile },
      // Nobody is asked here.
      matchConditionSubjectAccessReviewVersion: 'v1',
      matchConditions: [{ expression: "request.user == 'nobody'" }],
    },
  };
}

function fileOf(...authorizers: readonly object[]): string {
  return JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthorizationConfiguration',
    authorizers,
  });
}

interface World {
  readonly file: FollowedFile;
  readonly authorization: Authorization;
  /** How often other modes came. */
  readonly changes: () => number;
  readonly told: unknown[];
  /** What is said to a user. */
  readonly may: (name: string) => Promise<string>;
}

function world(...authorizers: readonly object[]): World {
  const file = new FollowedFile(fileOf(...authorizers));
  const { clock, metrics, serverId } = file;
  const told: unknown[] = [];
  let changes = 0;
  const logger = {
    ...silentLogger,
    error: (_message: string, fields?: Readonly<Record<string, unknown>>) =>
      void told.push(fields?.['error']),
  };
  const authorization = makeAuthorization({
    config: {
      authorizationFile: file.path,
      authorizationModes: [],
      authorizationPolicyFile: '/etc/policies',
      authorizationWebhook: { file: '', version: 'v1', authorizedTtlMs: 0, unauthorizedTtlMs: 0 },
    },
    readFile: (path) => FILES[path] ?? file.readFile(path),
    programs: { run: () => Promise.resolve({ kind: 'missing' }), nowMs: () => clock.nowMs() },
    caller: new HttpsCaller(clock),
    clock,
    logger,
    signal: new AbortController().signal,
    metrics: accessMetrics(metrics),
    registry: metrics,
    serverId,
    changed: (modes) => {
      changes += 1;
      access.use(modes);
    },
  });
  const access = new Access({ modes: authorization.modes, clock, logger });
  authorization.reload?.start();
  const may = async (name: string): Promise<string> => {
    const user = { name, uid: '', groups: [], extra: {} };
    const attributes = resourceAttributes(user, 'get', { resource: 'pods', version: 'v1', namespace: 'red' });
    return (await access.authorizer.authorize(attributes)).kind;
  };
  return { file, authorization, changes: () => changes, told, may };
}

test('order and webhooks may change, and modes that need nothing come', async () => {
  const { file, may, told } = world(builtIn('Node'), builtIn('RBAC'));
  expect(await may('mia')).toBe('no-opinion');
  file.text = fileOf(webhook(), builtIn('RBAC'), builtIn('Node'), builtIn('AlwaysAllow'));
  await file.look();
  expect(told).toEqual([]);
  expect(await may('mia')).toBe('allow');
  expect(file.counted()).toContain(LOADED);
});

test('other words for the same modes change nothing', async () => {
  const { file, authorization, changes } = world(builtIn('RBAC'), webhook());
  expect(authorization.modes).toHaveLength(2);
  file.text = `${file.text ?? ''}\n`;
  await file.look();
  expect(changes()).toBe(0);
  expect(file.counted().join()).not.toContain(PREFIX);
  file.text = fileOf(builtIn('RBAC'));
  await file.look();
  expect(changes()).toBe(1);
});

test('policies of ABAC are those of the start', async () => {
  const { file, may } = world(builtIn('ABAC'));
  file.text = fileOf(webhook(), builtIn('ABAC'));
  await file.look();
  expect(file.counted()).toContain(LOADED);
  expect([await may('abe'), await may('mia')]).toEqual(['allow', 'no-opinion']);
});

describe('refused, and the old file goes on', () => {
  const late = (type: string): string =>
    `authorizer type ${type} is not allowed if it was not enabled at initial server startup`;
  test.each<[string, readonly object[], string]>([
    ['nothing', [], 'authorizers: Required value: at least one authorization mode must be defined'],
    ['a mode that is gone', [builtIn('RBAC')], 'missing required types: [AlwaysAllow]'],
    ['all of them gone', [webhook()], 'missing required types: [AlwaysAllow RBAC]'],
    ['Node that comes late', [builtIn('RBAC'), builtIn('AlwaysAllow'), builtIn('Node')], late('Node')],
    ['ABAC that comes late', [builtIn('ABAC'), builtIn('RBAC'), builtIn('AlwaysAllow')], late('ABAC')],
    [
      'a name of its own, and a mode that is gone',
      [builtIn('RBAC', 'mine')],
      '[expected name rbac for authorizer RBAC instead of mine, missing required types: [AlwaysAllow]]',
    ],
    [
      'a webhook whose kubeconfig is not there',
      [webhook('/etc/none'), builtIn('RBAC'), builtIn('AlwaysAllow')],
      'open /etc/none: no such file or directory',
    ],
  ])('%s', async (_name, authorizers, message) => {
    const { file, told, may } = world(builtIn('RBAC'), builtIn('AlwaysAllow'));
    file.text = fileOf(...authorizers);
    await file.look();
    await file.look();
    expect(told).toEqual([message]);
    expect(file.counted()).toContain(REFUSED);
    expect(await may('mia')).toBe('allow');
  });
});

test('RBAC cannot come late', async () => {
  const { file, told, may } = world(builtIn('AlwaysAllow'));
  file.text = fileOf(builtIn('AlwaysAllow'), builtIn('RBAC'));
  await file.look();
  expect(told).toEqual([
    'authorizer type RBAC is not allowed if it was not enabled at initial server startup',
  ]);
  expect(await may('mia')).toBe('allow');
});

test('a start with a name of its own is refused', () => {
  expect(() => world(builtIn('RBAC', 'mine'))).toThrow(
    'expected name rbac for authorizer RBAC instead of mine',
  );
});
