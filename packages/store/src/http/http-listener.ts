/**
 * An http.Server for a door, with limits. It listens nowhere: connections come from ports that tell protocols apart and
 * end TLS (rpc/client-ports.ts).
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { nodeHttp } from '@keelson/base';
import { HEADER_READ_TIMEOUT_MS } from '../limits.ts';
import type { HttpDoor } from './client-http.ts';

/** A scraper comes back every 15 to 60 seconds; a connection idle for longer is let go. */
const IDLE_MS = 180_000;
/** Go's default: a megabyte. Ours is Node's own bound for a whole HTTP/2 header list, ample for tokens. */
const HEADER_BYTES_MAX = 64 * 1024;

export interface HttpTimes {
  /** A client that has not said its headers by then is let go, ms. */
  readonly headersMs: number;
  /** How often that is looked at, ms. */
  readonly checkMs: number;
}

/** Errors after which nobody waits for a word; a client that was too slow gets none from Go either. */
const GONE: ReadonlySet<string> = new Set(['ECONNRESET', 'ERR_HTTP_REQUEST_TIMEOUT']);

const TIMES: HttpTimes = { headersMs: HEADER_READ_TIMEOUT_MS, checkMs: 2_000 };

export class HttpListener {
  private readonly server: Server;
  private readonly upgraded = new Set<Socket>();

  constructor(door: HttpDoor, { headersMs, checkMs }: HttpTimes = TIMES) {
    this.server = nodeHttp().createServer({
      headersTimeout: headersMs,
      connectionsCheckingInterval: checkMs,
      keepAliveTimeout: IDLE_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      // A watch's request lasts as long as its client has something to ask.
      requestTimeout: 0,
      noDelay: true,
    });
    // Node keeps its list of connections, and looks at their timeouts, from this event on.
    this.server.emit('listening');
    this.server.on('request', (request, response) => door.request(request, response));
    this.server.on('upgrade', (request, socket: Socket, head) => {
      this.upgraded.add(socket);
      socket.on('close', () => this.upgraded.delete(socket));
      door.upgrade(request, socket, head);
    });
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (GONE.has(error.code ?? '') || !socket.writable) {
        socket.destroy();
        return;
      }
      const status =
        error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      socket.end(
        `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
      );
    });
  }

  /** Serves a connection, plain or with TLS ended; bytes read already are put back before (`unshift`). */
  accept(socket: Socket): void {
    this.server.emit('connection', socket);
  }

  /** Takes no more; answers under way may finish until cut() is called. */
  drain(): void {
    this.server.close();
    this.server.closeIdleConnections();
  }

  /** Cuts what is left. */
  cut(): void {
    this.server.close();
    this.server.closeAllConnections();
    for (const socket of this.upgraded) socket.destroy();
  }
}
