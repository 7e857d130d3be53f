/**
 * The server's side of TLS on a port that somebody else listens on: handshake, certificates read anew for each
 * connection, and every check on the one the client shows. What passes is handed on; what does not is closed and
 * logged with etcd's line. No session is ever resumed: each connection proves anew who it is.
 */
import { constants, type X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import {
  createServer,
  getCACertificates,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { toError, type Clock, type Logger, type Timer } from '@keelson/base';
import {
  KeyPairFiles,
  TlsFileError,
  chainText,
  describeCertificate,
  handshakeText,
  readAuthorities,
  type KeyPair,
} from '@keelson/rpc';
import {
  addressProblem,
  allowedProblem,
  revocationProblem,
  systemResolver,
  type Resolver,
} from './peer-names.ts';
import { asksCertificate, type TlsSettings } from './tls-settings.ts';

/** A client may take this long from the connection to the end of all checks; as etcd since 3.7.1. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer chains are nobody's; a ring of certificates must not hold us. */
const CHAIN_MAX = 16;

export interface TlsAcceptorOptions {
  readonly settings: TlsSettings;
  /** Which ports, for the log line: "rejected connection on … endpoint". */
  readonly endpoint: 'client' | 'peer';
  /**
   * Chooses the protocol from those a client offers (ALPN); undefined refuses it. Clients that offer nothing
   * are not asked about here.
   */
  readonly protocol: (offered: readonly string[]) => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly resolver?: Resolver;
  readonly handshakeTimeoutMs?: number;
}

export class TlsAcceptor {
  private readonly options: TlsAcceptorOptions;
  private readonly pair: KeyPairFiles;
  private readonly fixed: SecureContextOptions;
  private readonly server: Server;
  private readonly timeoutMs: number;
  private current: KeyPair | undefined = undefined;
  /** Connections that are not through, by the socket beneath. */
  private readonly pending = new Map<Socket, Pending>();

  /** @throws TlsFileError when the authorities cannot be read */
  constructor(options: TlsAcceptorOptions) {
    const { settings } = options;
    this.options = options;
    this.timeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.pair = new KeyPairFiles(settings.certFile, settings.keyFile);
    const asks = asksCertificate(settings);
    this.fixed = {
      minVersion: settings.minVersion,
      maxVersion: settings.maxVersion,
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
      ...(settings.ciphers === undefined ? {} : { ciphers: settings.ciphers, honorCipherOrder: true }),
      ...(asks ? { ca: authoritiesOf(settings) } : {}),
    };
    this.server = createServer({
      ...this.fixed,
      requestCert: asks,
      rejectUnauthorized: asks,
      // Ours, which also covers the checks behind the handshake, comes first.
      handshakeTimeout: 2 * this.timeoutMs,
      ALPNCallback: ({ protocols }) => options.protocol(protocols),
    });
    this.server.on('secureConnection', (socket) => this.secured(socket));
    this.server.on('tlsClientError', (error, socket) => this.failed(error, socket));
  }

  /**
   * Takes a connection over. `served` gets it when handshake and checks are done; `socket.alpnProtocol` says
   * what will be spoken.
   * @param head bytes that were read from it already
   * @param nearby it came over a unix socket: there is no address that the names of its certificate could fit.
   *   Whoever listens says so; a connection that has been reset has no address either
   */
  accept(
    socket: Socket,
    head: Buffer | undefined,
    served: (socket: TLSSocket) => void,
    nearby = false,
  ): void {
    socket.on('error', () => {});
    if (socket.destroyed) return;
    const timer = this.options.clock.setTimer(this.timeoutMs, () =>
      this.reject(socket, 'context deadline exceeded'),
    );
    this.pending.set(socket, { served, timer, remote: remoteOf(socket), nearby });
    let pair: KeyPair;
    try {
      pair = this.pair.read();
    } catch (error) {
      if (!(error instanceof TlsFileError)) throw error;
      this.cannotServe(error);
      this.reject(socket, error.message);
      return;
    }
    if (pair !== this.current) {
      this.server.setSecureContext({ ...this.fixed, ...pair });
      this.current = pair;
    }
    if (head !== undefined && head.length > 0) socket.unshift(head);
    this.server.emit('connection', socket);
  }

  /** Closes what is in its handshake. What was handed on is not touched. */
  close(): void {
    for (const [socket, { timer }] of this.pending) {
      timer.cancel();
      socket.destroy();
    }
    this.pending.clear();
  }

  /** The handshake is done; the chain of a certificate that was asked for is good. */
  private secured(tls: TLSSocket): void {
    const socket = beneath(tls);
    // Until somebody serves it.
    tls.on('error', () => {});
    const pending = socket === undefined ? undefined : this.pending.get(socket);
    if (socket === undefined || pending === undefined) {
      tls.destroy();
      return;
    }
    const { settings } = this.options;
    const chain = chainOf(tls);
    const [leaf] = chain;
    if (leaf === undefined) {
      this.pass(socket, tls);
      return;
    }
    const problem = allowedProblem(settings, leaf);
    if (problem !== undefined) this.reject(socket, problem, tls, leaf);
    else if (settings.skipClientSanVerification || pending.nearby) this.checkRevoked(socket, tls, chain);
    else {
      addressProblem(leaf, socket.remoteAddress ?? '', this.options.resolver ?? systemResolver).then(
        (wrong) => {
          if (wrong === undefined) this.checkRevoked(socket, tls, chain);
          else this.reject(socket, wrong, tls, leaf);
        },
        (error: unknown) => this.reject(socket, toError(error).message, tls, leaf),
      );
    }
  }

  private checkRevoked(socket: Socket, tls: TLSSocket, chain: readonly X509Certificate[]): void {
    const problem = revocationProblem(this.options.settings.crlFile, chain);
    if (problem === undefined) this.pass(socket, tls);
    else this.reject(socket, problem, tls, chain[0]);
  }

  private pass(socket: Socket, tls: TLSSocket): void {
    const pending = this.pending.get(socket);
    if (pending === undefined || tls.destroyed) return;
    this.pending.delete(socket);
    pending.timer.cancel();
    pending.served(tls);
  }

  private failed(error: Error, tls: TLSSocket): void {
    tls.on('error', () => {});
    const socket = beneath(tls);
    if (socket === undefined) return;
    const broken: unknown = tls.authorizationError;
    this.reject(socket, typeof broken === 'string' ? chainText(broken) : handshakeText(error), tls);
  }

  /** Closes the connection and says why, unless it was said already. */
  private reject(socket: Socket, why: string, tls?: TLSSocket, certificate?: X509Certificate): void {
    const pending = this.pending.get(socket);
    if (pending === undefined) return;
    this.pending.delete(socket);
    pending.timer.cancel();
    tls?.destroy();
    socket.destroy();
    const { endpoint, logger } = this.options;
    const names = certificate === undefined ? undefined : describeCertificate(certificate);
    // Who connects and leaves is a probe more often than not.
    logger.log(why === 'EOF' ? 'debug' : 'warn', `rejected connection on ${endpoint} endpoint`, {
      'remote-addr': pending.remote,
      'server-name': serverNameOf(tls),
      ...(names === undefined ? {} : { 'ip-addresses': names.ipAddresses, 'dns-names': names.dnsNames }),
      error: why,
    });
  }

  private cannotServe(error: TlsFileError): void {
    const { certFile, keyFile } = this.pair;
    this.options.logger.warn(
      error.absent ? 'failed to find peer cert files' : 'failed to create peer certificate',
      { 'cert-file': certFile, 'key-file': keyFile, error: error.message },
    );
  }
}

/** Who may sign clients' certificates. Without a file the system's: never those the runtime brings along. */
function authoritiesOf({ trustedCaFile }: TlsSettings): string[] {
  return trustedCaFile === '' ? getCACertificates('system') : readAuthorities(trustedCaFile);
}

/** A connection on its way through handshake and checks. */
interface Pending {
  readonly served: (socket: TLSSocket) => void;
  readonly timer: Timer;
  readonly remote: string;
  /** Came over a unix socket. */
  readonly nearby: boolean;
}

/**
 * The socket that was accepted, of the TLS socket on top. Node keeps it under a name it does not document, and its
 * events tell nothing else that would connect the two; tls-acceptor.test.ts fails if that ever changes.
 */
function beneath(tls: TLSSocket): Socket | undefined {
  const parent: unknown = Reflect.get(tls, '_parent');
  return parent instanceof Socket ? parent : undefined;
}

/** The certificates the client showed, its own first. */
function chainOf(tls: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = tls.getPeerX509Certificate();
  while (next !== undefined && chain.length < CHAIN_MAX) {
    chain.push(next);
    const issuer: X509Certificate | undefined = next.issuerCertificate;
    next = issuer === undefined || issuer.fingerprint256 === next.fingerprint256 ? undefined : issuer;
  }
  return chain;
}

function remoteOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return '@';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** The name the client asked for (SNI); '' when it asked for none. */
function serverNameOf(tls: TLSSocket | undefined): string {
  const name: unknown = tls === undefined ? undefined : Reflect.get(tls, 'servername');
  return typeof name === 'string' ? name : '';
}
