/**
 * Connections to kubelets, pods and services over real sockets: what clients send and get byte for byte, what those behind
 * us see of them, and what is said when nobody is there. A small kubelet of ours over TLS, no kubectl.
 */

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { until } from '../../base/test/until.ts';
import type { Decision } from '../src/api/user-info.ts';
import { NodeConnector, type NodeConnectorOptions } from '../src/kubelet/node-connector.ts';
import { BackendCaller } from '../src/outbound/backend-caller.ts';
import { CertificateAuthority } from '../src/pki/authority.ts';
import { builtInResources } from '../src/registry/kinds/built-in.ts';
import { TypeTable } from '../src/schema/type-table.ts';
import { SmallKubelet } from './small-kubelet.ts';
import { smallServer, type Answer, type SmallServer } from './small-server.ts';

let home: string;
let kubelet: SmallKubelet;
let caller: BackendCaller;
/** Trusts the kubelet. */
let good: Front;
/** Trusts another authority, and lets nobody create. */
let strict: Front;

interface Front {
  readonly small: SmallServer;
  readonly port: number;
}

interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** What stands behind the pod: says what it saw, and switches to a protocol of its own. */
const seen: SeenRequest[] = [];
const web = createServer((message, response) => {
  const { method = '', url = '', headers } = message;
  seen.push({ method, url, headers });
  if (url.startsWith('/moved')) {
    response.writeHead(302, { location: '/here?x' });
    response.end();
  } else if (url.startsWith('/page')) {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<a href="/next?x">next</a><img src="https://elsewhere.test/x">');
  } else message.pipe(response);
});
web.on('upgrade', (message: IncomingMessage, socket) => {
  const { method = '', url = '', headers } = message;
  seen.push({ method, url, headers });
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  socket.pipe(socket);
});

/** A port of this machine that nobody has. */
const NOBODY = 1;

beforeAll(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'keelson-connections-'));
  mkdirSync(path.join(home, 'container'));
  kubelet = new SmallKubelet(path.join(home, 'container'), systemClock.nowMs());
  const kubeletPort = await kubelet.start();
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  caller = new BackendCaller({ clock: systemClock, lookup: () => Promise.resolve(['127.0.0.1']) });
  const pair = kubelet.authority.client({ commonName: 'apiserver' }, systemClock.nowMs());
  const trust = { addressTypes: ['InternalIP', 'Hostname'], port: 10_250 };
  good = await front(kubeletPort, {
    kubelets: {
      ...trust,
      authority: kubelet.authority.certificate,
      pair: { cert: pair.certificate, key: pair.key },
    },
  });
  const other = CertificateAuthority.create('others', systemClock.nowMs());
  strict = await front(kubeletPort, {
    kubelets: { ...trust, authority: other.certificate },
    authorizer: { authorize: ({ verb }) => Promise.resolve(decided(verb)) },
  });
});

function decided(verb: string): Decision {
  return verb === 'create' ? { kind: 'no-opinion', reason: 'not you' } : { kind: 'allow', reason: '' };
}

afterAll(async () => {
  await good.small.stop();
  await strict.small.stop();
  caller.close();
  await kubelet.stop();
  web.closeAllConnections();
  web.close();
  rmSync(home, { recursive: true, force: true });
});

async function front(
  kubeletPort: number,
  options: Pick<NodeConnectorOptions, 'kubelets' | 'authorizer'>,
): Promise<Front> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on a port
  const webPort = (web.address() as AddressInfo).port;
  const connector = new NodeConnector({
    ...options,
    caller,
    clock: systemClock,
    route: (host, port) =>
      host === '10.1.2.3' ? { host: '127.0.0.1', port: port === 8080 ? webPort : NOBODY } : { host, port },
  });
  const small = smallServer({
    resources: builtInResources(new TypeTable(), undefined, connector),
    user: { name: 'jane', uid: '', groups: [], extra: {} },
  });
  const { port } = await small.server.listen(0, '127.0.0.1');
  const made = async (target: string, object: object): Promise<void> => {
    const { code, text } = await small.ask('POST', target, { apiVersion: 'v1', ...object });
    if (code !== 201) throw new Error(text);
  };
  const node = (name: string, at: number, more: object = {}): Promise<void> =>
    made('/api/v1/nodes', {
      kind: 'Node',
      metadata: { name },
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: at } },
        ...more,
      },
    });
  await node('n1', kubeletPort);
  await node('new', kubeletPort, { declaredFeatures: ['ExtendWebSocketsToKubelet'] });
  await node('dead', NOBODY);
  const pod = (name: string, nodeName: string): Promise<void> =>
    made('/api/v1/namespaces/default/pods', {
      kind: 'Pod',
      metadata: { name },
      spec: {
        nodeName,
        containers: ['main', 'silent'].map((container) => ({ name: container, image: 'i' })),
      },
    });
  for (const [name, where] of [
    ['web', 'n1'],
    ['modern', 'new'],
    ['lost', 'dead'],
  ] as const) {
    await pod(name, where);
    await small.ask('PATCH', `/api/v1/namespaces/default/pods/${name}/status`, {
      status: { phase: 'Running', podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }] },
    });
  }
  return { small, port };
}

