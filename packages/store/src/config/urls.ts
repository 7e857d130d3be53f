/**
 * The URLs of listeners, members and clients, read by the rules of Go's net/url and etcd's own on top,
 * with their error texts. Not the WHATWG URL: that one lower-cases, adds slashes and drops default
 * ports, and a member's id is a hash over the exact text. Never resolves a name.
 */
import { isIP } from 'node:net';

import { type Parsed, goQuote, parsed, refused } from './go-values.ts';

/** An address of etcd's kind: a scheme with host and port, or a unix socket. */
export interface EtcdUrl {
  readonly scheme: 'http' | 'https' | 'unix' | 'unixs';
  /** As written, IPv6 in brackets: "10.0.0.1:2379". Empty for "unix:/path". */
  readonly host: string;
  /** Host without port and brackets. */
  readonly hostname: string;
  /** 0 where none was given (the system then chooses), and for sockets. */
  readonly port: number;
  /** The file of a unix socket, as Go reads it: host and path, or what follows "unix:". Empty for the other schemes. */
  readonly socketPath: string;
  /** The canonical text, equal to Go's URL.String(); member ids are computed over it. */
  readonly text: string;
}

interface RawUrl {
  readonly scheme: string;
  readonly user: string;
  readonly host: string;
  readonly path: string;
  readonly opaque: string;
  readonly query: string;
  readonly fragment: string;
  /** Whether "//" stood before host and path. */
  readonly authority: boolean;
}

/** Splits off the scheme; an empty scheme where there is none. */
function splitScheme(text: string): Parsed<readonly [string, string]> {
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (/[a-zA-Z]/.test(char)) continue;
    if (/[0-9+.-]/.test(char)) {
      if (i === 0) return parsed(['', text]);
      continue;
    }
    if (char === ':') {
      if (i === 0) return refused('missing protocol scheme');
      return parsed([text.slice(0, i).toLowerCase(), text.slice(i + 1)]);
    }
    break;
  }
  return parsed(['', text]);
}

function badEscape(text: string): string | undefined {
  for (let i = text.indexOf('%'); i >= 0; i = text.indexOf('%', i + 3)) {
    const escape = text.slice(i, i + 3);
    if (!/^%[0-9a-fA-F]{2}$/.test(escape)) return `invalid URL escape ${goQuote(escape)}`;
  }
  return undefined;
}

/** Why `host` (with its port) cannot stand in a URL. */
function hostProblem(host: string): string | undefined {
  let port: string;
  if (host.startsWith('[')) {
    const end = host.lastIndexOf(']');
    if (end < 0) return "missing ']' in host";
    port = host.slice(end + 1);
  } else {
    const colon = host.lastIndexOf(':');
    port = colon < 0 ? '' : host.slice(colon);
  }
  if (!/^(?::[0-9]*)?$/.test(port)) return `invalid port ${goQuote(port)} after host`;
  const escape = badEscape(host);
  if (escape !== undefined) return escape;
  // In a host only bytes beyond ASCII, and the percent sign itself, may be escaped.
  for (const match of host.matchAll(/%[0-7][0-9a-fA-F]/g)) {
    if (match[0] !== '%25') return `invalid URL escape ${goQuote(match[0])}`;
  }
  const bad = /[^A-Za-z0-9!$&'()*+,;=:[\]<>"\-_.~%\u0080-\u{10ffff}]/u.exec(host);
  return bad === null ? undefined : `invalid character ${goQuote(bad[0])} in host name`;
}

function parseRaw(whole: string): Parsed<RawUrl> {
  const hash = whole.indexOf('#');
  const text = hash < 0 ? whole : whole.slice(0, hash);
  const fragment = hash < 0 ? '' : whole.slice(hash);
  const fail = (problem: string): Parsed<RawUrl> => refused(`parse ${goQuote(text)}: ${problem}`);
  for (const char of text) {
    if (char < ' ' || char === '\u007f') return fail('net/url: invalid control character in URL');
  }
  const split = splitScheme(text);
  if (!split.ok) return fail(split.error);
  const scheme = split.value[0];
  let rest = split.value[1];
  const question = rest.indexOf('?');
  const query = question < 0 ? '' : rest.slice(question);
  if (question >= 0) rest = rest.slice(0, question);
  const none = { scheme, user: '', host: '', path: '', opaque: '', query, fragment, authority: false };
  if (!rest.startsWith('/')) {
    if (scheme !== '') return parsed({ ...none, opaque: rest });
    const segment = rest.split('/', 1)[0];
    if (segment.includes(':')) return fail('first path segment in URL cannot contain colon');
  }
  let user = '';
  let host = '';
  let authority = false;
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    authority = true;
    const slash = rest.indexOf('/', 2);
    const joined = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
    rest = slash < 0 ? '' : rest.slice(slash);
    const at = joined.lastIndexOf('@');
    if (at >= 0) user = joined.slice(0, at);
    host = joined.slice(at + 1);
    const problem = hostProblem(host);
    if (problem !== undefined) return fail(problem);
    if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) return fail('net/url: invalid userinfo');
    const userEscape = badEscape(user);
    if (userEscape !== undefined) return fail(userEscape);
  }
  const escape = badEscape(rest);
  if (escape !== undefined) return fail(escape);
  return parsed({ ...none, user, host, path: rest, authority });
}

