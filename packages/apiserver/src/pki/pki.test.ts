import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { CertificateAuthority, DAY_MS } from './authority.ts';
import { commonNameOf, readNames, textsOfType } from './certificate-reader.ts';
import { addressBytes, OID } from './certificate.ts';
import { DerError, oid, only, readOid, sequence, time, unsigned, values } from './der.ts';
import { kubeconfig } from './kubeconfig.ts';

const NOW = Date.UTC(2030, 0, 2, 3, 4, 5);

describe('DER', () => {
  test.each<[string, string]>([
    ['2.5.4.3', '0603550403'],
    ['1.3.6.1.4.1.57683.2', '06092b0601040183c25302'],
    ['1.2.840.10045.4.3.2', '06082a8648ce3d040302'],
  ])('object identifier %s', (dotted, hex) => {
    expect(oid(dotted).toString('hex')).toBe(hex);
    expect(readOid(only(Buffer.from(hex, 'hex')))).toBe(dotted);
  });

  test.each<[string, string]>([
    ['00', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0000ff', '020200ff'],
  ])('unsigned %s', (bytes, hex) => {
    expect(unsigned(Buffer.from(bytes, 'hex')).toString('hex')).toBe(hex);
  });

  test('years have two digits until 2049', () => {
    expect(
      time(Date.UTC(2049, 11, 31, 23, 59, 59))
        .subarray(2)
        .toString(),
    ).toBe('491231235959Z');
    expect(
      time(Date.UTC(2050, 0, 1))
        .subarray(2)
        .toString(),
    ).toBe('20500101000000Z');
  });

  test('long lengths are read back', () => {
    for (const length of [0, 127, 128, 255, 256, 70_000]) {
      const inner = Buffer.alloc(length, 7);
      const read = only(sequence(inner));
      expect(read.contents.equals(inner)).toBe(true);
    }
  });

  test('any bytes are values or a DerError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          const all = values(Buffer.from(bytes));
          return all.reduce((sum, one) => sum + one.bytes.length, 0) === bytes.length;
        } catch (error) {
          return error instanceof DerError;
        }
      }),
    );
  });
});

test.each<[string, string]>([
  ['127.0.0.1', '7f000001'],
  ['::1', '00000000000000000000000000000001'],
  ['2001:db8::ff', '20010db80000000000000000000000ff'],
  ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
  ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
])('address %s', (text, hex) => {
  expect(addressBytes(text).toString('hex')).toBe(hex);
});

describe('certificates', () => {
  const authority = CertificateAuthority.create('keelson-ca', NOW);

  test('the authority is one, by its own word', () => {
    const certificate = new X509Certificate(authority.certificate);
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkIssued(certificate)).toBe(true);
    expect(Date.parse(certificate.validFrom)).toBe(NOW - 5 * 60_000);
    expect(Date.parse(certificate.validTo)).toBe(NOW + 3650 * DAY_MS);
  });

  test('a server certificate names its hosts and its use', () => {
    const pair = authority.server(
      'kube-apiserver',
      ['localhost', '127.0.0.1', '::1', 'kubernetes.default'],
      NOW,
    );
    const certificate = new X509Certificate(pair.certificate);
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkHost('kubernetes.default')).toBe('kubernetes.default');
    expect(certificate.checkHost('elsewhere')).toBeUndefined();
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    expect(certificate.keyUsage).toEqual([OID.serverAuth]);
    expect(certificate.checkPrivateKey(createPrivateKey(pair.key))).toBe(true);
  });

  test('a user certificate carries name, groups and uid, also those that look like another subject', () => {
    const pair = authority.client(
      { commonName: 'jane\nO=system:masters', organizations: ['dev', 'ops, CN=admin'], uid: 'u-1' },
      NOW,
    );
    const { subject } = readNames(new X509Certificate(pair.certificate).raw);
    expect(commonNameOf(subject)).toBe('jane\nO=system:masters');
    expect(textsOfType(subject, OID.organization)).toEqual(['dev', 'ops, CN=admin']);
    expect(textsOfType(subject, OID.userUid)).toEqual(['u-1']);
  });

  test('a loaded authority signs as before', () => {
    const loaded = CertificateAuthority.load(authority);
    const certificate = new X509Certificate(loaded.client({ commonName: 'x' }, NOW).certificate);
    expect(certificate.checkIssued(new X509Certificate(authority.certificate))).toBe(true);
    expect(certificate.verify(createPublicKey(authority.certificate))).toBe(true);
  });

  test('nothing outlives its authority', () => {
    const short = CertificateAuthority.create('short', NOW, 1);
    const certificate = new X509Certificate(short.client({ commonName: 'x' }, NOW).certificate);
    expect(Date.parse(certificate.validTo)).toBe(NOW + DAY_MS);
  });

  test('an authority with another key or without the right is refused', () => {
    const other = CertificateAuthority.create('other', NOW);
    expect(() => CertificateAuthority.load({ certificate: authority.certificate, key: other.key })).toThrow(
      'the key is not that of the certificate authority',
    );
    expect(() => CertificateAuthority.load(authority.client({ commonName: 'x' }, NOW))).toThrow(
      'the certificate is no certificate authority',
    );
  });

  test('a key of RSA is signed as well', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = authority.sign({ subject: { commonName: 'rsa' }, kind: 'client', publicKey }, NOW, DAY_MS);
    const certificate = new X509Certificate(pem);
    expect(certificate.publicKey.asymmetricKeyType).toBe('rsa');
    expect(certificate.verify(createPublicKey(authority.certificate))).toBe(true);
  });
});

