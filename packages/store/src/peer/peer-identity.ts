/**
 * Who is talking: the headers by which members introduce themselves, and the checks on them. A request
 * from another cluster or from a member too old or too new to understand us is refused before its body
 * is read. (etcd: rafthttp http.go and util.go; bug class etcd#17814.)
 */
import type { IncomingHttpHeaders } from 'node:http';
import { hexId } from '@keelson/base';
import type { NodeId } from '@keelson/raft';
import { PeerError } from './peer-error.ts';

/** This member, as it shows itself to the others. */
export interface PeerIdentity {
  readonly memberId: NodeId;
  readonly clusterId: bigint;
  /** "major.minor.patch" of this server, for example "3.7.1". */
  readonly serverVersion: string;
  /** The oldest server version this one works with; etcd itself says "3.0.0" ever since. */
  readonly minClusterVersion: string;
  /** This member's advertised peer URLs: a member that does not know us yet answers there. */
  readonly peerUrls: readonly string[];
}

/** Version that a member without the header has: the header came with 2.1. */
const HEADERLESS_VERSION = '2.0.0';

/** A member or cluster id in hex, as Go reads it; undefined when it is none. */
export function parseHexId(text: string): bigint | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** The headers of every request to another member. */
export function requestHeaders(identity: PeerIdentity): Record<string, string> {
  const headers: Record<string, string> = {
    'X-Server-From': hexId(identity.memberId),
    'X-Server-Version': identity.serverVersion,
    'X-Min-Cluster-Version': identity.minClusterVersion,
    'X-Etcd-Cluster-ID': hexId(identity.clusterId),
  };
  if (identity.peerUrls.length > 0) headers['X-PeerURLs'] = identity.peerUrls.join(',');
  return headers;
}

/** One header as a string; '' when absent, its first value when it came more than once. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  if (value === undefined) return '';
  return typeof value === 'string' ? value : (value[0] ?? '');
}

interface MajorMinor {
  readonly major: number;
  readonly minor: number;
}

/** undefined when the text is no "major.minor.patch" (a suffix after the patch is allowed). */
function parseVersion(text: string): MajorMinor | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})\.\d{1,9}(?:[-+].*)?$/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

function below(a: MajorMinor, b: MajorMinor): boolean {
  return a.major === b.major ? a.minor < b.minor : a.major < b.major;
}

/**
 * Whether the two servers can work together: neither is older than the other's minimum, by major and
 * minor. Unreadable versions are not compatible.
 */
export function compatible(
  identity: PeerIdentity,
  serverVersion: string,
  minClusterVersion: string,
): boolean {
  const remote = parseVersion(serverVersion === '' ? HEADERLESS_VERSION : serverVersion);
  const remoteMin = parseVersion(minClusterVersion === '' ? HEADERLESS_VERSION : minClusterVersion);
  const local = parseVersion(identity.serverVersion);
  const localMin = parseVersion(identity.minClusterVersion);
  if (remote === undefined || remoteMin === undefined || local === undefined || localMin === undefined) {
    return false;
  }
  return !below(remote, localMin) && !below(local, remoteMin);
}

/** Why a request with these headers is refused with 412; undefined when it is not. */
export function checkRequest(identity: PeerIdentity, headers: IncomingHttpHeaders): PeerError | undefined {
  const version = headerOf(headers, 'x-server-version');
  if (!compatible(identity, version, headerOf(headers, 'x-min-cluster-version'))) {
    return new PeerError('INCOMPATIBLE_VERSION');
  }
  if (headerOf(headers, 'x-etcd-cluster-id') !== hexId(identity.clusterId)) {
    return new PeerError('CLUSTER_ID_MISMATCH');
  }
  return undefined;
}

/**
 * Whether a server that answered with this version header offers streams: all since 2.1 do.
 * An older one is never asked again over a stream in etcd; here it is simply incompatible.
 */
export function offersStreams(serverVersion: string): boolean {
  const remote = parseVersion(serverVersion === '' ? HEADERLESS_VERSION : serverVersion);
  return remote !== undefined && !below(remote, { major: 2, minor: 1 });
}

/**
 * The meaning of an answer that is not success. A 403 means removal only when its text says so: a real
 * etcd also sends it to a message that reached the wrong member, for example over a stale URL.
 */
export function refusal(status: number, body: string): PeerError {
  const text = body.trim();
  switch (status) {
    case 404:
      return new PeerError('MEMBER_NOT_FOUND', text);
    case 410:
      return new PeerError('MEMBER_REMOVED', text);
    case 403:
      return text.includes('removed member')
        ? new PeerError('MEMBER_REMOVED')
        : new PeerError('MEMBER_MISMATCH', text);
    case 412:
      if (text === 'incompatible version') return new PeerError('INCOMPATIBLE_VERSION');
      if (text === 'cluster ID mismatch') return new PeerError('CLUSTER_ID_MISMATCH');
      if (text === 'to field mismatch') return new PeerError('MEMBER_MISMATCH');
      return new PeerError('REFUSED', `412 ${text}`);
    default:
      return new PeerError('REFUSED', `${status} ${text}`);
  }
}
