/**
 * The method table on our own HTTP/2: listeners, connections, draining. What a connection does is
 * server-connection.ts; what a call does is dispatch.ts. Its listeners are cleartext; any Duplex may be handed
 * in, so TLS is terminated by whoever owns the port.
 */
import { createServer, type Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert, systemClock, type Clock } from '@keelson/base';
import { Deadlines } from './deadlines.ts';
import { dispatcher } from './dispatch.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { MethodTable } from './method-table.ts';
import { SlabPool } from './out-buffer.ts';
import {
  DEFAULT_KEEPALIVE_INTERVAL_MS,
  DEFAULT_KEEPALIVE_TIMEOUT_MS,
  DEFAULT_MAX_RECEIVE_BYTES,
  type ListenAddress,
  type RpcServer,
  type RpcServerOptions,
} from './server.ts';
import { ServerConnection, type ServerShared } from './server-connection.ts';
import { SocketPipe } from './socket-pipe.ts';
import { Turn } from './turn.ts';

export interface NativeServerOptions extends RpcServerOptions {
  /** Bounds that differ from DEFAULT_LIMITS. */
  readonly limits?: Partial<Limits>;
}

/** Serves `table` over cleartext HTTP/2, without a library. */
export function nativeServer(table: MethodTable, options: NativeServerOptions = {}): RpcServer {
  return new NativeServer(table, options);
}

class NativeServer implements RpcServer {
  private readonly shared: ServerShared;
  private readonly clock: Clock;
  private readonly listeners = new Set<NetServer>();
  private readonly sockets = new Set<Duplex>();
  private readonly connections = new Set<ServerConnection>();
  private idle: (() => void) | undefined = undefined;
  private stopping = false;

  constructor(table: MethodTable, options: NativeServerOptions) {
    const clock = options.clock ?? systemClock;
    this.clock = clock;
    this.shared = {
      clock,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      pool: new SlabPool(),
      turn: new Turn(),
      deadlines: new Deadlines(clock),
      keepaliveIntervalMs: options.keepaliveIntervalMs ?? DEFAULT_KEEPALIVE_INTERVAL_MS,
      keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? DEFAULT_KEEPALIVE_TIMEOUT_MS,
      receiveBytesMax: options.maxReceiveBytes ?? DEFAULT_MAX_RECEIVE_BYTES,
      streamsMax: options.maxConcurrentStreams,
      accept: dispatcher(table, options.hooks, clock),
      gone: (connection) => this.connections.delete(connection),
    };
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
    const pipe = new SocketPipe(connection);
    const served = new ServerConnection(pipe, this.shared);
    this.connections.add(served);
    connection.once('close', () => {
      this.sockets.delete(connection);
      if (this.sockets.size === 0) this.idle?.();
    });
    pipe.attach(served, head);
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
        for (const connection of this.connections) connection.drain();
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
    for (const connection of this.connections) connection.cut('the server stops');
    for (const socket of this.sockets) socket.destroy();
    this.shared.deadlines.clear();
  }
}
