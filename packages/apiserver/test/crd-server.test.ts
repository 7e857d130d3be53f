/**
 * Custom resources on a whole server: from the definition to the last object, as clients see it. The server is asked in
 * process; what it does by itself is awaited by asking again.
 */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../src/api/json.ts';
import { answered, customServer, member, type Answer, type SmallServer } from './small-server.ts';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const CRONTABS = '/apis/stable.example.com/v1/namespaces/default/crontabs';
const APPLY = { 'content-type': 'application/apply-patch+yaml' };

const SPEC: JsonObject = {
  type: 'object',
  required: ['cron'],
  properties: {
    cron: { type: 'string', maxLength: 100 },
    replicas: { type: 'integer', default: 1, minimum: 0, maximum: 10 },
    color: { type: 'string' },
    ports: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['port'],
      items: {
        type: 'object',
        required: ['port'],
        properties: { port: { type: 'integer' }, name: { type: 'string' } },
      },
    },
  },
};
const STATUS: JsonObject = {
  type: 'object',
  properties: { replicas: { type: 'integer' }, phase: { type: 'string' }, selector: { type: 'string' } },
};

function version(name: string, more: Readonly<Record<string, Json>> = {}): JsonObject {
  return {
    name,
    served: true,
    storage: true,
    schema: { openAPIV3Schema: { type: 'object', properties: { spec: SPEC, status: STATUS } } },
    subresources: {
      status: {},
      scale: {
        specReplicasPath: '.spec.replicas',
        statusReplicasPath: '.status.replicas',
        labelSelectorPath: '.status.selector',
      },
    },
    selectableFields: [{ jsonPath: '.spec.color' }],
    additionalPrinterColumns: [{ name: 'Cron', type: 'string', jsonPath: '.spec.cron' }],
    ...more,
  };
}

function definition(
  spec: Readonly<Record<string, Json>> = {},
  name = 'crontabs.stable.example.com',
): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name },
    spec: {
      group: 'stable.example.com',
      scope: 'Namespaced',
      names: { plural: 'crontabs', kind: 'CronTab', shortNames: ['ct'], categories: ['all'] },
      versions: [version('v1')],
      ...spec,
    },
  };
}

function cronTab(name: string, spec: Json = { cron: '* * *' }, more: JsonObject = {}): JsonObject {
  return { apiVersion: 'stable.example.com/v1', kind: 'CronTab', metadata: { name }, spec, ...more };
}

let small: SmallServer;

beforeEach(async () => {
  small = await customServer();
});

afterEach(async () => {
  await small.stop();
});

function condition(answer: Answer, type: string): JsonObject | undefined {
  const all = (member(answer.json, 'status', 'conditions') ?? []) as JsonObject[];
  return all.find((each) => each['type'] === type);
}

async function define(crd: JsonObject): Promise<Answer> {
  const made = await small.ask('POST', DEFINITIONS, crd);
  expect([made.code, made.json['message']]).toEqual([201, undefined]);
  const name = String(member(made.json, 'metadata', 'name'));
  return await answered(
    () => small.ask('GET', `${DEFINITIONS}/${name}`),
    (answer) => condition(answer, 'Established')?.['status'] === 'True',
  );
}

