/**
 * Another server's API as part of this one: requests handed on with who asks, discovery, whether it answers, and what a
 * hostile one can do. With kubectl where it is installed.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Prng, silentLogger, systemClock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import { Aggregation } from '../src/aggregation/aggregation.ts';
import type { ApiResponse, Filter } from '../src/api/exchange.ts';
import { isJsonObject, type JsonObject } from '../src/api/json.ts';
import { isLongRunning } from '../src/filters/long-running.ts';
import { MetricsRegistry } from '../src/metrics/registry.ts';
import { trimmed } from '../src/openapi/remote-documents.ts';
import { BackendCaller } from '../src/outbound/backend-caller.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { part, parts, text } from '../src/validation/value.ts';
import { accessServer, type AccessServer } from './access-server.ts';
import { aggregatedServer, GROUP, VERSION, type AggregatedServer, type Asked } from './aggregated-server.ts';
import { kubectlStarts, run, type Run } from './kubectl-program.ts';

const OWN = `/apis/${GROUP}/${VERSION}`;
const API_SERVICES = '/apis/apiregistration.k8s.io/v1/apiservices';
const NAME = `${VERSION}.${GROUP}`;
const frontProxy = CertificateAuthority.create('front-proxy-ca', systemClock.nowMs());
const proxyPair = frontProxy.client({ commonName: 'front-proxy-client' }, systemClock.nowMs());
const ca = CertificateAuthority.create('kubernetes-ca', systemClock.nowMs());

let backend: AggregatedServer;
let aggregation: Aggregation;
let caller: BackendCaller;
let world: AccessServer;
let port: number;
const metrics = new MetricsRegistry();
/** What the station of audit saw: path and code. */
const audited: string[] = [];

const audit: Filter = async (request, next): Promise<ApiResponse> => {
  const response = await next(request);
  audited.push(`${request.context.user?.name ?? ''} ${request.method} ${request.path} ${response.code}`);
  return response;
};

beforeAll(async () => {
  backend = await aggregatedServer(frontProxy.certificate);
  caller = new BackendCaller({ clock: systemClock, lookup: () => Promise.resolve(['127.0.0.1']) });
  const prng = new Prng(3);
  aggregation = new Aggregation({
    caller,
    clock: systemClock,
    logger: silentLogger,
    metrics,
    random: (limit) => prng.below(limit),
    toEndpoints: false,
    rejectRedirects: true,
    requestHeader: undefined,
    trim: trimmed,
    timeoutMs: 60_000,
    isEndless: ({ info, upgrade }) => upgrade !== undefined || isLongRunning(info),
    pair: () => ({ cert: proxyPair.certificate, key: proxyPair.key }),
  });
  world = accessServer({ aggregation, audit });
  const { certificate, key } = ca.server('kube-apiserver', ['127.0.0.1'], systemClock.nowMs());
  ({ port } = await world.server.listen(0, '127.0.0.1', { cert: certificate, key }));
  await world.ready();
});

afterAll(async () => {
  await world.stop();
  caller.close();
  await backend.stop();
});

async function condition(name = NAME): Promise<{ status: string; reason: string; message: string }> {
  const { json } = await world.ask('admin', 'GET', `${API_SERVICES}/${name}`);
  const [found = {}] = parts(part(json, 'status'), 'conditions');
  return { status: text(found, 'status'), reason: text(found, 'reason'), message: text(found, 'message') };
}

async function becomes(reason: string): Promise<string> {
  let last = { reason: '', message: '' };
  await until(async () => (last = await condition()).reason === reason);
  return last.message;
}

const apiService = (more: object = {}): object => ({
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: NAME },
  spec: {
    group: GROUP,
    version: VERSION,
    groupPriorityMinimum: 2_000,
    versionPriority: 15,
    caBundle: backend.caBundle,
    service: { namespace: 'kube-system', name: 'metrics', port: backend.port },
    ...more,
  },
});

/** A service that is the name of this machine: aggregated servers of tests stand on its loopback. */
const outside = (): object => ({
  metadata: { name: 'metrics', namespace: 'kube-system' },
  spec: { type: 'ExternalName', externalName: 'metrics.test' },
});

async function created(target: string, body: object): Promise<void> {
  const { code, text: said } = await world.ask('admin', 'POST', target, body);
  expect([code, code === 201 ? '' : said]).toEqual([201, '']);
}

