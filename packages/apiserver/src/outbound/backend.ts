/**
 * Servers behind this one as those see them who hand requests on: where they are, what they are asked, what they answer.
 * No connection is opened here.
 */

import { isIP } from 'node:net';
import type { SecureContextOptions } from 'node:tls';

import type { ByteConnection, Headers } from '../api/exchange.ts';

/** Where a request goes. */
export interface BackendTarget {
  /** An address, or a name: it is looked up once for each connection. */
  readonly host: string;
  readonly port: number;
  /** Undefined: plain HTTP. */
  readonly tls?: BackendTls;
  /** Until a connection is there, its handshake included, ms; half a minute unless said. */
  readonly dialMs?: number;
  /** Judges every address the host has before any is dialed. @throws Error, which becomes the call's */
  readonly checkAddress?: (address: string) => void;
}

export interface BackendTls {
  /** PEM of who vouches for the server; the system's authorities where it is empty. */
  readonly caBundle: string;
  /** The name its certificate is for, where that is not the host's. */
  readonly serverName?: string;
  /** PEM of what is shown to the server. */
  readonly pair?: { readonly cert: string; readonly key: string };
  /** Takes any certificate. */
  readonly unverified?: boolean;
  /** Speaks HTTP/2 where the server offers it; HTTP/1.1 alone without. */
  readonly http2?: boolean;
}

export interface BackendRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** All that are sent; names in lower case. */
  readonly headers: Headers;
  /** Undefined: none. */
  readonly body?: AsyncIterable<Buffer>;
  /** Ends the call, and the answer that is under way. */
  readonly signal: AbortSignal;
  /** Until the head of the answer, ms; as long as the signal lets it without. */
  readonly answerMs?: number;
}

export interface BackendAnswer {
  readonly kind: 'answer';
  readonly code: number;
  readonly headers: Headers;
  /** The body, once; who breaks it off closes the connection. Throws where the backend's answer was cut short. */
  readonly chunks: AsyncIterable<Buffer>;
  /** What came behind the body, once it was read to its end; nothing where no trailers came. */
  readonly trailers: () => Headers;
  /** Nobody wants the body. */
  readonly abandon: () => void;
}

export interface BackendSwitch {
  readonly kind: 'switch';
  readonly headers: Headers;
  readonly connection: ByteConnection;
}

/** A call that got no answer; the message says why in Go's words. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  /** `dial`: no connection came about; `exchange`: it did; `cancelled`: the request was given up; `limit`: too many. */
  readonly kind: 'dial' | 'exchange' | 'cancelled' | 'limit';

  constructor(kind: BackendError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** As Go writes it: an address of version 6 in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What node:tls is told of a server. */
export function tlsSettings({ host, tls }: BackendTarget): TlsSettings {
  const serverName = tls?.serverName ?? host;
  return {
    minVersion: 'TLSv1.2',
    servername: isIP(serverName) === 0 ? serverName : '',
    ...(tls === undefined || tls.caBundle === '' ? {} : { ca: tls.caBundle }),
    ...(tls?.pair === undefined ? {} : tls.pair),
    ...(tls?.unverified === true ? { rejectUnauthorized: false } : {}),
  };
}

type TlsSettings = Pick<SecureContextOptions, 'minVersion' | 'ca' | 'cert' | 'key'> & {
  readonly servername: string;
  readonly rejectUnauthorized?: boolean;
};