describe('a definition', () => {
  test('is established, and what it defines is served at once and told by discovery', async () => {
    const established = await define(definition());
    expect(condition(established, 'NamesAccepted')).toMatchObject({ status: 'True', reason: 'NoConflicts' });
    expect(established.json['status']).toMatchObject({
      acceptedNames: {
        plural: 'crontabs',
        singular: 'crontab',
        kind: 'CronTab',
        listKind: 'CronTabList',
        shortNames: ['ct'],
      },
      storedVersions: ['v1'],
    });
    expect((await small.ask('GET', CRONTABS)).code).toBe(200);
    const discovery = await answered(
      () => small.ask('GET', '/apis/stable.example.com/v1'),
      ({ code }) => code === 200,
    );
    expect(member(discovery.json, 'resources')).toMatchObject([
      {
        name: 'crontabs',
        singularName: 'crontab',
        namespaced: true,
        shortNames: ['ct'],
        categories: ['all'],
      },
      { name: 'crontabs/status', kind: 'CronTab' },
      { name: 'crontabs/scale', group: 'autoscaling', version: 'v1', kind: 'Scale' },
    ]);
    const openApi = await small.ask('GET', '/openapi/v3/apis/stable.example.com/v1');
    expect(member(openApi.json, 'components', 'schemas', 'com.example.stable.v1.CronTab')).toMatchObject({
      properties: { spec: SPEC, metadata: { allOf: [{}] } },
      'x-kubernetes-group-version-kind': [{ group: 'stable.example.com', kind: 'CronTab', version: 'v1' }],
      'x-kubernetes-selectable-fields': [{ fieldPath: 'spec.color' }],
    });
    const version2 = await small.ask('GET', '/openapi/v2');
    expect(member(version2.json, 'definitions', 'com.example.stable.v1.CronTabList')).toMatchObject({
      required: ['items'],
    });
  });

  test("stands in discovery when its status is settled: who changes it then is in nobody's way", async () => {
    const name = 'crontabs.stable.example.com';
    expect((await small.ask('POST', DEFINITIONS, definition())).code).toBe(201);
    await answered(
      () => small.ask('GET', '/apis/stable.example.com/v1'),
      ({ code }) => code === 200,
    );
    const read = await small.ask('GET', `${DEFINITIONS}/${name}`);
    expect(condition(read, 'Established')?.['status']).toBe('True');
    const written = await small.ask('PUT', `${DEFINITIONS}/${name}`, read.json);
    expect([written.code, written.json['message']]).toEqual([200, undefined]);
  });

  test('that keeps unknown fields is described in version 2 as any object: kubectl would refuse the rest', async () => {
    const keeps = { 'x-kubernetes-preserve-unknown-fields': true };
    const openAPIV3Schema = { type: 'object', description: 'anything', properties: { spec: SPEC }, ...keeps };
    await define(definition({ versions: [{ ...version('v1'), schema: { openAPIV3Schema } }] }));
    const version2 = await answered(
      () => small.ask('GET', '/openapi/v2'),
      ({ json }) => member(json, 'definitions', 'com.example.stable.v1.CronTab') !== undefined,
    );
    expect(member(version2.json, 'definitions', 'com.example.stable.v1.CronTab')).toEqual({
      type: 'object',
      'x-kubernetes-group-version-kind': [{ group: 'stable.example.com', kind: 'CronTab', version: 'v1' }],
      'x-kubernetes-selectable-fields': [{ fieldPath: 'spec.color' }],
    });
    const version3 = await small.ask('GET', '/openapi/v3/apis/stable.example.com/v1');
    expect(member(version3.json, 'components', 'schemas', 'com.example.stable.v1.CronTab')).toMatchObject({
      description: 'anything',
      ...keeps,
      properties: {
        spec: SPEC,
        apiVersion: { description: expect.stringMatching(/^APIVersion defines /) },
        metadata: { description: expect.stringMatching(/^Standard object's metadata/) },
      },
    });
  });

  test('another one of the group does not get names that are taken, until they are free', async () => {
    await define(definition());
    const other = definition(
      { names: { plural: 'cronjobs', kind: 'CronTab', shortNames: ['ct'] } },
      'cronjobs.stable.example.com',
    );
    expect((await small.ask('POST', DEFINITIONS, other)).code).toBe(201);
    const at = `${DEFINITIONS}/cronjobs.stable.example.com`;
    const refused = await answered(
      () => small.ask('GET', at),
      (answer) => condition(answer, 'NamesAccepted') !== undefined,
    );
    expect(condition(refused, 'NamesAccepted')).toMatchObject({
      status: 'False',
      reason: 'ListKindConflict',
      message: '"CronTabList" is already in use',
    });
    expect(condition(refused, 'Established')).toMatchObject({ status: 'False', reason: 'NotAccepted' });
    expect((await small.ask('GET', '/apis/stable.example.com/v1/cronjobs')).code).toBe(404);
    await small.ask('DELETE', `${DEFINITIONS}/crontabs.stable.example.com`);
    await answered(
      () => small.ask('GET', at),
      (answer) => condition(answer, 'Established')?.['status'] === 'True',
    );
    expect((await small.ask('GET', '/apis/stable.example.com/v1/cronjobs')).code).toBe(200);
  });

  test('has a status that the server owns, which is not what its writer owns', async () => {
    const { json } = await define(definition());
    const entries = member(json, 'metadata', 'managedFields') as JsonObject[];
    const own = entries.filter((entry) => entry['manager'] === 'kube-apiserver');
    const condition = {
      '.': {},
      'f:lastTransitionTime': {},
      'f:message': {},
      'f:reason': {},
      'f:status': {},
    };
    expect(own).toEqual([
      {
        manager: 'kube-apiserver',
        operation: 'Update',
        subresource: 'status',
        apiVersion: 'apiextensions.k8s.io/v1',
        time: expect.any(String),
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:status': {
            'f:acceptedNames': {
              'f:categories': {},
              'f:kind': {},
              'f:listKind': {},
              'f:plural': {},
              'f:shortNames': {},
              'f:singular': {},
            },
            'f:conditions': {
              'k:{"type":"Established"}': { ...condition, 'f:type': {} },
              'k:{"type":"NamesAccepted"}': { ...condition, 'f:type': {} },
            },
          },
        },
      },
    ]);
    const others = entries.filter((entry) => entry['manager'] !== 'kube-apiserver');
    expect(others.map((entry) => Object.keys(entry['fieldsV1'] as JsonObject))).toEqual([['f:spec']]);
  });

  test('whose webhook is trusted by what is no certificate is established once it is', async () => {
    const conversion = (caBundle: string): JsonObject => ({
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1/', caBundle } },
    });
    const made = await small.ask('POST', DEFINITIONS, definition({ conversion: conversion('eHg=') }));
    expect(made.code).toBe(201);
    const at = `${DEFINITIONS}/crontabs.stable.example.com`;
    const told = await answered(
      () => small.ask('GET', at),
      (answer) => condition(answer, 'Established') !== undefined,
    );
    expect(condition(told, 'Established')).toMatchObject({
      status: 'False',
      reason: 'InvalidCABundle',
      message: 'The conversion webhook CABundle is invalid',
    });
    expect((await small.ask('GET', CRONTABS)).code).toBe(404);
    const mended = await small.ask('PATCH', at, {
      spec: { conversion: { webhook: { clientConfig: { caBundle: null } } } },
    });
    expect(mended.code).toBe(200);
    await answered(
      () => small.ask('GET', CRONTABS),
      (answer) => answer.code === 200,
    );
  });

  test('that changes changes what is served', async () => {
    await define(definition());
    await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x', color: 'red' }));
    const patch = [
      {
        op: 'add',
        path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size',
        value: { type: 'string', default: 'big' },
      },
      { op: 'remove', path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/ports' },
    ];
    const changed = await small.ask('PATCH', `${DEFINITIONS}/crontabs.stable.example.com`, patch, {
      'content-type': 'application/json-patch+json',
    });
    expect(changed.code).toBe(200);
    expect(member(changed.json, 'metadata', 'generation')).toBe(2);
    // What lay in the store is read with the new defaults.
    const read = await answered(
      () => small.ask('GET', `${CRONTABS}/a`),
      (answer) => member(answer.json, 'spec', 'size') === 'big',
    );
    expect(read.json['spec']).toEqual({ cron: 'x', color: 'red', replicas: 1, size: 'big' });
    const list = await small.ask('GET', CRONTABS);
    expect(member(list.json, 'items')).toMatchObject([{ spec: { size: 'big' } }]);
  });

  test('has objects that are written when they change, not when their members come in another order', async () => {
    await define(definition());
    const made = await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x', color: 'red', replicas: 2 }));
    const revision = member(made.json, 'metadata', 'resourceVersion');
    const merge = { 'content-type': 'application/merge-patch+json' };
    const patched = await small.ask('PATCH', `${CRONTABS}/a`, { spec: { color: 'red' } }, merge);
    expect(member(patched.json, 'metadata', 'resourceVersion')).toBe(revision);
    const turned = {
      spec: { replicas: 2, color: 'red', cron: 'x' },
      metadata: { resourceVersion: revision, name: 'a' } as JsonObject,
      kind: 'CronTab',
      apiVersion: 'stable.example.com/v1',
    };
    const put = await small.ask('PUT', `${CRONTABS}/a`, turned);
    expect([put.code, member(put.json, 'metadata', 'resourceVersion')]).toEqual([200, revision]);
    const changed = { ...turned, spec: { ...turned.spec, cron: 'y' } };
    const written = await small.ask('PUT', `${CRONTABS}/a`, changed);
    expect(member(written.json, 'metadata', 'generation')).toBe(2);
  });

  test('that goes takes its objects with it, those with finalizers when they may', async () => {
    await define(definition());
    await small.ask('POST', CRONTABS, cronTab('a'));
    await small.ask('POST', CRONTABS, {
      ...cronTab('b'),
      metadata: { name: 'b', finalizers: ['example.com/wait'] },
    });
    const at = `${DEFINITIONS}/crontabs.stable.example.com`;
    const deleted = await small.ask('DELETE', at);
    expect(member(deleted.json, 'metadata', 'finalizers')).toEqual([
      'customresourcecleanup.apiextensions.k8s.io',
    ]);
    expect(condition(deleted, 'Terminating')).toMatchObject({
      status: 'True',
      reason: 'InstanceDeletionPending',
    });
    await answered(
      () => small.ask('GET', `${CRONTABS}/a`),
      (answer) => answer.code === 404,
    );
    const waiting = await answered(
      () => small.ask('GET', at),
      (answer) => condition(answer, 'Terminating')?.['reason'] === 'InstanceDeletionInProgress',
    );
    expect(waiting.code).toBe(200);
    const refused = await answered(
      () => small.ask('POST', CRONTABS, cronTab('c')),
      (answer) => answer.code !== 201,
    );
    expect([refused.code, refused.json['message']]).toEqual([
      405,
      'create not allowed while custom resource definition is terminating',
    ]);
    await small.ask('PATCH', `${CRONTABS}/b`, { metadata: { finalizers: null } });
    await answered(
      () => small.ask('GET', at),
      (answer) => answer.code === 404,
    );
    expect((await small.ask('GET', CRONTABS)).code).toBe(404);
  });
});

test('a definition in a group of Kubernetes says whether that was agreed', async () => {
  const crd = definition({ group: 'batch.k8s.io' }, 'crontabs.batch.k8s.io');
  const refused = await small.ask('POST', DEFINITIONS, crd);
  expect(refused.json['message']).toContain('protected groups must have approval annotation');
  const annotations = { 'api-approved.kubernetes.io': 'unapproved, an experiment' };
  const made = await define({ ...crd, metadata: { name: 'crontabs.batch.k8s.io', annotations } });
  expect(condition(made, 'KubernetesAPIApprovalPolicyConformant')).toMatchObject({
    status: 'False',
    reason: 'UnapprovedAnnotation',
    message: 'not approved: "unapproved, an experiment"',
  });
  expect(condition(made, 'NonStructuralSchema')).toBeUndefined();
});

describe('an object', () => {
  beforeEach(async () => {
    await define(definition());
  });

  test('is pruned, filled in and warned of; its status is not the client’s to make', async () => {
    const made = await small.ask(
      'POST',
      CRONTABS,
      cronTab('a', { cron: 'x', none: 1 }, { status: { phase: 'x' }, more: 1 }),
    );
    expect(made.code).toBe(201);
    expect(made.json['spec']).toEqual({ cron: 'x', replicas: 1 });
    expect(made.json['status']).toBeUndefined();
    expect(member(made.json, 'metadata', 'generation')).toBe(1);
    expect(made.warnings).toEqual([
      String.raw`299 - "unknown field \"spec.none\""`,
      String.raw`299 - "unknown field \"more\""`,
    ]);
    const strict = await small.ask(
      'POST',
      `${CRONTABS}?fieldValidation=Strict`,
      cronTab('b', { cron: 'x', none: 1 }),
    );
    expect([strict.code, strict.json['message']]).toEqual([
      400,
      'CronTab in version "v1" cannot be handled as a CronTab: strict decoding error: unknown field "spec.none"',
    ]);
  });

  test('is refused with all that is wrong', async () => {
    const refused = await small.ask(
      'POST',
      CRONTABS,
      cronTab('a', { replicas: 11, ports: [{ port: 1 }, { port: 1 }] }),
    );
    expect([refused.code, refused.json['message']]).toEqual([
      422,
      'CronTab.stable.example.com "a" is invalid: [spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10, spec.cron: Required value, spec.ports[1]: Duplicate value: {"port":1}]',
    ]);
  });

  test('has a status of its own and a generation that counts the rest', async () => {
    await small.ask('POST', CRONTABS, cronTab('a'));
    const status = await small.ask('PATCH', `${CRONTABS}/a/status`, {
      metadata: { labels: { x: 'y' } },
      spec: { cron: 'other' },
      status: { phase: 'Running' },
    });
    expect(status.json).toMatchObject({
      spec: { cron: '* * *' },
      status: { phase: 'Running' },
      metadata: { generation: 1 },
    });
    expect(member(status.json, 'metadata', 'labels')).toBeUndefined();
    const labelled = await small.ask('PATCH', `${CRONTABS}/a`, {
      metadata: { labels: { x: 'y' } },
      status: { phase: 'No' },
    });
    expect(labelled.json).toMatchObject({ status: { phase: 'Running' }, metadata: { generation: 1 } });
    const changed = await small.ask('PATCH', `${CRONTABS}/a`, { spec: { cron: 'x' } });
    expect(member(changed.json, 'metadata', 'generation')).toBe(2);
  });

  test('is scaled', async () => {
    await small.ask('POST', CRONTABS, cronTab('a'));
    await small.ask('PATCH', `${CRONTABS}/a/status`, { status: { replicas: 3, selector: 'app=x' } });
    const read = await small.ask('GET', `${CRONTABS}/a/scale`);
    expect(read.json).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 1 },
      status: { replicas: 3, selector: 'app=x' },
    });
    const scaled = await small.ask('PUT', `${CRONTABS}/a/scale`, { ...read.json, spec: { replicas: 5 } });
    expect(scaled.code).toBe(200);
    expect(member((await small.ask('GET', `${CRONTABS}/a`)).json, 'spec', 'replicas')).toBe(5);
    const refused = await small.ask('PUT', `${CRONTABS}/a/scale`, {
      ...read.json,
      metadata: { name: 'a' },
      spec: { replicas: -1 },
    });
    expect([refused.code, refused.json['message']]).toEqual([
      422,
      expect.stringContaining('.spec.replicas: Invalid value: -1: should be a non-negative integer'),
    ]);
  });

  test('may stay as it was when a rule refuses it, which is told', async () => {
    await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x', color: 'red' }));
    const rule = { rule: "self.color != 'red'", message: 'not red' };
    const spec = { ...SPEC, 'x-kubernetes-validations': [rule] };
    const schema = { openAPIV3Schema: { type: 'object', properties: { spec, status: STATUS } } };
    const path = `${DEFINITIONS}/crontabs.stable.example.com`;
    await small.ask('PATCH', path, { spec: { versions: [version('v1', { schema })] } });
    await answered(
      () => small.ask('POST', `${CRONTABS}?dryRun=All`, cronTab('b', { cron: 'x', color: 'red' })),
      ({ code }) => code === 422,
    );
    const labelled = await small.ask('PATCH', `${CRONTABS}/a`, { metadata: { labels: { x: 'y' } } });
    expect([labelled.code, labelled.warnings]).toEqual([200, ['299 - "spec: Invalid value: not red"']]);
    const changed = await small.ask('PATCH', `${CRONTABS}/a`, { spec: { cron: 'y' } });
    expect(changed.code).toBe(422);
  });

  test('says what it is', async () => {
    const { kind: _kind, ...kindless } = cronTab('a');
    const { apiVersion: _apiVersion, ...versionless } = cronTab('a');
    const answers = [kindless, versionless, { ...cronTab('a'), kind: 'Other' }].map(async (body) => {
      const { code, json } = await small.ask('POST', CRONTABS, body);
      return [code, json['message']];
    });
    expect(await Promise.all(answers)).toEqual([
      [400, expect.stringContaining("Object 'Kind' is missing in '{")],
      [400, 'the API version in the data () does not match the expected API version (stable.example.com/v1)'],
      [422, 'Other.stable.example.com "a" is invalid: kind: Invalid value: "Other": must be CronTab'],
    ]);
    // Shown whatever stands in it, such as an integer of 64 bits.
    const large = '"spec":{"n":1234567890123456789}';
    const made = await small.ask('POST', CRONTABS, `{"metadata":{"name":"b"},${large}}`);
    expect([made.code, made.json['message']]).toEqual([
      400,
      expect.stringContaining(`Object 'Kind' is missing in '{"metadata":{"name":"b"},${large}}'`),
    ]);
    await small.ask('POST', CRONTABS, cronTab('c'));
    const changed = await small.ask('PATCH', `${CRONTABS}/c`, `{"kind":null,${large}}`);
    expect([changed.code, changed.json['message']]).toEqual([
      422,
      expect.stringContaining("Object 'Kind' is missing in"),
    ]);
  });

  test('must say which version it replaces', async () => {
    await small.ask('POST', CRONTABS, cronTab('a'));
    const refused = await small.ask('PUT', `${CRONTABS}/a`, cronTab('a', { cron: 'x' }));
    expect([refused.code, refused.json['message']]).toEqual([
      422,
      'crontabs.stable.example.com "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    ]);
  });

  test('is applied by its schema: keys tell items apart, owners conflict', async () => {
    const at = `${CRONTABS}/a?fieldManager=`;
    const port = (number: number, name: string): string =>
      `{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"a"},"spec":{"cron":"x","ports":[{"port":${number},"name":"${name}"}]}}`;
    expect((await small.ask('PATCH', `${at}one`, port(1, 'a'), APPLY)).code).toBe(201);
    const both = await small.ask('PATCH', `${at}two`, port(2, 'b'), APPLY);
    expect(member(both.json, 'spec', 'ports')).toEqual([
      { port: 1, name: 'a' },
      { port: 2, name: 'b' },
    ]);
    const conflict = await small.ask('PATCH', `${at}two`, port(1, 'c'), APPLY);
    expect([conflict.code, conflict.json['message']]).toEqual([
      409,
      'Apply failed with 1 conflict: conflict with "one": .spec.ports[port=1].name',
    ]);
    const strategic = await small.ask(
      'PATCH',
      `${CRONTABS}/a`,
      {},
      { 'content-type': 'application/strategic-merge-patch+json' },
    );
    expect(strategic.code).toBe(415);
  });

  test('is selected by its fields and shown by its columns', async () => {
    await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x', color: 'red' }));
    await small.ask('POST', CRONTABS, cronTab('b', { cron: 'y', color: 'blue' }));
    const red = await small.ask('GET', `${CRONTABS}?fieldSelector=spec.color%3Dred`);
    expect(
      (member(red.json, 'items') as JsonObject[]).map((item) => member(item as never, 'metadata', 'name')),
    ).toEqual(['a']);
    const refused = await small.ask('GET', `${CRONTABS}?fieldSelector=spec.cron%3Dx`);
    expect([refused.code, refused.json['message']]).toEqual([400, 'field label not supported: spec.cron']);
    const table = await small.ask('GET', CRONTABS, undefined, {
      accept: 'application/json;as=Table;g=meta.k8s.io;v=v1',
    });
    expect((member(table.json, 'rows') as JsonObject[]).map((row) => row['cells'])).toEqual([
      ['a', 'x'],
      ['b', 'y'],
    ]);
  });
});

