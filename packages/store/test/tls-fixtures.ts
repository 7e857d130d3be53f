/** An authority of a test, and what it signs, in a directory of its own that the test removes. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  makeCertificate,
  makeRevocationList,
  type CertificateFields,
  type Certified,
} from '../src/tls/certificate.ts';
import type { TlsSettings } from '../src/tls/tls-settings.ts';

const HOUR_MS = 3_600_000;

/** A certificate on disk. */
export interface Issued extends Certified {
  readonly certFile: string;
  readonly keyFile: string;
}

export class TestAuthority {
  readonly directory = mkdtempSync(join(tmpdir(), 'keelson-tls-'));
  readonly caFile = join(this.directory, 'ca.pem');
  readonly certified: Certified;

  constructor(commonName = 'test authority') {
    this.certified = makeCertificate({
      commonName,
      notBeforeMs: Date.now() - HOUR_MS,
      notAfterMs: Date.now() + HOUR_MS,
      usages: [],
      authority: true,
    });
    writeFileSync(this.caFile, this.certified.certificate);
  }

  /** For 127.0.0.1 and localhost, server and client, valid now, unless said otherwise. */
  issue(name: string, fields: Partial<CertificateFields> = {}): Issued {
    const certified = makeCertificate(
      {
        commonName: name,
        dnsNames: ['localhost'],
        ipAddresses: ['127.0.0.1'],
        notBeforeMs: Date.now() - HOUR_MS,
        notAfterMs: Date.now() + HOUR_MS,
        usages: ['server', 'client'],
        ...fields,
      },
      this.certified,
    );
    return this.write(name, certified);
  }

  /** Writes a pair under this name, over one that may be there. */
  write(name: string, certified: Certified): Issued {
    const certFile = join(this.directory, `${name}.pem`);
    const keyFile = join(this.directory, `${name}.key.pem`);
    writeFileSync(certFile, certified.certificate);
    writeFileSync(keyFile, certified.key);
    return { ...certified, certFile, keyFile };
  }

  /** A list of the revoked, in a file. */
  revoke(...revoked: readonly Certified[]): string {
    const certificates = revoked.map(({ certificate }) => new X509Certificate(certificate));
    const file = join(this.directory, 'revoked.crl');
    writeFileSync(file, makeRevocationList(this.certified, certificates, Date.now(), Date.now() + HOUR_MS));
    return file;
  }

  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Settings that only say what is given. */
export function tlsSettings(given: Partial<TlsSettings> = {}): TlsSettings {
  return {
    certFile: '',
    keyFile: '',
    clientCertFile: '',
    clientKeyFile: '',
    trustedCaFile: '',
    clientCertAuth: false,
    crlFile: '',
    allowedCns: [],
    allowedHostnames: [],
    skipClientSanVerification: true,
    selfSigned: false,
    ciphers: undefined,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ...given,
  };
}
