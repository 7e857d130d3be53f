/**
 * Connections that leave HTTP behind: WebSocket and SPDY for exec, attach, port-forward and watches. The request goes
 * through the pipeline like any other; the handler behind it takes the socket, or answers and leaves it.
 */

import type { Duplex } from 'node:stream';

import type { ApiRequest } from '../api/exchange.ts';

/** A connection that waits to be taken over. */
export interface UpgradeSocket {
  readonly socket: Duplex;
  /** Bytes that came behind the request. */
  readonly head: Buffer;
}

/** Joins the listener, which offers sockets, and the handlers, which take them. One for a whole server. */
export class Upgrades {
  private readonly offered = new WeakMap<ApiRequest, UpgradeSocket>();
  private readonly taken = new WeakSet<ApiRequest>();

  /** @internal of the listener */
  offer(request: ApiRequest, socket: UpgradeSocket): void {
    this.offered.set(request, socket);
  }

  /** The socket, once; from then on it is the caller's, who answers on it. Undefined for a plain request. */
  take(request: ApiRequest): UpgradeSocket | undefined {
    const socket = this.offered.get(request);
    if (socket === undefined) return undefined;
    this.offered.delete(request);
    this.taken.add(request);
    return socket;
  }

  wasTaken(request: ApiRequest): boolean {
    return this.taken.has(request);
  }
}