describe('several versions', () => {
  const versions = [
    version('v1', { storage: false }),
    version('v2', {
      schema: {
        openAPIV3Schema: {
          type: 'object',
          properties: {
            spec: {
              type: 'object',
              properties: { cron: { type: 'string' }, extra: { type: 'string', default: 'e' } },
            },
          },
        },
      },
      selectableFields: [],
      subresources: {},
    }),
    version('v0', { storage: false, served: false }),
  ];

  test('differ in their names alone, and each prunes and fills in by its own schema', async () => {
    await define(definition({ versions }));
    const made = await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x', color: 'red' }));
    expect(made.json).toMatchObject({
      apiVersion: 'stable.example.com/v1',
      spec: { cron: 'x', replicas: 1 },
    });
    const second = await small.ask('GET', '/apis/stable.example.com/v2/namespaces/default/crontabs/a');
    expect(second.json).toMatchObject({ apiVersion: 'stable.example.com/v2' });
    expect(second.json['spec']).toEqual({ cron: 'x', extra: 'e' });
    expect((await small.ask('GET', '/apis/stable.example.com/v0/crontabs')).code).toBe(404);
    const status = await small.ask('GET', '/apis/stable.example.com/v2/namespaces/default/crontabs/a/status');
    expect(status.code).toBe(404);
  });

  test('are stored as they were until they are written again', async () => {
    await define(definition());
    await small.ask('POST', CRONTABS, cronTab('a', { cron: 'x' }));
    const at = `${DEFINITIONS}/crontabs.stable.example.com`;
    const changed = await small.ask('PATCH', at, { spec: { versions } });
    expect(changed.code).toBe(200);
    expect(member(changed.json, 'status', 'storedVersions')).toEqual(['v1', 'v2']);
    await answered(
      () => small.ask('GET', '/apis/stable.example.com/v2/crontabs'),
      (answer) => answer.code === 200,
    );
    const read = await small.ask('GET', `${CRONTABS}/a`);
    expect(read.json).toMatchObject({ apiVersion: 'stable.example.com/v1', spec: { cron: 'x' } });
    const gone = await small.ask('PATCH', at, { spec: { versions: [version('v2')] } });
    expect(gone.json['message']).toContain(
      'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions;',
    );
  });
});
