/**
 * Two servers on one store that make, change and delete services at once: no address and no port belongs to two of
 * them, and what stands as taken is what services have. Then what a server that died leaves behind, and its repair.
 */

import { afterEach, describe, expect, test } from '@jest/globals';

import { Prng, systemClock } from '@keelson/base';

import { smallServer, type Answer, type SmallServer } from '../../../test/small-server.ts';
import { TypeTable } from '../../schema/type-table.ts';
import { MemoryBackend } from '../../storage/memory-storage.ts';
import { part, parts, text, texts } from '../../validation/value.ts';
import { builtInResources } from '../kinds/built-in.ts';
import type { Stores } from '../resource.ts';
import { PortAllocation, portsOf } from './port-allocation.ts';
import type { ServiceRanges } from './service-hooks.ts';
import { ServiceRepair } from './service-repair.ts';

const AT = '/api/v1/namespaces/shop/services';
const RANGES: ServiceRanges = { networks: ['10.0.0.0/26'], nodePorts: { first: 30_000, last: 30_040 } };
const SERVICES = { group: '', resource: 'services' };
const ADDRESSES = { group: 'networking.k8s.io', resource: 'ipaddresses' };
const WRITE = { dryRun: false };

let servers: SmallServer[] = [];

function serve(count: number): SmallServer[] {
  const clock = systemClock;
  const backend = new MemoryBackend({ clock });
  servers = Array.from({ length: count }, (_, index) => {
    const prng = new Prng(11 + index);
    const resources = builtInResources(new TypeTable(), RANGES);
    return smallServer({ backend, clock, resources, random: (limit) => prng.below(limit) });
  });
  return servers;
}

afterEach(async () => {
  for (const each of servers) await each.stop();
});

const ascending = (a: number, b: number): number => a - b;

/** What services have, and what stands as taken, in order. */
async function held(stores: Stores): Promise<Record<string, readonly unknown[]>> {
  const services = (await stores.of(SERVICES)?.list('')) ?? [];
  const addresses = (await stores.of(ADDRESSES)?.list('')) ?? [];
  return {
    clusterIPs: services.flatMap((each) => texts(part(each, 'spec'), 'clusterIPs')).toSorted(),
    ports: services.flatMap((each) => [...portsOf(each)]).toSorted(ascending),
    addresses: addresses.map(({ metadata }) => metadata.name ?? '').toSorted(),
    taken: [...(await new PortAllocation(RANGES.nodePorts, stores).taken())].toSorted(ascending),
  };
}

function nodePort(name: string, extra: object = {}): object {
  return { metadata: { name }, spec: { type: 'NodePort', ports: [{ port: 80 }], ...extra } };
}

describe('two servers on one store', () => {
  test('never hand out one address or one port twice', async () => {
    const both = serve(2);
    const names = Array.from({ length: 30 }, (_, index) => `s-${index}`);
    const answers = await Promise.all(
      names.map((name, index) => both[index % 2].ask('POST', AT, nodePort(name))),
    );
    expect(answers.map(({ code }) => code)).toEqual(names.map(() => 201));
    const found = await held(both[0].server.scheme);
    expect(new Set(found['clusterIPs']).size).toBe(30);
    expect(new Set(found['ports']).size).toBe(30);
    expect([found['addresses'], found['taken']]).toEqual([found['clusterIPs'], found['ports']]);
  });

  test('that are asked for the same one give it to one service', async () => {
    const both = serve(2);
    const extra = { clusterIP: '10.0.0.9', ports: [{ port: 80, nodePort: 30_007 }] };
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name, index) => both[index % 2].ask('POST', AT, nodePort(name, extra))),
    );
    expect(answers.map(({ code }) => code).toSorted(ascending)).toEqual([201, 422, 422, 422]);
    expect(await held(both[0].server.scheme)).toEqual({
      clusterIPs: ['10.0.0.9'],
      ports: [30_007],
      addresses: ['10.0.0.9'],
      taken: [30_007],
    });
  });

  test.each([1, 2, 3, 4, 5])('keep to it while services come, change and go: seed %d', async (seed) => {
    const both = serve(2);
    const prng = new Prng(seed);
    const types = ['NodePort', 'ClusterIP', 'LoadBalancer'];
    for (let round = 0; round < 12; round += 1) {
      const calls: Promise<Answer>[] = [];
      for (let call = 0; call < 6; call += 1) {
        const name = `s-${prng.below(5)}`;
        const server = both[prng.below(2)];
        const body = nodePort(name, { type: types[prng.below(3)] });
        const kind = prng.below(3);
        if (kind === 0) calls.push(server.ask('POST', AT, body));
        else if (kind === 1) calls.push(server.ask('PUT', `${AT}/${name}`, body));
        else calls.push(server.ask('DELETE', `${AT}/${name}`));
      }
      const codes = (await Promise.all(calls)).map(({ code }) => code);
      expect(codes.filter((code) => ![200, 201, 404, 409].includes(code))).toEqual([]);
      const found = await held(both[0].server.scheme);
      expect(new Set(found['clusterIPs']).size).toBe(found['clusterIPs'].length);
      expect(new Set(found['ports']).size).toBe(found['ports'].length);
      expect([found['addresses'], found['taken']]).toEqual([found['clusterIPs'], found['ports']]);
    }
  });
});