/** net.SplitHostPort; undefined where the text is no "host:port". An empty port is one. */
export function splitHostPort(text: string): { readonly host: string; readonly port: string } | undefined {
  const bracketed = /^\[([^[\]]*)\]:([^:[\]]*)$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1], port: bracketed[2] };
  const plain = /^([^:[\]]*):([^:[\]]*)$/.exec(text);
  return plain === null ? undefined : { host: plain[1], port: plain[2] };
}

function textOf(raw: RawUrl): string {
  if (raw.opaque !== '') return `${raw.scheme}:${raw.opaque}${raw.query}${raw.fragment}`;
  const user = raw.user === '' ? '' : `${raw.user}@`;
  const slashes = raw.authority ? '//' : '';
  return `${raw.scheme}:${slashes}${user}${raw.host}${raw.path}${raw.query}${raw.fragment}`;
}

/**
 * One URL: http or https with host and port and no path, or unix or unixs with any file path.
 *
 * @returns the error text is etcd's and names the URL itself
 */
export function parseUrl(given: string): Parsed<EtcdUrl> {
  const text = given.trim();
  const result = parseRaw(text);
  if (!result.ok) return result;
  const raw = result.value;
  switch (raw.scheme) {
    case 'http':
    case 'https': {
      const address = splitHostPort(raw.host);
      if (address === undefined) return refused(`URL address does not have the form "host:port": ${text}`);
      if (raw.path !== '') return refused(`URL must not contain a path: ${text}`);
      return parsed({
        scheme: raw.scheme,
        host: raw.host,
        hostname: address.host,
        port: Number(address.port),
        socketPath: '',
        text: textOf(raw),
      });
    }
    case 'unix':
    case 'unixs':
      return parsed({
        scheme: raw.scheme,
        host: raw.host,
        hostname: '',
        port: 0,
        socketPath: unescaped(raw.opaque === '' ? raw.host + raw.path : raw.opaque),
        text: textOf(raw),
      });
    default:
      return refused(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
}

/** Escapes that are no UTF-8 stay as they are written. */
function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Whether the URL names a file, and not a host and a port. */
export function isSocketUrl({ scheme }: EtcdUrl): boolean {
  return scheme === 'unix' || scheme === 'unixs';
}

/** Go's listen text for a URL: "tcp 127.0.0.1:2379", "unix /run/etcd.sock". */
export function addressText(url: EtcdUrl): string {
  return isSocketUrl(url) ? `unix ${url.socketPath}` : `tcp ${url.host}`;
}

function byText(a: EtcdUrl, b: EtcdUrl): number {
  return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
}

/** All of `texts`, sorted by their text; the first bad one, in the given order, decides the error. */
export function parseUrlList(texts: readonly string[]): Parsed<readonly EtcdUrl[]> {
  if (texts.length === 0) return refused('no valid URLs given');
  const urls: EtcdUrl[] = [];
  for (const text of texts) {
    const url = parseUrl(text);
    if (!url.ok) return url;
    urls.push(url.value);
  }
  return parsed(urls.sort(byText));
}

/** A comma-separated list without repetitions, as the URL flags take it. */
export function parseUniqueUrls(text: string): Parsed<readonly EtcdUrl[]> {
  const list = parseUrlList(text.split(','));
  if (!list.ok) return list;
  return parsed(list.value.filter((url, i, all) => i === 0 || all[i - 1].text !== url.text));
}

export function urlTexts(urls: readonly EtcdUrl[]): string[] {
  return urls.map((url) => url.text);
}

/** Go would listen where nobody finds it. */
function noPath({ text }: EtcdUrl): string {
  return `unexpected empty path (${text})`;
}

/** Why one of the URLs cannot be listened on (a name other than localhost, an impossible port). */
export function bindProblem(urls: readonly EtcdUrl[]): string | undefined {
  for (const url of urls) {
    if (isSocketUrl(url)) {
      if (url.socketPath === '') return noPath(url);
      continue;
    }
    if (url.hostname !== 'localhost' && (isIP(url.hostname) === 0 || url.hostname.includes('%'))) {
      return `expected IP in URL for binding (${url.text})`;
    }
    if (url.port > 65_535) return `listen tcp: address ${url.port}: invalid port`;
  }
  return undefined;
}

/** Why one of the URLs cannot be advertised to others (no host). */
export function hostlessProblem(urls: readonly EtcdUrl[]): string | undefined {
  for (const url of urls) {
    if (isSocketUrl(url)) {
      if (url.socketPath === '') return noPath(url);
      continue;
    }
    if (url.hostname === '') return `unexpected empty host (${url.text})`;
  }
  return undefined;
}
