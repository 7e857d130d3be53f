/**
 * The client ports: bound at once, so that a port in use ends the start; served once the member is ready, when
 * connections that came meanwhile are let in. On each port the protocols are told apart as in etcd: gRPC and
 * HTTP/1 by what a client says first, or by ALPN where TLS is spoken. A port speaks TLS if one of its URLs says so,
 * and is open to plain text only if another does. (etcd: embed/serve.go, embed/etcd.go.)
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { assert, type Clock, type Logger } from '@keelson/base';
import { sniff } from '@keelson/rpc';
import { isSocketUrl, type EtcdUrl } from '../config/urls.ts';
import { listenAt } from '../disk/unix-socket.ts';
import { FatalError } from '../errors.ts';
import { TlsAcceptor } from '../tls/tls-acceptor.ts';
import { describeSettings, hasCertificate, type TlsSettings } from '../tls/tls-settings.ts';

/** Connections that wait for the member to be ready; more are closed. */
export const CONNECTIONS_WAITING_MAX = 1_024;
/** What a client says first must come within this time: as the TLS handshake. */
const FIRST_BYTES_MS = 10_000;

/** Why an address is listened on: --listen-client-urls, --listen-client-http-urls, --listen-metrics-urls. */
export type PortUse = 'client' | 'http' | 'metrics';

export interface BoundPort {
  readonly url: EtcdUrl;
  readonly use: PortUse;
  /** The real port where the URL asked for any. */
  readonly port: number;
}

/** Who serves what a client speaks. */
export interface ClientDoors {
  /** @param head bytes that were read already */
  readonly grpc: (socket: Socket, head?: Buffer) => void;
  /** HTTP/1; what was read was put back. Undefined: nobody speaks it. */
  readonly http: ((socket: Socket) => void) | undefined;
}

export interface ClientPortsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: this member has no TLS. */
  readonly tls?: TlsSettings | undefined;
}

/** One address; several URLs may name it. */
interface Listener {
  readonly use: PortUse;
  /** Host and port as they were given, or the socket's path. */
  readonly address: string;
  /** A unix socket. */
  readonly nearby: boolean;
  readonly server: Server;
  secure: boolean;
  plain: boolean;
}

interface Waiting {
  readonly listener: Listener;
  readonly socket: Socket;
}

export class ClientPorts {
  private readonly options: ClientPortsOptions;
  private readonly listeners: Listener[] = [];
  private readonly bound: BoundPort[] = [];
  private readonly acceptors = new Map<PortUse, TlsAcceptor>();
  private readonly waiting = new Set<Waiting>();
  /** Connections that have not said what they speak. */
  private readonly undecided = new Set<Socket>();
  private doors: ClientDoors | undefined = undefined;
  private metricsDoor: ((socket: Socket) => void) | undefined = undefined;
  /** HTTP has ports of its own: the client ports speak gRPC alone. */
  private split = false;
  private tlsTold = false;

  constructor(options: ClientPortsOptions) {
    this.options = options;
  }

  get ports(): readonly BoundPort[] {
    return this.bound;
  }

  /** Connections that came before the member was ready to serve them. */
  get waitingCount(): number {
    return this.waiting.size;
  }

