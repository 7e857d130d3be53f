/** What a server makes for itself, keeps over restarts, and takes from files that are named. */
import { describe, expect, test } from '@jest/globals';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyIdOf } from '../authn/jwt.ts';
import { parseConfig } from '../options/command-line.ts';
import type { ServerConfig } from '../options/config.ts';
import { CertificateAuthority, DAY_MS } from '../pki/authority.ts';
import { CredentialFolder, CredentialMemory, type CredentialStore } from './credential-store.ts';
import { gatherCredentials, type ServerCredentials } from './credentials.ts';
import { publicKeysOf, writeAdminConfig } from './own-pairs.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z');

function config(...flags: string[]): ServerConfig {
  const parsed = parseConfig(['--etcd-servers=http://127.0.0.1:2379', ...flags], 'kube-apiserver');
  if (parsed.kind !== 'config') throw new Error(parsed.kind);
  return parsed.config;
}

function gather(
  store: CredentialStore,
  options: {
    readonly flags?: readonly string[];
    readonly files?: Readonly<Record<string, string>>;
    readonly names?: readonly string[];
    readonly nowMs?: number;
  } = {},
): ServerCredentials {
  const { flags = [], files = {}, names = ['localhost', '127.0.0.1'], nowMs = NOW } = options;
  const readFile = (path: string): string => {
    if (files[path] === undefined) throw new Error(`open ${path}: no such file or directory`);
    return files[path];
  };
  return gatherCredentials({ config: config(...flags), store, readFile, names, nowMs });
}

describe('of its own', () => {
  test('an authority, a certificate for its names, one for the administrator, a key for tokens', () => {
    const made = gather(new CredentialMemory());
    const authority = new X509Certificate(made.clientCa);
    const serving = new X509Certificate(made.serving.certificate);
    expect(authority.ca).toBe(true);
    expect(serving.verify(authority.publicKey)).toBe(true);
    expect(serving.checkIP('127.0.0.1')).toBe('127.0.0.1');
    const admin = new X509Certificate(made.admin?.certificate ?? '');
    expect(admin.subject).toContain('O=system:masters');
    expect(admin.verify(authority.publicKey)).toBe(true);
    expect(made.verificationKeys.map(({ id }) => id)).toEqual([keyIdOf(createPublicKey(made.signingKey))]);
    expect(made.clientAuthority?.certificate).toBe(made.clientCa);
    expect(made.rootCertificate).toBe(made.clientCa);
  });

  test('files for the owner alone, found again as they are', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-credentials-'));
    try {
      const store = new CredentialFolder(join(folder, 'pki'));
      const first = gather(store);
      const written = writeAdminConfig(store, 'https://127.0.0.1:6443', first.clientCa, first.serving);
      expect(readdirSync(join(folder, 'pki')).toSorted()).toEqual([
        'admin.conf',
        'admin.crt',
        'admin.key',
        'apiserver.crt',
        'apiserver.key',
        'ca.crt',
        'ca.key',
        'front-proxy-ca.crt',
        'front-proxy-ca.key',
        'front-proxy-client.crt',
        'front-proxy-client.key',
        'sa.key',
        'sa.pub',
      ]);
      for (const name of [
        'ca.key',
        'apiserver.key',
        'admin.key',
        'admin.conf',
        'front-proxy-ca.key',
        'front-proxy-client.key',
        'sa.key',
      ]) {
        expect(statSync(join(folder, 'pki', name)).mode & 0o777).toBe(0o600);
      }
      expect(written.path).toBe(join(folder, 'pki', 'admin.conf'));
      const again = gather(store, { nowMs: NOW + DAY_MS });
      expect(again.serving).toEqual(first.serving);
      expect(again.admin).toEqual(first.admin);
      expect(again.frontProxy).toEqual(first.frontProxy);
      expect(again.clientCa).toBe(first.clientCa);
      expect(keyIdOf(createPublicKey(again.signingKey))).toBe(keyIdOf(createPublicKey(first.signingKey)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('what runs out, or misses a name, is made anew; the authority and the key of tokens stay', () => {
    const store = new CredentialMemory();
    const first = gather(store);
    const renamed = gather(store, { names: ['localhost', '10.0.0.1'] });
    expect(renamed.serving.certificate).not.toBe(first.serving.certificate);
    expect(new X509Certificate(renamed.serving.certificate).checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(renamed.admin).toEqual(first.admin);
    const late = gather(store, { names: ['localhost', '10.0.0.1'], nowMs: NOW + 340 * DAY_MS });
    expect(late.serving.certificate).not.toBe(renamed.serving.certificate);
    expect(late.admin?.certificate).not.toBe(first.admin?.certificate);
    expect(late.clientCa).toBe(first.clientCa);
  });

  test('a certificate that was put there stays, as test environments do', () => {
    const store = new CredentialMemory();
    const theirs = CertificateAuthority.create('envtest', NOW).server('envtest', ['127.0.0.1'], NOW);
    store.write('apiserver.crt', theirs.certificate);
    store.write('apiserver.key', theirs.key);
    const clients = CertificateAuthority.create('clients', NOW);
    const made = gather(store, {
      flags: ['--client-ca-file=ca.pem', '--service-account-key-file=sa.pem'],
      files: { 'ca.pem': clients.certificate, 'sa.pem': clients.certificate },
    });
    expect(made.serving).toEqual(theirs);
    expect(made.clientCa).toBe(clients.certificate);
    expect(made.rootCertificate).toBe(theirs.certificate);
    expect(made.admin).toBeUndefined();
    expect(made.clientAuthority).toBeUndefined();
    expect(store.read('ca.crt')).toBeUndefined();
    const ofCertificate = keyIdOf(new X509Certificate(clients.certificate).publicKey);
    expect(made.verificationKeys.map(({ id }) => id)).toContain(ofCertificate);
    expect(made.verificationKeys).toHaveLength(2);
  });
});

describe('files that are named', () => {
  test.each<[string, string[], Record<string, string>, string]>([
    ['not there', ['--client-ca-file=x'], {}, 'open x: no such file or directory'],
    [
      'no key',
      ['--service-account-signing-key-file=k'],
      { k: 'hello' },
      'failed to parse service-account-issuer-key-file: ',
    ],
    [
      'no public key',
      ['--service-account-key-file=k'],
      { k: 'hello' },
      'error reading public key file k: data does not contain any valid RSA or ECDSA public keys',
    ],
  ])('%s', (_name, flags, files, message) => {
    expect(() => gather(new CredentialMemory(), { flags, files })).toThrow(message);
  });

  test('an authority that is no authority', () => {
    const store = new CredentialMemory();
    const leaf = CertificateAuthority.create('a', NOW).server('b', ['c'], NOW);
    store.write('ca.crt', leaf.certificate);
    store.write('ca.key', leaf.key);
    expect(() => gather(store)).toThrow('ca.crt cannot be used: the certificate is no certificate authority');
  });

  test('keys in their PEM forms', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const sec1 = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const spki = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const ids = publicKeysOf(`${sec1}${pkcs8}${spki}`).map((key) => keyIdOf(key));
    expect(ids).toEqual([keyIdOf(publicKey), keyIdOf(publicKey), keyIdOf(publicKey)]);
  });
});
