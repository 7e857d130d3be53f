/**
 * What a certificate says of its holder, read from its DER: the subject part by part, since the text forms of
 * subjects that libraries print can be forged by what a name holds. Signatures and dates are others' to check.
 */

import { OID } from './certificate.ts';
import { inside, only, readOid, readText, type DerValue } from './der.ts';

/** One part of a subject, in the order they stand. */
export interface NamePart {
  readonly type: string;
  /** Undefined for a value that is no text. */
  readonly text: string | undefined;
}

export interface CertificateNames {
  readonly subject: readonly NamePart[];
  /** The subject as DER: what an issued certificate has as its issuer. */
  readonly subjectBytes: Buffer;
}

/** Reads the subject. @throws DerError for bytes that are no certificate */
export function readNames(der: Buffer): CertificateNames {
  const [body] = inside(only(der));
  const fields = inside(body);
  // The version may be left out; serial, algorithm, issuer and validity stand before the subject.
  const subject = fields[fields[0]?.tag === 0xa0 ? 5 : 4];
  return { subject: nameParts(subject), subjectBytes: Buffer.from(subject.bytes) };
}

/** The parts of a name. @throws DerError when it is none */
export function nameParts(name: DerValue | undefined): NamePart[] {
  const found: NamePart[] = [];
  for (const part of inside(name)) {
    for (const pair of inside(part, 0x31)) {
      const [type, one] = inside(pair);
      found.push({ type: readOid(type), text: one === undefined ? undefined : readText(one) });
    }
  }
  return found;
}

/** The texts of one type among a subject's parts. */
export function textsOfType(subject: readonly NamePart[], type: string): string[] {
  return subject.flatMap((part) => (part.type === type && part.text !== undefined ? [part.text] : []));
}

/** The common name as Go takes it: the last one. */
export function commonNameOf(subject: readonly NamePart[]): string {
  return textsOfType(subject, OID.commonName).at(-1) ?? '';
}
