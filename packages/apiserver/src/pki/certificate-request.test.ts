import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';

import { certificatesError, requestError } from './certificate-request.ts';

interface Case {
  readonly name: string;
  readonly pem: string;
  readonly error?: string;
}

const data = JSON.parse(
  readFileSync(new URL('../../test/testdata/pki/pem.json', import.meta.url), 'utf8'),
) as { readonly requests: readonly Case[]; readonly certificates: readonly Case[] };

const base64 = (text: string): string => Buffer.from(text).toString('base64');

test.each(data.requests.map((each) => [each.name, each] as const))(
  'a request: %s',
  (_name, { pem, error }) => {
    expect(requestError(base64(pem))).toBe(error);
  },
);

test.each(data.certificates.map((each) => [each.name, each] as const))(
  'certificates: %s',
  (_name, { pem, error }) => {
    expect(certificatesError(base64(pem))).toBe(error);
  },
);

test('a request whose algorithm is not that of its key', () => {
  const [{ pem }] = data.requests;
  const der = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
  // ecdsa-with-SHA256 becomes Ed25519: the OID and the lengths around it.
  const oid = Buffer.from('300a06082a8648ce3d040302', 'hex');
  const at = der.lastIndexOf(oid);
  const other = Buffer.from('300506032b6570', 'hex');
  const body = Buffer.concat([der.subarray(4, at), other, der.subarray(at + oid.length)]);
  const whole = Buffer.concat([Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff]), body]);
  const header = der[1] === 0x82;
  const short = Buffer.concat([der.subarray(3, at), other, der.subarray(at + oid.length)]);
  const bytes = header ? whole : Buffer.concat([Buffer.from([0x30, 0x81, short.length]), short]);
  const text = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  expect(requestError(base64(text))).toBe(
    'x509: signature algorithm Ed25519 does not fit a public key of type ec',
  );
});
