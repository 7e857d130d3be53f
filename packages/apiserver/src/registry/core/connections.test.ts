/**
 * Where log, exec and its kin lead, and what they refuse: the connection that would be made, for a request. The rows are
 * those of kubernetes' registry/core/pod/strategy_test.go (…Location), core validation's TestValidatePodLogOptions and the
 * node's and service's strategies.
 */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { smallServer, type SmallServer } from '../../../test/small-server.ts';
import { TypeTable } from '../../schema/type-table.ts';
import { builtInResources } from '../kinds/built-in.ts';
import { isGlobalUnicast } from './connection-targets.ts';
import type { Connection } from './connections.ts';

let small: SmallServer;
let made: Connection[] = [];

const POD = { image: 'i' };

beforeAll(async () => {
  const resources = builtInResources(new TypeTable(), undefined, {
    kubelets: { addressTypes: ['Hostname', 'InternalIP'], port: 10_250 },
    connect: (connection) => {
      made.push(connection);
      return Promise.resolve({
        kind: 'bytes',
        code: 200,
        contentType: 'text/plain',
        body: Buffer.from('ok'),
      });
    },
    mayAlso: () => Promise.resolve(),
  });
  small = smallServer({ resources });
  const create = async (target: string, object: object): Promise<void> => {
    const { code, text } = await small.ask('POST', target, { apiVersion: 'v1', ...object });
    if (code !== 201) throw new Error(`${target}: ${text}`);
  };
  const node = (name: string, addresses: object[], port = 0): Promise<void> =>
    create('/api/v1/nodes', {
      kind: 'Node',
      metadata: { name },
      status: {
        addresses,
        ...(port === 0 ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: port } } }),
      },
    });
  await node('n1', [
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'Hostname', address: 'n1.test' },
  ]);
  await node('n2', [{ type: 'InternalIP', address: 'fd00::2' }], 12_345);
  await node('n3', [{ type: 'ExternalIP', address: '10.0.0.3' }]);
  const pod = async (name: string, spec: object, status?: object): Promise<void> => {
    await create('/api/v1/namespaces/default/pods', { kind: 'Pod', metadata: { name }, spec });
    if (status === undefined) return;
    const { code, text } = await small.ask('PATCH', `/api/v1/namespaces/default/pods/${name}/status`, {
      status,
    });
    if (code !== 200) throw new Error(text);
  };
  const one = [{ name: 'a', ...POD, ports: [{ containerPort: 9376 }] }];
  await pod('web', { nodeName: 'n1', containers: one }, { podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }] });
  await pod('six', { nodeName: 'n2', containers: one }, { podIP: 'fd00::5', podIPs: [{ ip: 'fd00::5' }] });
  await pod(
    'local',
    { containers: [{ name: 'a', ...POD }] },
    { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] },
  );
  await pod('nowhere', { containers: one });
  await pod('lost', { nodeName: 'gone', containers: one });
  await pod('mute', { nodeName: 'n3', containers: one });
  await pod('two', {
    nodeName: 'n1',
    initContainers: [{ name: 'i', ...POD }],
    containers: [
      { name: 'a', ...POD },
      { name: 'b', ...POD },
    ],
  });
  const service = async (name: string, ports: object[]): Promise<void> =>
    create('/api/v1/namespaces/default/services', {
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app: 'web' }, ports },
    });
  const port = { name: 'http', port: 80, protocol: 'TCP' };
  await service('shop', [port, { name: 'admin', port: 81, protocol: 'TCP' }]);
  await service('empty', [port]);
  const reference = (name: string): object => ({
    targetRef: { kind: 'Pod', namespace: 'default', name },
  });
  await create('/api/v1/namespaces/default/endpoints', {
    kind: 'Endpoints',
    metadata: { name: 'shop' },
    subsets: [
      {
        // An address that is no pod's, one that is another pod's, and one that is right.
        addresses: [
          { ip: '10.9.9.9' },
          { ip: '10.9.9.8', ...reference('web') },
          { ip: '10.1.2.3', ...reference('web') },
        ],
        ports: [{ name: 'http', port: 8080 }],
      },
    ],
  });
  await create('/api/v1/namespaces/default/endpoints', { kind: 'Endpoints', metadata: { name: 'empty' } });
});

afterAll(() => small.stop());

/** The URL that a request leads to. */
async function leadsTo(method: string, target: string): Promise<string> {
  made = [];
  const { code, text } = await small.ask(method, `/api/v1/${target}`);
  if (code !== 200) return text;
  const [{ target: to }] = made;
  const host = to.host.includes(':') ? `[${to.host}]` : to.host;
  return `${to.scheme}://${host}:${to.port}${to.path}${to.query === '' ? '' : `?${to.query}`}`;
}

