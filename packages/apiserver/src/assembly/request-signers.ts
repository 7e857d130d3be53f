/**
 * What loops that look after CertificateSigningRequests are given: requests and certificates read, and for each signer
 * whose key is here, its signature.
 */

import { CertificateAuthority, type CertificatePair } from '../pki/authority.ts';
import { certificateEnd, requestNames, type RequestNames } from '../pki/requested-certificate.ts';

const SIGNERS = [
  ['kubelet-serving', 'kubernetes.io/kubelet-serving'],
  ['kubelet-client', 'kubernetes.io/kube-apiserver-client-kubelet'],
  ['kube-apiserver-client', 'kubernetes.io/kube-apiserver-client'],
  ['legacy-unknown', 'kubernetes.io/legacy-unknown'],
] as const;

type ShortName = (typeof SIGNERS)[number][0];
type SignerName = (typeof SIGNERS)[number][1];
type Sign = (encoded: string, usages: readonly string[], durationMs: number) => string;

export interface RequestSigners {
  /** @throws Error for what is no request */
  readonly read: (encoded: string) => RequestNames;
  /** When a certificate (PEM) ends, ms; undefined when it cannot be read. */
  readonly endOf: (certificate: string) => number | undefined;
  readonly signers: Readonly<Partial<Record<SignerName, Sign>>>;
}

/**
 * @param authorities by the names that --cluster-signing-… has for signers
 * @throws Error for a pair that cannot be used
 */
export function requestSigners(
  authorities: Readonly<Partial<Record<ShortName, CertificatePair>>>,
  nowMs: () => number,
): RequestSigners {
  const signers: Partial<Record<SignerName, Sign>> = {};
  for (const [short, name] of SIGNERS) {
    const pair = authorities[short];
    if (pair === undefined) continue;
    const authority = CertificateAuthority.load(pair);
    signers[name] = (encoded, usages, durationMs) =>
      authority.signRequest(encoded, usages, nowMs(), durationMs);
  }
  return { read: requestNames, endOf: certificateEnd, signers };
}
