/** Beta versions that --runtime-config asks for: one object, seen in either version. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { smallServer, type SmallServer } from '../../../test/small-server.ts';
import { parseRuntimeConfig } from '../scheme.ts';

let small: SmallServer;

beforeAll(() => {
  small = smallServer({
    resources: 'built-in',
    runtimeConfig: parseRuntimeConfig(
      'storage.k8s.io/v1beta1=true,networking.k8s.io/v1beta1,resource.k8s.io/v1beta2,resource.k8s.io/v1beta1,admissionregistration.k8s.io/v1beta1,admissionregistration.k8s.io/v1alpha1',
    ),
  });
});

afterAll(() => small.stop());

test('is not served unless asked for', async () => {
  const plain = smallServer({ resources: 'built-in' });
  expect((await plain.ask('GET', '/apis/storage.k8s.io/v1beta1/volumeattributesclasses')).code).toBe(404);
  expect((await plain.ask('GET', '/apis/storage.k8s.io/v1beta1')).code).toBe(404);
  await plain.stop();
});

test.each<[path: string, kind: string, version: string, name: string, body: object]>([
  [
    'storage.k8s.io/VERSION/volumeattributesclasses',
    'VolumeAttributesClass',
    'v1beta1',
    'gold',
    { driverName: 'csi.example.com', parameters: { iops: '1000' } },
  ],
  [
    'networking.k8s.io/VERSION/ipaddresses',
    'IPAddress',
    'v1beta1',
    '10.9.8.7',
    { spec: { parentRef: { resource: 'services', name: 'web', namespace: 'shop' } } },
  ],
  [
    'networking.k8s.io/VERSION/servicecidrs',
    'ServiceCIDR',
    'v1beta1',
    'more',
    { spec: { cidrs: ['10.9.0.0/16'] } },
  ],
  [
    'resource.k8s.io/VERSION/deviceclasses',
    'DeviceClass',
    'v1beta2',
    'gpus',
    { spec: { selectors: [{ cel: { expression: 'true' } }] } },
  ],
  [
    'resource.k8s.io/VERSION/namespaces/shop/resourceclaims',
    'ResourceClaim',
    'v1beta2',
    'one',
    { spec: { devices: { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpus' } }] } } },
  ],
  [
    'admissionregistration.k8s.io/VERSION/mutatingadmissionpolicies',
    'MutatingAdmissionPolicy',
    'v1alpha1',
    'label',
    {
      spec: {
        matchConstraints: {
          resourceRules: [
            { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
          ],
        },
        mutations: [
          { patchType: 'JSONPatch', jsonPatch: { expression: '[JSONPatch{op: "remove", path: "/data/a"}]' } },
        ],
        reinvocationPolicy: 'Never',
      },
    },
  ],
  [
    'admissionregistration.k8s.io/VERSION/mutatingadmissionpolicybindings',
    'MutatingAdmissionPolicyBinding',
    'v1alpha1',
    'label',
    { spec: { policyName: 'label' } },
  ],
])('%s', async (path, kind, version, name, body) => {
  const [group] = path.split('/');
  const at = (which: string): string => `/apis/${path.replace('VERSION', which)}`;
  const made = await small.ask('POST', at(version), {
    apiVersion: `${group}/${version}`,
    kind,
    metadata: { name },
    ...body,
  });
  expect([made.code, made.json.apiVersion, made.json.kind]).toEqual([201, `${group}/${version}`, kind]);
  expect(made.warnings.join()).toContain(`${group}/${version} ${kind} is deprecated in v1.3`);
  expect(made.json.metadata.managedFields?.map(({ apiVersion }) => apiVersion)).toEqual([
    `${group}/${version}`,
  ]);

  const seen = await small.ask('GET', `${at('v1')}/${name}`);
  expect(seen.json.apiVersion).toBe(`${group}/v1`);
  expect(seen.warnings).toEqual([]);
  expect({ ...seen.json, apiVersion: '' }).toEqual({ ...made.json, apiVersion: '' });
  if (kind === 'ResourceClaim') expect(seen.text).toContain('"allocationMode":"ExactCount","count":1');

  // Who owns a field does not change with the version he wrote it in.
  const apply = (which: string, value: string): ReturnType<SmallServer['ask']> =>
    small.ask(
      'PATCH',
      `${at(which)}/${name}?fieldManager=tool`,
      { apiVersion: `${group}/${which}`, kind, metadata: { name, labels: { tier: value } } },
      { 'content-type': 'application/apply-patch+yaml' },
    );
  expect((await apply(version, 'a')).json.metadata.labels).toEqual({ tier: 'a' });
  const again = await apply('v1', 'b');
  expect([again.code, again.json.metadata.labels]).toEqual([200, { tier: 'b' }]);
  const owners = again.json.metadata.managedFields?.filter(({ manager }) => manager === 'tool');
  expect(owners?.map(({ apiVersion }) => apiVersion)).toEqual([`${group}/v1`]);

  const list = await small.ask('GET', at(version));
  expect(list.json.apiVersion).toBe(`${group}/${version}`);
  expect((await small.ask('DELETE', `${at('v1')}/${name}`)).code).toBe(200);
  expect((await small.ask('GET', `${at(version)}/${name}`)).code).toBe(404);
});

test('a beta that is young yet is served without a warning', async () => {
  const at = '/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies';
  const { code, warnings, json } = await small.ask('GET', at);
  expect([code, warnings, json.apiVersion]).toEqual([200, [], 'admissionregistration.k8s.io/v1beta1']);
});

test('discovery prefers the newest', async () => {
  const { json } = await small.ask('GET', '/apis/resource.k8s.io');
  expect(json).toMatchObject({
    preferredVersion: { version: 'v1' },
    versions: [{ version: 'v1' }, { version: 'v1beta2' }, { version: 'v1beta1' }],
  });
});

test('a request of v1beta1 is told by its members; in version 1 they stand in what is wanted exactly', async () => {
  const at = (version: string): string => `/apis/resource.k8s.io/${version}/namespaces/shop/resourceclaims`;
  const requests = [
    { name: 'one', deviceClassName: 'gpus', tolerations: [{ key: 'k', operator: 'Exists' }] },
    { name: 'any', firstAvailable: [{ name: 'big', deviceClassName: 'gpus' }] },
  ];
  const claim = { apiVersion: 'resource.k8s.io/v1beta1', kind: 'ResourceClaim' };
  const made = await small.ask('POST', at('v1beta1'), {
    ...claim,
    metadata: { name: 'old' },
    spec: { devices: { requests } },
  });
  expect([made.code, made.warnings]).toEqual([
    201,
    ['299 - "resource.k8s.io/v1beta1 ResourceClaim is deprecated in v1.35+, unavailable in v1.38+"'],
  ]);
  const wanted = { deviceClassName: 'gpus', allocationMode: 'ExactCount', count: 1 };
  expect(made.json['spec']).toEqual({
    devices: {
      requests: [
        { ...requests[0], ...wanted },
        { name: 'any', deviceClassName: '', firstAvailable: [{ name: 'big', ...wanted }] },
      ],
    },
  });
  expect((await small.ask('GET', `${at('v1')}/old`)).json['spec']).toEqual({
    devices: {
      requests: [
        { name: 'one', exactly: { ...wanted, tolerations: [{ key: 'k', operator: 'Exists' }] } },
        { name: 'any', firstAvailable: [{ name: 'big', ...wanted }] },
      ],
    },
  });
  const empty = await small.ask('POST', at('v1beta1'), { ...claim, metadata: { name: 'empty' }, spec: {} });
  expect(empty.json['spec']).toEqual({ devices: { requests: null } });
  expect((await small.ask('GET', `${at('v1')}/empty`)).json['spec']).toEqual({ devices: { requests: null } });
});

test('a device of v1beta1 lies in its basic', async () => {
  const at = (version: string): string => `/apis/resource.k8s.io/${version}/resourceslices`;
  const device = { attributes: { model: { string: 'x' } }, capacity: { memory: { value: '1Gi' } } };
  const pool = { name: 'p', generation: 1, resourceSliceCount: 1 };
  const made = await small.ask('POST', at('v1beta1'), {
    apiVersion: 'resource.k8s.io/v1beta1',
    kind: 'ResourceSlice',
    metadata: { name: 'slice' },
    spec: {
      driver: 'd.example',
      pool,
      nodeName: 'n',
      devices: [{ name: 'd', basic: device }, { name: 'e' }],
    },
  });
  expect(made.code).toBe(201);
  expect((await small.ask('GET', `${at('v1')}/slice`)).json['spec']).toEqual({
    driver: 'd.example',
    pool,
    nodeName: 'n',
    devices: [{ name: 'd', ...device }, { name: 'e' }],
  });
  const seen = await small.ask('GET', `${at('v1beta1')}/slice`);
  expect(seen.json['spec']).toMatchObject({
    devices: [
      { name: 'd', basic: device },
      { name: 'e', basic: {} },
    ],
  });
});

test('a kind whose feature is off is not served, whatever --runtime-config says', async () => {
  const at = '/apis/scheduling.k8s.io/v1alpha2/namespaces/shop/workloads';
  const config = { resources: 'built-in', runtimeConfig: parseRuntimeConfig('api/all=true') } as const;
  const plain = smallServer(config);
  expect((await plain.ask('GET', at)).code).toBe(404);
  expect((await plain.ask('GET', '/apis/coordination.k8s.io/v1beta1/leasecandidates')).code).toBe(200);
  await plain.stop();
  const with1 = smallServer({ ...config, featureGates: new Map([['GenericWorkload', true]]) });
  expect((await with1.ask('GET', at)).code).toBe(200);
  await with1.stop();
  const some = new Map([
    ['AllAlpha', true],
    ['AllBeta', false],
  ]);
  const with2 = smallServer({ ...config, featureGates: some });
  expect((await with2.ask('GET', at)).code).toBe(200);
  expect((await with2.ask('GET', '/apis/certificates.k8s.io/v1beta1/clustertrustbundles')).code).toBe(404);
  await with2.stop();
});

test('the warning is as the original words it', async () => {
  const { warnings } = await small.ask('GET', '/apis/storage.k8s.io/v1beta1/volumeattributesclasses');
  expect(warnings).toEqual([
    '299 - "storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass"',
  ]);
});
