/** Admission inside a whole server: the built-in plugins on its own objects, webhooks over TLS to a server of ours. */

import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:https';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { defaultPlugins } from '../src/admission/default-plugins.ts';
import { isJsonObject, type JsonObject } from '../src/api/json.ts';
import { HttpsCaller } from '../src/outbound/https-caller.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { admissionLookup, resourceVersions } from '../src/registry/admission-lookup.ts';
import { allowing } from './admission-cluster.ts';
import { Turns } from '../src/flowcontrol/turns.ts';
import { eventLoop } from '../src/http/event-loop.ts';
import { member, smallServer, type Answer, type SmallServer } from './small-server.ts';

const NS = '/api/v1/namespaces/ns';

let small: SmallServer;
let hooks: Server | undefined;
const caller = new HttpsCaller(systemClock);

function openServer(): SmallServer {
  const scheme = (): SmallServer['server']['scheme'] => made.server.scheme;
  let serial = 0;
  let dice = 0;
  const random = (limit: number): number => (dice += 1) % limit;
  const plugins = defaultPlugins({
    lookup: admissionLookup(scheme),
    authorizer: allowing([]),
    clock: systemClock,
    turns: new Turns(eventLoop),
    random,
    settings: {},
    webhooks: { caller, versions: resourceVersions(scheme), uuid: () => `uid-${(serial += 1)}` },
  });
  const made = smallServer({ plugins, resources: 'built-in' });
  return made;
}

async function post(path: string, object: object): Promise<Answer> {
  return await small.ask('POST', path, object);
}