const SERVICES = '/api/v1/namespaces/kube-system/services';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices';

describe('APIServices of this server', () => {
  test('stand for each version it serves, and for those of custom resources within a second', async () => {
    const { json } = await world.ask('admin', 'GET', API_SERVICES);
    const found = new Map(parts(json, 'items').map((item) => [text(part(item, 'metadata'), 'name'), item]));
    expect([...found.keys()]).toEqual(expect.arrayContaining(['v1.', 'v1.apps', 'v2.autoscaling']));
    expect(found.has('v1.apiregistration.k8s.io')).toBe(false);
    expect(found.get('v1.apps')).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'onstart' } },
      spec: { group: 'apps', version: 'v1', groupPriorityMinimum: 17_800, versionPriority: 15 },
      status: { conditions: [{ type: 'Available', status: 'True', reason: 'Local' }] },
    });
    const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    await created(crds, {
      metadata: { name: 'ships.example.org' },
      spec: {
        group: 'example.org',
        scope: 'Cluster',
        names: { plural: 'ships', kind: 'Ship' },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
        ],
      },
    });
    const own = `${API_SERVICES}/v1.example.org`;
    await until(async () => (await world.ask('admin', 'GET', own)).code === 200);
    expect((await world.ask('admin', 'GET', own)).json).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'true' } },
      spec: { groupPriorityMinimum: 1_000, versionPriority: 100 },
    });
    // What is kept is put right; what goes with its definition goes.
    await world.ask('admin', 'PATCH', own, { spec: { versionPriority: 7 } });
    await until(async () => {
      const { json: object } = await world.ask('admin', 'GET', own);
      return part(object, 'spec')['versionPriority'] === 100;
    });
    await world.ask('admin', 'DELETE', own);
    await until(async () => (await world.ask('admin', 'GET', own)).code === 200);
    await world.ask('admin', 'DELETE', `${crds}/ships.example.org`);
    await until(async () => (await world.ask('admin', 'GET', own)).code === 404);
    // What is there since the start is seen to once.
    await world.ask('admin', 'DELETE', `${API_SERVICES}/v1.node.k8s.io`);
    expect((await world.ask('admin', 'GET', `${API_SERVICES}/v1.node.k8s.io`)).code).toBe(404);
    await created(API_SERVICES, {
      metadata: { name: 'v1.node.k8s.io' },
      spec: { group: 'node.k8s.io', version: 'v1', groupPriorityMinimum: 16_300, versionPriority: 15 },
    });
  });
});

describe('whether a server answers', () => {
  test('is seen from its service, what is behind it, and its answer', async () => {
    await created(API_SERVICES, apiService());
    expect(await becomes('ServiceNotFound')).toBe('service/metrics in "kube-system" is not present');
    const refused = await world.ask('admin', 'GET', `${OWN}/nodes`);
    expect([refused.code, refused.text]).toEqual([503, 'service unavailable\n']);

    await created(SERVICES, {
      metadata: { name: 'metrics' },
      spec: { ports: [{ name: 'https', port: 443 }] },
    });
    expect(await becomes('ServicePortError')).toBe(
      `service/metrics in "kube-system" is not listening on port ${backend.port}`,
    );
    const own = `${API_SERVICES}/${NAME}`;
    await world.ask('admin', 'PATCH', own, { spec: { service: { port: 443 } } });
    expect(await becomes('EndpointsNotFound')).toBe(
      'cannot find endpointslices for service/metrics in "kube-system"',
    );
    const slice = (ready: boolean): object => ({
      metadata: { name: 'metrics-1', labels: { 'kubernetes.io/service-name': 'metrics' } },
      addressType: 'IPv4',
      ports: [{ name: 'https', port: 8443 }],
      endpoints: [{ addresses: ['10.1.1.1'], conditions: { ready } }],
    });
    await created(SLICES, slice(false));
    expect(await becomes('MissingEndpoints')).toBe(
      'endpointslices for service/metrics in "kube-system" have no addresses with port name "https"',
    );
    expect(metrics.text()).toContain(`aggregator_unavailable_apiservice{name="${NAME}"} 1`);

    await world.ask('admin', 'DELETE', `${SLICES}/metrics-1`);
    await world.ask('admin', 'DELETE', `${SERVICES}/metrics`);
    expect(await becomes('ServiceNotFound')).not.toBe('');
    await created(SERVICES, outside());
    await world.ask('admin', 'PATCH', own, { spec: { service: { port: backend.port } } });
    expect(await becomes('Passed')).toBe('all checks passed');
    expect(metrics.text()).toContain(`aggregator_unavailable_apiservice{name="${NAME}"} 0`);
  });

  test('a server that goes away and comes back', async () => {
    const { port: before } = backend;
    await backend.stop();
    const own = `${API_SERVICES}/${NAME}`;
    // Somebody touches it; the next look by itself is half a minute away.
    await world.ask('admin', 'PATCH', own, { spec: { versionPriority: 16 } });
    expect(await becomes('FailedDiscoveryCheck')).toBe(
      `failing or missing response from https://metrics.test:${before}${OWN}: Get "https://metrics.test:${before}${OWN}": dial tcp 127.0.0.1:${before}: connect: connection refused`,
    );
    expect(metrics.text()).toContain(
      `aggregator_unavailable_apiservice_total{name="${NAME}",reason="FailedDiscoveryCheck"} 1`,
    );
    const stale = await discovery();
    expect(stale).toMatchObject({ freshness: 'Stale' });
    backend = await aggregatedServer(frontProxy.certificate, before);
    await world.ask('admin', 'PATCH', own, { spec: { caBundle: backend.caBundle } });
    await becomes('Passed');
    await until(async () => (await discovery())['freshness'] === 'Current');
  });
});

