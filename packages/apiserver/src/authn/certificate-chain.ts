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

/** What was found of a chain, and for how long nothing in it can change that. */
interface Verdict {
  /** The leaf of a good one. */
  readonly found: X509Certificate | AuthenticationError;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class CertificateChain {
  private readonly authorities: readonly X509Certificate[];
  /** By what TLS gave of a connection, which is the same list for all its requests: a signature costs more than those. */
  private readonly verdicts = new WeakMap<readonly Buffer[], Verdict>();

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
    const { found } = this.verdictOf(shown, nowMs);
    if (found instanceof AuthenticationError) throw found;
    return found;
  }

  /** A refusal is remembered as well: most who show a certificate are no front proxies, and are asked for one of theirs. */
  private verdictOf(shown: readonly Buffer[], nowMs: number): Verdict {
    const before = this.verdicts.get(shown);
    if (before !== undefined && before.fromMs <= nowMs && nowMs <= before.untilMs) return before;
    const certificates = shown.slice(0, INTERMEDIATES_MAX + 2).map((der) => new X509Certificate(der));
    // Until the first of them runs out or becomes good.
    const moments = [...certificates, ...this.authorities]
      .flatMap(({ validFrom, validTo }) => [Date.parse(validFrom) - 1, Date.parse(validTo)])
      .filter((ms) => ms >= nowMs);
    const verdict = { found: this.judge(certificates, nowMs), fromMs: nowMs, untilMs: Math.min(...moments) };
    this.verdicts.set(shown, verdict);
    return verdict;
  }

  private judge(
    [leaf, ...others]: readonly X509Certificate[],
    nowMs: number,
  ): X509Certificate | AuthenticationError {
    if (leaf === undefined) return new AuthenticationError('no certificate');
    if (!this.leads(leaf, others, nowMs, INTERMEDIATES_MAX)) {
      return new AuthenticationError(
        isGood(leaf, nowMs)
          ? 'x509: certificate signed by unknown authority'
          : 'x509: certificate has expired or is not yet valid',
      );
    }
    const uses = leaf.keyUsage ?? [];
    if (uses.length > 0 && !uses.includes(OID.clientAuth) && !uses.includes(ANY_USE)) {
      return new AuthenticationError('x509: certificate specifies an incompatible key usage');
    }
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
