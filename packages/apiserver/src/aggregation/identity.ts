/**
 * Who asks, told to another server in headers: it believes them from whoever shows the front proxy's certificate. What a
 * client sends under these names never goes along.
 *
 * Modelled on client-go's transport SetAuthProxyHeaders.
 */

import type { UserInfo } from '../api/user-info.ts';

/** Names in lower case. */
export interface IdentityHeaders {
  readonly user: string;
  readonly uid: string;
  readonly group: string;
  readonly extraPrefix: string;
  /** All by which a server may take somebody's word for who asks; a prefix ends in a dash. */
  readonly all: readonly string[];
}

/** As `--requestheader-*` names them. */
export interface RequestHeaderNames {
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders?: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

const DEFAULT = {
  usernameHeaders: ['X-Remote-User'],
  uidHeaders: ['X-Remote-Uid'],
  groupHeaders: ['X-Remote-Group'],
  extraHeaderPrefixes: ['X-Remote-Extra-'],
} as const;

/** The first of each kind is used, so that servers that read the published ConfigMap understand it. */
export function identityHeaders(given: RequestHeaderNames | undefined): IdentityHeaders {
  const names: Required<RequestHeaderNames> = { ...DEFAULT, ...given };
  const first = (list: readonly string[], otherwise: readonly string[]): string =>
    (list[0] ?? otherwise[0] ?? '').toLowerCase();
  const all = [DEFAULT, names].flatMap(
    ({ usernameHeaders, uidHeaders, groupHeaders, extraHeaderPrefixes }) => [
      ...usernameHeaders,
      ...uidHeaders,
      ...groupHeaders,
      ...extraHeaderPrefixes,
    ],
  );
  return {
    user: first(names.usernameHeaders, DEFAULT.usernameHeaders),
    uid: first(names.uidHeaders, DEFAULT.uidHeaders),
    group: first(names.groupHeaders, DEFAULT.groupHeaders),
    extraPrefix: first(names.extraHeaderPrefixes, DEFAULT.extraHeaderPrefixes),
    all: [...new Set(all.map((name) => name.toLowerCase()))],
  };
}

/** Whether a header would say who asks; some servers take an underscore for a dash. */
export function isIdentity({ all }: IdentityHeaders, name: string): boolean {
  const dashed = name.replaceAll('_', '-');
  return all.some((one) => dashed === one || (one.endsWith('-') && dashed.startsWith(one)));
}

export function identityOf(names: IdentityHeaders, user: UserInfo): Map<string, readonly string[]> {
  const headers = new Map<string, readonly string[]>([[names.user, [onWire(user.name)]]]);
  const { uid, groups } = user;
  if (uid !== '') headers.set(names.uid, [onWire(uid)]);
  if (groups.length > 0) headers.set(names.group, groups.map(onWire));
  for (const [key, values] of Object.entries(user.extra)) {
    if (values.length > 0) headers.set(`${names.extraPrefix}${escapedKey(key)}`, values.map(onWire));
  }
  return headers;
}

/** Headers are bytes: those of a text's UTF-8. */
function onWire(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** What may not stand in a header's name, and the percent sign, as %XX of the bytes of its UTF-8. */
function escapedKey(key: string): string {
  return [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return /[!#$&'*+\-.^_`|~0-9A-Za-z]/.test(letter)
        ? letter
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('')
    .toLowerCase();
}
