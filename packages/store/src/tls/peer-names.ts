/**
 * What is asked of a certificate beyond its chain: that its names fit the address it comes from, that its common
 * name or a host name is an allowed one, that it was not revoked. Texts are etcd's (client/pkg/transport).
 */
import type { X509Certificate } from 'node:crypto';
import { lookup, reverse } from 'node:dns/promises';
import { TlsFileError, describeCertificate, hostnameProblem, readTlsFile } from '@keelson/rpc';
import { errorMessageOf } from '../disk/error-code.ts';
import { goQuote } from '../config/go-values.ts';
import { DerError } from './der.ts';
import { plainSerial, revokedSerials } from './revocation.ts';
import type { TlsSettings } from './tls-settings.ts';

/** Names and addresses, as the system's resolver knows them. */
export interface Resolver {
  /** Names of an address. */
  readonly reverse: (address: string) => Promise<readonly string[]>;
  /** Addresses of a name. */
  readonly lookup: (name: string) => Promise<readonly string[]>;
}

export const systemResolver: Resolver = {
  reverse,
  lookup: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};

/** A common name or host name out of the allowed ones; undefined when the certificate has one. */
export function allowedProblem(settings: TlsSettings, certificate: X509Certificate): string | undefined {
  const { allowedCns, allowedHostnames } = settings;
  if (allowedCns.length === 0 && allowedHostnames.length === 0) return undefined;
  const allowed =
    allowedCns.length > 0
      ? allowedCns.includes(describeCertificate(certificate).commonName)
      : allowedHostnames.some((name) => hostnameProblem(certificate, name) === undefined);
  return allowed ? undefined : 'client certificate authentication failed';
}

/**
 * A peer's certificate must be for the address it comes from, if it is for any name at all; a name counts when it
 * resolves to the address, or the address to it.
 */
export async function addressProblem(
  certificate: X509Certificate,
  address: string,
  resolver: Resolver,
): Promise<string | undefined> {
  const { dnsNames, ipAddresses } = describeCertificate(certificate);
  if (ipAddresses.length > 0) {
    const problem = hostnameProblem(certificate, address);
    if (problem === undefined || dnsNames.length === 0) return problem;
  }
  if (dnsNames.length === 0) return undefined;
  let failure = '';
  const plain = dnsNames.filter((name) => !name.startsWith('*.'));
  const suffixes = dnsNames.filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  try {
    const names = (await resolver.reverse(address)).map((name) => name.replace(/\.$/, ''));
    if (names.some((name) => plain.includes(name) || suffixes.some((suffix) => name.endsWith(suffix))))
      return undefined;
  } catch (error) {
    failure = ` (${errorMessageOf(error)})`;
  }
  for (const name of plain) {
    try {
      if ((await resolver.lookup(name)).includes(address)) return undefined;
    } catch (error) {
      failure = ` (${errorMessageOf(error)})`;
    }
  }
  const quoted = dnsNames.map(goQuote).join(' ');
  return `tls: ${goQuote(address)} does not match any of DNSNames [${quoted}]${failure}`;
}

/** Whether a certificate that was shown stands in the list of the revoked; the list is read now. */
export function revocationProblem(
  crlFile: string,
  certificates: readonly X509Certificate[],
): string | undefined {
  if (crlFile === '') return undefined;
  let revoked: ReadonlySet<string>;
  try {
    revoked = revokedSerials(readTlsFile(crlFile));
  } catch (error) {
    // No list is no reason to believe anybody.
    if (error instanceof TlsFileError) return error.message;
    if (error instanceof DerError) return `x509: malformed crl: ${error.message}`;
    throw error;
  }
  const found = certificates.find((each) => revoked.has(plainSerial(each.serialNumber)));
  if (found === undefined) return undefined;
  // Go prints whole bytes.
  const serial = plainSerial(found.serialNumber);
  return `transport: certificate serial ${serial.padStart(serial.length + (serial.length % 2), '0')} revoked`;
}
