/**
 * The one error class of this package. Message and code are the server's own; `reason` names the few
 * texts that programs branch on, and `definite` says whether the request certainly had no effect.
 * Texts are etcd's (api/v3rpc/rpctypes): they are the contract, codes are not always.
 */
import { RpcError, StatusCode, statusName, toRpcError } from '@keelson/rpc';

/** What programs branch on; everything else is OTHER. */
export type EtcdReason =
  | 'COMPACTED'
  | 'FUTURE_REVISION'
  | 'KEY_NOT_FOUND'
  | 'LEASE_NOT_FOUND'
  | 'LEASE_EXISTS'
  | 'MEMBER_NOT_FOUND'
  | 'NO_SPACE'
  | 'NO_LEADER'
  | 'NOT_LEADER'
  | 'LEARNER'
  | 'REQUEST_TOO_LARGE'
  | 'TOO_MANY_REQUESTS'
  | 'PERMISSION_DENIED'
  | 'AUTH_NOT_ENABLED'
  | 'INVALID_TOKEN'
  | 'AUTH_REVISION_OLD'
  | 'USER_EMPTY'
  | 'LOCKED'
  | 'SESSION_EXPIRED'
  | 'NOT_ELECTED'
  | 'NO_ENDPOINT'
  | 'TIMEOUT'
  | 'CANCELLED'
  | 'CLOSED'
  | 'OTHER';

const REASONS: ReadonlyMap<string, EtcdReason> = new Map([
  ['etcdserver: mvcc: required revision has been compacted', 'COMPACTED'],
  ['etcdserver: mvcc: required revision is a future revision', 'FUTURE_REVISION'],
  ['etcdserver: key not found', 'KEY_NOT_FOUND'],
  ['etcdserver: requested lease not found', 'LEASE_NOT_FOUND'],
  ['etcdserver: lease already exists', 'LEASE_EXISTS'],
  ['etcdserver: member not found', 'MEMBER_NOT_FOUND'],
  ['etcdserver: mvcc: database space exceeded', 'NO_SPACE'],
  ['etcdserver: no leader', 'NO_LEADER'],
  ['etcdserver: not leader', 'NOT_LEADER'],
  ['etcdserver: rpc not supported for learner', 'LEARNER'],
  ['etcdserver: request is too large', 'REQUEST_TOO_LARGE'],
  ['etcdserver: too many requests', 'TOO_MANY_REQUESTS'],
  ['etcdserver: permission denied', 'PERMISSION_DENIED'],
  ['etcdserver: authentication is not enabled', 'AUTH_NOT_ENABLED'],
  ['etcdserver: invalid auth token', 'INVALID_TOKEN'],
  ['etcdserver: revision of auth store is old', 'AUTH_REVISION_OLD'],
  ['etcdserver: user name is empty', 'USER_EMPTY'],
  ['mutex: Locked by another session', 'LOCKED'],
  ['mutex: session is expired', 'SESSION_EXPIRED'],
  ['election: not leader', 'NOT_ELECTED'],
  ['etcdclient: no available endpoints', 'NO_ENDPOINT'],
  ['etcdclient: the client is closed', 'CLOSED'],
  ['context deadline exceeded', 'TIMEOUT'],
  ['context canceled', 'CANCELLED'],
]);

/** Codes that mean the request was refused before it could change anything. */
const DEFINITE_CODES: ReadonlySet<StatusCode> = new Set([
  StatusCode.InvalidArgument,
  StatusCode.NotFound,
  StatusCode.AlreadyExists,
  StatusCode.PermissionDenied,
  StatusCode.FailedPrecondition,
  StatusCode.OutOfRange,
  StatusCode.Unimplemented,
  StatusCode.Unauthenticated,
]);

/** Refusals that travel as Unknown because of how etcd maps them. */
const DEFINITE_TEXTS: ReadonlySet<string> = new Set([
  'etcdserver: too many requests',
  'etcdserver: re-configuration failed due to not enough started members',
]);

export class EtcdError extends Error {
  override readonly name: string = 'EtcdError';
  readonly code: StatusCode;
  readonly reason: EtcdReason;
  /**
   * True: the request certainly had no effect. False: it may have taken effect, now or later (lost
   * connection, timeout, and NO_SPACE, whose entry is applied on the member that discovers it). A write
   * that failed indefinitely must be read back before it is repeated.
   */
  readonly definite: boolean;

  constructor(code: StatusCode, message: string, unsent = false, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.reason = REASONS.get(message) ?? 'OTHER';
    this.definite = unsent || DEFINITE_CODES.has(code) || DEFINITE_TEXTS.has(message);
  }
}

/** The watch starts below what the server still has. Read at the current revision and watch from there. */
export class WatchCompactedError extends EtcdError {
  override readonly name = 'WatchCompactedError';
  /** The oldest revision that can still be watched; 0 when the server did not say. */
  readonly compactRevision: number;

  constructor(compactRevision: number) {
    super(StatusCode.OutOfRange, 'etcdserver: mvcc: required revision has been compacted');
    this.compactRevision = compactRevision;
  }
}

/** Anything a call failed with, as an EtcdError. */
export function toEtcdError(reason: unknown): EtcdError {
  if (reason instanceof EtcdError) return reason;
  const error: RpcError = toRpcError(reason);
  return new EtcdError(error.code, error.message, error.unsent, reason);
}

/** Before a call can be made, and after `close`. */
export const noEndpoint = (cause: unknown): EtcdError =>
  new EtcdError(StatusCode.Unavailable, 'etcdclient: no available endpoints', true, cause);
export const clientClosed = (): EtcdError =>
  new EtcdError(StatusCode.Cancelled, 'etcdclient: the client is closed', true);

/** "rpc error: code = PermissionDenied desc = …", as cancel reasons of watches carry it. */
export function parseGoError(line: string): EtcdError {
  const parts = /^rpc error: code = (\w+) desc = (.*)$/s.exec(line);
  if (parts === null) return new EtcdError(StatusCode.Unknown, line);
  const code = Object.values(StatusCode).find((value) => statusName(value) === parts[1]);
  return new EtcdError(code ?? StatusCode.Unknown, parts[2] ?? line);
}
