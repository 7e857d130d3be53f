/**
 * Which headers of an HTTP request reach the handlers, and under which names: the token of Authorization, headers
 * that begin with Grpc-Metadata-, the ordinary ones behind "grpcgateway-", and who asked. (grpc-gateway's
 * runtime/context.go; etcd knows by "grpcgateway-accept" that a call came this way.)
 */
import { Metadata, RpcError, StatusCode } from '@keelson/rpc';
import { setOrigin } from '../audit/origin.ts';
import type { Exchange } from './gateway-exchange.ts';

const PREFIX = 'grpcgateway-';
const METADATA_PREFIX = 'grpc-metadata-';

/** Headers that IANA lists as permanent, as far as grpc-gateway passes them on. */
const PERMANENT: ReadonlySet<string> = new Set([
  'accept',
  'accept-charset',
  'accept-language',
  'accept-ranges',
  'authorization',
  'cache-control',
  'content-type',
  'cookie',
  'date',
  'expect',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-schedule-tag-match',
  'if-unmodified-since',
  'max-forwards',
  'origin',
  'pragma',
  'referer',
  'user-agent',
  'via',
  'warning',
]);

const METADATA_KEY = /^[0-9a-z_.-]+$/;

type Headers = Exchange['headers'];

export function gatewayMetadata({
  headers,
  remoteAddress,
}: Pick<Exchange, 'headers' | 'remoteAddress'>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    for (const text of Array.isArray(value) ? value : [value]) {
      if (name === 'authorization') metadata.addReceived('authorization', text);
      if (PERMANENT.has(name)) metadata.addReceived(PREFIX + name, text);
      else if (name.startsWith(METADATA_PREFIX)) {
        const key = name.slice(METADATA_PREFIX.length);
        if (METADATA_KEY.test(key)) metadata.addReceived(key, text);
      }
    }
  }
  if (!metadata.has(`${PREFIX}accept`)) metadata.set(`${PREFIX}accept`, '*/*');
  const host = headers['x-forwarded-host'] ?? headers.host;
  if (typeof host === 'string') metadata.addReceived('x-forwarded-host', host);
  const forwarded = headers['x-forwarded-for'];
  const through = typeof forwarded === 'string' ? `${forwarded}, ` : '';
  if (remoteAddress !== '') metadata.addReceived('x-forwarded-for', through + remoteAddress);
  setOrigin(metadata, { remote: remoteAddress, via: 'gateway' });
  return metadata;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1 / 1_000,
  n: 1 / 1_000_000,
};

/** The Grpc-Timeout header in ms; undefined where there is none. @throws RpcError for one that is no time */
export function timeoutOf(headers: Headers): number | undefined {
  const text = headers['grpc-timeout'];
  if (typeof text !== 'string' || text === '') return undefined;
  const match = /^([+-]?[0-9]+)([HMSmun])$/.exec(text);
  if (match === null) throw new RpcError(StatusCode.InvalidArgument, `invalid grpc-timeout: ${text}`);
  const timeoutMs = Number(match[1]) * UNIT_MS[match[2]];
  return timeoutMs === 0 ? undefined : timeoutMs;
}