const PODS = '/api/v1/namespaces/default/pods';

/** What came over the channels of a command, until its connection ended. */
class Shell {
  readonly out: string[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<void>;

  constructor(target: string, protocols: string[], { port }: Front = good) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${PODS}/${target}`, protocols);
    this.socket.binaryType = 'arraybuffer';
    this.socket.addEventListener('message', ({ data }) => {
      const bytes = Buffer.from(data as ArrayBuffer);
      this.out[bytes[0]] = (this.out[bytes[0]] ?? '') + bytes.subarray(1).toString('utf8');
    });
    this.closed = new Promise((resolve) => {
      this.socket.addEventListener('close', () => resolve());
      this.socket.addEventListener('error', () => resolve());
    });
  }

  async open(): Promise<this> {
    await once(this.socket, 'open');
    return this;
  }
  send(channel: number, text: string): void {
    this.socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
  }
  status(): unknown {
    return JSON.parse(this.out[3] ?? 'null');
  }
}

const V5 = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const SUCCESS = { metadata: {}, status: 'Success' };

/** An upgrade's answer: its code, headers and body, or the socket behind 101. */
function upgraded(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
  { port }: Front = good,
): Promise<{ readonly code: number; readonly text: string; readonly socket?: IncomingMessage['socket'] }> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host: '127.0.0.1',
      port,
      method,
      path: target,
      headers: { connection: 'Upgrade', ...headers },
      agent: false,
    });
    asked.on('error', reject);
    asked.on('upgrade', (message, socket) => resolve({ code: message.statusCode ?? 0, text: '', socket }));
    asked.on('response', (message) => {
      let text = '';
      message.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      message.on('end', () => resolve({ code: message.statusCode ?? 0, text }));
    });
    asked.end();
  });
}

const SPDY = { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
const KEY = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-version': '13' };

function ask(
  method: string,
  target: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return good.small.ask(method, target, body, headers);
}

describe('a command over v5.channel.k8s.io', () => {
  test('input, its end, both outputs and the end', async () => {
    const shell = await new Shell(
      'web/exec?container=main&command=sh&command=-c&command=cat;echo%20err>%262&stdin=1&stdout=1&stderr=1',
      V5,
    ).open();
    expect(shell.socket.protocol).toBe('v5.channel.k8s.io');
    shell.send(0, 'one ');
    shell.send(0, 'two');
    shell.send(255, '\0');
    await shell.closed;
    expect([shell.out[1], shell.out[2], shell.status()]).toEqual(['one two', 'err\n', SUCCESS]);
    expect(kubelet.protocol).toBe('v4.channel.k8s.io');
    const { method, headers, client } = kubelet.seen.at(-1) ?? {};
    expect([method, headers?.upgrade, client]).toEqual(['POST', 'SPDY/3.1', 'apiserver']);
  });

  test('a terminal: one output, and its size', async () => {
    const shell = await new Shell('web/exec?container=main&command=cat&stdin=1&stdout=1&tty=1', V5).open();
    shell.send(4, '{"Width":80,"Height":24}');
    await until(() => kubelet.sizes.length > 0);
    expect(kubelet.sizes).toEqual(['{"Width":80,"Height":24}']);
    shell.send(0, 'x');
    shell.send(255, '\0');
    await shell.closed;
    expect([shell.out[1], shell.status()]).toEqual(['x', SUCCESS]);
    expect(kubelet.seen.at(-1)?.url).toBe('/exec/default/web/main?command=cat&input=1&output=1&tty=1');
  });

  test.each<[what: string, target: string, status: object]>([
    [
      'an exit code',
      'web/exec?container=main&command=sh&command=-c&command=exit%203',
      {
        metadata: {},
        status: 'Failure',
        message: 'command terminated with non-zero exit code: command terminated with exit code 3',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '3' }] },
      },
    ],
    [
      'a kubelet that refuses',
      'web/exec?container=main&command=refuse',
      internal('unable to upgrade connection: not today'),
    ],
    [
      'a kubelet that breaks off',
      'web/exec?container=main&command=break',
      internal('error reading from error stream: unexpected EOF'),
    ],
    [
      'no kubelet',
      'lost/exec?container=main&command=ls&stdout=1',
      internal(
        'error sending request: Post "https://127.0.0.1:1/exec/default/lost/main?command=ls&output=1": dial tcp 127.0.0.1:1: connect: connection refused',
      ),
    ],
  ])('tells of %s', async (_what, target, status) => {
    const shell = new Shell(target, V5);
    await shell.closed;
    expect(shell.status()).toEqual(status);
  });

  function internal(message: string): object {
    return {
      metadata: {},
      status: 'Failure',
      message: `Internal error occurred: ${message}`,
      reason: 'InternalError',
      details: { causes: [{ message }] },
      code: 500,
    };
  }

  test('a client that goes away ends the command', async () => {
    const shell = await new Shell('web/exec?container=main&command=cat&stdin=1&stdout=1', V5).open();
    shell.send(0, 'x');
    await until(() => shell.out[1] === 'x' && kubelet.running > 0);
    shell.socket.close();
    await shell.closed;
    await until(() => kubelet.running === 0);
  });

  test('goes on to a kubelet that speaks it itself', async () => {
    const shell = await new Shell('modern/exec?container=main&command=cat&stdin=1&stdout=1', V5).open();
    shell.send(0, 'x');
    shell.send(255, '\0');
    await shell.closed;
    expect([shell.out[1], shell.status()]).toEqual(['x', SUCCESS]);
    expect([kubelet.protocol, kubelet.seen.at(-1)?.headers.upgrade]).toEqual([
      'v5.channel.k8s.io',
      'websocket',
    ]);
  });
});

describe('an upgrade that passes through', () => {
  test('a WebSocket of v4, without what was shown to us', async () => {
    const token = 'base64url.bearer.authorization.k8s.io.c2VjcmV0';
    const { code, socket } = await upgraded('GET', `${PODS}/web/exec?container=main&command=true`, {
      upgrade: 'websocket',
      ...KEY,
      'sec-websocket-protocol': `${token}, v4.channel.k8s.io`,
      authorization: 'Bearer secret',
      'impersonate-user': 'jane',
      'x-remote-user': 'jane',
    });
    expect(code).toBe(101);
    socket?.destroy();
    expect(kubelet.protocol).toBe('v4.channel.k8s.io');
    const { headers = {} } = kubelet.seen.at(-1) ?? {};
    expect(headers['sec-websocket-protocol']).toBe('v4.channel.k8s.io');
    expect(Object.keys(headers).filter((name) => /authorization|impersonate|remote/.test(name))).toEqual([]);
  });

  test.each<[what: string, target: string, code: number, text: RegExp]>([
    ['what the kubelet says instead', 'web/exec?container=main&command=refuse', 403, /^not today$/],
    [
      'that there is no kubelet',
      'lost/exec?container=main&command=ls',
      500,
      /"error dialing backend: dial tcp 127\.0\.0\.1:1: connect: connection refused"/,
    ],
    ['that there is none for ports', 'lost/portforward', 500, /"error dialing backend: dial tcp/],
  ])('hands back %s', async (_what, target, code, text) => {
    const answer = await upgraded('POST', `${PODS}/${target}`, SPDY);
    expect(answer.code).toBe(code);
    expect(answer.text).toMatch(text);
  });

  test.each(['web/exec?container=main&command=ls', 'web/attach?container=main', 'web/portforward'])(
    'is asked for: %s',
    async (target) => {
      const { code, json } = await ask('POST', `${PODS}/${target}`);
      expect([code, json['message']]).toEqual([400, 'Upgrade request required']);
    },
  );

  test.each(['web/exec?container=main&command=ls', 'web/portforward'])(
    'must be a WebSocket whole: %s',
    async (target) => {
      const protocol = 'v5.channel.k8s.io, SPDY/3.1+portforward.k8s.io';
      const answer = await upgraded('GET', `${PODS}/${target}`, {
        upgrade: 'websocket',
        'sec-websocket-protocol': protocol,
      });
      expect(answer.code).toBe(400);
    },
  );

  test('who may get but not create runs nothing', async () => {
    for (const target of ['exec?container=main&command=ls', 'attach?container=main', 'portforward']) {
      const answer = await upgraded('GET', `${PODS}/web/${target}`, { upgrade: 'websocket', ...KEY }, strict);
      expect(answer.code).toBe(403);
      expect(answer.text).toContain('pods \\"web\\" is forbidden: not you');
    }
  });
});

describe('a log', () => {
  test('of a container that has none yet, in the words of the kubelet', async () => {
    const { code, json } = await ask('GET', `${PODS}/web/log?container=silent`);
    const message = 'container "silent" in pod "web" is waiting to start: PodInitializing';
    expect([code, json['reason'], json['message']]).toEqual([400, 'BadRequest', message]);
  });

  test('where nobody answers', async () => {
    const { code, json } = await ask('GET', `${PODS}/lost/log?container=main`);
    const url = 'https://127.0.0.1:1/containerLogs/default/lost/main';
    expect([code, json['message']]).toEqual([
      500,
      `Get "${url}": dial tcp 127.0.0.1:1: connect: connection refused`,
    ]);
  });

  test("from a kubelet of another authority's, and all the same", async () => {
    const { code, json } = await strict.small.ask('GET', `${PODS}/web/log?container=main`);
    expect(code).toBe(500);
    expect(json['message']).toMatch(
      /: tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
    );
    const anyway = await strict.small.ask(
      'GET',
      `${PODS}/web/log?container=main&insecureSkipTLSVerifyBackend=true`,
    );
    expect([anyway.code, anyway.text]).toEqual([200, kubelet.log]);
  });
});

describe('a proxy', () => {
  test('hands on method, path, query and body, and nothing that was shown to us', async () => {
    const { code, text } = await ask('POST', `${PODS}/web:8080/proxy/a%20b/c/?d=e%2Ff`, 'body', {
      authorization: 'Bearer secret',
      host: 'api.test',
    });
    expect([code, text]).toEqual([200, 'body']);
    const { method, url, headers } = seen.at(-1) ?? {};
    expect([method, url, headers?.host]).toEqual(['POST', '/a%20b/c/?d=e%2Ff', 'api.test']);
    expect(headers?.['authorization']).toBeUndefined();
    expect(headers?.['x-forwarded-uri']).toBe(`${PODS}/web:8080/proxy/a%20b/c/`);
    expect(headers?.['x-forwarded-for']).toBe('127.0.0.1');
  });

  test('rewrites where the backend leads', async () => {
    const answer = await good.small.server.call(`${PODS}/web:8080/proxy/moved`);
    await answer.bytes();
    expect([answer.code, answer.headers.get('location')]).toEqual([302, [`${PODS}/web:8080/proxy/here?x`]]);
    const kubelets = await good.small.server.call('/api/v1/nodes/n1/proxy/moved');
    await kubelets.bytes();
    expect(kubelets.headers.get('location')).toEqual(['/api/v1/nodes/n1/proxy/pods?from=moved']);
  });

  test('rewrites where the links of a page lead', async () => {
    const { text } = await ask('GET', `${PODS}/web:8080/proxy/page`);
    expect(text).toBe(`<a href="${PODS}/web:8080/proxy/next?x">next</a><img src="https://elsewhere.test/x">`);
  });

  test('leads from its bare path to its root', async () => {
    const answer = await good.small.server.call(`${PODS}/web:8080/proxy?a=b`);
    expect([answer.code, answer.headers.get('location')]).toEqual([301, [`${PODS}/web:8080/proxy/?a=b`]]);
    expect((await ask('GET', `${PODS}/web:8080/proxy/`)).code).toBe(200);
    expect(seen.at(-1)?.url).toBe('/');
  });

  test.each([
    ['9', 'dial tcp 127.0.0.1:1: connect: connection refused'],
    ['web', 'dial tcp: lookup tcp/web: unknown port'],
  ])('says why port %s is not reached', async (port, why) => {
    const { code, json } = await ask('GET', `${PODS}/web:${port}/proxy/a`);
    expect([code, json['message']]).toEqual([503, `error trying to reach service: ${why}`]);
  });

  test('of a node by a name that leads to this machine', async () => {
    await ask(
      'POST',
      '/api/v1/nodes',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'sly' },
        status: { addresses: [{ type: 'Hostname', address: 'sly.test' }] },
      }),
    );
    const { code, json } = await ask('GET', '/api/v1/nodes/sly:8080/proxy/a');
    expect([code, json['message']]).toEqual([400, 'address not allowed']);
  });

  test('carries a WebSocket', async () => {
    const { code, socket } = await upgraded('GET', `${PODS}/web:8080/proxy/ws`, {
      upgrade: 'websocket',
      ...KEY,
    });
    expect(code).toBe(101);
    socket?.write('there and back');
    const [chunk] = (await once(socket ?? process, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('there and back');
    socket?.destroy();
  });
});
