/** Requests for certificates (PKCS #10) as clients make them, written for tests. */

import { sign } from 'node:crypto';

import { requestSigners, type RequestSigners } from '../src/assembly/request-signers.ts';
import { CertificateAuthority, newKeys } from '../src/pki/authority.ts';
import { addressBytes, OID } from '../src/pki/certificate.ts';
import { bits, context, contextBytes, octets, oid, sequence, set, text, unsigned } from '../src/pki/der.ts';

export interface RequestOptions {
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  /** Further parts of the subject, by type. */
  readonly more?: readonly (readonly [type: string, text: string])[];
}

export interface MadeRequest {
  /** base64 of the PEM: spec.request. */
  readonly encoded: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export function certificateRequest(options: RequestOptions): MadeRequest {
  const { commonName, organizations = [], more = [] } = options;
  const { publicKey, privateKey } = newKeys();
  const parts: (readonly [string, string])[] = [
    ...organizations.map((one) => [OID.organization, one] as const),
    ...(commonName === undefined ? [] : [[OID.commonName, commonName] as const]),
    ...more,
  ];
  const name = (kind: number, one: string): Buffer => contextBytes(kind, Buffer.from(one, 'latin1'));
  const alternatives = [
    ...(options.uris ?? []).map((one) => name(6, one)),
    ...(options.addresses ?? []).map((one) => contextBytes(7, addressBytes(one))),
    ...(options.dnsNames ?? []).map((one) => name(2, one)),
    ...(options.emailAddresses ?? []).map((one) => name(1, one)),
  ];
  const extensions =
    alternatives.length === 0
      ? []
      : [
          sequence(
            oid('1.2.840.113549.1.9.14'),
            set(sequence(sequence(oid(OID.subjectAltName), octets(sequence(...alternatives))))),
          ),
        ];
  const info = sequence(
    unsigned(Buffer.from([0])),
    sequence(...parts.map(([type, one]) => set(sequence(oid(type), text(one))))),
    publicKey.export({ type: 'spki', format: 'der' }),
    context(0, ...extensions),
  );
  const algorithm = sequence(oid(OID.ecdsaSha256));
  const der = sequence(info, algorithm, bits(sign('sha256', info, privateKey)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
  return {
    encoded: Buffer.from(pem).toString('base64'),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** An authority of its own that signs for some signers. */
export function signersOf(...names: readonly (keyof Parameters<typeof requestSigners>[0])[]): {
  /** PEM. */
  readonly authority: string;
  readonly signers: RequestSigners;
} {
  const pair = CertificateAuthority.create('authority', Date.now());
  const each = Object.fromEntries(names.map((name) => [name, pair]));
  return { authority: pair.certificate, signers: requestSigners(each, Date.now) };
}
