/**
 * Which of a peer's URLs to dial: the one that worked last, and after a failure the next, round and
 * round. (etcd: rafthttp urlpick.go.)
 */
import { assert } from '@keelson/base';
import { parseUrl, splitHostPort } from '../config/urls.ts';
import { PeerError } from './peer-error.ts';

/** A peer URL as node:http wants it: host and port, or the path of a socket. */
export interface PeerUrl {
  readonly href: string;
  /** https, unixs */
  readonly secure: boolean;
  /** Of a socket's URL, what its certificate must be for, as in Go: the host before a port, "localhost" without one. */
  readonly host: string;
  /** 0 for a socket. */
  readonly port: number;
  /** Empty for host and port. */
  readonly socketPath: string;
}

/**
 * A peer URL as etcd accepts it: scheme, host and port, and nothing after; or "unix://" and "unixs://" before a path,
 * or before what looks like host and port and names a file in the working directory.
 * @throws PeerError 'INVALID_URL', also for a scheme this transport does not speak
 */
export function parsePeerUrl(text: string): PeerUrl {
  if (/^unixs?:/.test(text)) return parseSocketUrl(text);
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new PeerError('INVALID_URL', text, { cause });
  }
  const secure = url.protocol === 'https:';
  if (
    (!secure && url.protocol !== 'http:') ||
    url.hostname === '' ||
    (url.pathname !== '/' && url.pathname !== '')
  ) {
    throw new PeerError('INVALID_URL', text);
  }
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
  return { href: text, secure, host, port, socketPath: '' };
}

function parseSocketUrl(text: string): PeerUrl {
  const url = parseUrl(text);
  if (!url.ok || url.value.socketPath === '') throw new PeerError('INVALID_URL', text);
  const { scheme, host, socketPath } = url.value;
  const name = splitHostPort(host)?.host ?? '';
  return {
    href: text,
    secure: scheme === 'unixs',
    host: name === '' ? 'localhost' : name,
    port: 0,
    socketPath,
  };
}

/** Where a request that is no message of raft goes: `path` at a member's URL; `peerRequest` takes it. */
export function peerLocation(url: string, path: string): URL {
  if (!/^unixs?:/.test(url)) return new URL(path, url);
  const { secure, socketPath } = parseSocketUrl(url);
  return new URL(`${secure ? 'unixs' : 'unix'}://${encodeURIComponent(socketPath)}${path}`);
}

export class UrlPicker {
  private urls: readonly PeerUrl[];
  private picked = 0;

  /** @param urls not empty. @throws PeerError 'INVALID_URL' */
  constructor(urls: readonly string[]) {
    assert(urls.length > 0, 'a peer has at least one URL');
    this.urls = urls.map(parsePeerUrl);
  }

  /** Replaces the URLs and starts over with the first. @throws PeerError 'INVALID_URL' (nothing changes) */
  update(urls: readonly string[]): void {
    assert(urls.length > 0, 'a peer has at least one URL');
    this.urls = urls.map(parsePeerUrl);
    this.picked = 0;
  }

  pick(): PeerUrl {
    return this.urls[this.picked];
  }

  /** Says that `url` failed; another one is picked next, unless somebody else moved on already. */
  unreachable(url: PeerUrl): void {
    if (this.urls[this.picked] === url) this.picked = (this.picked + 1) % this.urls.length;
  }
}
