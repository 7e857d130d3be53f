import { createPrivateKey, X509Certificate } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';

import { certificateRequest } from '../../test/certificate-request.ts';
import { CertificateAuthority, DAY_MS } from './authority.ts';
import { requestError } from './certificate-request.ts';
import { readNames, textsOfType } from './certificate-reader.ts';
import { requestNames, SigningError } from './requested-certificate.ts';

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5);
const HOUR_MS = 3_600_000;
const CLIENT = ['digital signature', 'key encipherment', 'client auth'];

const everything = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes', 'other'],
  dnsNames: ['n1.example.com'],
  addresses: ['10.0.0.1', '2001:db8::1'],
  emailAddresses: ['n1@example.com'],
  uris: ['spiffe://example/n1'],
};

test('names of a request are read', () => {
  const { encoded } = certificateRequest(everything);
  expect(requestError(encoded)).toBeUndefined();
  expect(requestNames(encoded)).toEqual({ ...everything, addresses: ['10.0.0.1', '2001:db8:0:0:0:0:0:1'] });
  expect(requestNames(certificateRequest({ commonName: 'plain' }).encoded)).toMatchObject({
    commonName: 'plain',
    organizations: [],
    dnsNames: [],
  });
  expect(() => requestNames(Buffer.from('no request').toString('base64'))).toThrow('PEM block type');
});

describe('a certificate for a request', () => {
  const authority = CertificateAuthority.create('authority', NOW);

  test('has its names and its key, and is verified by the authority', () => {
    const { encoded, key } = certificateRequest(everything);
    const made = new X509Certificate(authority.signRequest(encoded, CLIENT, NOW, 365 * DAY_MS));
    expect(made.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(made.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(made.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(made.ca).toBe(false);
    expect(made.subjectAltName).toBe(
      'DNS:n1.example.com, email:n1@example.com, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://example/n1',
    );
    expect(made.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    const { subject } = readNames(made.raw);
    expect(textsOfType(subject, '2.5.4.10')).toEqual(['other', 'system:nodes']);
    expect(textsOfType(subject, '2.5.4.3')).toEqual(['system:node:n1']);
  });

  test('says nothing of its holder that Go would not write: no uid comes in by a request', () => {
    const { encoded } = certificateRequest({
      commonName: 'u',
      more: [['1.3.6.1.4.1.57683.2', 'of-another']],
    });
    const made = new X509Certificate(authority.signRequest(encoded, CLIENT, NOW, HOUR_MS));
    expect(readNames(made.raw).subject.map(({ text }) => text)).toEqual(['u']);
  });

  test.each<[string, number, number, number]>([
    ['a year', 365 * DAY_MS, -5 * 60_000, 365 * DAY_MS - 5 * 60_000],
    ['an hour, not shortened by what it is backdated', HOUR_MS, -5 * 60_000, HOUR_MS],
    ['longer than the authority', 9_999 * DAY_MS, -5 * 60_000, 3_650 * DAY_MS],
  ])('is good for %s', (_name, durationMs, from, to) => {
    const { encoded } = certificateRequest({ commonName: 'u' });
    const made = new X509Certificate(authority.signRequest(encoded, CLIENT, NOW, durationMs));
    expect([Date.parse(made.validFrom) - NOW, Date.parse(made.validTo) - NOW]).toEqual([from, to]);
  });

  test('is refused for a usage there is not, and after the end of the authority', () => {
    const { encoded } = certificateRequest({ commonName: 'u' });
    expect(() => authority.signRequest(encoded, ['flying', 'client auth'], NOW, HOUR_MS)).toThrow(
      new SigningError('unrecognized usage values: ["flying"]'),
    );
    expect(() => authority.signRequest(encoded, CLIENT, NOW + 3_651 * DAY_MS, HOUR_MS)).toThrow(
      'refusing to sign a certificate that expired in the past',
    );
  });
});
