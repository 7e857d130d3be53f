/**
 * The outcome of a call: gRPC's status codes and the one error class of this package. Codes and their
 * numbers are those of the gRPC protocol (doc/statuscodes.md). It knows no service and no message.
 */
import type { Metadata } from './metadata.ts';

export const StatusCode = {
  OK: 0,
  Cancelled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;
export type StatusCode = (typeof StatusCode)[keyof typeof StatusCode];

/** Code 1's spelling in Go ("Canceled") is what metrics and logs of Go servers print. */
const NAMES: readonly string[] = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** The name Go's grpc prints for a code, for metrics labels; `Code(n)` outside the known ones. */
export function statusName(code: number): string {
  return NAMES[code] ?? `Code(${code})`;
}

const CODES: readonly StatusCode[] = Object.values(StatusCode);

/** A number off the wire as a code: what gRPC does not define counts as Unknown. */
export function statusCodeFrom(value: number): StatusCode {
  return CODES.find((code) => code === value) ?? StatusCode.Unknown;
}

/** How a client and a server of Go say it when a call's context ends; callers compare these texts. */
export const CANCELLED_TEXT = 'context canceled';
export const DEADLINE_TEXT = 'context deadline exceeded';

/**
 * A call that did not end well. Handlers throw it to choose code and text; channels reject with it.
 * `message` is the status details exactly as sent, so that callers may compare texts.
 */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: StatusCode;
  /** Trailing metadata: what a handler wants sent, or what a client received. */
  readonly metadata: Metadata | undefined;
  /**
   * True only when the transport knows that no byte of the request left this process (no connection
   * could be made). Only then may a caller repeat a write. False says nothing.
   */
  readonly unsent: boolean;

  constructor(code: StatusCode, details: string, metadata?: Metadata, unsent = false) {
    super(details);
    this.code = code;
    this.metadata = metadata;
    this.unsent = unsent;
  }

  get details(): string {
    return this.message;
  }
}

/** Any thrown value as an RpcError; what is not one becomes Unknown with its own message, as in Go. */
export function toRpcError(reason: unknown): RpcError {
  if (reason instanceof RpcError) return reason;
  return new RpcError(StatusCode.Unknown, reason instanceof Error ? reason.message : String(reason));
}
