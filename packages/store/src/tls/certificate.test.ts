/** Certificates and revocation lists made here, read by the runtime, by our own reader and by openssl. */
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';
import { TestAuthority } from '../../test/tls-fixtures.ts';
import { DerError, derValues, integer, objectId, time } from './der.ts';
import { plainSerial, revokedSerials } from './revocation.ts';
import { selfSignedFiles } from './self-signed.ts';

const authority = new TestAuthority('an authority');
afterAll(() => authority.dispose());

test.each<[string, Buffer, string]>([
  ['zero', integer(0n), '020100'],
  ['one byte', integer(127n), '02017f'],
  ['a leading one bit', integer(128n), '02020080'],
  ['two bytes', integer(256n), '02020100'],
  ['an algorithm', objectId('1.2.840.10045.4.3.2'), '06082a8648ce3d040302'],
  ['a year of two digits', time(Date.UTC(2049, 11, 31, 23, 59, 59)), `170d${hex('491231235959Z')}`],
  ['a year of four digits', time(Date.UTC(2050, 0, 1)), `180f${hex('20500101000000Z')}`],
])('der: %s', (_name, bytes, want) => {
  expect(bytes.toString('hex')).toBe(want);
});

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}

test.each<[string, string]>([
  ['a tag alone', '30'],
  ['more announced than there is', '300502'],
  ['an endless length', '3080'],
  ['a length of five bytes', '30850000000001ff'],
])('der that is none: %s', (_name, bytes) => {
  expect(() => derValues(Buffer.from(bytes, 'hex'))).toThrow(DerError);
});

describe('a certificate', () => {
  const issued = authority.issue('leaf', {
    organization: 'etcd',
    dnsNames: ['a.example', '*.b.example'],
    ipAddresses: ['10.0.0.1', '::1', 'fd00::1:2', '::ffff:10.0.0.2'],
  });
  const certificate = new X509Certificate(issued.certificate);
  const ca = new X509Certificate(authority.certified.certificate);

  test('carries what it was asked to', () => {
    expect(certificate.subject).toBe('O=etcd\nCN=leaf');
    expect(certificate.subjectAltName).toBe(
      'DNS:a.example, DNS:*.b.example, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1, ' +
        'IP Address:FD00:0:0:0:0:0:1:2, IP Address:0:0:0:0:0:FFFF:A00:2',
    );
    expect(certificate.ca).toBe(false);
    expect(ca.ca).toBe(true);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  });

  test('is signed by its authority', () => {
    expect(certificate.verify(ca.publicKey)).toBe(true);
    expect(certificate.checkIssued(ca)).toBe(true);
    expect(ca.verify(ca.publicKey)).toBe(true);
  });

  test('and a list of the revoked names it and no other', () => {
    const other = authority.issue('other');
    const file = authority.revoke(issued);
    const revoked = revokedSerials(readFileSync(file));
    expect(revoked.has(plainSerial(certificate.serialNumber))).toBe(true);
    expect(revoked.has(plainSerial(new X509Certificate(other.certificate).serialNumber))).toBe(false);
    expect(revokedSerials(readFileSync(authority.revoke())).size).toBe(0);
    expect(() => revokedSerials(Buffer.from('no list'))).toThrow(DerError);
  });
});

test('a member makes its own certificate once, and keeps its key to itself', () => {
  const directory = join(authority.directory, 'fixtures', 'client');
  const files = selfSignedFiles(directory, ['127.0.0.1', 'localhost'], 3, systemClock, silentLogger);
  const certificate = new X509Certificate(readFileSync(files.certFile));
  expect(certificate.subject).toBe('O=etcd');
  expect(certificate.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1');
  expect(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)).toBe(
    3 * 365 * 24 * 3600 * 1000,
  );
  expect(statSync(files.keyFile).mode & 0o777).toBe(0o600);
  const again = selfSignedFiles(directory, ['127.0.0.1'], 1, systemClock, silentLogger);
  expect(readFileSync(again.certFile, 'latin1')).toBe(readFileSync(files.certFile, 'latin1'));
});

const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find((path) => existsSync(path));
if (openssl === undefined) {
  test.skip('openssl reads them too: openssl is not installed', () => {});
} else {
  const run = (...args: string[]): string => execFileSync(openssl, args, { encoding: 'utf8', stdio: 'pipe' });

  test('openssl reads and verifies them too', () => {
    const issued = authority.issue('openssl');
    expect(run('verify', '-x509_strict', '-CAfile', authority.caFile, issued.certFile)).toContain(': OK');
    const text = run('x509', '-in', issued.certFile, '-noout', '-text');
    expect(text).toContain('Digital Signature, Key Encipherment');
    expect(text).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(text).toContain('DNS:localhost, IP Address:127.0.0.1');
    const crl = authority.revoke(issued);
    expect(
      run('crl', '-inform', 'DER', '-in', crl, '-noout', '-text', '-CAfile', authority.caFile),
    ).toContain(new X509Certificate(issued.certificate).serialNumber);
  });

  test('lists of openssl are read here, DER and PEM', () => {
    const issued = authority.issue('revoked');
    const serial = plainSerial(new X509Certificate(issued.certificate).serialNumber);
    const der = authority.revoke(issued);
    const pem = join(authority.directory, 'revoked.pem');
    writeFileSync(pem, run('crl', '-inform', 'DER', '-in', der, '-outform', 'PEM'));
    expect([...revokedSerials(readFileSync(pem))]).toEqual([serial]);
  });
}
