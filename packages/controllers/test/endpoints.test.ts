/** Endpoints and EndpointSlices of Services, on a whole server. */

import { afterEach, describe, expect, test } from '@jest/globals';
import { isRecord, type KubeObject } from '@keelson/kube-client';

import { listOf } from '../src/endpoints/backends.ts';
import { cluster, until, type Cluster } from './cluster.ts';

const SERVICES = '/api/v1/namespaces/n/services';
const PODS = '/api/v1/namespaces/n/pods';
const ENDPOINTS = '/api/v1/namespaces/n/endpoints';
const SLICES = '/apis/discovery.k8s.io/v1/namespaces/n/endpointslices';

let running: Cluster | undefined;

afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function begin(...controllers: string[]): Promise<Cluster> {
  running = await cluster({ controllers });
  await running.create('/api/v1/namespaces', { metadata: { name: 'n' } });
  return running;
}

interface PodFacts {
  readonly ip?: string;
  readonly ready?: boolean;
  readonly port?: number;
  readonly phase?: string;
  readonly spec?: object;
}

async function pod(on: Cluster, name: string, facts: PodFacts = {}): Promise<void> {
  const { ip = '', ready = true, port = 8080, phase = 'Running', spec = {} } = facts;
  await on.create(PODS, {
    metadata: { name, labels: { app: 'web' } },
    spec: {
      containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: port }] }],
      ...spec,
    },
  });
  await state(on, name, { phase, podIP: ip, podIPs: ip === '' ? [] : [{ ip }], ...readiness(ready) });
}

const readiness = (ready: boolean): object => ({
  conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
});

async function state(on: Cluster, name: string, status: object): Promise<void> {
  const { code, text } = await on.small.ask('PATCH', `${PODS}/${name}/status`, { status });
  if (code !== 200) throw new Error(text);
}

function service(on: Cluster, name: string, spec: object = {}, labels: object = {}): Promise<KubeObject> {
  return on.create(SERVICES, {
    metadata: { name, labels },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }], ...spec },
  });
}

async function slices(on: Cluster): Promise<readonly KubeObject[]> {
  const { json } = await on.small.ask('GET', SLICES);
  return listOf(json['items']) as readonly KubeObject[];
}

/** What slices say, each as `addresses port ready/serving/terminating`. */
async function shown(on: Cluster): Promise<string[]> {
  return (await slices(on))
    .map((slice) => {
      const ports = listOf(slice['ports']).map((port) => `${String(port['name'])}:${String(port['port'])}`);
      const endpoints = listOf(slice['endpoints']).map(({ addresses, conditions }) => {
        const { ready, serving, terminating } = isRecord(conditions) ? conditions : {};
        const marks = [
          ready === true ? 'r' : '',
          serving === true ? 's' : '',
          terminating === true ? 't' : '',
        ];
        return `${String(addresses)} ${marks.join('')}`;
      });
      return `${String(slice['addressType'])} [${String(ports)}] ${endpoints.toSorted().join(', ')}`;
    })
    .toSorted();
}

const untilShown = (on: Cluster, ...expected: string[]): Promise<void> =>
  until(
    async () => (await shown(on)).join('\n') === expected.join('\n'),
    `slices are ${expected.join(' | ')}`,
  );

