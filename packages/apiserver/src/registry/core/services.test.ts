/**
 * Services through the whole server: which addresses, families and ports they get, and when these are free again.
 * Ranges are small, and the first place of each range is drawn.
 */

import { afterEach, describe, expect, test } from '@jest/globals';

import { smallServer, type Answer, type SmallServer } from '../../../test/small-server.ts';
import { allocationMetrics } from '../../assembly/allocation-metrics.ts';
import { MetricsRegistry } from '../../metrics/registry.ts';
import { TypeTable } from '../../schema/type-table.ts';
import { builtInResources } from '../kinds/built-in.ts';
import type { ServiceRanges } from './service-hooks.ts';

const SERVICES = '/api/v1/namespaces/shop/services';
const ADDRESSES = '/apis/networking.k8s.io/v1/ipaddresses';
const PORTS = [{ port: 80 }];
const SINGLE: ServiceRanges = { networks: ['10.0.0.0/28'], nodePorts: { first: 30_000, last: 30_003 } };
const DUAL: ServiceRanges = { ...SINGLE, networks: ['10.0.0.0/24', 'fd00::/108'] };

let small: SmallServer;

function start(ranges: ServiceRanges): void {
  small = smallServer({ resources: builtInResources(new TypeTable(), ranges), random: () => 0 });
}

afterEach(() => small.stop());

function create(name: string, spec: object, query = ''): Promise<Answer> {
  return small.ask('POST', `${SERVICES}${query}`, { metadata: { name }, spec: { ports: PORTS, ...spec } });
}

async function made(name: string, spec: object = {}): Promise<Record<string, unknown>> {
  const { code, json } = await create(name, spec);
  expect([name, code, json['message']]).toEqual([name, 201, undefined]);
  return json['spec'] as Record<string, unknown>;
}

async function update(name: string, spec: object): Promise<Answer> {
  return await small.ask('PUT', `${SERVICES}/${name}`, {
    metadata: { name },
    spec: { ports: PORTS, ...spec },
  });
}

/** Addresses that are taken, and by whom. */
async function taken(): Promise<string[]> {
  const { json } = await small.ask('GET', ADDRESSES);
  const items = json['items'] as { metadata: { name: string }; spec: { parentRef: { name: string } } }[];
  return items.map(({ metadata, spec }) => `${metadata.name} ${spec.parentRef.name}`);
}

