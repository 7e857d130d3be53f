/**
 * Metadata and status codes between this package's form and grpc-js's. Reserved keys are left behind on
 * the way in.
 */
import type { Metadata as GrpcMetadata, status as GrpcStatusCode } from '@grpc/grpc-js';
import { grpcJs } from './grpc-js.ts';
import { Metadata } from './metadata.ts';
import type { StatusCode } from './status.ts';

/** Headers that HTTP/2 and gRPC own; grpc-js removes most of them itself, and these it lets through. */
const RESERVED: ReadonlySet<string> = new Set([
  'content-type',
  'te',
  'date',
  'user-agent',
  'trailer',
  'connection',
]);

export function fromGrpcMetadata(source: GrpcMetadata): Metadata {
  const metadata = new Metadata();
  for (const key of Object.keys(source.getMap())) {
    if (RESERVED.has(key) || key.startsWith('grpc-') || key.startsWith(':')) continue;
    for (const value of source.get(key)) metadata.addReceived(key, value);
  }
  return metadata;
}

export function toGrpcMetadata(source: Metadata | undefined): GrpcMetadata {
  const metadata = new (grpcJs().Metadata)();
  if (source === undefined) return metadata;
  for (const [key, values] of source.entries()) {
    for (const value of values) metadata.add(key, value);
  }
  return metadata;
}

/** The numbers are gRPC's own, on both sides. */
export function toGrpcCode(code: StatusCode): GrpcStatusCode {
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- one list of numbers under two names
  return code;
}
