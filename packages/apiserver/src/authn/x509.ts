/**
 * Users by their certificates: the common name is the user's name, the organizations are his groups, a part of
 * the subject of its own his uid. Modelled on apiserver's x509 authenticator.
 */

import { createHash } from 'node:crypto';

import type { ApiRequest } from '../api/exchange.ts';
import type { UserInfo } from '../api/user-info.ts';
import { OID } from '../pki/certificate.ts';
import { commonNameOf, readNames, textsOfType } from '../pki/certificate-reader.ts';
import { AuthenticationError, type Authenticated, type RequestAuthenticator } from './authenticator.ts';
import type { CertificateChain } from './certificate-chain.ts';

export const CREDENTIAL_ID = 'authentication.kubernetes.io/credential-id';

export class X509Users implements RequestAuthenticator {
  private readonly chain: CertificateChain;
  private readonly nowMs: () => number;
  private readonly expires: ((seconds: number) => void) | undefined;
  /** By the certificate of a connection, which is taken apart once. */
  private readonly users = new WeakMap<Buffer, Known>();

  /**
   * @param nowMs wall time, ms since the epoch
   * @param expires told for each request how long its certificate is still good
   */
  constructor(chain: CertificateChain, nowMs: () => number, expires?: (seconds: number) => void) {
    this.chain = chain;
    this.nowMs = nowMs;
    this.expires = expires;
  }

  async authenticate(request: ApiRequest): Promise<Authenticated | undefined> {
    const { certificates, certificateError } = request.peer;
    if (certificateError !== undefined) throw new AuthenticationError(certificateError);
    if (certificates.length === 0) return undefined;
    const nowMs = this.nowMs();
    const leaf = this.chain.verify(certificates, nowMs);
    const [der] = certificates;
    let known = this.users.get(der);
    if (known === undefined) {
      const user = userOfCertificate(der);
      if (user === undefined) return undefined;
      known = { user, endMs: Date.parse(leaf.validTo) };
      this.users.set(der, known);
    }
    this.expires?.((known.endMs - nowMs) / 1_000);
    return { user: known.user };
  }
}

interface Known {
  readonly user: UserInfo;
  /** When the certificate ends. */
  readonly endMs: number;
}

/**
 * The user a certificate names; undefined where it has no common name.
 *
 * @throws AuthenticationError for a uid that is empty, no text or there twice
 */
function userOfCertificate(der: Buffer): UserInfo | undefined {
  const { subject } = readNames(der);
  const name = commonNameOf(subject);
  if (name === '') return undefined;
  const uids = subject.filter(({ type }) => type === OID.userUid).map(({ text }) => text);
  if (uids.includes(undefined)) throw new AuthenticationError('unable to parse UID into a string');
  if (uids.length > 1) {
    throw new AuthenticationError(`expected 1 UID, but found multiple: [${uids.join(' ')}]`);
  }
  if (uids[0] === '') throw new AuthenticationError('UID cannot be an empty string');
  const fingerprint = createHash('sha256').update(der).digest('hex');
  return {
    name,
    uid: uids[0] ?? '',
    groups: textsOfType(subject, OID.organization),
    extra: { [CREDENTIAL_ID]: [`X509SHA256=${fingerprint}`] },
  };
}
