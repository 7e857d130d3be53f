/** Paths of URLs between their decoded form and the one that is sent, as Go's net/url writes them. Pure. */

/** Bytes that stand for themselves in a path. */
const PLAIN = /[A-Za-z0-9\-_.~$&+,/:;=@]/;

/** A decoded path as it is sent. */
export function escapedPath(path: string): string {
  let out = '';
  for (const byte of Buffer.from(path, 'utf8')) {
    const char = String.fromCharCode(byte);
    out += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export interface Rewriting {
  /** What the client asked for before the path at the other server: `/api/v1/namespaces/default/pods/web/proxy`. */
  readonly prefix: string;
  /** `host:port` of the other server. */
  readonly backend: string;
  /** The host the client asked. */
  readonly asked: string;
}

/**
 * A URL of the other server's as the client can follow it: under the prefix, where it is an absolute path of that server.
 * Others are left as they are.
 */
export function rewrittenUrl(text: string, { prefix, backend, asked }: Rewriting): string {
  const parts = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is.exec(text);
  if (parts === null) return text;
  const [, scheme = '', host = '', path, rest] = parts;
  const foreign = host !== '' && host !== backend && host !== asked;
  if (foreign || !path.startsWith('/')) return text;
  const kept = host === asked && host !== '' ? `${scheme === '' ? '' : `${scheme}:`}//${host}` : '';
  if (path.startsWith(prefix)) return `${kept}${path}${rest}`;
  return `${kept}${prefix}${path}${rest}`;
}
