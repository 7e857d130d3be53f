/**
 * --client-crl-file and --peer-crl-file: which certificates were revoked, by their serial numbers. As in etcd the
 * file is read for every connection, and issuer, signature and date of the list are its keeper's affair: the
 * file is as trusted as the flag that names it.
 */
import { DerError, Tag, derValues, inside, pemBlocks, type DerValue } from './der.ts';

/** Serial numbers of a list, in hex. @param bytes DER, or PEM with a block X509 CRL. @throws DerError */
export function revokedSerials(bytes: Buffer): ReadonlySet<string> {
  const [fromPem] = pemBlocks(bytes.toString('latin1'), 'X509 CRL');
  const [list] = inside(derValues(fromPem ?? bytes)[0], Tag.Sequence);
  const fields = inside(list, Tag.Sequence);
  let at = 0;
  if (fields[at]?.tag === Tag.Integer) at++;
  // Algorithm, issuer, this update, and perhaps the next.
  at += 3;
  if (at > fields.length) throw new DerError('a revocation list that ends too soon');
  if (isTime(fields[at])) at++;
  const revoked = fields[at];
  if (revoked?.tag !== Tag.Sequence) return new Set();
  return new Set(inside(revoked, Tag.Sequence).map((entry) => serialOf(inside(entry, Tag.Sequence)[0])));
}

function isTime(value: DerValue | undefined): boolean {
  return value?.tag === Tag.UtcTime || value?.tag === Tag.GeneralizedTime;
}

function serialOf(value: DerValue | undefined): string {
  if (value?.tag !== Tag.Integer) throw new DerError('an entry without serial number');
  return plainSerial(value.content.toString('hex'));
}

/** A serial number without the zeros in front, which writers of hex do not agree on. */
export function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+/, '') || '0';
}