describe('repair', () => {
  test('makes the allocation of the services where there is none, or one of another range', async () => {
    const [small] = serve(1);
    const { scheme } = small.server;
    await small.ask('POST', AT, nodePort('a', { ports: [{ port: 80, nodePort: 30_012 }] }));
    await scheme.ranges().delete('/ranges/servicenodeports');
    expect((await held(scheme))['taken']).toEqual([30_012]);
    const taken = await small.ask('POST', AT, nodePort('b', { ports: [{ port: 80, nodePort: 30_012 }] }));
    expect(taken.code).toBe(422);
    const wider = new PortAllocation({ first: 30_000, last: 31_000 }, scheme);
    await wider.change((all) => all.add(30_900));
    expect(await wider.taken()).toEqual(new Set([30_012, 30_900]));
    expect((await held(scheme))['taken']).toEqual([30_012]);
    const { value } = await scheme.ranges().get('/ranges/servicenodeports');
    expect(value).toMatchObject({ kind: 'RangeAllocation', range: '30000-31000' });
  });

  test('frees what nobody has, but nothing that a write may be about', async () => {
    const [small] = serve(1);
    const { scheme } = small.server;
    await small.ask(
      'POST',
      AT,
      nodePort('a', { clusterIP: '10.0.0.5', ports: [{ port: 80, nodePort: 30_001 }] }),
    );
    const byOurs = { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' };
    const left = [
      { name: '10.0.0.6', labels: byOurs },
      { name: '10.0.0.7', labels: {} },
    ];
    for (const metadata of left) {
      const spec = { parentRef: { resource: 'services', namespace: 'shop', name: 'gone' } };
      await small.ask('POST', '/apis/networking.k8s.io/v1/ipaddresses', { metadata, spec });
    }
    await new PortAllocation(RANGES.nodePorts, scheme).change((all) => all.add(30_020));
    let aheadMs = 0;
    const repair = new ServiceRepair(RANGES.nodePorts, () => systemClock.nowMs() + aheadMs);
    for (let round = 0; round < 3; round += 1) await repair.run(scheme);
    expect(await held(scheme)).toMatchObject({
      addresses: ['10.0.0.5', '10.0.0.6', '10.0.0.7'],
      taken: [30_001, 30_020],
    });
    aheadMs = 61_000;
    await repair.run(scheme);
    expect(await held(scheme)).toMatchObject({ addresses: ['10.0.0.5', '10.0.0.7'], taken: [30_001] });
  });

  test('takes what services have and tells what cannot be theirs', async () => {
    const [small] = serve(1);
    const { scheme } = small.server;
    await small.ask(
      'POST',
      AT,
      nodePort('a', { clusterIP: '10.0.0.5', ports: [{ port: 80, nodePort: 30_001 }] }),
    );
    await small.ask(
      'POST',
      AT,
      nodePort('b', { clusterIP: '10.0.0.6', ports: [{ port: 80, nodePort: 30_002 }] }),
    );
    await scheme.of(ADDRESSES)?.delete('', '10.0.0.5', WRITE);
    await new PortAllocation(RANGES.nodePorts, scheme).release([30_001]);
    const narrow = { first: 30_001, last: 30_001 };
    await new ServiceRepair(RANGES.nodePorts, () => systemClock.nowMs()).run(scheme);
    expect(await held(scheme)).toMatchObject({
      addresses: ['10.0.0.5', '10.0.0.6'],
      taken: [30_001, 30_002],
    });
    await new ServiceRepair(narrow, () => systemClock.nowMs() + 1_000).run(scheme);
    const { json } = await small.ask('GET', '/api/v1/namespaces/shop/events');
    expect(parts(json, 'items').map((each) => `${text(each, 'reason')}: ${text(each, 'message')}`)).toEqual([
      'ClusterIPNotAllocated: Cluster IP [IPv4]: 10.0.0.5 is not allocated; repairing',
      'PortNotAllocated: Port 30001 is not allocated; repairing',
      'PortOutOfRange: Port 30002 is not within the port range 30001-30001; please recreate service',
    ]);
  });
});
