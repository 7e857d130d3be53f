/**
 * --auth-token: the kind of tokens and its options, "simple" or "jwt,sign-method=RS256,priv-key=FILE,…" (etcd:
 * server/auth/store.go decomposeOpts, options.go). It reads no file.
 */
import { parseGoDuration } from '../config/go-values.ts';

/** What golang-jwt calls its methods; "none" is not among them. */
export const SIGN_METHODS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'HS256',
  'HS384',
  'HS512',
  'EdDSA',
] as const;
export type SignMethod = (typeof SIGN_METHODS)[number];

export interface JwtOptions {
  readonly signMethod: SignMethod;
  /** PEM; with it alone tokens are checked and none is issued. '' for none. */
  readonly publicKeyFile: string;
  /** PEM, or for HS… the secret itself. '' for none. */
  readonly privateKeyFile: string;
  readonly ttlMs: number;
}

export type TokenOptions =
  | { readonly kind: 'simple' }
  /** Users come by certificate alone. */
  | { readonly kind: 'none' }
  | { readonly kind: 'jwt'; readonly jwt: JwtOptions; readonly unknown: readonly string[] };

const JWT_TTL_MS_DEFAULT = 300_000;
const KNOWN: readonly string[] = ['sign-method', 'pub-key', 'priv-key', 'ttl'];

/** @returns undefined where etcd says "auth: invalid auth options" */
export function parseTokenOptions(text: string): TokenOptions | undefined {
  const [kind, ...pairs] = text.split(',');
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const parts = pair.split('=');
    if (parts.length !== 2 || options.has(parts[0])) return undefined;
    options.set(parts[0], parts[1]);
  }
  if (kind === 'simple') return { kind };
  if (kind === '') return { kind: 'none' };
  if (kind !== 'jwt') return undefined;
  const ttlText = options.get('ttl') ?? '';
  const ttl = ttlText === '' ? undefined : parseGoDuration(ttlText);
  if (ttl?.ok === false) return undefined;
  const signMethod = SIGN_METHODS.find((method) => method === options.get('sign-method'));
  if (signMethod === undefined) return undefined;
  return {
    kind,
    jwt: {
      signMethod,
      publicKeyFile: options.get('pub-key') ?? '',
      privateKeyFile: options.get('priv-key') ?? '',
      ttlMs: ttl === undefined ? JWT_TTL_MS_DEFAULT : ttl.value,
    },
    unknown: [...options.keys()].filter((name) => !KNOWN.includes(name)),
  };
}
