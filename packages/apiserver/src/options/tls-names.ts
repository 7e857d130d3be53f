/** What --tls-cipher-suites and --tls-curve-preferences may name, in kube-apiserver's words, and OpenSSL's names of the curves. */
import { unknownCipherSuite } from '@keelson/rpc';

/** By number and by Go's name. */
const CURVES: Readonly<Record<string, string>> = {
  '23': 'P-256',
  CurveP256: 'P-256',
  '24': 'P-384',
  CurveP384: 'P-384',
  '25': 'P-521',
  CurveP521: 'P-521',
  '29': 'X25519',
  X25519: 'X25519',
  '4588': 'X25519MLKEM768',
  X25519MLKEM768: 'X25519MLKEM768',
};

/** Why one of the names cannot stand in --tls-cipher-suites. */
export function cipherSuitesProblem(names: readonly string[]): string | undefined {
  const unknown = unknownCipherSuite(names);
  return unknown === undefined ? undefined : `Cipher suite ${unknown} not supported or doesn't exist`;
}

/** OpenSSL's name of a curve that --tls-curve-preferences may name. */
export function curveOf(name: string): string | undefined {
  return Object.hasOwn(CURVES, name) ? CURVES[name] : undefined;
}
