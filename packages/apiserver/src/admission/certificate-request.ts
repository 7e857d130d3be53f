/** What a certificate request (PKCS #10) says of who asks; its signature is others' to check. */

import { nameParts, type NamePart } from '../pki/certificate-reader.ts';
import { inside, only } from '../pki/der.ts';

const PEM = /-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----/;

/**
 * The subject of a request.
 *
 * @param encoded spec.request: base64 of the PEM
 * @throws Error when it is no certificate request
 */
export function requestSubject(encoded: string): readonly NamePart[] {
  const found = PEM.exec(Buffer.from(encoded, 'base64').toString('latin1'));
  if (found === null) throw new Error('PEM block type must be CERTIFICATE REQUEST');
  const [info] = inside(only(Buffer.from(found[1], 'base64')));
  // Version, subject, public key, attributes.
  return nameParts(inside(info)[1]);
}
