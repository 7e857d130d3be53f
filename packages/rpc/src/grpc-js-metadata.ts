/**
 * Metadata and status codes between this package's form and grpc-js's. Reserved keys are left behind on
 * the way in.
 */
import { Metadata as GrpcMetadata, status as GrpcStatusCode } from '@grpc/grpc-js';
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
  const metadata = new GrpcMetadata();
  if (source === undefined) return metadata;
  for (const [key, values] of source.entries()) {
    for (const value of values) metadata.add(key, value);
  }
  return metadata;
}

const GRPC_CODES: Readonly<Record<StatusCode, GrpcStatusCode>> = {
  0: GrpcStatusCode.OK,
  1: GrpcStatusCode.CANCELLED,
  2: GrpcStatusCode.UNKNOWN,
  3: GrpcStatusCode.INVALID_ARGUMENT,
  4: GrpcStatusCode.DEADLINE_EXCEEDED,
  5: GrpcStatusCode.NOT_FOUND,
  6: GrpcStatusCode.ALREADY_EXISTS,
  7: GrpcStatusCode.PERMISSION_DENIED,
  8: GrpcStatusCode.RESOURCE_EXHAUSTED,
  9: GrpcStatusCode.FAILED_PRECONDITION,
  10: GrpcStatusCode.ABORTED,
  11: GrpcStatusCode.OUT_OF_RANGE,
  12: GrpcStatusCode.UNIMPLEMENTED,
  13: GrpcStatusCode.INTERNAL,
  14: GrpcStatusCode.UNAVAILABLE,
  15: GrpcStatusCode.DATA_LOSS,
  16: GrpcStatusCode.UNAUTHENTICATED,
};

export function toGrpcCode(code: StatusCode): GrpcStatusCode {
  return GRPC_CODES[code];
}
