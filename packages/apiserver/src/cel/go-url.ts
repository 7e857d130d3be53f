/**
 * URLs as Go's net/url reads them, which is what Kubernetes' `url()` and format `uri` mean; a browser's URL takes and
 * refuses other things. A text must be one of a request first (ParseRequestURI: an absolute URL or an absolute path,
 * without a fragment); its parts are those of what Parse() makes of it. Error texts are Go's.
 *
 * All work is done on bytes, each a character of a latin1 text, since an escape may hold a part of a character.
 */

import { goQuote } from '@keelson/base';
import { parseAddress } from './ip-address.ts';
import { CelError } from './values.ts';

export interface Url {
  /** As it is written again: two with the same one are equal. */
  readonly text: string;
  readonly scheme: string;
  /** With the port, and with the brackets of an IPv6 address. */
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly escapedPath: string;
  readonly query: string;
}

type Part = 'host' | 'zone' | 'path' | 'user' | 'query' | 'fragment';

const UNRESERVED = /[A-Za-z0-9\-_.~]/;
/** What each part keeps as it is, beside those. */
const KEPT: Readonly<Record<Part, RegExp>> = {
  host: /[!$&'()*+,;=:[\]<>"]/,
  zone: /[!$&'()*+,;=:[\]<>"]/,
  path: /[$&+,/:;=@]/,
  user: /[$&+,;=]/,
  query: /(?!)/,
  fragment: /[$&+,/:;=?@!()*]/,
};
const isKept = (byte: string, part: Part): boolean => UNRESERVED.test(byte) || KEPT[part].test(byte);

const latin1 = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};
const toBytes = (text: string): string => latin1(new TextEncoder().encode(text));
const fromBytes = (bytes: string): string =>
  new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));

/** What is wrong with a part; thrown and caught in this file only. */
class BadUrl extends Error {}

const quoted = (bytes: string): string => goQuote(fromBytes(bytes));

