/**
 * The server's side of a WebSocket (RFC 6455): handshake, frames in and out, ping answered, close in order.
 * Text and binary messages alike are handed on as bytes; no extension is agreed to. Bounded by the bytes of one
 * message; reading stops while its owner is paused. Takes over a socket that an http.Server upgraded. The API server
 * has another (kubelet/websocket.ts), and both stay: there pieces of boundless messages are handed on as they are
 * read, here whole messages are.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** RFC 6455 §1.3. */
const HANDSHAKE_SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTROL_BYTES_MAX = 125;

const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

/** Status codes of a close frame, RFC 6455 §7.4.1. */
export const CloseCode = { Normal: 1000, GoingAway: 1001, ProtocolError: 1002, TooBig: 1009 } as const;

/** The header that says a client wants to change over, judged as gorilla/websocket does. */
export function wantsWebSocket(request: IncomingMessage): boolean {
  return hasToken(request.headers.connection, 'upgrade') && hasToken(request.headers.upgrade, 'websocket');
}

function hasToken(header: string | undefined, token: string): boolean {
  return (header ?? '').split(',').some((each) => each.trim().toLowerCase() === token);
}

/** The HTTP status with which a handshake is refused; undefined when it is in order. */
export function handshakeFault(request: IncomingMessage): 400 | 405 | undefined {
  if (request.method !== 'GET') return 405;
  if (!hasToken(request.headers['sec-websocket-version'], '13')) return 400;
  return Buffer.from(request.headers['sec-websocket-key'] ?? '', 'base64').length === 16 ? undefined : 400;
}

/** The answer that completes a handshake that is in order. */
export function handshakeAnswer(request: IncomingMessage, protocol: string | undefined): string {
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1')
    .update(key + HANDSHAKE_SALT)
    .digest('base64');
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
  ];
  if (protocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export interface WebSocketHandler {
  /** One whole message. Return false to be given no more until resume(). */
  message(payload: Buffer): boolean;
  /** What send() left waiting has gone out. */
  drained(): void;
  /** The connection is over; called once. */
  closed(): void;
}

export class WebSocketConnection {
  private readonly socket: Duplex;
  private readonly handler: WebSocketHandler;
  private readonly messageBytesMax: number;
  private input: Buffer = Buffer.alloc(0);
  private fragments: Buffer[] = [];
  private fragmentBytes = 0;
  private inMessage = false;
  private paused = false;
  private closing = false;
  private over = false;

  constructor(socket: Duplex, handler: WebSocketHandler, messageBytesMax: number) {
    this.socket = socket;
    this.handler = handler;
    this.messageBytesMax = messageBytesMax;
  }

  /** @param head what was read behind the handshake */
  start(head: Buffer): void {
    const { socket } = this;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.finish());
    socket.on('end', () => socket.end());
    socket.on('drain', () => this.handler.drained());
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    if (head.length > 0) this.take(head);
    socket.resume();
  }

  /** @returns false when more than the socket's high-water mark waits; `drained` follows */
  sendText(text: string): boolean {
    if (this.closing || this.over) return false;
    return this.socket.write(frame(Opcode.Text, Buffer.from(text, 'utf8')));
  }

  /** Says goodbye and lets go of the connection. */
  close(code: number, reason = ''): void {
    if (this.closing || this.over) return;
    this.closing = true;
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code, 0);
    payload.write(reason, 2);
    this.socket.write(frame(Opcode.Close, payload));
    this.socket.end();
  }

  /** Delivery goes on. */
  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
    this.take(Buffer.alloc(0));
  }

  private take(chunk: Buffer): void {
    this.input = this.input.length === 0 ? chunk : Buffer.concat([this.input, chunk]);
    while (!this.paused && !this.closing && !this.over) {
      const next = this.nextFrame();
      if (next === undefined) return;
      this.handle(next.opcode, next.last, next.payload);
    }
  }

  private nextFrame(): { opcode: number; last: boolean; payload: Buffer } | undefined {
    const { input } = this;
    if (input.length < 2) return undefined;
    const opcode = input[0] & 0x0f;
    const last = (input[0] & 0x80) !== 0;
    const masked = (input[1] & 0x80) !== 0;
    let length = input[1] & 0x7f;
    const control = opcode >= Opcode.Close;
    if ((input[0] & 0x70) !== 0 || !masked || (control && (!last || length > CONTROL_BYTES_MAX))) {
      this.close(CloseCode.ProtocolError);
      return undefined;
    }
    let at = 2;
    if (length === 126) {
      if (input.length < 4) return undefined;
      length = input.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (input.length < 10) return undefined;
      length = Number(input.readBigUInt64BE(2));
      at = 10;
    }
    if (length + this.fragmentBytes > this.messageBytesMax) {
      this.close(CloseCode.TooBig);
      return undefined;
    }
    if (input.length < at + 4 + length) return undefined;
    const payload = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i++) payload[i] = input[at + 4 + i] ^ input[at + (i & 3)];
    this.input = input.subarray(at + 4 + length);
    return { opcode, last, payload };
  }

  private handle(opcode: number, last: boolean, payload: Buffer): void {
    switch (opcode) {
      case Opcode.Ping:
        this.socket.write(frame(Opcode.Pong, payload));
        return;
      case Opcode.Pong:
        return;
      case Opcode.Close:
        this.close(payload.length >= 2 ? payload.readUInt16BE(0) : CloseCode.Normal);
        return;
      case Opcode.Continuation:
      case Opcode.Text:
      case Opcode.Binary:
        break;
      default:
        this.close(CloseCode.ProtocolError);
        return;
    }
    if ((opcode === Opcode.Continuation) !== this.inMessage) {
      this.close(CloseCode.ProtocolError);
      return;
    }
    this.inMessage = !last;
    // An empty fragment adds nothing, and no bound on bytes would ever count it.
    if (payload.length > 0) this.fragments.push(payload);
    this.fragmentBytes += payload.length;
    if (!last) return;
    const message = this.fragments.length === 1 ? this.fragments[0] : Buffer.concat(this.fragments);
    this.fragments = [];
    this.fragmentBytes = 0;
    if (this.handler.message(message)) return;
    this.paused = true;
    this.socket.pause();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.handler.closed();
  }
}

/** An unmasked frame: what a server sends. */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const out = Buffer.allocUnsafe(2 + lengthBytes + length);
  out[0] = 0x80 | opcode;
  if (lengthBytes === 0) out[1] = length;
  else if (lengthBytes === 2) {
    out[1] = 126;
    out.writeUInt16BE(length, 2);
  } else {
    out[1] = 127;
    out.writeBigUInt64BE(BigInt(length), 2);
  }
  out.set(payload, 2 + lengthBytes);
  return out;
}
