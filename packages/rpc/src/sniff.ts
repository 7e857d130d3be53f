/**
 * What a client speaks, by the first bytes it sends: TLS, HTTP/2 with prior knowledge, or HTTP/1. Nothing is
 * answered and nothing is lost: who serves the connection gets the bytes as its head. A client that says
 * nothing, or too little to tell, is given up after a while. Modelled on cmux, which etcd's client port uses.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '@keelson/base';
import { PREFACE } from './frames.ts';

export type Protocol = 'tls' | 'http2' | 'http1' | 'unknown';

/** ContentType handshake: every TLS connection begins with it (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 22;
/** "PRI " cannot begin a request of HTTP/1: the method is reserved (RFC 9113 §11.6). The rest is judged later. */
const PREFACE_TOLD_BYTES = 4;
/** The longest registered method has 17 letters (UPDATEREDIRECTREF). */
const METHOD_BYTES_MAX = 20;

/** @returns undefined when these bytes do not tell yet; never for more than METHOD_BYTES_MAX + 1 of them */
export function protocolOf(head: Buffer): Protocol | undefined {
  if (head.length === 0) return undefined;
  if (head[0] === TLS_HANDSHAKE) return 'tls';
  const told = Math.min(head.length, PREFACE_TOLD_BYTES);
  if (head.compare(PREFACE, 0, told, 0, told) === 0) return told === PREFACE_TOLD_BYTES ? 'http2' : undefined;
  for (let i = 0; i < head.length; i++) {
    const byte = head[i];
    if (byte === 0x20) return i > 0 ? 'http1' : 'unknown';
    const inMethod = (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d;
    if (!inMethod || i >= METHOD_BYTES_MAX) return 'unknown';
  }
  return undefined;
}

export interface SniffOptions {
  readonly clock: Clock;
  /** How long the client may take until it is told what it speaks, ms. */
  readonly timeoutMs: number;
  /**
   * The socket is paused and `head` was taken from it: give it to whoever serves (`unshift` it for others).
   */
  readonly told: (protocol: Protocol, head: Buffer) => void;
  /** The client left, or said too little in time; the socket is destroyed. */
  readonly failed?: (why: string) => void;
}

/** Looks at what `socket` says first. It is taken over until `told` or `failed` is called, once. */
export function sniff(socket: Duplex, options: SniffOptions): void {
  let head: Buffer | undefined;
  const release = (): void => {
    timer.cancel();
    socket.off('data', onData);
    socket.off('close', onClose);
    socket.off('end', onEnd);
  };
  const fail = (why: string): void => {
    release();
    socket.destroy();
    options.failed?.(why);
  };
  const onData = (bytes: Buffer): void => {
    head = head === undefined ? bytes : Buffer.concat([head, bytes]);
    const protocol = protocolOf(head);
    if (protocol === undefined) return;
    release();
    socket.pause();
    options.told(protocol, head);
  };
  const onEnd = (): void => fail('EOF');
  const onClose = (): void => fail('EOF');
  const timer = options.clock.setTimer(options.timeoutMs, () => fail('no bytes in time'));
  // It stays for good: also a destroyed socket may report one, and 'close' says all that matters.
  socket.on('error', () => {});
  socket.on('end', onEnd);
  socket.on('close', onClose);
  socket.on('data', onData);
  socket.resume();
}
