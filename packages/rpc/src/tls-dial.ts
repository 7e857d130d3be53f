/**
 * A connection with TLS from this side: dialled, verified by our own rules (names as Go has them, errors in its
 * words), and given up before a byte of ours has left when the other end is not who it must be.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, getCACertificates, type SecureVersion, type TLSSocket } from 'node:tls';
import { chainText, fieldOf, handshakeText, hostnameProblem, isTlsCode } from './tls-text.ts';

/** What one attempt to connect is made with. PEM throughout. */
export interface DialTlsOptions {
  /** Who is trusted; undefined: the system's authorities, or the runtime's where it has none. */
  readonly ca?: readonly (string | Buffer)[] | undefined;
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  readonly minVersion?: SecureVersion | undefined;
  readonly maxVersion?: SecureVersion | undefined;
  /** OpenSSL's list. */
  readonly ciphers?: string | undefined;
  /** The name the certificate must be for, where it is not the one dialled. */
  readonly serverName?: string | undefined;
  /** Anybody is believed. */
  readonly skipVerify?: boolean | undefined;
  /** One more condition on a certificate that is otherwise good. @returns what is wrong with it */
  readonly check?: ((certificate: X509Certificate) => string | undefined) | undefined;
}

/** Asked for each connection, so that files are read anew. @throws Error: the attempt fails with it */
export type DialTls = () => DialTlsOptions;

/** A handshake that failed, or a certificate that was not accepted; the message is Go's. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** A port, or a unix socket and what its certificate must be for: "localhost", if nothing is said. */
export type DialTarget =
  | { readonly path: string; readonly serverName?: string | undefined }
  | { readonly host: string; readonly port: number };

/**
 * Dials and verifies. The socket emits 'secureConnect' when the handshake is done, and is destroyed by then if
 * the other end is not who it must be: ask `destroyed`. Every failure is an 'error'; `dialErrorText` has its words.
 * @param protocols ALPN, in order of preference
 * @param nowMs wall clock, for the text about an expired certificate
 * @throws Error of `tls`, or of a certificate that is none
 */
export function dialTls(
  target: DialTarget,
  tls: DialTls,
  protocols: readonly string[],
  nowMs: () => number,
): TLSSocket {
  const options = tls();
  const ca = options.ca ?? (options.skipVerify === true ? undefined : systemAuthorities());
  const host = 'host' in target ? target.host : (target.serverName ?? 'localhost');
  const name = options.serverName ?? host;
  const socket = connect({
    ...target,
    ALPNProtocols: [...protocols],
    // Judged below, where the certificate can still be looked at.
    rejectUnauthorized: false,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(ca === undefined ? {} : { ca: [...ca] }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.minVersion === undefined ? {} : { minVersion: options.minVersion }),
    ...(options.maxVersion === undefined ? {} : { maxVersion: options.maxVersion }),
    ...(options.ciphers === undefined ? {} : { ciphers: options.ciphers }),
    // Node's own looks at the common name too; its answer would be all there is to see.
    checkServerIdentity: () => undefined,
  });
  socket.setNoDelay(true);
  // The first of all listeners, so that the socket is destroyed before anybody else thinks it good.
  socket.once('secureConnect', () => {
    const problem = judge(socket, name, options, nowMs());
    if (problem !== undefined) socket.destroy(new TlsError(problem));
  });
  return socket;
}

function systemAuthorities(): string[] | undefined {
  const found = getCACertificates('system');
  return found.length === 0 ? undefined : found;
}

function judge(socket: TLSSocket, name: string, options: DialTlsOptions, nowMs: number): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return 'tls: the server showed no certificate';
  if (options.skipVerify === true) return options.check?.(certificate);
  if (!socket.authorized) return chainText(codeOf(socket), certificate, nowMs);
  const problem = hostnameProblem(certificate, name);
  if (problem !== undefined) return `tls: failed to verify certificate: ${problem}`;
  return options.check?.(certificate);
}

/** A failed attempt in Go's words where TLS was the reason; the system's own otherwise. */
export function dialErrorText(error: Error): string {
  return isTlsCode(fieldOf(error, 'code')) ? handshakeText(error) : error.message;
}

/** Node says which law the chain broke in a field typed as an Error that is a string. */
function codeOf(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError;
  return typeof error === 'string' ? error : 'CERT_UNTRUSTED';
}
