/**
 * A server of an API of its own, as a metrics server is one: what requests are handed on to in tests. Speaks HTTP/2, and
 * HTTP/1.1 with those who ask for that, as servers written in Go. Trusts whoever shows
 * a certificate of the front proxy, remembers what it was asked, and behaves badly where a test asks for that.
 */

import { createSecureServer, type Http2ServerRequest } from 'node:http2';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

import { systemClock } from '@keelson/base';

import { CertificateAuthority } from '../src/pki/authority.ts';

export const GROUP = 'metrics.k8s.io';
export const VERSION = 'v1beta1';
const OWN = `/apis/${GROUP}/${VERSION}`;

export type Behaviour =
  /** As it should, with an aggregated document of discovery. */
  | 'new'
  /** The same, and knows only the older documents. */
  | 'old'
  /** Everything is somewhere else. */
  | 'redirect'
  /** Documents without end. */
  | 'huge'
  /** Takes what is asked and never answers. */
  | 'hang'
  /** JSON of another world. */
  | 'nonsense';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** The common name of the certificate that was shown; empty without. */
  readonly client: string;
  readonly body: string;
}

export interface AggregatedServer {
  readonly port: number;
  readonly caBundle: string;
  readonly asked: Asked[];
  behaviour: Behaviour;
  stop(): Promise<void>;
}

/** What the answers of both protocols have. */
interface Reply {
  readonly destroyed: boolean;
  setHeader(name: string, value: string): unknown;
  writeHead(code: number, headers?: Readonly<Record<string, string>>): Pick<Reply, 'end'>;
  write(chunk: Buffer | string): boolean;
  end(): unknown;
  end(text: string): unknown;
  once(event: 'drain', task: () => void): unknown;
}

interface TableCell {
  readonly name: string;
  readonly cpu: string;
}

const NODES: readonly TableCell[] = [
  { name: 'n1', cpu: '250m' },
  { name: 'n2', cpu: '1' },
];

/** @param frontProxy PEM of who signs the certificate of the server in front */
export async function aggregatedServer(frontProxy: string, port = 0): Promise<AggregatedServer> {
  const authority = CertificateAuthority.create('metrics-ca', systemClock.nowMs());
  const pair = authority.server('metrics', ['metrics.kube-system.svc'], systemClock.nowMs());
  const asked: Asked[] = [];
  const world = { behaviour: 'new' as Behaviour };
  const sockets = new Set<Duplex>();
  const server = createSecureServer(
    {
      allowHTTP1: true,
      cert: pair.certificate,
      key: pair.key,
      ca: frontProxy,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked.push(notedOf(request, body));
        answer(world.behaviour, request, response);
      });
    },
  );
  server.on('sessionError', () => undefined);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    asked.push(notedOf(request, ''));
    if (request.url?.endsWith('/refused') === true) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmine');
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    if (head.length > 0) socket.write(head);
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    caBundle: Buffer.from(authority.certificate).toString('base64'),
    asked,
    get behaviour() {
      return world.behaviour;
    },
    set behaviour(next) {
      world.behaviour = next;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function notedOf(request: IncomingMessage | Http2ServerRequest, body: string): Asked {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a server of TLS
  const socket = request.socket as TLSSocket;
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    client: socket.authorized ? socket.getPeerCertificate().subject.CN : '',
    body,
  };
}

function answer(behaviour: Behaviour, request: IncomingMessage | Http2ServerRequest, response: Reply): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
  const accept = request.headers.accept ?? '';
  if (behaviour === 'hang') return;
  if (behaviour === 'redirect') {
    response.writeHead(307, { location: 'https://169.254.169.254/latest/meta-data' }).end('secret');
    return;
  }
  if (behaviour === 'huge' && (pathname === '/apis' || pathname.startsWith('/openapi'))) {
    const piece = Buffer.alloc(256 * 1024, ' ');
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
      response.once('drain', more);
    };
    response.writeHead(200, {
      'content-type': 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    });
    more();
    return;
  }
  if (behaviour === 'nonsense' && (pathname === '/apis' || pathname.startsWith('/openapi'))) {
    response.writeHead(200, {
      'content-type': 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
    });
    response.end('[{"items":7},');
    return;
  }
  if (pathname === OWN) {
    json(response, resourceList());
    return;
  }
  if (pathname === '/apis' && behaviour === 'new') {
    if (request.headers['if-none-match'] === '"one"') {
      response.writeHead(304, { etag: '"one"' }).end();
      return;
    }
    response.setHeader('etag', '"one"');
    json(response, discovery(), 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
    return;
  }
  if (pathname === `${OWN}/nodes`) {
    if (request.method === 'POST') {
      json(response, { kind: 'Status', apiVersion: 'v1', status: 'Success' }, 'application/json', 201);
      return;
    }
    if (searchParams.get('watch') !== null) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(`${JSON.stringify({ type: 'ADDED', object: nodeOf(NODES[0]) })}\n`);
      return;
    }
    json(response, accept.includes('as=Table') ? tableOf() : listOf());
    return;
  }
  const name = pathname.startsWith(`${OWN}/nodes/`) ? pathname.slice(`${OWN}/nodes/`.length) : '';
  const node = NODES.find((each) => each.name === name);
  if (node !== undefined) {
    json(response, nodeOf(node));
    return;
  }
  if (pathname === '/openapi/v2' && behaviour === 'new') {
    json(response, openApiV2());
    return;
  }
  if (pathname === '/openapi/v3') {
    json(response, { paths: { [OWN.slice(1)]: { serverRelativeURL: `/openapi/v3${OWN}?hash=AB` } } });
    return;
  }
  if (pathname === `/openapi/v3${OWN}`) {
    json(response, openApiV3());
    return;
  }
  json(
    response,
    {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason: 'NotFound',
      code: 404,
      message: 'theirs: not found',
    },
    'application/json',
    404,
  );
}

