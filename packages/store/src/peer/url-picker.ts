/**
 * Which of a peer's URLs to dial: the one that worked last, and after a failure the next, round and
 * round. (etcd: rafthttp urlpick.go.)
 */
import { assert } from '@keelson/base';
import { PeerError } from './peer-error.ts';

/** host and port of a peer URL, as node:http wants them. */
export interface PeerUrl {
  readonly href: string;
  /** https */
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
}

/**
 * A peer URL as etcd accepts it: scheme, host and port, and nothing after.
 * @throws PeerError 'INVALID_URL', also for a scheme this transport does not speak
 */
export function parsePeerUrl(text: string): PeerUrl {
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
  return { href: text, secure, host, port };
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
