/**
 * Certificates of authorities in one text: that each is one, and none stands there twice.
 *
 * Modelled on kubernetes' pkg/apis/certificates (validateTrustBundle), whose texts these are.
 */

import { X509Certificate } from 'node:crypto';

import { pemBlocks } from './certificate-request.ts';

/** What is wrong, each in its words; empty for nothing. */
export function trustBundleErrors(bundle: string): string[] {
  const errors: string[] = [];
  const seen = new Map<string, number[]>();
  for (const [index, { type, headers, bytes }] of pemBlocks(bundle).entries()) {
    if (type !== 'CERTIFICATE') errors.push(`entry ${index} has bad block type: ${type}`);
    else if (headers) errors.push(`entry ${index} has PEM block headers`);
    else {
      const authority = isAuthority(bytes);
      if (authority === undefined) errors.push(`entry ${index} does not parse as X.509`);
      else if (!authority) errors.push(`entry ${index} does not have the CA bit set`);
      else {
        const key = bytes.toString('latin1');
        seen.set(key, [...(seen.get(key) ?? []), index]);
      }
    }
  }
  if (errors.length > 0) return errors;
  if (seen.size === 0) errors.push('at least one trust anchor must be provided');
  for (const indexes of seen.values()) {
    if (indexes.length > 1) errors.push(`duplicate trust anchor (indices [${indexes.join(' ')}])`);
  }
  return errors;
}

/** Undefined for bytes that are no certificate. */
function isAuthority(der: Buffer): boolean | undefined {
  try {
    return new X509Certificate(der).ca;
  } catch {
    // OpenSSL says in many ways that it cannot read something.
    return undefined;
  }
}
