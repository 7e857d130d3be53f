/**
 * HTTP/1 of the client port: who may come in (host names, origins, certificates beside tokens), then by path to the
 * gateway, to health, metrics, version or what is there for debugging. It owns no socket: an http.Server, or
 * whoever tells protocols apart on a port, hands it requests and upgrades. (etcd: embed/serve.go.)
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Logger } from '@keelson/base';
import type { Gateway } from './gateway.ts';
import { HttpExchange, WebSocketExchange } from './gateway-exchange.ts';
import { answerError, cleanPath, notFound, redirect, targetOf, type HttpHandler } from './http-answer.ts';
import { wantsWebSocket } from './websocket.ts';

/** What an http.Server's two events are given to. */
export interface HttpDoor {
  request(request: IncomingMessage, response: ServerResponse): void;
  /** A request to change the protocol; `head` is what was read behind it. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface ClientHttpOptions {
  /** Undefined with --enable-grpc-gateway=false: its paths are unknown then. */
  readonly gateway: Gateway | undefined;
  /** By path. */
  readonly handlers: ReadonlyMap<string, HttpHandler>;
  /** --cors. */
  readonly origins: readonly string[];
  /** --host-whitelist. */
  readonly hosts: readonly string[];
  /** --client-cert-auth while authentication is on: a certificate's name is then no identity for the gateway. */
  readonly refusesCommonNames: () => boolean;
  readonly logger: Logger;
}

const GATEWAY_PREFIX = '/v3/';
const OLD_GATEWAY_PREFIX = '/v3beta/';
const CORS_HEADERS = {
  'Access-Control-Allow-Methods': 'POST, GET, OPTIONS, PUT, DELETE',
  'Access-Control-Allow-Headers': 'accept, content-type, authorization',
} as const;
const COMMON_NAME_TEXT =
  'CommonName of client sending a request against gateway will be ignored and not used as expected';

export class ClientHttp implements HttpDoor {
  private readonly options: ClientHttpOptions;

  constructor(options: ClientHttpOptions) {
    this.options = options;
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request);
    const refusal = this.refusal(request, path);
    if (refusal !== undefined) {
      answerError(response, refusal.status, refusal.text);
      return;
    }
    this.allowOrigin(request, response);
    if (request.method === 'OPTIONS') {
      response.writeHead(200, { 'Content-Length': 0 });
      response.end();
      return;
    }
    this.route(path, request, response);
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = pathOf(request);
    const { gateway } = this.options;
    const refusal = this.refusal(request, path);
    if (
      refusal !== undefined ||
      gateway === undefined ||
      !path.startsWith(GATEWAY_PREFIX) ||
      !wantsWebSocket(request)
    ) {
      // Node gives up the HTTP side of a socket once it has offered the upgrade: what is left is a refusal.
      const [status, text] =
        refusal !== undefined ? [refusal.status, refusal.text] : [404, '404 page not found'];
      refuseUpgrade(socket, status, text);
      return;
    }
    const exchange = WebSocketExchange.open(request, socket, head, path, gateway.jsonBytesMax);
    if (exchange !== undefined) gateway.serve(exchange);
  }

  private route(path: string, request: IncomingMessage, response: ServerResponse): void {
    const { gateway, handlers } = this.options;
    const clean = cleanPath(path);
    const target = gateway !== undefined && `${clean}/` === GATEWAY_PREFIX ? GATEWAY_PREFIX : clean;
    if (target !== path) {
      const query = /\?.*$/s.exec(request.url ?? '')?.[0] ?? '';
      redirect(request, response, target + query);
    } else if (gateway !== undefined && path.startsWith(GATEWAY_PREFIX))
      gateway.serve(new HttpExchange(request, response, path));
    else (handlers.get(path) ?? unknownPath)(request, response);
  }

  private refusal(
    request: IncomingMessage,
    path: string,
  ): { readonly status: number; readonly text: string } | undefined {
    const { socket } = request;
    if (!(socket instanceof TLSSocket)) {
      const host = hostName(request.headers.host ?? '');
      if (allows(this.options.hosts, host)) return undefined;
      this.options.logger.warn('rejecting HTTP request to prevent DNS rebinding attacks', { host });
      return { status: 421, text: rebindingText(host) };
    }
    if (!path.startsWith(GATEWAY_PREFIX) || !this.options.refusesCommonNames()) return undefined;
    const named = socket.authorized && (socket.getPeerCertificate().subject?.CN ?? '') !== '';
    return named ? { status: 400, text: COMMON_NAME_TEXT } : undefined;
  }

  private allowOrigin(request: IncomingMessage, response: ServerResponse): void {
    const { origins } = this.options;
    const any = origins.length === 0 || origins.includes('*');
    const origin = any ? '*' : (request.headers.origin ?? '');
    if (!any && !origins.includes(origin)) return;
    response.setHeader('Access-Control-Allow-Origin', origin);
    for (const [name, value] of Object.entries(CORS_HEADERS)) response.setHeader(name, value);
  }
}

/** A door to these paths alone, for whoever comes: --listen-metrics-urls. */
export function plainDoor(handlers: ReadonlyMap<string, HttpHandler>): HttpDoor {
  return {
    request: (request, response) =>
      (handlers.get(cleanPath(targetOf(request).path)) ?? unknownPath)(request, response),
    upgrade: (_request, socket) => refuseUpgrade(socket, 404, '404 page not found'),
  };
}

const unknownPath: HttpHandler = (_request, response) => notFound(response);

function pathOf(request: IncomingMessage): string {
  const { path } = targetOf(request);
  return path.startsWith(OLD_GATEWAY_PREFIX) ? GATEWAY_PREFIX + path.slice(OLD_GATEWAY_PREFIX.length) : path;
}

function allows(hosts: readonly string[], host: string): boolean {
  return hosts.length === 0 || hosts.includes('*') || hosts.includes(host);
}

/** Without the port, brackets of IPv6 removed; as it is where there is no port (net.SplitHostPort). */
function hostName(host: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):[^:]*$/.exec(host);
  return match === null ? host : (match[1] ?? match[2]);
}

/** The answer to CVE-2018-5702, DNS rebinding. */
function rebindingText(host: string): string {
  return `
etcd received your request, but the Host header was unrecognized.

To fix this, choose one of the following options:
- Enable TLS, then any HTTPS request will be allowed.
- Add the hostname you want to use to the whitelist in settings.
  - e.g. etcd --host-whitelist ${JSON.stringify(host)}

This requirement has been added to help prevent "DNS Rebinding" attacks (CVE-2018-5702).
`;
}

function refuseUpgrade(socket: Duplex, status: number, text: string): void {
  const body = `${text}\n`;
  const reason = status === 421 ? 'Misdirected Request' : status === 404 ? 'Not Found' : 'Bad Request';
  const lines = [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: text/plain; charset=utf-8',
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.on('error', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
