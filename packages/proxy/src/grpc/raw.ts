/**
 * Methods as bytes: what the proxy need not understand passes through undecoded, in both directions. A message is the
 * buffer it came in; nobody writes to it.
 */
import type { AnyMethod } from '@keelson/proto';
import { Metadata, type CallContext, type Codec, type MethodDescriptor } from '@keelson/rpc';

const BYTES: Codec<Buffer> = { decode: (bytes) => bytes, encode: (bytes) => bytes };

export type RawMethod = MethodDescriptor<Buffer, Buffer>;

export function raw({ path, kind }: AnyMethod): RawMethod {
  return { path, kind, request: BYTES, response: BYTES };
}

/**
 * What a caller said of itself that the cluster must hear: its token (under both names etcd knows), whether it wants
 * a leader, and what its client is. Everything else ends here.
 */
const FORWARDED: readonly string[] = ['token', 'authorization', 'hasleader', 'client-api-version'];

/** @returns undefined when there is nothing to pass on */
export function forwardedMetadata(call: CallContext): Metadata | undefined {
  let metadata: Metadata | undefined;
  for (const key of FORWARDED) {
    const value = call.metadata.first(key);
    if (value === undefined) continue;
    metadata ??= new Metadata();
    // As it came: the member judges it.
    metadata.addReceived(key, value);
  }
  return metadata;
}

/** Who calls, as the cluster will see it: its token; '' without one. */
export function tokenOf(call: CallContext): string {
  return call.metadata.text('token') ?? call.metadata.text('authorization') ?? '';
}

/** The metadata of a stream that several callers share: only who opened it. */
export function tokenMetadata(token: string): Metadata | undefined {
  if (token === '') return undefined;
  const metadata = new Metadata();
  metadata.addReceived('token', token);
  return metadata;
}

export function requiresLeader(call: CallContext): boolean {
  return call.metadata.text('hasleader') === 'true';
}
