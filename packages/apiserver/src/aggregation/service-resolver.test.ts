/** Where a service leads: apiserver's TestResolve of util/proxy, with slices. */

import { describe, expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { clusterPlace, endpointPlaces, hasEndpoint } from './service-resolver.ts';

const reference = { namespace: 'one', name: 'alfa', port: 443 };

const service = (spec: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'one', name: 'alfa' },
  spec: {
    ports: [
      { name: 'https', port: 443 },
      { name: 'other', port: 1443 },
    ],
    ...spec,
  },
});

const slice = (port: object, ...endpoints: object[]): KubeObject => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { namespace: 'one', name: 'alfa-1' },
  ports: [port],
  endpoints,
});

describe('the address of the service', () => {
  test.each([
    ['cluster ip', { type: 'ClusterIP', clusterIP: '10.0.0.7' }, { host: '10.0.0.7', port: 443 }],
    ['load balancer', { type: 'LoadBalancer', clusterIP: '10.0.0.7' }, { host: '10.0.0.7', port: 443 }],
    ['node port', { type: 'NodePort', clusterIP: 'fd00::7' }, { host: 'fd00::7', port: 443 }],
    ['external name', { type: 'ExternalName', externalName: 'foo.bar' }, { host: 'foo.bar', port: 443 }],
  ])('%s', (_name, spec, place) => {
    expect(clusterPlace(service(spec), reference)).toEqual(place);
  });

  test.each([
    [
      'none cluster ip',
      { type: 'ClusterIP', clusterIP: 'None' },
      443,
      'cannot route to service with ClusterIP "None"',
    ],
    [
      'port that it has not',
      { type: 'ClusterIP', clusterIP: '10.0.0.7' },
      80,
      'no service port 80 found for service "alfa"',
    ],
    ['unknown type', { type: 'Odd' }, 443, 'unsupported service type "Odd"'],
  ])('%s', (_name, spec, port, message) => {
    expect(() => clusterPlace(service(spec), { ...reference, port })).toThrow(message);
  });
});

describe('what is behind it', () => {
  const alfa = service({ type: 'ClusterIP', clusterIP: '10.0.0.7' });
  const ready = (address: string, conditions?: object): object => ({
    addresses: [address],
    ...(conditions === undefined ? {} : { conditions }),
  });

  test('all addresses that are ready, at the port of that name', () => {
    const slices = [
      slice({ name: 'https', port: 8443 }, ready('10.1.1.1'), ready('10.1.1.2', { ready: false })),
      slice({ name: 'other', port: 9443 }, ready('10.1.1.3')),
      slice({ name: 'https', port: 7443 }, ready('10.1.1.4', { ready: true })),
    ];
    expect(endpointPlaces(alfa, slices, reference)).toEqual([
      { host: '10.1.1.1', port: 8443 },
      { host: '10.1.1.4', port: 7443 },
    ]);
    expect(hasEndpoint(slices, 'https')).toBe(true);
    expect(hasEndpoint(slices, 'third')).toBe(false);
  });

  test.each([
    ['nothing', []],
    ['nothing ready', [slice({ name: 'https', port: 8443 }, ready('10.1.1.2', { ready: false }))]],
    ['another port', [slice({ name: 'http', port: 80 }, ready('10.1.1.2'))]],
  ])('%s', (_name, slices) => {
    expect(() => endpointPlaces(alfa, slices, reference)).toThrow(
      'no endpoints available for service "alfa"',
    );
    expect(hasEndpoint(slices, 'https')).toBe(false);
  });

  test('a name of elsewhere has none', () => {
    const elsewhere = service({ type: 'ExternalName', externalName: 'x' });
    expect(() => endpointPlaces(elsewhere, [], reference)).toThrow('unsupported service type "ExternalName"');
  });
});
