import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { ApiRequest } from './api/exchange.ts';
import { forbidden } from './api/status.ts';
import { versionHandler } from './handlers/version.ts';
import { endpoints } from './registry/core/endpoints.ts';
import { componentStatuses } from './registry/core/componentstatuses.ts';
import { member, smallServer, type SmallServer } from '../test/small-server.ts';

let small: SmallServer;

beforeEach(() => {
  small = smallServer();
});

afterEach(async () => {
  await small.stop();
});

const CM = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { a: '1' },
  ...more,
});

describe('create', () => {
  test('sets what the server alone says', async () => {
    const { code, json } = await small.ask('POST', CM, {
      metadata: { name: 'a', uid: 'mine', creationTimestamp: '2001-01-01T00:00:00Z', selfLink: '/x' },
      data: { a: '1' },
    });
    expect(code).toBe(201);
    expect(json.kind).toBe('ConfigMap');
    expect(json.apiVersion).toBe('v1');
    expect(json.metadata.namespace).toBe('default');
    expect(json.metadata.uid).toMatch(/^00000000-0000-4000-8000-/);
    expect(json.metadata.creationTimestamp).toMatch(/^20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(json.metadata.resourceVersion).toMatch(/^[1-9]\d*$/);
    expect(json.metadata.generation).toBeUndefined();
    expect(member(json, 'metadata', 'selfLink')).toBeUndefined();
    expect(json.metadata.managedFields).toEqual([
      expect.objectContaining({
        manager: 'test',
        operation: 'Update',
        apiVersion: 'v1',
        fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } },
      }),
    ]);
  });

  test('a name is generated', async () => {
    const { code, json } = await small.ask('POST', CM, { metadata: { generateName: 'cm-' } });
    expect(code).toBe(201);
    expect(json.metadata.name).toMatch(/^cm-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  test('twice', async () => {
    await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask('POST', CM, configMap('a'));
    expect([code, json['reason'], json['message']]).toEqual([
      409,
      'AlreadyExists',
      'configmaps "a" already exists',
    ]);
    expect(json['details']).toEqual({ name: 'a', kind: 'configmaps' });
  });

  test.each<[string, string, object, number, string]>([
    [
      'another namespace',
      CM,
      configMap('a', { metadata: { name: 'a', namespace: 'other' } }),
      400,
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'no name',
      CM,
      { metadata: {} },
      422,
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    [
      'a name that is none',
      CM,
      configMap('A_b'),
      422,
      "ConfigMap \"A_b\" is invalid: metadata.name: Invalid value: \"A_b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ],
    [
      'a resourceVersion',
      CM,
      { metadata: { name: 'a', resourceVersion: '7' } },
      500,
      'resourceVersion should not be set on objects to be created',
    ],
    [
      'another kind of dry run',
      `${CM}?dryRun=Some`,
      configMap('a'),
      422,
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ],
  ])('%s is refused', async (_name, target, body, wanted, message) => {
    const { code, json } = await small.ask('POST', target, body);
    expect([code, json['message']]).toEqual([wanted, message]);
  });

  test('a dry run writes nothing', async () => {
    expect((await small.ask('POST', `${CM}?dryRun=All`, configMap('a'))).code).toBe(201);
    expect((await small.ask('GET', `${CM}/a`)).code).toBe(404);
  });
});

test('a generated name that is always taken is given up after some tries', async () => {
  let asked = 0;
  const stubborn = smallServer({
    random: () => {
      asked += 1;
      return 0;
    },
  });
  const body = { metadata: { generateName: 'cm-' } };
  expect((await stubborn.ask('POST', CM, body)).json.metadata.name).toBe('cm-bbbbb');
  asked = 0;
  const { code, json } = await stubborn.ask('POST', CM, body);
  expect([code, json['message']]).toEqual([
    409,
    'configmaps "cm-bbbbb" already exists, the server was not able to generate a unique name for the object',
  ]);
  expect(member(json, 'details', 'retryAfterSeconds')).toBe(1);
  expect(asked).toBe(8 * 5);
  await stubborn.stop();
});

test('patches that meet all land', async () => {
  await small.ask('POST', CM, configMap('a'));
  const names = Array.from({ length: 20 }, (_, index) => `k${index}`);
  const answers = await Promise.all(
    names.map((name) => small.ask('PATCH', `${CM}/a`, { data: { [name]: 'x' } })),
  );
  expect(answers.map(({ code }) => code)).toEqual(names.map(() => 200));
  const { json } = await small.ask('GET', `${CM}/a`);
  expect(Object.keys(json['data'] as unknown as object).toSorted()).toEqual(['a', ...names].toSorted());
});

test('admission changes and refuses', async () => {
  const guarded = smallServer({
    plugins: [
      {
        name: 'Marks',
        handles: (operation) => operation !== 'DELETE',
        admit: ({ object }) =>
          Promise.resolve(
            object && { ...object, metadata: { ...object.metadata, labels: { marked: 'yes' } } },
          ),
      },
      {
        name: 'Keeps',
        handles: (operation) => operation === 'DELETE',
        validate: ({ oldObject }) =>
          Promise.reject(
            forbidden({ group: '', resource: 'configmaps' }, oldObject?.metadata.name ?? '', 'kept'),
          ),
      },
    ],
  });
  const { json } = await guarded.ask('POST', CM, configMap('a'));
  expect(json.metadata.labels).toEqual({ marked: 'yes' });
  const refused = await guarded.ask('DELETE', `${CM}/a`);
  expect([refused.code, refused.json['message']]).toEqual([403, 'configmaps "a" is forbidden: kept']);
  expect((await guarded.ask('GET', `${CM}/a`)).code).toBe(200);
  await guarded.stop();
});

describe('read', () => {
  test('what is not there', async () => {
    const { code, json } = await small.ask('GET', `${CM}/a`);
    expect([code, json['reason'], json['message']]).toEqual([404, 'NotFound', 'configmaps "a" not found']);
  });

  test('a list leaves kinds out and pages', async () => {
    for (const name of ['a', 'b', 'c']) await small.ask('POST', CM, configMap(name));
    const first = await small.ask('GET', `${CM}?limit=2`);
    expect(first.json.kind).toBe('ConfigMapList');
    const items = first.json['items'] as unknown as { kind?: string; metadata: { name: string } }[];
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect(items[0].kind).toBeUndefined();
    expect(member(first.json, 'metadata', 'remainingItemCount')).toBe(1);
    const token = encodeURIComponent(String(member(first.json, 'metadata', 'continue')));
    const second = await small.ask('GET', `${CM}?limit=2&continue=${token}`);
    expect((second.json['items'] as unknown as unknown[]).length).toBe(1);
    expect(second.json.metadata.resourceVersion).toBe(first.json.metadata.resourceVersion);
  });

  test('all namespaces, selectors', async () => {
    await small.ask('POST', CM, configMap('a', { metadata: { name: 'a', labels: { x: 'y' } } }));
    await small.ask('POST', '/api/v1/namespaces/other/configmaps', configMap('a'));
    const count = async (query: string): Promise<number> =>
      ((await small.ask('GET', `/api/v1/configmaps${query}`)).json['items'] as unknown as unknown[]).length;
    expect(await count('')).toBe(2);
    expect(await count('?labelSelector=x%3Dy')).toBe(1);
    expect(await count('?fieldSelector=metadata.namespace%3Dother')).toBe(1);
    expect(await count('?fieldSelector=metadata.name%3Da')).toBe(2);
  });

  test.each<[string, number, string]>([
    [
      'resourceVersionMatch=Exact',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    ],
    [
      'resourceVersionMatch=Exact&resourceVersion=0',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [
      'sendInitialEvents=true',
      422,
      'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    ],
    [
      'watch=1&sendInitialEvents=true',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ],
    [
      'watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1',
      422,
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
    ['limit=x', 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [
      'fieldSelector=spec.x%3D1',
      400,
      '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
    ['labelSelector=%3D', 400, "found '=', expected: !, identifier, or 'end of string'"],
  ])('list ?%s', async (query, wanted, message) => {
    const { code, json } = await small.ask('GET', `${CM}?${query}`);
    expect([code, json['message']]).toEqual([wanted, message]);
  });

  test('a table', async () => {
    await small.ask('POST', CM, configMap('a'));
    const { json } = await small.ask('GET', CM, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    });
    expect([json.kind, json.apiVersion]).toEqual(['Table', 'meta.k8s.io/v1']);
    expect(member(json, 'columnDefinitions', '0', 'name')).toBe('Name');
    expect(member(json, 'rows', '0', 'cells', '0')).toBe('a');
    expect(member(json, 'rows', '0', 'object', 'kind')).toBe('PartialObjectMetadata');
  });

  test('metadata alone', async () => {
    await small.ask('POST', CM, configMap('a'));
    const { json } = await small.ask('GET', CM, undefined, {
      accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json',
    });
    expect(json.kind).toBe('PartialObjectMetadataList');
    expect(member(json, 'items', '0', 'kind')).toBe('PartialObjectMetadata');
    expect(member(json, 'items', '0', 'data')).toBeUndefined();
  });
});

describe('update', () => {
  test('with a version that is old', async () => {
    const made = await small.ask('POST', CM, configMap('a'));
    const { resourceVersion } = made.json.metadata;
    const changed = configMap('a', { metadata: { name: 'a', resourceVersion }, data: { a: '2' } });
    expect((await small.ask('PUT', `${CM}/a`, changed)).code).toBe(200);
    const { code, json } = await small.ask('PUT', `${CM}/a`, changed);
    expect([code, json['reason'], json['message']]).toEqual([
      409,
      'Conflict',
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    ]);
  });

  test('that changes nothing is not written', async () => {
    const made = await small.ask('POST', CM, configMap('a'));
    const again = await small.ask('PUT', `${CM}/a`, configMap('a'));
    expect(again.code).toBe(200);
    expect(again.json.metadata.resourceVersion).toBe(made.json.metadata.resourceVersion);
  });

  test.each<[string, string, object, number, string]>([
    ['nothing there', 'b', configMap('b'), 404, 'configmaps "b" not found'],
    [
      'another name',
      'a',
      configMap('b'),
      400,
      'the name of the object (b) does not match the name on the URL (a)',
    ],
    [
      'another namespace',
      'a',
      configMap('a', { metadata: { name: 'a', namespace: 'x' } }),
      400,
      'the namespace of the object (x) does not match the namespace on the request (default)',
    ],
  ])('%s', async (_name, name, body, wanted, message) => {
    await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask('PUT', `${CM}/${name}`, body);
    expect([code, json['message']]).toEqual([wanted, message]);
  });

  test('of another uid', async () => {
    await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask(
      'PUT',
      `${CM}/a`,
      configMap('a', { metadata: { name: 'a', uid: 'x' } }),
    );
    expect([code, json['reason']]).toEqual([409, 'Conflict']);
    expect(json['message']).toContain('Precondition failed: UID in precondition: x, UID in object meta: ');
  });

  test('creates, and insists on a version, where the kind says so', async () => {
    const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/l';
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec: {} };
    expect((await small.ask('PUT', path, lease)).code).toBe(201);
    const { code, json } = await small.ask('PUT', path, lease);
    expect([code, json['message']]).toEqual([
      422,
      'leases.coordination.k8s.io "l" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    ]);
  });
});

describe('generation, status and scale', () => {
  const PATH = '/apis/apps/v1/namespaces/default/deployments';
  const deployment = (replicas: number): object => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
    status: { replicas: 99 },
  });

  test('the spec counts, the status does not, and each has its endpoint', async () => {
    const made = await small.ask('POST', PATH, deployment(1));
    expect(made.json.metadata.generation).toBe(1);
    expect(made.json['status']).toEqual({});
    const scaled = await small.ask('PUT', `${PATH}/web`, deployment(2));
    expect(scaled.json.metadata.generation).toBe(2);
    const patched = await small.ask('PATCH', `${PATH}/web/status`, {
      spec: { replicas: 7 },
      status: { replicas: 2 },
    });
    expect(patched.code).toBe(200);
    expect(member(patched.json, 'spec', 'replicas')).toBe(2);
    expect(member(patched.json, 'status', 'replicas')).toBe(2);
    expect(patched.json.metadata.generation).toBe(2);
    const entry = patched.json.metadata.managedFields?.find(({ subresource }) => subresource === 'status');
    expect(entry?.fieldsV1).toEqual({ 'f:status': { 'f:replicas': {} } });
  });

  test('scale is read and written', async () => {
    await small.ask('POST', PATH, deployment(1));
    const shown = await small.ask('GET', `${PATH}/web/scale`);
    expect([shown.json.kind, shown.json.apiVersion]).toEqual(['Scale', 'autoscaling/v1']);
    expect(shown.json['spec']).toEqual({ replicas: 1 });
    expect(shown.json['status']).toEqual({ replicas: 0, selector: 'app=web' });
    const patched = await small.ask('PATCH', `${PATH}/web/scale`, { spec: { replicas: 4 } });
    expect([patched.code, patched.json.kind, member(patched.json, 'spec', 'replicas')]).toEqual([
      200,
      'Scale',
      4,
    ]);
    const put = await small.ask('PUT', `${PATH}/web/scale`, {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: 'web', namespace: 'default' },
      spec: { replicas: 5 },
    });
    expect(put.code).toBe(200);
    const parent = await small.ask('GET', `${PATH}/web`);
    expect(member(parent.json, 'spec', 'replicas')).toBe(5);
    expect(parent.json.metadata.generation).toBe(3);
    expect(parent.json.metadata.managedFields?.some(({ subresource }) => subresource === 'scale')).toBe(true);
    const wrong = await small.ask('PATCH', `${PATH}/web/scale`, { spec: { replicas: -1 } });
    expect([wrong.code, wrong.json['message']]).toEqual([
      422,
      'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ]);
  });

  test('validation of a kind', async () => {
    const { code, json } = await small.ask('POST', PATH, deployment(-1));
    expect([code, json['message']]).toEqual([
      422,
      'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ]);
  });
});

describe('apply', () => {
  const APPLY = { 'content-type': 'application/apply-patch+yaml' };
  const manifest = (value: string): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: ${value}\n`;

  test('creates, changes, conflicts, forces', async () => {
    const first = await small.ask('PATCH', `${CM}/a?fieldManager=one`, manifest('one'), APPLY);
    expect([first.code, member(first.json, 'data', 'key')]).toEqual([201, 'one']);
    expect(first.json.metadata.uid).toBeDefined();
    const again = await small.ask('PATCH', `${CM}/a?fieldManager=one`, manifest('one'), APPLY);
    expect(again.json.metadata.resourceVersion).toBe(first.json.metadata.resourceVersion);
    const other = await small.ask('PATCH', `${CM}/a?fieldManager=two`, manifest('two'), APPLY);
    expect([other.code, other.json['reason'], other.json['message']]).toEqual([
      409,
      'Conflict',
      'Apply failed with 1 conflict: conflict with "one": .data.key',
    ]);
    expect(member(other.json, 'details', 'causes')).toEqual([
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.key' },
    ]);
    const forced = await small.ask('PATCH', `${CM}/a?fieldManager=two&force=true`, manifest('two'), APPLY);
    expect([forced.code, member(forced.json, 'data', 'key')]).toEqual([200, 'two']);
  });

  test('without a manager', async () => {
    const { code, json } = await small.ask('PATCH', `${CM}/a`, manifest('one'), APPLY);
    expect([code, json['message']]).toEqual([
      422,
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    ]);
  });

  test('another content type', async () => {
    const { code, json } = await small.ask('PATCH', `${CM}/a`, '{}', { 'content-type': 'text/plain' });
    expect([code, json['reason']]).toEqual([415, 'UnsupportedMediaType']);
  });
});

describe('delete', () => {
  test('at once, with a Status that names the object', async () => {
    const made = await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask('DELETE', `${CM}/a`);
    expect(code).toBe(200);
    expect(json).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: made.json.metadata.uid },
    });
    expect((await small.ask('DELETE', `${CM}/a`)).code).toBe(404);
  });

  test('waits for finalizers, and an update that empties them ends it', async () => {
    await small.ask('POST', CM, configMap('a', { metadata: { name: 'a', finalizers: ['x.io/f'] } }));
    const deleted = await small.ask('DELETE', `${CM}/a`);
    expect(deleted.code).toBe(200);
    expect(deleted.json.metadata.deletionTimestamp).toBeDefined();
    expect(deleted.json.metadata.deletionGracePeriodSeconds).toBe(0);
    const more = await small.ask('PATCH', `${CM}/a`, { metadata: { finalizers: ['x.io/f', 'x.io/g'] } });
    expect([more.code, more.json['message']]).toEqual([
      422,
      'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.io/g"}',
    ]);
    const taken = await small.ask('POST', CM, configMap('a'));
    expect(taken.json['message']).toBe('object is being deleted: configmaps "a" already exists');
    const freed = await small.ask('PATCH', `${CM}/a`, { metadata: { finalizers: null } });
    expect(freed.code).toBe(200);
    expect((await small.ask('GET', `${CM}/a`)).code).toBe(404);
  });

  test.each<[string, object, readonly string[]]>([
    ['Foreground', { propagationPolicy: 'Foreground' }, ['foregroundDeletion']],
    ['Orphan', { propagationPolicy: 'Orphan' }, ['orphan']],
    ['orphanDependents', { orphanDependents: true }, ['orphan']],
  ])('%s leaves the rest to garbage collection', async (_name, options, finalizers) => {
    await small.ask('POST', CM, configMap('a'));
    const { json } = await small.ask('DELETE', `${CM}/a`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      ...options,
    });
    expect(json.metadata.finalizers).toEqual(finalizers);
  });

  test.each<[string, object, number, string]>([
    [
      'both ways to say it',
      { propagationPolicy: 'Orphan', orphanDependents: true },
      422,
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
    ],
    [
      'an unknown policy',
      { propagationPolicy: 'X' },
      422,
      'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "X": supported values: "Foreground", "Background", "Orphan", "nil"',
    ],
  ])('%s', async (_name, options, wanted, message) => {
    await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask('DELETE', `${CM}/a`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      ...options,
    });
    expect([code, json['message']]).toEqual([wanted, message]);
  });

  test('with a precondition that does not hold', async () => {
    await small.ask('POST', CM, configMap('a'));
    const { code, json } = await small.ask('DELETE', `${CM}/a`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: 'x' },
    });
    expect([code, json['reason']]).toEqual([409, 'Conflict']);
    expect(json['message']).toContain('the UID in the precondition (x) does not match the UID in record (');
  });

  test('by degrees: a grace period that may only become shorter', async () => {
    const PATH = '/api/v1/namespaces/default/pods';
    await small.ask('POST', PATH, {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    const first = await small.ask('DELETE', `${PATH}/p`);
    expect([first.json.kind, first.json.metadata.deletionGracePeriodSeconds]).toEqual(['Pod', 30]);
    expect(first.json.metadata.generation).toBe(2);
    const longer = await small.ask('DELETE', `${PATH}/p?gracePeriodSeconds=60`);
    expect(longer.json.metadata.deletionGracePeriodSeconds).toBe(30);
    const shorter = await small.ask('DELETE', `${PATH}/p?gracePeriodSeconds=5`);
    expect(shorter.json.metadata.deletionGracePeriodSeconds).toBe(5);
    expect((await small.ask('GET', `${PATH}/p`)).code).toBe(200);
    expect((await small.ask('DELETE', `${PATH}/p?gracePeriodSeconds=0`)).code).toBe(200);
    expect((await small.ask('GET', `${PATH}/p`)).code).toBe(404);
  });

  test('a namespace waits for its finalizers', async () => {
    await small.ask('POST', '/api/v1/namespaces', { metadata: { name: 'n' } });
    const { json } = await small.ask('DELETE', '/api/v1/namespaces/n');
    expect(member(json, 'status', 'phase')).toBe('Terminating');
    const ended = await small.ask('PUT', '/api/v1/namespaces/n/finalize', {
      ...json,
      spec: { finalizers: [] },
    });
    expect(ended.code).toBe(200);
    expect((await small.ask('GET', '/api/v1/namespaces/n')).code).toBe(404);
  });

  test('a collection', async () => {
    for (const name of ['a', 'b', 'c']) {
      await small.ask(
        'POST',
        CM,
        configMap(name, { metadata: { name, labels: { odd: String(name !== 'b') } } }),
      );
    }
    const { code, json } = await small.ask('DELETE', `${CM}?labelSelector=odd%3Dtrue`);
    expect([code, json.kind, (json['items'] as unknown as unknown[]).length]).toEqual([
      200,
      'ConfigMapList',
      2,
    ]);
    expect((await small.ask('GET', `${CM}/b`)).code).toBe(200);
    expect((await small.ask('GET', `${CM}/a`)).code).toBe(404);
  });

  test('a dry run deletes nothing', async () => {
    await small.ask('POST', CM, configMap('a'));
    expect((await small.ask('DELETE', `${CM}/a?dryRun=All`)).code).toBe(200);
    expect((await small.ask('GET', `${CM}/a`)).code).toBe(200);
  });
});

test('the built-in kinds are served, with their defaults', async () => {
  const whole = smallServer({ resources: 'built-in' });
  const { code, json } = await whole.ask('POST', '/apis/apps/v1/namespaces/default/deployments', {
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'nginx' }] },
      },
    },
  });
  expect(code).toBe(201);
  expect(member(json, 'spec', 'replicas')).toBe(1);
  expect(member(json, 'spec', 'template', 'spec', 'containers', '0', 'imagePullPolicy')).toBe('Always');
  const scaled = await whole.ask('PATCH', '/apis/apps/v1/namespaces/default/deployments/web/scale', {
    spec: { replicas: 3 },
  });
  expect([scaled.code, member(scaled.json, 'spec', 'replicas')]).toEqual([200, 3]);
  const groups = await whole.ask('GET', '/apis');
  expect(groups.json.kind).toBe('APIGroupList');
  await whole.stop();
});

test.each([
  ['linux/x64', 'linux/amd64'],
  ['linux/arm64', 'linux/arm64'],
  ['win32/ia32', 'windows/386'],
])('/version says %s as %s', async (platform, told) => {
  const facts = { major: '1', minor: '36', gitVersion: 'v1.36.0', gitCommit: '', buildDate: '' };
  const handler = versionHandler({ ...facts, platform });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it looks at no request
  expect(await handler({} as ApiRequest)).toMatchObject({ value: { platform: told } });
});

test('what a patch says that is not known is told by name', async () => {
  await small.ask('POST', CM, configMap('a'));
  const { code, warnings } = await small.ask('PATCH', `${CM}/a`, { zeta: 1, alpha: 2 });
  expect([code, warnings]).toEqual([
    200,
    ['299 - "unknown field \\"alpha\\""', '299 - "unknown field \\"zeta\\""'],
  ]);
});

test('whoever reads what is deprecated is told, as well as who writes it', async () => {
  const server = smallServer({ resources: [endpoints] });
  const told = ['299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'];
  try {
    const path = '/api/v1/namespaces/default/endpoints';
    expect(await server.ask('GET', path)).toMatchObject({ code: 200, warnings: told });
    const made = await server.ask('POST', path, { metadata: { name: 'a' } });
    expect(made).toMatchObject({ code: 201, warnings: told });
  } finally {
    await server.stop();
  }
});

test('how the parts of the control plane fare', async () => {
  const parts = new Map([
    ['etcd-0', () => Promise.resolve()],
    ['etcd-1', () => Promise.reject(new Error('connection refused'))],
  ]);
  const server = smallServer({ resources: [componentStatuses(parts)] });
  try {
    const { json, warnings } = await server.ask('GET', '/api/v1/componentstatuses');
    expect(warnings).toEqual(['299 - "v1 ComponentStatus is deprecated in v1.19+"']);
    expect(json).toMatchObject({
      kind: 'ComponentStatusList',
      items: [
        { metadata: { name: 'etcd-0' }, conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }] },
        { metadata: { name: 'etcd-1' }, conditions: [{ status: 'False', error: 'connection refused' }] },
      ],
    });
    expect((await server.ask('GET', '/api/v1/componentstatuses/etcd-0')).json.metadata.name).toBe('etcd-0');
    const { code, json: none } = await server.ask('GET', '/api/v1/componentstatuses/x');
    expect([code, none['message']]).toEqual([404, 'componentstatus "x" not found']);
    expect((await server.ask('POST', '/api/v1/componentstatuses', {})).code).toBe(405);
  } finally {
    await server.stop();
  }
});

describe('what is not served', () => {
  // A group that is known answers with a Status, and kubectl prints its message; any other path is text.
  test.each<[string, string, number]>([
    ['GET', '/api/v1/nothings', 404],
    ['GET', '/api/v2/pods', 404],
    ['GET', '/apis/apps/v9/deployments', 404],
    ['GET', '/api/v1/namespaces/default/namespaces/x', 404],
    ['GET', `${CM}/a/status`, 404],
    ['GET', '/api/v1/configmaps/a', 404],
    ['DELETE', '/api/v1/namespaces', 405],
    ['POST', '/api/v1/configmaps', 405],
    ['POST', `${CM}/a`, 405],
    ['PUT', CM, 405],
  ])('%s %s', async (method, target, wanted) => {
    const { code, json } = await small.ask(method, target);
    expect([code, json['reason'], json['message']]).toEqual([
      wanted,
      ...(wanted === 404
        ? ['NotFound', 'the server could not find the requested resource']
        : ['MethodNotAllowed', 'the server does not allow this method on the requested resource']),
    ]);
  });

  test('a group that nobody serves', async () => {
    const answer = await small.ask('GET', '/apis/nothing.example.com/v1/things');
    expect([answer.code, answer.text]).toEqual([404, '404 page not found\n']);
  });
});
