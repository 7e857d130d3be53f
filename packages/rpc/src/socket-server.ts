/**
 * What servers on sockets have in common: listeners, the connections that are open, draining and the end. What is said on a
 * connection is its `Served`'s; TLS is terminated by whoever owns the port, who hands connections in.
 */
import { createServer, type Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert, type Clock } from '@keelson/base';
import type { ListenAddress, RpcServer } from './server.ts';

/** Who serves the connections. */
export interface Served {
  /** @param head bytes that were read from it already */
  serve(connection: Duplex, head: Buffer | undefined): void;
  /** Has each connection end behind its last call. */
  drain(): void;
  /** Ends all calls; their sockets are destroyed behind it. */
  cut(): void;
}

export class SocketServer implements RpcServer {
  private readonly served: Served;
  private readonly clock: Clock;
  private readonly listeners = new Set<NetServer>();
  private readonly sockets = new Set<Duplex>();
  private idle: (() => void) | undefined = undefined;
  private stopping = false;

  constructor(served: Served, clock: Clock) {
    this.served = served;
    this.clock = clock;
  }

  get connectionCount(): number {
    return this.sockets.size;
  }

  listen(address: ListenAddress): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      const listener = createServer({ noDelay: true }, (socket) => this.accept(socket));
      listener.once('error', reject);
      listener.listen(address, () => {
        listener.off('error', reject);
        this.listeners.add(listener);
        const bound = listener.address();
        assert(bound !== null, 'a listening server has an address');
        resolve(
          typeof bound === 'string' ? { host: bound, port: 0 } : { host: bound.address, port: bound.port },
        );
      });
    });
  }

  accept(connection: Duplex, head?: Buffer): void {
    if (this.stopping) {
      connection.destroy();
      return;
    }
    this.sockets.add(connection);
    connection.once('close', () => {
      this.sockets.delete(connection);
      if (this.sockets.size === 0) this.idle?.();
    });
    this.served.serve(connection, head);
  }

  async drain(timeoutMs: number): Promise<void> {
    const closed = this.stopListening();
    if (this.sockets.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.clock.setTimer(timeoutMs, resolve);
        this.idle = () => {
          timer.cancel();
          resolve();
        };
        this.served.drain();
      });
    }
    this.cut();
    await closed;
  }

  async close(): Promise<void> {
    const closed = this.stopListening();
    this.cut();
    await closed;
  }

  private async stopListening(): Promise<void> {
    this.stopping = true;
    const listeners = [...this.listeners];
    this.listeners.clear();
    await Promise.all(
      listeners.map((listener) => new Promise<void>((resolve) => listener.close(() => resolve()))),
    );
  }

  private cut(): void {
    this.served.cut();
    for (const socket of this.sockets) socket.destroy();
  }
}