function unescape(text: string, part: Part): string {
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === '%') {
      const escape = text.slice(i, i + 3);
      if (!/^%[0-9A-Fa-f]{2}$/.test(escape)) throw new BadUrl(`invalid URL escape ${quoted(escape)}`);
      const code = Number.parseInt(escape.slice(1), 16);
      const refused =
        escape !== '%25' &&
        ((part === 'host' && code < 0x80) ||
          (part === 'zone' && code !== 0x20 && !isKept(String.fromCharCode(code), 'host')));
      if (refused) throw new BadUrl(`invalid URL escape ${quoted(escape)}`);
      i += 2;
    } else if ((part === 'host' || part === 'zone') && byte < '\u0080' && !isKept(byte, part)) {
      throw new BadUrl(`invalid character ${quoted(byte)} in host name`);
    }
  }
  const spaced = part === 'query' ? text.replaceAll('+', ' ') : text;
  return spaced.replace(/%([0-9A-Fa-f]{2})/g, (_escape, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function escape(text: string, part: Part): string {
  let out = '';
  for (const byte of text) {
    if (isKept(byte, part)) out += byte;
    else out += `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

interface Parts {
  scheme: string;
  opaque: string;
  user: string | undefined;
  host: string;
  rawPath: string;
  query: string;
  forceQuery: boolean;
  omitHost: boolean;
}

function schemeOf(text: string): readonly [string, string] {
  if (text.startsWith(':')) throw new BadUrl('missing protocol scheme');
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1];
  return scheme === undefined ? ['', text] : [scheme, text.slice(scheme.length + 1)];
}

const isPort = (text: string): boolean => /^(?::\d*)?$/.test(text);
const portError = (port: string): BadUrl => new BadUrl(`invalid port ${quoted(port)} after host`);

function readHost(scheme: string, host: string): string {
  const open = host.lastIndexOf('[');
  if (open > 0) throw new BadUrl('invalid IP-literal');
  if (open === 0) {
    const close = host.lastIndexOf(']');
    if (close < 0) throw new BadUrl("missing ']' in host");
    const port = host.slice(close + 1);
    if (!isPort(port)) throw portError(port);
    const name = host.slice(1, close);
    const zone = name.indexOf('%25');
    const plain =
      zone < 0
        ? unescape(name, 'host')
        : unescape(name.slice(0, zone), 'host') + unescape(name.slice(zone), 'zone');
    const address = parseAddress(fromBytes(plain));
    if (address instanceof CelError) throw new BadUrl(`invalid host: ${address.message}`);
    if (address.bits === 32) throw new BadUrl('invalid IP-literal');
    return `[${plain}]${port}`;
  }
  const first = host.indexOf(':');
  if (first >= 0) {
    // A web server's name has one colon at most.
    const port = host.slice(scheme === 'http' || scheme === 'https' ? first : host.lastIndexOf(':'));
    if (!isPort(port)) throw portError(port);
  }
  return unescape(host, 'host');
}

function readUser(user: string): string {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new BadUrl('net/url: invalid userinfo');
  const colon = user.indexOf(':');
  const names = colon < 0 ? [user] : [user.slice(0, colon), user.slice(colon + 1)];
  return names.map((name) => escape(unescape(name, 'user'), 'user')).join(':');
}

function parse(text: string, ofRequest: boolean): Parts {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) throw new BadUrl('net/url: invalid control character in URL');
  if (text === '' && ofRequest) throw new BadUrl('empty url');
  const parts: Parts = {
    scheme: '',
    opaque: '',
    user: undefined,
    host: '',
    rawPath: '',
    query: '',
    forceQuery: false,
    omitHost: false,
  };
  if (text === '*') return { ...parts, rawPath: '*' };
  const [written, behind] = schemeOf(text);
  const scheme = written.toLowerCase();
  const question = behind.indexOf('?');
  let rest = question < 0 ? behind : behind.slice(0, question);
  const query = question < 0 ? '' : behind.slice(question + 1);
  Object.assign(parts, { scheme, query, forceQuery: question === behind.length - 1 && question >= 0 });
  if (!rest.startsWith('/')) {
    if (scheme !== '') return { ...parts, opaque: rest };
    if (ofRequest) throw new BadUrl('invalid URI for request');
    if (rest.split('/', 1)[0].includes(':'))
      throw new BadUrl('first path segment in URL cannot contain colon');
  }
  if ((scheme !== '' || (!ofRequest && !rest.startsWith('///'))) && rest.startsWith('//')) {
    const slash = rest.indexOf('/', 2);
    const authority = rest.slice(2, slash < 0 ? undefined : slash);
    rest = slash < 0 ? '' : rest.slice(slash);
    const at = authority.lastIndexOf('@');
    parts.host = readHost(scheme, authority.slice(at + 1));
    if (at >= 0) parts.user = readUser(authority.slice(0, at));
  } else if (scheme !== '' && rest.startsWith('/')) {
    parts.omitHost = true;
  }
  unescape(rest, 'path');
  return { ...parts, rawPath: rest };
}

/** A path that is validly written stays as it is. */
function escapedPath(raw: string): string {
  const written = raw.replace(/%[0-9A-Fa-f]{2}/g, '');
  const stays = Array.from(written).every((byte) => isKept(byte, 'path') || /[!'()*[\]]/.test(byte));
  return stays ? raw : escape(unescape(raw, 'path'), 'path');
}

function written(parts: Parts, fragment: string): string {
  let text = parts.scheme === '' ? '' : `${parts.scheme}:`;
  if (parts.opaque === '') {
    const path = escapedPath(parts.rawPath);
    const { host, user } = parts;
    if ((parts.scheme !== '' || host !== '' || user !== undefined) && !parts.omitHost) {
      if (host !== '' || path !== '' || user !== undefined) text += '//';
      if (user !== undefined) text += `${user}@`;
      text += escape(host, 'host');
    }
    text += path;
  } else text += parts.opaque;
  if (parts.forceQuery || parts.query !== '') text += `?${parts.query}`;
  return fragment === '' ? text : `${text}#${escape(unescape(fragment, 'fragment'), 'fragment')}`;
}

function hostParts(host: string): { readonly hostname: string; readonly port: string } {
  const colon = host.lastIndexOf(':');
  const hasPort = colon >= 0 && isPort(host.slice(colon));
  const name = hasPort ? host.slice(0, colon) : host;
  return {
    hostname: name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name,
    port: hasPort ? host.slice(colon + 1) : '',
  };
}

export function parseUrl(text: string): Url | CelError {
  const bytes = toBytes(text);
  const hash = bytes.indexOf('#');
  const whole = hash < 0 ? bytes : bytes.slice(0, hash);
  let shown = bytes;
  try {
    parse(bytes, true);
    shown = whole;
    const parts = parse(whole, false);
    shown = bytes;
    const again = written(parts, hash < 0 ? '' : bytes.slice(hash + 1));
    const { hostname, port } = hostParts(parts.host);
    return {
      text: again,
      scheme: parts.scheme,
      host: fromBytes(parts.host),
      hostname: fromBytes(hostname),
      port,
      escapedPath: fromBytes(escapedPath(parts.rawPath)),
      query: parts.query,
    };
  } catch (error) {
    if (error instanceof BadUrl) return new CelError(`parse ${quoted(shown)}: ${error.message}`);
    throw error;
  }
}

/** The parameters of the query, unescaped; those that cannot be read are left out. */
export function queryOf(url: Url): ReadonlyMap<string, readonly string[]> {
  const query: Map<string, string[]> = new Map();
  for (const part of url.query.split('&')) {
    if (part === '' || part.includes(';')) continue;
    const equals = part.indexOf('=');
    let key: string;
    let value: string;
    try {
      key = fromBytes(unescape(equals < 0 ? part : part.slice(0, equals), 'query'));
      value = equals < 0 ? '' : fromBytes(unescape(part.slice(equals + 1), 'query'));
    } catch (error) {
      if (error instanceof BadUrl) continue;
      throw error;
    }
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  return query;
}