beforeEach(async () => {
  small = openServer();
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } });
  await post(`${NS}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
});

afterEach(async () => {
  await small.stop();
  const open = hooks;
  hooks = undefined;
  if (open === undefined) return;
  open.closeAllConnections();
  await new Promise((resolve) => open.close(resolve));
});

function pod(name: string, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
  };
}

describe('built-in plugins', () => {
  test('a pod gets an account, a token, a priority and tolerations', async () => {
    const { code, json } = await post(`${NS}/pods`, pod('p'));
    expect(code).toBe(201);
    expect(member(json, 'spec', 'serviceAccountName')).toBe('default');
    expect(member(json, 'spec', 'priority')).toBe(0);
    expect(JSON.stringify(member(json, 'spec', 'tolerations'))).toContain('node.kubernetes.io/unreachable');
    expect(JSON.stringify(member(json, 'spec', 'volumes'))).toContain('kube-root-ca.crt');
  });

  test('limits of the namespace, then its quota', async () => {
    await post(`${NS}/limitranges`, {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'l' },
      spec: { limits: [{ type: 'Container', default: { cpu: '1' }, max: { cpu: '2' } }] },
    });
    await post(`${NS}/resourcequotas`, {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: { hard: { 'requests.cpu': '2' } },
    });
    await small.ask('PATCH', `${NS}/resourcequotas/q/status`, {
      status: { hard: { 'requests.cpu': '2' }, used: { 'requests.cpu': '0' } },
    });
    const created = await Promise.all(
      Array.from({ length: 10 }, (_, index) => post(`${NS}/pods`, pod(`p-${index}`))),
    );
    expect(created.filter(({ code }) => code === 201)).toHaveLength(2);
    expect(created.find(({ code }) => code === 403)?.json['message']).toContain(
      'is forbidden: exceeded quota: q, requested: requests.cpu=1, used: requests.cpu=2, limited: requests.cpu=2',
    );
    const quota = await small.ask('GET', `${NS}/resourcequotas/q`);
    expect(member(quota.json, 'status', 'used')).toEqual({ 'requests.cpu': '2' });
    const large = { containers: [{ name: 'a', image: 'i', resources: { limits: { cpu: '3' } } }] };
    expect((await post(`${NS}/pods`, pod('large', large))).json['message']).toBe(
      'pods "large" is forbidden: maximum cpu usage per Container is 2, but limit is 3',
    );
  });

  test('a namespace that is not there, one that is going, one that stays', async () => {
    const nowhere = await post('/api/v1/namespaces/nowhere/pods', pod('p'));
    expect([nowhere.code, nowhere.json['message']]).toEqual([404, 'namespaces "nowhere" not found']);
    await small.ask('DELETE', '/api/v1/namespaces/ns');
    const going = await post(`${NS}/configmaps`, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
    });
    expect(going.code).toBe(403);
    expect(member(going.json, 'details', 'causes')).toEqual([
      {
        reason: 'NamespaceTerminating',
        message: 'namespace ns is being terminated',
        field: 'metadata.namespace',
      },
    ]);
    await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
    const stays = await small.ask('DELETE', '/api/v1/namespaces/default');
    expect([stays.code, stays.json['message']]).toEqual([
      403,
      'namespaces "default" is forbidden: this namespace may not be deleted',
    ]);
  });

  test('the level a namespace enforces', async () => {
    await small.ask('PATCH', '/api/v1/namespaces/ns', {
      metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } },
    });
    const refused = await post(`${NS}/pods`, pod('p', { hostNetwork: true }));
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    ]);
  });

  test('a binding brings the labels of its node', async () => {
    await post('/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node', labels: { 'topology.kubernetes.io/zone': 'z' } },
    });
    await post(`${NS}/pods`, pod('p'));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'p' },
      target: { kind: 'Node', name: 'node' },
    };
    expect((await post(`${NS}/pods/p/binding`, binding)).code).toBe(201);
    const bound = await small.ask('GET', `${NS}/pods/p`);
    expect(bound.json.metadata.labels).toEqual({ 'topology.kubernetes.io/zone': 'z' });
  });
});

describe('webhooks', () => {
  const authority = CertificateAuthority.create('hooks-ca', systemClock.nowMs());

  /** Listens, and answers by path. @returns the server's URL */
  async function serve(
    answers: Readonly<Record<string, (request: JsonObject) => JsonObject | 'never'>>,
  ): Promise<string> {
    const { certificate, key } = authority.server('hooks', ['127.0.0.1'], systemClock.nowMs());
    const made = createServer({ cert: certificate, key }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what our own server sends
        const asked = (review as { request: JsonObject }).request;
        const path = new URL(request.url ?? '/', 'https://x').pathname.slice(1);
        const answer = answers[path](asked);
        if (answer === 'never') return;
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: { uid: asked['uid'], ...answer },
          }),
        );
      });
    });
    hooks = made;
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
    return `https://127.0.0.1:${(made.address() as AddressInfo).port}`;
  }

  async function configure(
    kind: 'Mutating' | 'Validating',
    url: string,
    settings: Record<string, unknown> = {},
  ): Promise<void> {
    const resource = `${kind.toLowerCase()}webhookconfigurations`;
    const name = url.slice(url.lastIndexOf('/') + 1);
    const made = await post(`/apis/admissionregistration.k8s.io/v1/${resource}`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name },
      webhooks: [
        {
          name: `${name}.example.com`,
          clientConfig: { url, caBundle: Buffer.from(authority.certificate).toString('base64') },
          rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          ...settings,
        },
      ],
    });
    expect(made.code).toBe(201);
  }

  const patchOf = (operations: unknown): JsonObject => ({
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
  });
  const map = (name: string): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: {},
  });

  test('one changes the object, one sees the change and refuses what it does not like', async () => {
    const seen: unknown[] = [];
    const url = await serve({
      add: () => patchOf([{ op: 'add', path: '/data', value: { added: 'yes' } }]),
      look: ({ object }) => {
        const name =
          isJsonObject(object) && isJsonObject(object['metadata']) ? object['metadata']['name'] : '';
        seen.push(isJsonObject(object) ? object['data'] : undefined);
        return {
          allowed: name !== 'bad',
          warnings: ['looked'],
          status: { code: 403, message: 'not that name' },
        };
      },
    });
    await configure('Mutating', `${url}/add`, {
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    });
    await configure('Validating', `${url}/look`);
    const good = await post(`${NS}/configmaps`, map('good'));
    expect([good.code, good.json['data'], good.warnings]).toEqual([
      201,
      { added: 'yes' },
      ['299 - "looked"'],
    ]);
    const bad = await post(`${NS}/configmaps`, map('bad'));
    expect([bad.code, bad.json['message']]).toEqual([
      403,
      'admission webhook "look.example.com" denied the request: not that name',
    ]);
    expect(seen).toEqual([{ added: 'yes' }, { added: 'yes' }]);
    // A deletion asks as well.
    expect((await small.ask('DELETE', `${NS}/configmaps/good`)).code).toBe(200);
    expect(seen).toHaveLength(3);
  });

  test('one that does not answer in time fails closed, or open', async () => {
    const url = await serve({ slow: () => 'never' });
    await configure('Validating', `${url}/slow`, { timeoutSeconds: 1 });
    const closed = await post(`${NS}/configmaps`, map('c'));
    expect([closed.code, closed.json['message']]).toEqual([
      500,
      `Internal error occurred: failed calling webhook "slow.example.com": failed to call webhook: Post "${url}/slow?timeout=1s": context deadline exceeded`,
    ]);
    await small.ask(
      'PATCH',
      '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/slow',
      [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }],
      { 'content-type': 'application/json-patch+json' },
    );
    expect((await post(`${NS}/configmaps`, map('c'))).code).toBe(201);
  });

  test('one that asks for another version is shown that one, and patches it', async () => {
    const shown: unknown[] = [];
    const url = await serve({
      scale: ({ kind, requestKind, object }) => {
        shown.push(kind, requestKind, isJsonObject(object) ? object['apiVersion'] : undefined);
        return patchOf([{ op: 'replace', path: '/spec/maxReplicas', value: 7 }]);
      },
    });
    await configure('Mutating', `${url}/scale`, {
      rules: [
        {
          operations: ['CREATE'],
          apiGroups: ['autoscaling'],
          apiVersions: ['v1'],
          resources: ['horizontalpodautoscalers'],
        },
      ],
    });
    const made = await post('/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers', {
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'h' },
      spec: {
        maxReplicas: 3,
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 50 } },
          },
        ],
      },
    });
    expect(made.code).toBe(201);
    expect(shown).toEqual([
      { group: 'autoscaling', version: 'v1', kind: 'HorizontalPodAutoscaler' },
      { group: 'autoscaling', version: 'v2', kind: 'HorizontalPodAutoscaler' },
      'autoscaling/v1',
    ]);
    expect([made.json.apiVersion, member(made.json, 'spec', 'maxReplicas')]).toEqual(['autoscaling/v2', 7]);
    expect(JSON.stringify(member(made.json, 'spec', 'metrics'))).toContain('memory');
  });

  test('a scale is shown as one, and its patch scales', async () => {
    const kinds: unknown[] = [];
    const url = await serve({
      scale: ({ object }) => {
        kinds.push(isJsonObject(object) ? object['kind'] : undefined);
        return patchOf([{ op: 'replace', path: '/spec/replicas', value: 5 }]);
      },
    });
    await configure('Mutating', `${url}/scale`, {
      rules: [
        {
          operations: ['UPDATE'],
          apiGroups: ['apps'],
          apiVersions: ['v1'],
          resources: ['deployments/scale'],
        },
      ],
    });
    const path = '/apis/apps/v1/namespaces/ns/deployments';
    await post(path, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: {
        selector: { matchLabels: { app: 'x' } },
        template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'a', image: 'i' }] } },
      },
    });
    const scaled = await small.ask('PATCH', `${path}/d/scale`, { spec: { replicas: 2 } });
    expect([scaled.code, member(scaled.json, 'spec', 'replicas'), kinds]).toEqual([200, 5, ['Scale']]);
    const deployment = await small.ask('GET', `${path}/d`);
    expect(member(deployment.json, 'spec', 'replicas')).toBe(5);
  });

  test('options are those of the operation, named as the client named them', async () => {
    const seen: unknown[] = [];
    const url = await serve({
      see: ({ operation, name, options }) => {
        seen.push([operation, name, options]);
        return { allowed: true };
      },
    });
    await configure('Validating', `${url}/see`);
    const path = `${NS}/configmaps`;
    await post(path, map('a'));
    await small.ask('PATCH', `${path}/a?fieldManager=m&fieldValidation=Strict`, { data: { x: 'y' } });
    await small.ask('PATCH', `${path}/b?fieldManager=m&force=true`, map('b'), {
      'content-type': 'application/apply-patch+yaml',
    });
    await small.ask('DELETE', `${path}/b?propagationPolicy=Background`);
    await small.ask('DELETE', `${path}?fieldSelector=metadata.name%3Da`);
    const options = (kind: string, more: object = {}): object => ({
      kind,
      apiVersion: 'meta.k8s.io/v1',
      ...more,
    });
    expect(seen).toEqual([
      ['CREATE', 'a', options('CreateOptions')],
      ['UPDATE', 'a', options('UpdateOptions', { fieldManager: 'm', fieldValidation: 'Strict' })],
      ['CREATE', 'b', options('CreateOptions', { fieldManager: 'm' })],
      ['DELETE', 'b', options('DeleteOptions', { propagationPolicy: 'Background' })],
      ['DELETE', undefined, options('DeleteOptions')],
    ]);
  });

  test('a binding names its pod', async () => {
    await post(`${NS}/pods`, pod('p'));
    const target = { kind: 'Node', name: 'n' };
    const nameless = await post(`${NS}/pods/p/binding`, { apiVersion: 'v1', kind: 'Binding', target });
    expect([nameless.code, nameless.json['message']]).toEqual([
      400,
      'name in URL does not match name in Binding object',
    ]);
  });
});
