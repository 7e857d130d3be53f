/** A connection's Pipe over a socket or any other Duplex: what leaves in one turn is one write. */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { verifiedCertificate, type PeerCertificate } from './peer-certificate.ts';
import type { Pipe } from './pipe.ts';
import { dialErrorText } from './tls-dial.ts';

/** What a socket tells its connection. */
export interface PipeEnd {
  bytesArrived(bytes: Buffer): void;
  drained(): void;
  closed(why: string): void;
}

export class SocketPipe implements Pipe {
  readonly peer: string;
  readonly peerCertificate: PeerCertificate | undefined;
  private readonly socket: Duplex;
  /** A plain socket has given its bytes to the kernel once nothing is buffered; others may keep them. */
  private readonly plain: boolean;

  /** @param socket connected; with TLS, its handshake done */
  constructor(socket: Duplex) {
    this.socket = socket;
    this.plain = socket instanceof Socket && !('encrypted' in socket);
    this.peer = peerOf(socket);
    this.peerCertificate = verifiedCertificate(socket);
  }

  /**
   * Delivers to `end` from now on.
   * @param head bytes that were read before, to find out what is spoken
   */
  attach(end: PipeEnd, head?: Buffer): void {
    let why = 'EOF';
    this.socket.on('data', (bytes: Buffer) => end.bytesArrived(bytes));
    this.socket.on('drain', () => end.drained());
    this.socket.on('error', (error) => {
      why = dialErrorText(error);
    });
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => end.closed(why));
    if (head !== undefined && head.length > 0) end.bytesArrived(head);
    // Whoever looked at the first bytes has paused it.
    this.socket.resume();
  }

  get pendingBytes(): number {
    return this.socket.writableLength;
  }

  write(chunks: readonly Buffer[]): boolean {
    const { socket } = this;
    if (!socket.writable) return true;
    if (!this.plain) {
      // Of the answer's size, so that the slab goes back: TLS keeps what it is given until the record has left, and
      // would put several pieces together by itself.
      socket.write(Buffer.concat(chunks));
      return true;
    }
    if (chunks.length === 1) {
      socket.write(chunks[0]);
    } else {
      socket.cork();
      for (const chunk of chunks) socket.write(chunk);
      socket.uncork();
    }
    return socket.writableLength === 0;
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

function peerOf(socket: Duplex): string {
  if (!(socket instanceof Socket)) return 'unknown';
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