  /**
   * @throws node's listen errors (EADDRINUSE, EACCES …); FatalError for an address that cannot serve both, or TLS
   *   without a certificate
   */
  async bind(url: EtcdUrl, use: PortUse = 'client'): Promise<void> {
    const secure = url.scheme === 'https' || url.scheme === 'unixs';
    this.aboutTls(url, secure);
    if (secure && !this.acceptors.has(use)) this.acceptors.set(use, this.acceptorFor(use));
    if (use === 'http') this.split = true;
    const address = isSocketUrl(url) ? url.socketPath : url.host;
    const shared = isSocketUrl(url) || url.port !== 0;
    const known = this.listeners.find((each) => shared && each.address === address);
    if (known !== undefined) {
      if (known.use !== use)
        throw new FatalError(
          `cannot bind both --listen-client-urls and --listen-client-http-urls on the same url ${url.text}`,
        );
      known.secure ||= secure;
      known.plain ||= !secure;
      this.bound.push({ url, use, port: portOf(known.server) });
      return;
    }
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) =>
      this.connected(listener, socket),
    );
    const nearby = isSocketUrl(url);
    const listener: Listener = { use, address, nearby, server, secure, plain: !secure };
    await listenOn(server, url);
    this.listeners.push(listener);
    this.bound.push({ url, use, port: portOf(server) });
  }

  /** From now on clients are served. */
  serve(doors: ClientDoors): void {
    this.doors = doors;
    const traffic = doors.http === undefined || this.split ? 'grpc' : 'grpc+http';
    for (const { use, address, secure, plain } of this.listeners) {
      if (use === 'metrics') continue;
      const fields = { traffic: use === 'http' ? 'http' : traffic, address };
      if (plain)
        this.options.logger.info('serving client traffic insecurely; this is strongly discouraged!', fields);
      if (secure) this.options.logger.info('serving client traffic securely', fields);
    }
    this.admit();
  }

  /** From now on metrics are served where they have addresses of their own, ready or not. */
  serveMetrics(door: (socket: Socket) => void): void {
    this.metricsDoor = door;
    for (const { url, use } of this.bound)
      if (use === 'metrics') this.options.logger.info('serving metrics', { address: url.text });
    this.admit();
  }

  /** Stops listening; connections that were handed over live on. */
  async close(): Promise<void> {
    for (const { socket } of this.waiting) socket.destroy();
    for (const socket of this.undecided) socket.destroy();
    for (const acceptor of this.acceptors.values()) acceptor.close();
    this.waiting.clear();
    this.undecided.clear();
    await Promise.all(
      this.listeners.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }

  private admit(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const { listener, socket } of waiting) {
      socket.removeAllListeners('error');
      this.connected(listener, socket);
    }
  }

  private connected(listener: Listener, socket: Socket): void {
    if (socket.destroyed) return;
    const door = this.doorOf(listener);
    if (door === undefined) this.wait(listener, socket);
    else if (listener.secure && !listener.plain) this.secured(listener, socket, undefined, door);
    else if (listener.use !== 'client') this.plainHttp(listener, socket, door);
    else this.tellApart(listener, socket, door);
  }

  private doorOf(listener: Listener): ClientDoors | undefined {
    if (listener.use !== 'metrics') {
      const { doors } = this;
      const noHttp = this.split && listener.use === 'client';
      return noHttp && doors !== undefined ? { ...doors, http: undefined } : doors;
    }
    const { metricsDoor } = this;
    return metricsDoor === undefined ? undefined : { grpc: (socket) => socket.destroy(), http: metricsDoor };
  }

  private wait(listener: Listener, socket: Socket): void {
    if (this.waiting.size >= CONNECTIONS_WAITING_MAX) {
      socket.destroy();
      return;
    }
    const waiting = { listener, socket };
    this.waiting.add(waiting);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.waiting.delete(waiting));
  }

  private tellApart(listener: Listener, socket: Socket, door: ClientDoors): void {
    this.undecided.add(socket);
    socket.once('close', () => this.undecided.delete(socket));
    sniff(socket, {
      clock: this.options.clock,
      timeoutMs: FIRST_BYTES_MS,
      told: (protocol, head) => {
        this.undecided.delete(socket);
        if (protocol === 'http2') door.grpc(socket, head);
        else if (protocol === 'http1') {
          socket.unshift(head);
          handOver(socket, door.http);
        } else if (listener.secure) this.secured(listener, socket, head, door);
        else socket.destroy();
      },
    });
  }

  /** A port for HTTP alone that also has a URL without TLS. */
  private plainHttp(listener: Listener, socket: Socket, door: ClientDoors): void {
    if (listener.secure) this.tellApart(listener, socket, { ...door, grpc: (each) => each.destroy() });
    else handOver(socket, door.http);
  }

  private secured(listener: Listener, socket: Socket, head: Buffer | undefined, door: ClientDoors): void {
    const acceptor = this.acceptors.get(listener.use);
    assert(acceptor !== undefined, 'a port with an https URL has an acceptor');
    const served = (secured: TLSSocket): void => {
      // Without ALPN it is HTTP/1, as in Go; gRPC requires it.
      if (secured.alpnProtocol === 'h2') door.grpc(secured);
      else handOver(secured, door.http);
    };
    acceptor.accept(socket, head, served, listener.nearby);
  }

  /** etcd's lines about what was given and what is used. */
  private aboutTls(url: EtcdUrl, secure: boolean): void {
    const { tls, logger } = this.options;
    if (tls === undefined) return;
    if (hasCertificate(tls) && !this.tlsTold) {
      this.tlsTold = true;
      logger.info('starting with client TLS', {
        'tls-info': describeSettings(tls),
        'cipher-suites': tls.ciphers?.split(':') ?? [],
      });
    }
    if (secure) return;
    const fields = { 'client-url': url.text };
    if (hasCertificate(tls))
      logger.warn(
        'scheme is http or unix while key and cert files are present; ignoring key and cert files',
        fields,
      );
    if (tls.clientCertAuth)
      logger.warn(
        'scheme is http or unix while --client-cert-auth is enabled; ignoring client cert auth for this URL',
        fields,
      );
  }

  private acceptorFor(use: PortUse): TlsAcceptor {
    const { tls, clock, logger } = this.options;
    if (tls === undefined || !hasCertificate(tls))
      throw new FatalError('cannot listen on TLS: KeyFile and CertFile are not presented');
    return new TlsAcceptor({
      // As in etcd, only the metrics' own listeners look at where a certificate comes from.
      settings: { ...tls, skipClientSanVerification: use !== 'metrics' },
      endpoint: 'client',
      // Who speaks both gets HTTP/1, so that requests beside gRPC find those who answer them.
      protocol: (offered) => {
        const grpc = use === 'client' && offered.includes('h2');
        const http = (use !== 'client' || !this.split) && offered.includes('http/1.1');
        return http && this.doors?.http !== undefined
          ? 'http/1.1'
          : grpc
            ? 'h2'
            : http
              ? 'http/1.1'
              : undefined;
      },
      clock,
      logger,
    });
  }
}

function handOver(socket: Socket, door: ((socket: Socket) => void) | undefined): void {
  if (door === undefined) {
    socket.destroy();
    return;
  }
  door(socket);
  socket.resume();
}

async function listenOn(server: Server, url: EtcdUrl): Promise<void> {
  if (isSocketUrl(url)) {
    await listenAt(server, url.socketPath);
    return;
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.off('error', reject);
      resolve();
    };
    server.listen(url.port, bindHost(url), listening);
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The address to bind: Go takes "localhost" for IPv4's loopback, Node for whatever the resolver names first. */
export function bindHost(url: EtcdUrl): string | undefined {
  if (url.hostname === '') return undefined;
  return url.hostname === 'localhost' ? '127.0.0.1' : url.hostname;
}
