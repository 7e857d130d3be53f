/**
 * A socket as a ByteConnection: read on demand, written at the other side's pace, closed once. What either side may hold
 * is the socket's own bound (64 kB each way).
 */

import type { Duplex } from 'node:stream';

import type { ByteConnection } from '../api/exchange.ts';
import { BodyChunks } from './body-chunks.ts';
import { drained } from './drained.ts';

export class SocketConnection implements ByteConnection {
  readonly closed: Promise<void>;
  private readonly socket: Duplex;
  private readonly chunks: BodyChunks;

  /** @param head bytes that came behind the head of a request or an answer */
  constructor(socket: Duplex, head: Buffer) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      if (socket.closed) resolve();
      else socket.once('close', resolve);
    });
    // A reset is told to whoever reads; there may be nobody.
    socket.on('error', () => socket.destroy());
    if (head.length > 0) socket.unshift(head);
    this.chunks = new BodyChunks(socket);
  }

  read(): Promise<Buffer | undefined> {
    return this.chunks.read();
  }

  write(chunk: Buffer): boolean {
    // What is written after the end goes nowhere, as on a closed connection.
    if (!this.socket.writable) return true;
    return this.socket.write(chunk);
  }

  drained(): Promise<void> {
    return drained(this.socket);
  }

  end(): void {
    const { socket } = this;
    // Said before: what waits is on its way, and over TLS it is not with the kernel yet.
    if (socket.writableEnded) return;
    if (!socket.writable) socket.destroy();
    else socket.end(() => socket.destroy());
  }

  destroy(): void {
    this.socket.destroy();
  }
}
