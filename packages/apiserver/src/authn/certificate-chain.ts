/**
 * Whether the certificates a client showed lead to one of our authorities, now, for use by a client. TLS has
 * proved that the client holds the key; it may trust more authorities than the one a method of authentication
 * does (user certificates, front proxies), so that each method checks the chain against its own.
 */

import { X509Certificate } from 'node:crypto';

import { OID } from '../pki/certificate.ts';
import { AuthenticationError } from './authenticator.ts';

/** Certificates between a leaf and its authority; more are not looked at. */
const INTERMEDIATES_MAX = 8;
const ANY_USE = '2.5.29.37.0';

/** A chain that was found good, and for how long nothing in it can change that. */
interface Verified {
  readonly leaf: X509Certificate;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class CertificateChain {
  private readonly authorities: readonly X509Certificate[];
  /** By what TLS gave of a connection, which is the same list for all its requests: a signature costs more than those. */
  private readonly verified = new WeakMap<readonly Buffer[], Verified>();

  /** @param pem one or more certificates. @throws Error when there is none or one cannot be read */
  constructor(pem: string) {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new Error('data does not contain any valid RSA or ECDSA certificates');
    this.authorities = blocks.map((block) => new X509Certificate(block));
  }

  /**
   * The leaf, once its chain is good.
   *
   * @param shown DER, leaf first, as TLS gives it, never changed; authorities among them are not trusted for being shown
   * @throws AuthenticationError saying what is wrong
   */
  verify(shown: readonly Buffer[], nowMs: number): X509Certificate {
    const before = this.verified.get(shown);
    if (before !== undefined && before.fromMs <= nowMs && nowMs <= before.untilMs) return before.leaf;
    const [leaf, ...others] = shown.slice(0, INTERMEDIATES_MAX + 2).map((der) => new X509Certificate(der));
    if (leaf === undefined) throw new AuthenticationError('no certificate');
    if (!this.leads(leaf, others, nowMs, INTERMEDIATES_MAX)) {
      throw new AuthenticationError(
        isGood(leaf, nowMs)
          ? 'x509: certificate signed by unknown authority'
          : 'x509: certificate has expired or is not yet valid',
      );
    }
    const uses = leaf.keyUsage ?? [];
    if (uses.length > 0 && !uses.includes(OID.clientAuth) && !uses.includes(ANY_USE)) {
      throw new AuthenticationError('x509: certificate specifies an incompatible key usage');
    }
    // Until the first of those that are good now runs out; one that is not good yet was of no use.
    const good = [leaf, ...others, ...this.authorities].filter((one) => isGood(one, nowMs));
    const untilMs = Math.min(...good.map(({ validTo }) => Date.parse(validTo)));
    this.verified.set(shown, { leaf, fromMs: nowMs, untilMs });
    return leaf;
  }

  private leads(
    one: X509Certificate,
    others: readonly X509Certificate[],
    nowMs: number,
    depth: number,
  ): boolean {
    if (!isGood(one, nowMs)) return false;
    for (const authority of this.authorities) {
      if (one.raw.equals(authority.raw)) return true;
      if (signed(one, authority) && isGood(authority, nowMs)) return true;
    }
    if (depth === 0) return false;
    return others.some(
      (other) =>
        signed(one, other) &&
        this.leads(
          other,
          others.filter((left) => left !== other),
          nowMs,
          depth - 1,
        ),
    );
  }
}

function signed(one: X509Certificate, by: X509Certificate): boolean {
  return by.ca && one.checkIssued(by) && one.verify(by.publicKey);
}

function isGood(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}
