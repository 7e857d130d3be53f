/**
 * What Go calls the cipher suites and curves of TLS, and what OpenSSL calls them. Go lists suites of TLS 1.3 as well;
 * there nobody chooses between them, so they are understood and change nothing.
 */

const SUITES: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 'DES-CBC3-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_CBC_SHA256: 'AES128-SHA256',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: 'ECDHE-ECDSA-AES128-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 'ECDHE-RSA-DES-CBC3-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: 'ECDHE-RSA-AES128-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
};

const TLS13: readonly string[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];

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
  const unknown = names.find((name) => !Object.hasOwn(SUITES, name) && !TLS13.includes(name));
  return unknown === undefined ? undefined : `Cipher suite ${unknown} not supported or doesn't exist`;
}

/** OpenSSL's list: the named ones of TLS 1.2 in their order, all of TLS 1.3's behind them; undefined without names. */
export function opensslCiphers(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const chosen = names.flatMap((name) => (Object.hasOwn(SUITES, name) ? [SUITES[name]] : []));
  return [...chosen, ...TLS13].join(':');
}

/** OpenSSL's name of a curve that --tls-curve-preferences may name. */
export function curveOf(name: string): string | undefined {
  return Object.hasOwn(CURVES, name) ? CURVES[name] : undefined;
}
