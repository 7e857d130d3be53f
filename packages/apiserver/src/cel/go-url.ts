/**
 * URLs as Go's net/url reads them (ParseRequestURI: an absolute URL or an absolute path), which is what Kubernetes'
 * `url()` and format `uri` mean; a browser's URL takes and refuses other things. Error texts are Go's.
 */

import { CelError } from './values.ts';

export interface Url {
  readonly text: string;
  readonly scheme: string;
  /** With the port, and with the brackets of an IPv6 address. */
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly escapedPath: string;
  readonly query: string;
}

const fail = (text: string, why: string): CelError => new CelError(`parse ${JSON.stringify(text)}: ${why}`);

const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2}).{0,2}/s;
const HOST = /^[A-Za-z0-9\-._~!$&'()*+,;=:[\]<>"%\u0080-\uffff]*$/;
/** What a path keeps as it is; everything else is written as escapes of its UTF-8. */
const PATH_KEPT = /[A-Za-z0-9\-_.~$&+,/:;=@!'()*[\]]/;

function escapePath(path: string): string {
  const written = path.replace(/%[0-9A-Fa-f]{2}/g, '');
  // A path that is validly escaped already stays as it is written.
  if (Array.from(written).every((sign) => PATH_KEPT.test(sign))) return path;
  return Array.from(unescape(path, false))
    .map((sign) =>
      /[A-Za-z0-9\-_.~$&+,/:;=@]/.test(sign) ? sign : encodeURIComponent(sign).replace(/[!'()*]/g, percent),
    )
    .join('');
}

const percent = (sign: string): string => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`;

function unescape(text: string, plusIsSpace: boolean): string {
  const bytes: number[] = [];
  const source = new TextEncoder().encode(text);
  for (let i = 0; i < source.length; i++) {
    if (source[i] === 0x25) {
      bytes.push(Number.parseInt(String.fromCharCode(source[i + 1], source[i + 2]), 16));
      i += 2;
    } else {
      bytes.push(plusIsSpace && source[i] === 0x2b ? 0x20 : source[i]);
    }
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

function portOf(host: string): { readonly hostname: string; readonly port: string } | string {
  if (host.startsWith('[')) {
    const close = host.lastIndexOf(']');
    if (close < 0) return "missing ']' in host";
    const rest = host.slice(close + 1);
    if (!/^(?::\d*)?$/.test(rest)) return `invalid port ${JSON.stringify(rest)} after host`;
    return { hostname: host.slice(1, close), port: rest.slice(1) };
  }
  const colon = host.indexOf(':');
  if (colon < 0) return { hostname: host, port: '' };
  const last = host.lastIndexOf(':');
  const port = host.slice(last);
  if (colon !== last || !/^:\d*$/.test(port)) return `invalid port ${JSON.stringify(port)} after host`;
  return { hostname: host.slice(0, colon), port: port.slice(1) };
}

export function parseUrl(text: string): Url | CelError {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) return fail(text, 'net/url: invalid control character in URL');
  if (text === '') return fail(text, 'empty url');
  if (text === '*')
    return { text, scheme: '', host: '', hostname: '', port: '', escapedPath: '*', query: '' };
  if (text.startsWith(':')) return fail(text, 'missing protocol scheme');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1] ?? '';
  let rest = scheme === '' ? text : text.slice(scheme.length + 1);
  if (scheme === '' && /^[0-9+.-][^/]*:/.test(text)) {
    return fail(text, 'first path segment in URL cannot contain colon');
  }
  // The fragment is cut for the parts; ParseRequestURI itself knows none.
  const hash = rest.indexOf('#');
  const fragmentless = hash < 0 ? rest : rest.slice(0, hash);
  const question = fragmentless.indexOf('?');
  const query = question < 0 ? '' : fragmentless.slice(question + 1);
  rest = question < 0 ? fragmentless : fragmentless.slice(0, question);
  if (!rest.startsWith('/')) {
    if (scheme === '') return fail(text, 'invalid URI for request');
    return { text, scheme: scheme.toLowerCase(), host: '', hostname: '', port: '', escapedPath: '', query };
  }
  let host = '';
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    const slash = rest.indexOf('/', 2);
    const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
    rest = slash < 0 ? '' : rest.slice(slash);
    const at = authority.lastIndexOf('@');
    if (at >= 0 && !/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) {
      return fail(text, 'net/url: invalid userinfo');
    }
    host = authority.slice(at + 1);
    if (!HOST.test(host)) {
      const bad = Array.from(host).find((sign) => !HOST.test(sign)) ?? '';
      return fail(text, `invalid character ${JSON.stringify(bad)} in host name`);
    }
  }
  const named = portOf(host);
  if (typeof named === 'string') return fail(text, named);
  const escape = BAD_ESCAPE.exec(rest);
  if (escape !== null) return fail(text, `invalid URL escape ${JSON.stringify(escape[0])}`);
  return { text, scheme: scheme.toLowerCase(), host, ...named, escapedPath: escapePath(rest), query };
}

/** The parameters of the query, unescaped; those that cannot be read are left out. */
export function queryOf(url: Url): ReadonlyMap<string, readonly string[]> {
  const query: Map<string, string[]> = new Map();
  for (const part of url.query.split('&')) {
    if (part === '' || part.includes(';') || BAD_ESCAPE.test(part)) continue;
    const equals = part.indexOf('=');
    const key = unescape(equals < 0 ? part : part.slice(0, equals), true);
    const value = equals < 0 ? '' : unescape(part.slice(equals + 1), true);
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  return query;
}
