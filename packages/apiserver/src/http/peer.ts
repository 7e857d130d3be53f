/**
 * The other end of a connection: its address, and its certificates as far as TLS accepted them. A certificate that no CA
 * of ours vouches for is told with the reason, so that authentication can refuse it.
 */

import type { Socket } from 'node:net';
import { TLSSocket, type DetailedPeerCertificate } from 'node:tls';

import type { Peer } from '../api/exchange.ts';

/** Longer chains are nobody's. */
const CHAIN_MAX = 10;

export function peerOf(socket: Socket, secure: boolean): Peer {
  const address = plainAddress(socket.remoteAddress ?? '');
  if (!(socket instanceof TLSSocket)) return { address, certificates: [], secure };
  const chain = chainOf(socket);
  if (chain.length === 0) return { address, certificates: [], secure };
  if (socket.authorized) return { address, certificates: chain, secure };
  // Node says an Error or its text.
  const error: unknown = socket.authorizationError;
  return {
    address,
    certificates: [],
    secure,
    certificateError: error instanceof Error ? error.message : String(error),
  };
}

/** DER of the certificates, leaf first. */
function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && chain.length < CHAIN_MAX) {
    chain.push(certificate.raw);
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    if (issuer === undefined || issuer === certificate || issuer.raw?.equals(certificate.raw)) break;
    certificate = issuer;
  }
  return chain;
}

/** IPv4 as such, also where it comes in IPv6's clothes. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}