describe('EndpointSlices', () => {
  test('follow the Pods that a Service selects', async () => {
    const on = await begin('endpointslice');
    const made = await service(on, 'web', {}, { team: 'a' });
    await untilShown(on, 'IPv4 [] ');
    await pod(on, 'a', { ip: '10.1.0.1' });
    await pod(on, 'b', { ip: '10.1.0.2', ready: false });
    await pod(on, 'no-address');
    await pod(on, 'ended', { ip: '10.1.0.3', phase: 'Succeeded' });
    await untilShown(on, 'IPv4 [:8080] 10.1.0.1 rs, 10.1.0.2 ');
    const [slice] = await slices(on);
    expect(slice?.metadata).toMatchObject({
      generateName: 'web-',
      labels: {
        team: 'a',
        'kubernetes.io/service-name': 'web',
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: [{ kind: 'Service', name: 'web', uid: made.metadata.uid, controller: true }],
    });
    expect(listOf(slice?.['endpoints'])[0]).toMatchObject({
      targetRef: { kind: 'Pod', namespace: 'n', name: 'a' },
    });
    await state(on, 'b', readiness(true));
    await untilShown(on, 'IPv4 [:8080] 10.1.0.1 rs, 10.1.0.2 rs');
    await on.small.ask('PATCH', `${PODS}/a`, { metadata: { labels: { app: 'other' } } });
    await untilShown(on, 'IPv4 [:8080] 10.1.0.2 rs');
    await on.delete(`${PODS}/b`, '?gracePeriodSeconds=0');
    await untilShown(on, 'IPv4 [] ');
    expect((await slices(on)).length).toBe(1);
  });

  test('Pods with other ports lie in slices of their own; deleted ones serve until they are gone', async () => {
    const on = await begin('endpointslice');
    await service(on, 'web');
    await pod(on, 'a', { ip: '10.1.0.1', spec: { nodeName: 'm', terminationGracePeriodSeconds: 30 } });
    await pod(on, 'b', { ip: '10.1.0.2', port: 9090 });
    await untilShown(on, 'IPv4 [:8080] 10.1.0.1 rs', 'IPv4 [:9090] 10.1.0.2 rs');
    await on.delete(`${PODS}/a`);
    await untilShown(on, 'IPv4 [:8080] 10.1.0.1 st', 'IPv4 [:9090] 10.1.0.2 rs');
    await on.delete(`${PODS}/a`, '?gracePeriodSeconds=0');
    await untilShown(on, 'IPv4 [:9090] 10.1.0.2 rs');
  });

  test('a headless Service without ports; addresses that are not ready, where they are wanted', async () => {
    const on = await begin('endpointslice');
    await service(on, 'web', { clusterIP: 'None', ports: [], publishNotReadyAddresses: true });
    await pod(on, 'a', { ip: '10.1.0.1', ready: false, spec: { hostname: 'first', subdomain: 'web' } });
    await untilShown(on, 'IPv4 [] 10.1.0.1 r');
    const [slice] = await slices(on);
    expect(slice?.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
    expect(listOf(slice?.['endpoints'])[0]).toMatchObject({ hostname: 'first' });
  });

  test('of 230 Pods there are three slices, no address twice, and what is deleted by hand comes again', async () => {
    const on = await begin('endpointslice');
    await service(on, 'web');
    // As many at once as a server without fairness takes.
    for (let from = 0; from < 230; from += 46) {
      const some = Array.from({ length: 46 }, (_, index) => from + index);
      await Promise.all(
        some.map((index) => pod(on, `p${index}`, { ip: `10.2.${index >> 7}.${(index & 127) + 1}` })),
      );
    }
    const counts = async (): Promise<[number, number, number]> => {
      const all = await slices(on);
      const addresses = all.flatMap((slice) =>
        listOf(slice['endpoints']).map(({ addresses: a }) => String(a)),
      );
      return [all.length, addresses.length, new Set(addresses).size];
    };
    await until(async () => String(await counts()) === '3,230,230', '230 endpoints in three slices');
    const [first] = await slices(on);
    await on.delete(`${SLICES}/${first?.metadata.name}`);
    await until(async () => (await counts())[1] === 230, 'they are all there again');
    expect((await counts())[2]).toBe(230);
  });

  test('of a Service that names no Pods, or another host, there are none', async () => {
    const on = await begin('endpointslice', 'endpoint');
    await on.create(SERVICES, { metadata: { name: 'by-hand' }, spec: { ports: [{ port: 80 }] } });
    await on.create(SERVICES, {
      metadata: { name: 'far' },
      spec: { type: 'ExternalName', externalName: 'example.com', selector: { app: 'web' } },
    });
    await service(on, 'web');
    await until(async () => (await on.names(ENDPOINTS)).length === 1, 'the third has endpoints');
    await on.calm();
    expect([await on.names(ENDPOINTS), (await slices(on)).length]).toEqual([['web'], 1]);
  });
});

describe('Endpoints', () => {
  test('have ready and other addresses, and go with the Service', async () => {
    const on = await begin('endpoint');
    await service(on, 'web', {
      ports: [
        { name: 'a', port: 80, targetPort: 'http' },
        { name: 'b', port: 81, targetPort: 9000 },
      ],
    });
    await pod(on, 'a', { ip: '10.1.0.1' });
    await pod(on, 'b', { ip: '10.1.0.2', ready: false });
    const subsets = async (): Promise<unknown> => (await on.get(`${ENDPOINTS}/web`))?.['subsets'] ?? [];
    const ref = (name: string): unknown => expect.objectContaining({ kind: 'Pod', name, namespace: 'n' });
    await until(async () => JSON.stringify(await subsets()).includes('10.1.0.2'), 'both are there');
    expect(await subsets()).toEqual([
      {
        addresses: [{ ip: '10.1.0.1', targetRef: ref('a') }],
        notReadyAddresses: [{ ip: '10.1.0.2', targetRef: ref('b') }],
        ports: [
          { name: 'a', port: 8080, protocol: 'TCP' },
          { name: 'b', port: 9000, protocol: 'TCP' },
        ],
      },
    ]);
    await on.delete(`${SERVICES}/web`);
    await until(async () => (await on.get(`${ENDPOINTS}/web`)) === undefined, 'they are gone');
  });
});

describe('Endpoints kept by hand', () => {
  test('may be there before their Service; those of before the loop go', async () => {
    const by = (name: string): object => ({
      metadata: { name },
      subsets: [{ addresses: [{ ip: '192.168.7.1' }], ports: [{ port: 5432 }] }],
    });
    const on = await begin('endpoint');
    await on.create(ENDPOINTS, by('db'));
    // The loop has heard of what was made before this.
    await service(on, 'web');
    await until(async () => (await on.names(ENDPOINTS)).includes('web'), 'there are some for the other');
    await on.calm();
    expect(await on.names(ENDPOINTS)).toEqual(['db', 'web']);
    await on.create(SERVICES, { metadata: { name: 'db' }, spec: { ports: [{ port: 5432 }] } });
    await on.calm();
    expect((await on.get(`${ENDPOINTS}/db`))?.['subsets']).toMatchObject([{ ports: [{ port: 5432 }] }]);

    await on.controllers.stop();
    await on.create(ENDPOINTS, by('old'));
    const again = await on.more({ controllers: ['endpoint'] });
    await until(async () => !(await on.names(ENDPOINTS)).includes('old'), 'it is gone');
    expect(await on.names(ENDPOINTS)).toEqual(['db', 'web']);
    await again.stop();
  });

  test('are shown as slices, and as they change', async () => {
    const on = await begin('endpointslicemirroring');
    await on.create(SERVICES, { metadata: { name: 'db' }, spec: { ports: [{ name: 'sql', port: 5432 }] } });
    const endpoints = await on.create(ENDPOINTS, {
      metadata: { name: 'db', labels: { tier: 'data' }, annotations: { note: 'kept' } },
      subsets: [
        {
          addresses: [{ ip: '192.168.7.1' }, { ip: '2001:db8::7' }],
          notReadyAddresses: [{ ip: '192.168.7.2' }],
          ports: [{ name: 'sql', port: 5432 }],
        },
      ],
    });
    await untilShown(on, 'IPv4 [sql:5432] 192.168.7.1 r, 192.168.7.2 ', 'IPv6 [sql:5432] 2001:db8::7 r');
    const [slice] = await slices(on);
    expect(slice?.metadata).toMatchObject({
      annotations: { note: 'kept' },
      labels: {
        tier: 'data',
        'kubernetes.io/service-name': 'db',
        'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
      },
      ownerReferences: [{ kind: 'Endpoints', name: 'db', uid: endpoints.metadata.uid }],
    });
    await on.small.ask('PATCH', `${ENDPOINTS}/db`, {
      subsets: [{ addresses: [{ ip: '192.168.7.9' }], ports: [{ name: 'sql', port: 5432 }] }],
    });
    await untilShown(on, 'IPv4 [sql:5432] 192.168.7.9 r');
    await on.small.ask('PATCH', `${ENDPOINTS}/db`, {
      metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    });
    await untilShown(on);
  });
});
