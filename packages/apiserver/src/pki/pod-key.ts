/**
 * The key a pod wants a certificate for, and that it has it: told by a public key and a signature over the pod's UID, or
 * by a request for a certificate whose contents do not count.
 *
 * Modelled on kubernetes' pkg/apis/certificates (ValidatePodCertificateRequestCreate), whose texts these are.
 */

import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';

import { DerError, inside, only } from './der.ts';
import { derRequestError } from './certificate-request.ts';

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
  secp224r1: 'P-224',
};
const RSA_BITS: readonly number[] = [3072, 4096];

export interface PodKeyError {
  readonly field: 'pkixPublicKey' | 'proofOfPossession' | 'stubPKCS10Request';
  /** Undefined: none is shown. */
  readonly value: string | undefined;
  readonly text: string;
}

/** @param key base64 of the DER, as all bytes here */
export function proofError(key: string, proof: string, podUid: string): PodKeyError | undefined {
  const read = publicKey(Buffer.from(key, 'base64'));
  if (read === undefined) {
    return { field: 'pkixPublicKey', value: key, text: 'must be a valid PKIX-serialized public key' };
  }
  const wrong = keyError(read, 'elliptic public keys must use curve P256 or P384');
  if (wrong !== undefined) return { field: 'pkixPublicKey', ...wrong, value: wrong.value ?? key };
  const ed25519 = read.asymmetricKeyType === 'ed25519';
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  const signer = read.asymmetricKeyType === 'rsa' ? { key: read, ...padding } : read;
  const sound = verify(
    ed25519 ? undefined : 'sha256',
    Buffer.from(podUid, 'utf8'),
    signer,
    Buffer.from(proof, 'base64'),
  );
  if (sound) return undefined;
  return {
    field: 'proofOfPossession',
    value: undefined,
    text: 'could not verify proof-of-possession signature',
  };
}

/** @param request base64 of the DER of a certificate request */
export function stubRequestError(request: string): PodKeyError | undefined {
  const der = Buffer.from(request, 'base64');
  const told = (text: string, value?: string): PodKeyError => ({ field: 'stubPKCS10Request', value, text });
  try {
    const [info] = inside(only(der));
    const [, , keyInfo] = inside(info);
    const read = keyInfo === undefined ? undefined : publicKey(Buffer.from(keyInfo.bytes));
    if (read === undefined) return told('must be a valid PKCS#10 CSR');
    const wrong = keyError(read, 'elliptic public keys must use curve P256, P384, or P521');
    if (wrong !== undefined) return told(wrong.text, wrong.value);
    return derRequestError(der) === undefined ? undefined : told('invalid signature');
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return told('must be a valid PKCS#10 CSR');
  }
}

/** What a pod's key may not be. */
function keyError(
  key: KeyObject,
  curves: string,
): { readonly value: string | undefined; readonly text: string } | undefined {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return undefined;
    case 'ec': {
      const curve = CURVES[namedCurve] ?? namedCurve;
      return ['P-256', 'P-384', 'P-521'].includes(curve)
        ? undefined
        : { value: `curve ${curve}`, text: curves };
    }
    case 'rsa':
      return RSA_BITS.includes(modulusLength)
        ? undefined
        : {
            value: `${modulusLength}-bit modulus`,
            text: 'RSA keys must have modulus size 3072 or 4096',
          };
    default:
      return {
        value: undefined,
        text: 'unknown public key type; supported types are Ed25519, ECDSA, and RSA',
      };
  }
}

function publicKey(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    // OpenSSL says in many ways that it cannot read something.
    return undefined;
  }
}
