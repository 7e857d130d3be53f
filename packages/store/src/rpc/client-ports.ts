/**
 * The client ports: bound at once, so that a port in use ends the start; served once the member is ready,
 * when connections that came meanwhile are handed over. All protocols of a port will be told apart here.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { EtcdUrl } from '../config/urls.ts';

/** Connections that wait for the member to be ready; more are closed. */
const WAITING_MAX = 1_024;

export interface BoundPort {
  readonly url: EtcdUrl;
  /** The real port where the URL asked for any. */
  readonly port: number;
}

export class ClientPorts {
  private readonly servers: Server[] = [];
  private readonly bound: BoundPort[] = [];
  private waiting: Socket[] = [];
  private accept: ((socket: Socket) => void) | undefined;

  get ports(): readonly BoundPort[] {
    return this.bound;
  }

  /** Connections that came before the member was ready to serve them. */
  get waitingCount(): number {
    return this.waiting.length;
  }

  /** @throws node's listen errors (EADDRINUSE, EACCES …) */
  async bind(url: EtcdUrl): Promise<void> {
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.connected(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = (): void => {
        server.off('error', reject);
        resolve();
      };
      if (url.scheme === 'unix') server.listen(url.socketPath, listening);
      else server.listen(url.port, bindHost(url), listening);
    });
    this.servers.push(server);
    const address = server.address();
    this.bound.push({ url, port: typeof address === 'object' && address !== null ? address.port : 0 });
  }

  /** From now on connections are served. */
  serve(accept: (socket: Socket) => void): void {
    this.accept = accept;
    const waiting = this.waiting;
    this.waiting = [];
    for (const socket of waiting) {
      socket.removeAllListeners('error');
      this.connected(socket);
    }
  }

  /** Stops listening; connections that were handed over live on. */
  async close(): Promise<void> {
    for (const socket of this.waiting) socket.destroy();
    this.waiting = [];
    await Promise.all(
      this.servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }

  private connected(socket: Socket): void {
    if (socket.destroyed) return;
    if (this.accept !== undefined) {
      this.accept(socket);
      socket.resume();
    } else if (this.waiting.length < WAITING_MAX) {
      socket.on('error', () => socket.destroy());
      this.waiting.push(socket);
    } else socket.destroy();
  }
}

/** The address to bind: Go takes "localhost" for IPv4's loopback, Node for whatever the resolver names first. */
export function bindHost(url: EtcdUrl): string | undefined {
  if (url.hostname === '') return undefined;
  return url.hostname === 'localhost' ? '127.0.0.1' : url.hostname;
}
