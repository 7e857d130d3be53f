/**
 * The method table on our own HTTP/2: its connections. What a connection does is server-connection.ts; what a call
 * does is dispatch.ts; listeners and the end are socket-server.ts's.
 */
import type { Duplex } from 'node:stream';
import { systemClock, type Clock } from '@keelson/base';
import { Deadlines } from './deadlines.ts';
import { dispatcher } from './dispatch.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { MethodTable } from './method-table.ts';
import { SlabPool } from './out-buffer.ts';
import {
  DEFAULT_KEEPALIVE_INTERVAL_MS,
  DEFAULT_KEEPALIVE_TIMEOUT_MS,
  DEFAULT_MAX_RECEIVE_BYTES,
  type RpcServer,
  type RpcServerOptions,
} from './server.ts';
import { ServerConnection, type ServerShared } from './server-connection.ts';
import { SocketPipe } from './socket-pipe.ts';
import { SocketServer, type Served } from './socket-server.ts';
import { Turn } from './turn.ts';

export interface NativeServerOptions extends RpcServerOptions {
  /** Bounds that differ from DEFAULT_LIMITS. */
  readonly limits?: Partial<Limits>;
}

/** Serves `table` over cleartext HTTP/2, without a library. */
export function nativeServer(table: MethodTable, options: NativeServerOptions = {}): RpcServer {
  const clock = options.clock ?? systemClock;
  return new SocketServer(new NativeConnections(table, options, clock), clock);
}

class NativeConnections implements Served {
  private readonly shared: ServerShared;
  private readonly connections = new Set<ServerConnection>();

  constructor(table: MethodTable, options: NativeServerOptions, clock: Clock) {
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

  serve(connection: Duplex, head: Buffer | undefined): void {
    const pipe = new SocketPipe(connection);
    const served = new ServerConnection(pipe, this.shared);
    this.connections.add(served);
    pipe.attach(served, head);
  }

  drain(): void {
    for (const connection of this.connections) connection.drain();
  }

  cut(): void {
    for (const connection of this.connections) connection.cut('the server stops');
    this.shared.deadlines.clear();
  }
}