const WEB = 'namespaces/default/pods/web';

describe('leads to', () => {
  test.each<[method: string, target: string, url: string]>([
    ['GET', `${WEB}/log`, 'https://n1.test:10250/containerLogs/default/web/a'],
    [
      'GET',
      `${WEB}/log?follow=true&previous&timestamps=1&sinceSeconds=5&tailLines=0&limitBytes=9&container=a`,
      'https://n1.test:10250/containerLogs/default/web/a?follow=true&limitBytes=9&previous=true&sinceSeconds=5&tailLines=0&timestamps=true',
    ],
    [
      'GET',
      `${WEB}/log?sinceTime=2020-01-02T03:04:05%2B01:00&follow=false`,
      'https://n1.test:10250/containerLogs/default/web/a?sinceTime=2020-01-02T02%3A04%3A05Z',
    ],
    ['GET', 'namespaces/default/pods/six/log', 'https://[fd00::2]:12345/containerLogs/default/six/a'],
    [
      'GET',
      'namespaces/default/pods/two/log?container=i',
      'https://n1.test:10250/containerLogs/default/two/i',
    ],
    [
      'POST',
      `${WEB}/exec?command=sh&command=-c&command=a%20b&stdin=true&stdout=1&stderr=false&tty`,
      'https://n1.test:10250/exec/default/web/a?command=sh&command=-c&command=a+b&input=1&output=1&tty=1',
    ],
    ['GET', `${WEB}/exec?command=ls`, 'https://n1.test:10250/exec/default/web/a?command=ls&error=1&output=1'],
    ['POST', `${WEB}/attach?stdout=true`, 'https://n1.test:10250/attach/default/web/a?output=1'],
    ['POST', `${WEB}/portforward`, 'https://n1.test:10250/portForward/default/web'],
    [
      'GET',
      `${WEB}/portforward?ports=80&ports=81,82`,
      'https://n1.test:10250/portForward/default/web?port=80%2C81%2C82',
    ],
    ['GET', `${WEB}/proxy`, 'http://10.1.2.3:9376'],
    ['GET', `${WEB}/proxy/`, 'http://10.1.2.3:9376/'],
    ['PUT', `${WEB}/proxy/a//b/../c/?x=y`, 'http://10.1.2.3:9376/a/c/?x=y'],
    ['GET', `${WEB}/proxy/../../../secret`, 'http://10.1.2.3:9376/secret'],
    ['PATCH', 'namespaces/default/pods/https:web:8443/proxy/a', 'https://10.1.2.3:8443/a'],
    ['OPTIONS', 'namespaces/default/pods/six:1/proxy/a', 'http://[fd00::5]:1/a'],
    ['GET', 'nodes/n1/proxy/pods', 'https://n1.test:10250/pods'],
    ['GET', 'nodes/https:n2:12345/proxy/pods', 'https://[fd00::2]:12345/pods'],
    ['GET', 'nodes/n1:9100/proxy/metrics', 'http://n1.test:9100/metrics'],
    ['GET', 'namespaces/default/services/shop:http/proxy/a', 'http://10.1.2.3:8080/a'],
    ['GET', 'namespaces/default/services/https:shop:80/proxy/a', 'https://10.1.2.3:8080/a'],
  ])('%s %s', async (method, target, url) => {
    expect(await leadsTo(method, target)).toBe(url);
  });

  test('a node that says what it can do', async () => {
    await small.ask('PATCH', '/api/v1/nodes/n1/status', {
      status: { declaredFeatures: ['ExtendWebSocketsToKubelet'] },
    });
    await leadsTo('POST', `${WEB}/exec?command=ls`);
    expect(made[0]).toMatchObject({ kind: 'command', features: ['ExtendWebSocketsToKubelet'] });
  });
});