describe('addresses', () => {
  test('are objects of their own, come and go with the service, and leave the first one alone', async () => {
    start(SINGLE);
    expect(await made('a')).toMatchObject({
      clusterIP: '10.0.0.2',
      clusterIPs: ['10.0.0.2'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    await made('first', { clusterIP: '10.0.0.1' });
    expect(await made('b')).toMatchObject({ clusterIP: '10.0.0.3' });
    expect(await taken()).toEqual(['10.0.0.1 first', '10.0.0.2 a', '10.0.0.3 b']);
    const { json } = await small.ask('GET', `${ADDRESSES}/10.0.0.2`);
    expect(json).toMatchObject({
      metadata: {
        labels: {
          'ipaddress.kubernetes.io/ip-family': 'IPv4',
          'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
        },
      },
      spec: { parentRef: { resource: 'services', namespace: 'shop', name: 'a' } },
    });
    await small.ask('DELETE', `${SERVICES}/a`);
    expect(await taken()).toEqual(['10.0.0.1 first', '10.0.0.3 b']);
  });

  test('that are not asked for lie above the band of those that are', async () => {
    start(DUAL);
    expect(await made('a')).toMatchObject({ clusterIP: '10.0.0.17' });
    expect(await made('b')).toMatchObject({ clusterIP: '10.0.0.18' });
  });

  test('run out', async () => {
    start({ ...SINGLE, networks: ['10.0.0.0/30'] });
    expect(await made('a')).toMatchObject({ clusterIP: '10.0.0.2' });
    const { code, json } = await create('b', {});
    expect([code, json['message']]).toEqual([
      500,
      'Internal error occurred: failed to allocate a serviceIP: range is full',
    ]);
  });

  test('come from ServiceCIDRs as well, once these are ready', async () => {
    start({ ...SINGLE, networks: ['10.0.0.0/30'] });
    await made('a');
    const cidrs = '/apis/networking.k8s.io/v1/servicecidrs';
    await small.ask('POST', cidrs, { metadata: { name: 'more' }, spec: { cidrs: ['10.1.0.0/28'] } });
    expect((await create('b', {})).code).toBe(500);
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'R',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const { code } = await small.ask('PATCH', `${cidrs}/more/status`, { status: { conditions: [ready] } });
    expect(code).toBe(200);
    expect(await made('b')).toMatchObject({ clusterIP: '10.1.0.1' });
  });

  test.each<[string, object, string]>([
    ['taken', { clusterIP: '10.0.0.2' }, 'failed to allocate IP 10.0.0.2: provided IP is already allocated'],
    [
      'outside',
      { clusterIP: '192.168.0.1' },
      'failed to allocate IP 192.168.0.1: the provided network does not match the current range',
    ],
    [
      'nobody has',
      { clusterIP: '10.0.0.15' },
      'failed to allocate IP 10.0.0.15: the provided IP (10.0.0.15) is not in the valid range. The range of valid IPs is 10.0.0.0/28',
    ],
  ])('one that is %s is refused', async (_name, spec, text) => {
    start(SINGLE);
    await made('a');
    const { code, json } = await create('b', spec);
    const ip = (spec as { clusterIP: string }).clusterIP;
    expect([code, json['message']]).toEqual([
      422,
      `Service "b" is invalid: spec.clusterIPs: Invalid value: ["${ip}"]: ${text}`,
    ]);
  });

  test('are given back when the service is refused, and not taken by a dry run', async () => {
    start(SINGLE);
    expect((await create('a', { ports: [{ port: 0 }] })).code).toBe(422);
    expect((await create('a', {}, '?dryRun=All')).json['spec']).toMatchObject({ clusterIP: '10.0.0.2' });
    expect((await create('a', { clusterIP: '10.0.0.5' }, '?dryRun=All')).code).toBe(201);
    expect(await taken()).toEqual([]);
    await made('a');
    expect((await create('a', {})).code).toBe(409);
    expect(await taken()).toEqual(['10.0.0.2 a']);
  });

  test('that another server takes for a service of this name are not free', async () => {
    start(SINGLE);
    await small.ask('POST', ADDRESSES, {
      metadata: { name: '10.0.0.7' },
      spec: { parentRef: { resource: 'services', namespace: 'shop', name: 'a' } },
    });
    const { code, json } = await create('a', { clusterIP: '10.0.0.7' });
    expect([code, json['message']]).toEqual([
      422,
      expect.stringContaining('10.0.0.7: provided IP is already allocated'),
    ]);
    expect(await taken()).toEqual(['10.0.0.7 a']);
  });

  test('stay over updates that leave them out, go with the type, and come again', async () => {
    start(SINGLE);
    await made('a');
    expect((await update('a', { selector: { x: 'y' } })).json['spec']).toMatchObject({
      clusterIPs: ['10.0.0.2'],
    });
    const external = { type: 'ExternalName', externalName: 'db.example.com' };
    const gone = await update('a', external);
    expect([gone.code, (gone.json['spec'] as Record<string, unknown>)['clusterIP']]).toEqual([
      200,
      undefined,
    ]);
    expect(await taken()).toEqual([]);
    expect((await update('a', { type: 'ClusterIP' })).json['spec']).toMatchObject({
      clusterIPs: ['10.0.0.2'],
    });
    expect(await taken()).toEqual(['10.0.0.2 a']);
  });

  test('of many services made at once are different ones', async () => {
    start(SINGLE);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const specs = await Promise.all(names.map((name) => made(name, { type: 'ClusterIP' })));
    expect(new Set(specs.map(({ clusterIP }) => clusterIP)).size).toBe(names.length);
  });
});

describe('families', () => {
  test.each<[string, ServiceRanges, object, object]>([
    ['one by default', DUAL, {}, { ipFamilies: ['IPv4'], clusterIPs: ['10.0.0.17'] }],
    ['the other one', DUAL, { ipFamilies: ['IPv6'] }, { ipFamilies: ['IPv6'], clusterIPs: ['fd00::101'] }],
    [
      'both, where the cluster has them',
      DUAL,
      { ipFamilyPolicy: 'PreferDualStack' },
      { ipFamilies: ['IPv4', 'IPv6'], clusterIPs: ['10.0.0.17', 'fd00::101'] },
    ],
    [
      'one where the cluster has no other',
      SINGLE,
      { ipFamilyPolicy: 'PreferDualStack' },
      { ipFamilies: ['IPv4'], clusterIPs: ['10.0.0.2'] },
    ],
    [
      'the second address alone is said',
      DUAL,
      { ipFamilyPolicy: 'RequireDualStack', clusterIP: 'fd00::9' },
      { ipFamilies: ['IPv6', 'IPv4'], clusterIPs: ['fd00::9', '10.0.0.17'] },
    ],
    [
      'headless without a selector: both, whatever the cluster has',
      SINGLE,
      { clusterIP: 'None' },
      { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'], clusterIPs: ['None'] },
    ],
    [
      'headless with a selector: one',
      SINGLE,
      { clusterIP: 'None', selector: { a: 'b' } },
      { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv4'], clusterIPs: ['None'] },
    ],
  ])('%s', async (_name, ranges, spec, wanted) => {
    start(ranges);
    expect(await made('a', spec)).toMatchObject(wanted);
  });

  test.each<[string, ServiceRanges, object, string]>([
    [
      'two where the cluster has one',
      SINGLE,
      { ipFamilyPolicy: 'RequireDualStack' },
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ],
    [
      'one the cluster lacks',
      SINGLE,
      { ipFamilies: ['IPv6'] },
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    ],
    [
      'an address of one the cluster lacks',
      SINGLE,
      { clusterIP: 'fd00::9' },
      'spec.clusterIPs[0]: Invalid value: ["fd00::9"]: IPv6 is not configured on this cluster',
    ],
    [
      'two under a policy of one',
      DUAL,
      { ipFamilies: ['IPv4', 'IPv6'] },
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    ],
  ])('refused: %s', async (_name, ranges, spec, text) => {
    start(ranges);
    const { code, json } = await create('a', spec);
    expect([code, json['message']]).toEqual([422, `Service "a" is invalid: ${text}`]);
  });

  test('a second one comes and goes', async () => {
    start(DUAL);
    await made('a');
    const both = await update('a', { ipFamilyPolicy: 'PreferDualStack' });
    expect(both.json['spec']).toMatchObject({ clusterIPs: ['10.0.0.17', 'fd00::101'] });
    expect(await taken()).toEqual(['10.0.0.17 a', 'fd00::101 a']);
    const { spec } = both.json as unknown as { spec: object };
    const without = await update('a', { ...spec, clusterIPs: ['10.0.0.17'] });
    expect([without.code, without.json['message']]).toEqual([
      422,
      'Service "a" is invalid: spec.ipFamilyPolicy: Invalid value: "PreferDualStack": must be \'SingleStack\' to release the secondary cluster IP',
    ]);
    const one = await update('a', { ...spec, ipFamilyPolicy: 'SingleStack' });
    expect(one.json['spec']).toMatchObject({ clusterIPs: ['10.0.0.17'], ipFamilies: ['IPv4'] });
    expect(await taken()).toEqual(['10.0.0.17 a']);
  });
});

describe('node ports', () => {
  const nodePorts = (spec: Record<string, unknown>): unknown[] =>
    (spec['ports'] as { nodePort?: number }[]).map(({ nodePort }) => nodePort);

  test('are given, kept by name, and shared by protocols of one port', async () => {
    start(SINGLE);
    const dns = [
      { name: 'tcp', port: 53 },
      { name: 'udp', port: 53, protocol: 'UDP' },
      { name: 'web', port: 80 },
    ];
    expect(nodePorts(await made('a', { type: 'NodePort', ports: dns }))).toEqual([30_000, 30_000, 30_001]);
    const kept = await update('a', { type: 'NodePort', ports: [{ name: 'web', port: 81 }] });
    expect(nodePorts(kept.json['spec'] as Record<string, unknown>)).toEqual([30_001]);
    expect(nodePorts(await made('b', { type: 'NodePort' }))).toEqual([30_000]);
  });

  test('go with the type', async () => {
    start(SINGLE);
    const spec = await made('a', { type: 'NodePort' });
    const inside = await update('a', { ...spec, type: 'ClusterIP' });
    expect([inside.code, nodePorts(inside.json['spec'] as Record<string, unknown>)]).toEqual([
      200,
      [undefined],
    ]);
    expect(nodePorts(await made('b', { type: 'NodePort' }))).toEqual([30_000]);
  });

  test('of load balancers are given unless they do not want them; a health check has its own', async () => {
    start(SINGLE);
    const none = await made('a', { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false });
    expect(nodePorts(none)).toEqual([undefined]);
    const local = await made('b', { type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    expect([...nodePorts(local), local['healthCheckNodePort']]).toEqual([30_000, 30_001]);
    const wrong = await create('c', {
      type: 'LoadBalancer',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 30_000,
    });
    expect([wrong.code, wrong.json['message']]).toEqual([
      500,
      'Internal error occurred: failed to allocate requested HealthCheck NodePort 30000: provided port is already allocated',
    ]);
  });

  test.each<[number, string]>([
    [30_000, 'provided port is already allocated'],
    [80, 'provided port is not in the valid range. The range of valid ports is 30000-30003'],
  ])('%d is refused', async (nodePort, text) => {
    start(SINGLE);
    await made('a', { type: 'NodePort' });
    const { code, json } = await create('b', { type: 'NodePort', ports: [{ port: 80, nodePort }] });
    expect([code, json['message']]).toEqual([
      422,
      `Service "b" is invalid: spec.ports[0].nodePort: Invalid value: ${nodePort}: ${text}`,
    ]);
  });

  test('run out, and of services made at once are different ones', async () => {
    start(SINGLE);
    const names = ['a', 'b', 'c', 'd'];
    const specs = await Promise.all(names.map((name) => made(name, { type: 'NodePort' })));
    const given = new Set(specs.flatMap(nodePorts));
    expect([30_000, 30_001, 30_002, 30_003].filter((port) => !given.has(port))).toEqual([]);
    const { code, json } = await create('e', { type: 'NodePort' });
    expect([code, json['message']]).toEqual([
      500,
      'Internal error occurred: failed to allocate a nodePort: range is full',
    ]);
    expect((await taken()).length).toBe(4);
    await small.ask('DELETE', `${SERVICES}/b`);
    expect(nodePorts(await made('e', { type: 'NodePort' }))).toEqual([30_001]);
  });
});

test('what is given and refused is counted, what is only tried is not', async () => {
  const registry = new MetricsRegistry();
  let nowMs = 0;
  start({ ...SINGLE, observer: allocationMetrics(registry, { monotonicMs: () => (nowMs += 10) }) });
  await made('a', { type: 'NodePort' });
  await made('b', { clusterIP: '10.0.0.9', type: 'NodePort', ports: [{ port: 80, nodePort: 30_003 }] });
  await create('tried', { type: 'NodePort' }, '?dryRun=All');
  expect((await create('c', { clusterIP: '10.0.0.9' })).code).toBe(422);
  expect((await create('d', { type: 'NodePort', ports: [{ port: 80, nodePort: 30_003 }] })).code).toBe(422);
  const lines = registry.text().split('\n');
  const cidr = 'cidr="10.0.0.0/28"';
  for (const line of [
    `clusterip_allocator_allocation_total{${cidr},scope="dynamic"} 2`,
    `clusterip_allocator_allocation_total{${cidr},scope="static"} 1`,
    `clusterip_allocator_allocation_errors_total{${cidr},scope="static"} 1`,
    `clusterip_allocator_allocation_duration_seconds_count{${cidr}} 3`,
    'nodeport_allocator_allocation_total{scope="dynamic"} 1',
    'nodeport_allocator_allocation_total{scope="static"} 1',
    'nodeport_allocator_allocation_errors_total{scope="static"} 1',
    'nodeport_allocator_allocated_ports 2',
    'nodeport_allocator_available_ports 2',
  ]) {
    expect(lines).toContain(`kube_apiserver_${line}`);
  }
  expect((await small.ask('DELETE', `${SERVICES}/a`)).code).toBe(200);
  expect(registry.text()).toContain('kube_apiserver_nodeport_allocator_available_ports 3\n');
});