describe('other programs', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'keelson-pki-'));
  });
  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  test('openssl verifies the chain for both purposes and reads the names', () => {
    const now = Date.now();
    const authority = CertificateAuthority.create('ca', now);
    const server = authority.server('api', ['localhost', '10.0.0.1'], now);
    const client = authority.client({ commonName: 'jane', organizations: ['dev'], uid: 'u-1' }, now);
    const files = { ca: authority.certificate, server: server.certificate, client: client.certificate };
    for (const [name, pem] of Object.entries(files)) writeFileSync(join(dir, `${name}.pem`), pem);
    const verify = (purpose: string, name: string): string =>
      execFileSync(
        'openssl',
        ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', `${name}.pem`],
        { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
      );
    expect(verify('sslserver', 'server')).toBe('server.pem: OK\n');
    expect(verify('sslclient', 'client')).toBe('client.pem: OK\n');
    expect(() => verify('sslserver', 'client')).toThrow();
    const text = execFileSync('openssl', ['x509', '-in', 'client.pem', '-noout', '-subject'], {
      cwd: dir,
      encoding: 'utf8',
    });
    expect(text).toMatch(/O ?= ?dev, CN ?= ?jane, 1\.3\.6\.1\.4\.1\.57683\.2 ?= ?u-1/);
  });

  test('node:tls speaks with both sides shown', async () => {
    const now = Date.now();
    const authority = CertificateAuthority.create('ca', now);
    const mine = authority.server('api', ['localhost', '127.0.0.1'], now);
    const users = authority.client({ commonName: 'jane' }, now);
    const server = createServer({
      cert: mine.certificate,
      key: mine.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const accepted = once(server, 'secureConnection');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: authority.certificate,
      cert: users.certificate,
      key: users.key,
    });
    await once(socket, 'secureConnect');
    const [peer] = (await accepted) as [TLSSocket];
    expect(socket.authorized).toBe(true);
    expect(peer.authorized).toBe(true);
    const { raw } = peer.getPeerCertificate();
    expect(commonNameOf(readNames(raw).subject)).toBe('jane');
    socket.destroy();
    peer.destroy();
    server.close();
    await once(server, 'close');
  });
});

test('a kubeconfig holds what it was given, whatever it is', () => {
  const text = kubeconfig({
    cluster: 'c: "1"',
    server: 'https://127.0.0.1:6443',
    certificateAuthority: 'CA',
    user: 'admin',
    credentials: { kind: 'token', token: 'a: b #c' },
    namespace: 'team',
  });
  expect(text).toContain('certificate-authority-data: Q0E=\n');
  expect(text).toContain('name: "c: \\"1\\""\n');
  expect(text).toContain('token: "a: b #c"\n');
  expect(text).toContain('current-context: "admin@c: \\"1\\""\n');
});