describe('is refused', () => {
  test.each<[target: string, code: number, message: string]>([
    [`${WEB}/log?container=x`, 400, 'container x is not valid for pod web'],
    [
      'namespaces/default/pods/two/log',
      400,
      'a container name must be specified for pod two, choose one of: [i a b]',
    ],
    [
      'namespaces/default/pods/two/exec?command=ls',
      400,
      'a container name must be specified for pod two, choose one of: [i a b]',
    ],
    ['namespaces/default/pods/none/log', 404, 'pods "none" not found'],
    ['namespaces/default/pods/lost/log', 404, 'nodes "gone" not found'],
    ['namespaces/default/pods/nowhere/exec?command=ls', 400, 'pod nowhere does not have a host assigned'],
    ['namespaces/default/pods/nowhere/portforward', 400, 'pod nowhere does not have a host assigned'],
    [
      'namespaces/default/pods/mute/log',
      500,
      'no preferred addresses found; known addresses: [{ExternalIP 10.0.0.3}]',
    ],
    [
      `${WEB}/log?tailLines=-1`,
      422,
      'PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
    ],
    [
      `${WEB}/log?limitBytes=0`,
      422,
      'PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0',
    ],
    [
      `${WEB}/log?sinceSeconds=0`,
      422,
      'PodLogOptions "web" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
    ],
    [
      `${WEB}/log?sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z`,
      422,
      'PodLogOptions "web" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    ],
    [
      `${WEB}/log?stream=Stdout`,
      422,
      'PodLogOptions "web" is invalid: stream: Forbidden: may not be specified',
    ],
    [`${WEB}/log?tailLines=x`, 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [`${WEB}/portforward?ports=x`, 400, 'strconv.ParseInt: parsing "x": invalid syntax'],
    [
      `${WEB}/log?sinceTime=x`,
      400,
      'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
    ],
    [`${WEB}/exec?dryRun=All`, 400, 'dryRun is not supported'],
    ['namespaces/default/pods/local/proxy/a', 400, 'address not allowed'],
    ['namespaces/default/pods/nowhere/proxy/a', 400, 'address not allowed'],
    ['namespaces/default/pods/a:b:c:d/proxy/a', 400, 'invalid pod request "a:b:c:d"'],
    ['namespaces/default/services/ftp:shop:80/proxy/a', 400, 'invalid service request "ftp:shop:80"'],
    ['nodes/a:b:c:d/proxy/a', 400, 'invalid node request "a:b:c:d"'],
    ['namespaces/default/services/shop:82/proxy/a', 503, 'no service port 82 found for service "shop"'],
    ['namespaces/default/services/shop:81/proxy/a', 503, 'no endpoints available for service "shop:81"'],
    ['namespaces/default/services/shop/proxy/a', 503, 'no endpoints available for service "shop"'],
    [
      'namespaces/default/services/empty:http/proxy/a',
      503,
      'no endpoints available for service "empty:http"',
    ],
    ['namespaces/default/services/none/proxy/a', 404, 'endpoints "none" not found'],
    [`${WEB}/log/more`, 404, 'the server could not find the requested resource'],
    [`${WEB}/exec/more`, 404, 'the server could not find the requested resource'],
  ])('%s', async (target, code, message) => {
    const { json } = await small.ask('GET', `/api/v1/${target}`);
    expect([json['code'], json['message']]).toEqual([code, message]);
  });

  test.each([
    ['PUT', `${WEB}/exec`],
    ['POST', `${WEB}/log`],
    ['DELETE', `${WEB}/portforward`],
  ])('%s %s', async (method, target) => {
    expect((await small.ask(method, `/api/v1/${target}`)).code).toBe(405);
  });
});

test('a pod that is nowhere yet has said nothing', async () => {
  const { code, text } = await small.ask('GET', '/api/v1/namespaces/default/pods/nowhere/log');
  expect([code, text]).toEqual([204, '']);
});

test('discovery tells of the connections', async () => {
  const { text } = await small.ask('GET', '/api/v1');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it is a list of resources
  const list = JSON.parse(text) as { resources: { name: string; kind: string; verbs: string[] }[] };
  const told = list.resources
    .filter(({ name }) => /\/(log|exec|attach|portforward|proxy)$/.test(name))
    .map(({ name, kind, verbs }) => `${name} ${kind} ${verbs.join(',')}`);
  expect(told).toEqual([
    'nodes/proxy NodeProxyOptions create,delete,get,patch,update',
    'pods/attach PodAttachOptions create,get',
    'pods/exec PodExecOptions create,get',
    'pods/log Pod get',
    'pods/portforward PodPortForwardOptions create,get',
    'pods/proxy PodProxyOptions create,delete,get,patch,update',
    'services/proxy ServiceProxyOptions create,delete,get,patch,update',
  ]);
});

test.each([
  ['10.0.0.1', true],
  ['8.8.8.8', true],
  ['fd00::1', true],
  ['240.0.0.1', true],
  ['127.0.0.1', false],
  ['127.9.9.9', false],
  ['0.0.0.0', false],
  ['255.255.255.255', false],
  ['169.254.169.254', false],
  ['224.0.0.1', false],
  ['::', false],
  ['::1', false],
  ['fe80::1', false],
  ['febf::1', false],
  ['ff02::1', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:10.0.0.1', true],
  ['web', false],
  ['', false],
])('a proxy may go to %s: %s', (address, may) => {
  expect(isGlobalUnicast(address)).toBe(may);
});