/** What the other server was asked on behalf of clients. */
const forClients = (): Asked[] => backend.asked.filter(({ url }) => url.startsWith(`${OWN}/nodes`));

/** What the aggregated document says of the version. */
async function discovery(version = 'v2'): Promise<JsonObject> {
  const { json } = await world.ask('admin', 'GET', '/apis', undefined, {
    accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  });
  const group = parts(json, 'items').find((item) => text(part(item, 'metadata'), 'name') === GROUP);
  return parts(group ?? {}, 'versions')[0] ?? {};
}

describe('requests', () => {
  test('are handed on as who asks, whatever a client says of itself', async () => {
    backend.asked.length = 0;
    const { code, json } = await world.ask('admin', 'GET', `${OWN}/nodes?limit=5&b=1`, undefined, {
      'x-remote-user': 'system:admin',
      'x-remote-group': 'system:masters',
      'x-remote-extra-scopes': 'all',
      x_remote_group: 'system:masters',
      'impersonate-user': 'jane',
      'impersonate-group': 'system:masters',
      'impersonate-extra-tenant%2fname': 'ünì',
      'x-forwarded-for': '1.2.3.4',
    });
    expect([code, json['kind']]).toEqual([200, 'NodeMetricsList']);
    const [asked] = forClients();
    expect(asked).toMatchObject({ client: 'front-proxy-client', url: `${OWN}/nodes?b=1&limit=5` });
    const { headers } = asked;
    expect(headers['x-remote-user']).toBe('jane');
    expect(headers['x-remote-group']).toBe('system:masters, system:authenticated');
    expect(Object.keys(headers).filter((name) => name.startsWith('x-remote-extra'))).toEqual([
      'x-remote-extra-tenant%2fname',
    ]);
    for (const name of ['authorization', 'impersonate-user', 'impersonate-group', 'x_remote_group']) {
      expect(headers[name]).toBeUndefined();
    }
    expect(headers['x-forwarded-for']).toBe('1.2.3.4, 127.0.0.1');
    expect(headers['x-forwarded-uri']).toBe(`${OWN}/nodes`);
    expect(headers['audit-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers[':authority']).toBe(`metrics.test:${backend.port}`);
    expect(audited).toContain(`jane GET ${OWN}/nodes 200`);
  });

  test('are authorized here: a user without a role does not get through', async () => {
    backend.asked.length = 0;
    const { code, json } = await world.ask('nobody', 'GET', `${OWN}/nodes`, undefined, {
      'x-remote-user': 'admin',
      'x-remote-group': 'system:masters',
    });
    expect([code, json['message']]).toEqual([
      403,
      `nodes.${GROUP} is forbidden: User "nobody" cannot list resource "nodes" in API group "${GROUP}" at the cluster scope`,
    ]);
    for (const target of [
      `/apis/${GROUP}/${VERSION}/../../apps/v1/deployments`,
      `${OWN}/nodes/..%2f..%2fx`,
      `${OWN}/nodes/%2e%2e/x`,
    ]) {
      expect((await world.ask('admin', 'GET', target)).code).toBe(404);
    }
    expect(forClients()).toEqual([]);
  });

  test.each([
    '/nodes/%2e',
    '/nodes/x%2f..%2f..%2fpods',
    '/nodes/..%5cpods',
    '/nodes/..\\pods',
    '/nodes/%252e%252e/pods',
    '/nodes/n1%252f..%252fx',
    '/nodes%2fn1',
    '/nodes%252fn1',
    '/nodes%23',
    '/nodes#/n1',
    '/nodes%3fx',
    '/nodes//n1',
    '//nodes',
    '/namespaces//nodes',
    '/nodes/n1//console',
    '/nodes/n1/console/..',
    '/nodes/n1/console/a/%2e%2e/%2e%2e/x',
    '/nodes/n1/console/a%5c..%5c..',
  ])('whose path another server could read otherwise go nowhere: %s', async (tail) => {
    backend.asked.length = 0;
    expect((await world.ask('admin', 'GET', `${OWN}${tail}`)).code).toBe(404);
    expect(backend.asked.filter(({ headers }) => headers['x-remote-user'] === 'admin')).toEqual([]);
  });

  test.each([
    '/nodes/n1/',
    '/nodes/n1/console/a//b',
    '/nodes/n1/console/x%2Fy%20%25.',
    '/nodes/a:b@sha256:c',
  ])('whose path is plain, or open behind a subresource, go as they came: %s', async (tail) => {
    backend.asked.length = 0;
    await world.ask('admin', 'GET', `${OWN}${tail}`);
    expect(forClients().map(({ url }) => url)).toEqual([`${OWN}${tail}`]);
  });

  test('bodies, watches and what the server itself refuses come and go as they are', async () => {
    backend.asked.length = 0;
    const made = await world.ask('admin', 'POST', `${OWN}/nodes`, { spec: { x: 1 } });
    expect([made.code, forClients()[0].body]).toEqual([201, '{"spec":{"x":1}}']);
    const missing = await world.ask('admin', 'GET', `${OWN}/nodes/n9`);
    expect([missing.code, missing.json['message']]).toEqual([404, 'theirs: not found']);
    const controller = new AbortController();
    const watch = await world.server.call(`${OWN}/nodes?watch=true`, {
      headers: { authorization: 'Bearer admin-token' },
      signal: controller.signal,
    });
    for await (const chunk of watch.chunks) {
      expect(chunk.toString()).toContain('"type":"ADDED"');
      break;
    }
    await until(() => caller.openCounts.answer === 0);
  });

  const upgraded = (target: string, send: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls(
        { port, host: '127.0.0.1', ca: ca.certificate, ALPNProtocols: ['http/1.1'] },
        () =>
          socket.write(
            `GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admin-token\r\n` +
              'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Remote-User: root\r\n\r\n',
          ),
      );
      let all = '';
      socket.on('data', (chunk: Buffer) => {
        all += chunk.toString('latin1');
        if (all.endsWith('\r\n\r\n')) socket.write(send);
        if (send !== '' && all.endsWith(send)) socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(all));
    });

  test('that leave HTTP become a tunnel, with the same identity; or the refusal, and nothing more', async () => {
    backend.asked.length = 0;
    expect(await upgraded(`${OWN}/nodes/n1/console`, 'echo me')).toMatch(/^HTTP\/1\.1 101 .*echo me$/s);
    const [asked] = forClients();
    expect(asked).toMatchObject({ client: 'front-proxy-client', url: `${OWN}/nodes/n1/console` });
    expect(asked.headers['x-remote-user']).toBe('admin');
    expect(asked.headers['authorization']).toBeUndefined();
    expect(await upgraded(`${OWN}/nodes/n1/refused`, '')).toMatch(/^HTTP\/1\.1 403 .*mine$/s);
    await until(() => caller.openCounts.switch === 0);
  });
});

describe('a server that', () => {
  const behaves = async (behaviour: AggregatedServer['behaviour']): Promise<void> => {
    backend.behaviour = behaviour;
    backend.asked.length = 0;
    // Looked at again.
    const { json } = await world.ask('admin', 'GET', `${API_SERVICES}/${NAME}`);
    const { versionPriority } = part(json, 'spec');
    await world.ask('admin', 'PATCH', `${API_SERVICES}/${NAME}`, {
      spec: { versionPriority: Number(versionPriority) + 1 },
    });
  };

  test('redirects leads nobody anywhere (CVE-2022-3172)', async () => {
    await behaves('redirect');
    await becomes('FailedDiscoveryCheck');
    expect((await condition()).message).toContain(': 307');
    backend.behaviour = 'new';
    await becomes('Passed');
    backend.behaviour = 'redirect';
    const { code, text: said } = await world.ask('admin', 'GET', `${OWN}/nodes`);
    expect([code, said]).toEqual([
      502,
      'the backend attempted to redirect this request, which is not permitted',
    ]);
  });

  test.each(['huge', 'nonsense'] as const)(
    'says %s things of itself is told as stale, and others as they are',
    async (behaviour) => {
      await behaves(behaviour);
      await until(async () => (await discovery())['freshness'] === 'Stale');
      const { json } = await world.ask('admin', 'GET', '/apis');
      expect(parts(json, 'groups').map((group) => text(group, 'name'))).toEqual(
        expect.arrayContaining(['apps', GROUP]),
      );
      expect((await world.ask('admin', 'GET', `${OWN}/nodes`)).code).toBe(200);
      await until(() => caller.openCounts.answer === 0);
      await behaves('new');
      await until(async () => (await discovery())['freshness'] === 'Current');
    },
  );

  test('knows only the older documents is told all the same', async () => {
    await behaves('old');
    const old = { singularResource: '', responseKind: { group: '', version: '', kind: 'NodeMetrics' } };
    await until(async () => parts(await discovery(), 'resources')[0]?.['singularResource'] === '');
    for (const version of ['v2', 'v2beta1']) {
      const said = await discovery(version);
      expect(said).toMatchObject({ version: VERSION, freshness: 'Current', resources: [old] });
      expect(parts(parts(said, 'resources')[0], 'subresources')[0]).toMatchObject({ subresource: 'console' });
    }
    await behaves('new');
    await until(async () => parts(await discovery(), 'resources')[0]?.['singularResource'] === 'node');
  });

  test('never answers holds nobody but who asks it', async () => {
    backend.behaviour = 'hang';
    const controller = new AbortController();
    const asking = world.server.call(`${OWN}/nodes`, {
      headers: { authorization: 'Bearer admin-token' },
      signal: controller.signal,
    });
    const outcome = asking.catch((error: unknown) => error);
    await until(() => backend.asked.some(({ url }) => url === `${OWN}/nodes`));
    expect((await world.ask('admin', 'GET', '/api/v1/namespaces')).code).toBe(200);
    controller.abort();
    await outcome;
    await until(() => caller.openCounts.answer === 0);
    backend.behaviour = 'new';
  });
});

test('discovery tells of a group by its priority', async () => {
  const { json } = await world.ask('admin', 'GET', '/apis');
  const names = parts(json, 'groups').map((group) => text(group, 'name'));
  expect(names[0]).toBe('apiregistration.k8s.io');
  // 2000: behind all of Kubernetes' own, before custom resources.
  expect(names.indexOf(GROUP)).toBe(names.length - 1);
  const group = await world.ask('admin', 'GET', `/apis/${GROUP}`);
  expect(group.json).toMatchObject({ kind: 'APIGroup', preferredVersion: { version: VERSION } });
  const own = await world.ask('admin', 'GET', OWN);
  expect(own.json).toMatchObject({ kind: 'APIResourceList', groupVersion: `${GROUP}/${VERSION}` });
  expect(isJsonObject(own.json)).toBe(true);
});

describe('OpenAPI', () => {
  const json = async (target: string): Promise<JsonObject> =>
    (await world.ask('admin', 'GET', target, undefined, { accept: 'application/json' })).json;

  test('of version 3 names the document of the other server, and hands it on', async () => {
    const key = OWN.slice(1);
    await until(async () => part(await json('/openapi/v3'), 'paths')[key] !== undefined);
    const index = part(await json('/openapi/v3'), 'paths');
    expect(index[key]).toEqual({ serverRelativeURL: `/openapi/v3${OWN}?hash=AB` });
    expect(index['apis/apps/v1']).toBeDefined();
    backend.asked.length = 0;
    const document = await world.ask('nobody', 'GET', `/openapi/v3${OWN}?hash=AB`);
    expect(document.json).toMatchObject({ openapi: '3.0.0', info: { title: 'metrics' } });
    const asked = backend.asked.find(({ url }) => url.startsWith('/openapi/v3/apis'));
    expect(asked?.headers['x-remote-user']).toBe('system:kube-aggregator');
    expect((await world.ask('admin', 'GET', `/openapi/v3/apis/${GROUP}/v9`)).code).toBe(404);
  });

  test('of version 2 has its paths and definitions, under names of their own where ours are others', async () => {
    await until(async () => part(await json('/openapi/v2'), 'paths')[`${OWN}/nodes`] !== undefined);
    const document = await json('/openapi/v2');
    const definitions = part(document, 'definitions');
    expect(definitions['com.example.NodeMetrics']).toMatchObject({
      properties: { metadata: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2' } },
    });
    expect(definitions['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta_v2']).toEqual({
      description: 'Ours.',
      type: 'object',
    });
    const ours = part(definitions, 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
    expect(part(ours, 'properties')['managedFields']).toBeDefined();
    expect(definitions['com.example.Evil']).toBeUndefined();
    const paths = part(document, 'paths');
    expect(part(part(paths, `${OWN}/nodes`), 'get')['parameters']).toEqual([
      { name: 'pretty', in: 'query', type: 'string', uniqueItems: true },
    ]);
    expect(part(paths, '/apis/apps/v1/namespaces/{namespace}/deployments')['get']).toBeDefined();
    expect(paths['/apis/apps/v1/deployments']).not.toMatchObject({
      get: { responses: { 200: { schema: { $ref: '#/definitions/com.example.Evil' } } } },
    });
    const protobuf = await world.server.call('/openapi/v2', {
      headers: {
        authorization: 'Bearer admin-token',
        accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
      },
    });
    expect((await protobuf.bytes()).includes('com.example.NodeMetrics')).toBe(true);
  });
});

const withKubectl = (await kubectlStarts()) ? describe : describe.skip;

withKubectl('kubectl (needs it on the path)', () => {
  let home: string;
  const kubectl = (...args: string[]): Promise<Run> =>
    run(
      'kubectl',
      [
        `--server=https://127.0.0.1:${port}`,
        `--certificate-authority=${path.join(home, 'ca.crt')}`,
        '--token=admin-token',
        '--request-timeout=30s',
        ...args,
      ],
      { HOME: home, KUBECONFIG: path.join(home, 'none') },
    );

  beforeAll(() => {
    home = mkdtempSync(path.join(tmpdir(), 'keelson-aggregation-'));
    writeFileSync(path.join(home, 'ca.crt'), ca.certificate);
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  test('gets, lists and watches what the other server has', async () => {
    await becomes('Passed');
    const list = await kubectl('get', `nodes.${GROUP}`);
    expect([list.code, list.out]).toEqual([0, 'NAME   CPU\nn1     250m\nn2     1\n']);
    expect((await kubectl('get', 'nm', 'n1', '-o', 'jsonpath={.usage.cpu}')).out).toBe('250m');
    expect((await kubectl('get', `nm`, 'n9')).err).toBe('Error from server (NotFound): theirs: not found\n');
    const apis = await kubectl('get', 'apiservices', NAME, '--no-headers');
    expect(apis.out.split(/ +/).slice(0, 3)).toEqual([NAME, 'kube-system/metrics', 'True']);
    const resources = await kubectl('api-resources', `--api-group=${GROUP}`, '--no-headers');
    expect(resources.out.trim().split(/ +/)).toEqual([
      'nodes',
      'nm',
      `${GROUP}/${VERSION}`,
      'false',
      'NodeMetrics',
    ]);
    for (const { name } of [{ name: 'n1' }, { name: 'n2' }]) {
      const resources = { cpu: '2', memory: '4Gi' };
      await created('/api/v1/nodes', {
        metadata: { name },
        status: { capacity: resources, allocatable: resources },
      });
    }
    const top = await kubectl('top', 'nodes', '--no-headers');
    expect(top.err).toBe('');
    expect(top.out.split('\n').map((line) => line.split(/ +/).slice(0, 5))).toEqual([
      ['n1', '250m', '12%', '1024Mi', '25%'],
      ['n2', '1000m', '50%', '1024Mi', '25%'],
      [''],
    ]);
    for (const more of [[], ['--output=plaintext-openapiv2']]) {
      const explained = await kubectl('explain', 'nm', ...more);
      expect([explained.code, explained.err]).toEqual([0, '']);
      expect(explained.out).toContain('What a node uses.');
    }
  });
});