function json(response: Reply, value: object, type = 'application/json', code = 200): void {
  response.setHeader('content-type', type);
  response.writeHead(code).end(JSON.stringify(value));
}

function nodeOf({ name, cpu }: TableCell): object {
  return {
    kind: 'NodeMetrics',
    apiVersion: `${GROUP}/${VERSION}`,
    metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z' },
    timestamp: '2026-01-01T00:00:00Z',
    window: '10s',
    usage: { cpu, memory: '1Gi' },
  };
}

function listOf(): object {
  return {
    kind: 'NodeMetricsList',
    apiVersion: `${GROUP}/${VERSION}`,
    metadata: {},
    items: NODES.map(nodeOf),
  };
}

function tableOf(): object {
  const column = (name: string): object => ({
    name,
    type: 'string',
    format: '',
    description: '',
    priority: 0,
  });
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: {},
    columnDefinitions: [column('Name'), column('Cpu')],
    rows: NODES.map((node) => ({ cells: [node.name, node.cpu], object: nodeOf(node) })),
  };
}

function resourceList(): object {
  const verbs = ['get', 'list', 'watch', 'create'];
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${GROUP}/${VERSION}`,
    resources: [
      { name: 'nodes', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs, shortNames: ['nm'] },
      { name: 'nodes/console', singularName: '', namespaced: false, kind: 'NodeMetrics', verbs: ['get'] },
    ],
  };
}

function discovery(): object {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: [
      {
        metadata: { name: GROUP },
        versions: [
          {
            version: VERSION,
            freshness: 'Current',
            resources: [
              {
                resource: 'nodes',
                responseKind: { group: GROUP, version: VERSION, kind: 'NodeMetrics' },
                scope: 'Cluster',
                singularResource: 'node',
                verbs: ['get', 'list', 'watch', 'create'],
                shortNames: ['nm'],
                subresources: [
                  {
                    subresource: 'console',
                    responseKind: { group: '', version: '', kind: 'NodeMetrics' },
                    verbs: ['get'],
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  };
}

const KIND = { group: GROUP, version: VERSION, kind: 'NodeMetrics' };
const SCHEMA = {
  description: 'What a node uses.',
  type: 'object',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    usage: { description: 'Amounts by resource.', type: 'object', additionalProperties: { type: 'string' } },
  },
  'x-kubernetes-group-version-kind': [KIND],
};

function openApiV2(): object {
  const operation = (schema: object): object => ({
    parameters: [{ $ref: '#/parameters/pretty' }],
    produces: ['application/json'],
    responses: { 200: { description: 'OK', schema } },
    'x-kubernetes-action': 'list',
    'x-kubernetes-group-version-kind': KIND,
  });
  return {
    swagger: '2.0',
    info: { title: 'metrics', version: 'v1' },
    paths: {
      [`${OWN}/nodes`]: { get: operation({ $ref: '#/definitions/com.example.NodeMetrics' }) },
      // Somebody else's, and one's own beside the group: neither is told.
      '/apis/apps/v1/deployments': { get: operation({ $ref: '#/definitions/com.example.Evil' }) },
      '/healthz': { get: operation({ type: 'string' }) },
    },
    parameters: { pretty: { name: 'pretty', in: 'query', type: 'string', uniqueItems: true } },
    definitions: {
      'com.example.NodeMetrics': {
        ...SCHEMA,
        properties: {
          ...SCHEMA.properties,
          metadata: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
        },
      },
      // Another one of the name than everybody's.
      'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta': { description: 'Ours.', type: 'object' },
      'com.example.Evil': { type: 'string' },
    },
  };
}

function openApiV3(): object {
  return {
    openapi: '3.0.0',
    info: { title: 'metrics', version: 'v1' },
    paths: {
      [`${OWN}/nodes`]: {
        get: {
          responses: {
            200: {
              description: 'OK',
              content: {
                'application/json': { schema: { $ref: '#/components/schemas/com.example.NodeMetrics' } },
              },
            },
          },
          'x-kubernetes-action': 'list',
          'x-kubernetes-group-version-kind': KIND,
        },
      },
    },
    components: { schemas: { 'com.example.NodeMetrics': SCHEMA } },
  };
}
