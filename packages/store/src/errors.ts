/**
 * Every operating error a member can answer with: one code each, and one row that says which gRPC
 * status and which exact text etcd gives for it. Text is the contract: client libraries map the status
 * message, not the code, to their typed errors (etcd: api/v3rpc/rpctypes/error.go, v3rpc/util.go).
 */

/** gRPC status codes used below (grpc/grpc doc/statuscodes.md). */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const OUT_OF_RANGE = 11;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;
const UNAUTHENTICATED = 16;
const UNKNOWN = 2;
const UNIMPLEMENTED = 12;

/** code → [gRPC status, text]. Adding a code without a row does not compile. */
const ROWS = {
  EMPTY_KEY: [INVALID_ARGUMENT, 'etcdserver: key is not provided'],
  KEY_NOT_FOUND: [INVALID_ARGUMENT, 'etcdserver: key not found'],
  VALUE_PROVIDED: [INVALID_ARGUMENT, 'etcdserver: value is provided'],
  LEASE_PROVIDED: [INVALID_ARGUMENT, 'etcdserver: lease is provided'],
  TOO_MANY_OPS: [INVALID_ARGUMENT, 'etcdserver: too many operations in txn request'],
  DUPLICATE_KEY: [INVALID_ARGUMENT, 'etcdserver: duplicate key given in txn request'],
  INVALID_CLIENT_API_VERSION: [INVALID_ARGUMENT, 'etcdserver: invalid client api version'],
  INVALID_SORT_OPTION: [INVALID_ARGUMENT, 'etcdserver: invalid sort option'],
  REQUEST_TOO_LARGE: [INVALID_ARGUMENT, 'etcdserver: request is too large'],
  BAD_MEMBER_URLS: [INVALID_ARGUMENT, 'etcdserver: given member URLs are invalid'],
  COMPACTED: [OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'],
  FUTURE_REVISION: [OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'],
  LEASE_TTL_TOO_LARGE: [OUT_OF_RANGE, 'etcdserver: too large lease TTL'],
  NO_SPACE: [RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded'],
  /** On the wire Unknown, not ResourceExhausted: etcd maps it to the client-side error type. */
  TOO_MANY_REQUESTS: [UNKNOWN, 'etcdserver: too many requests'],
  LEASE_NOT_FOUND: [NOT_FOUND, 'etcdserver: requested lease not found'],
  LEASE_EXISTS: [FAILED_PRECONDITION, 'etcdserver: lease already exists'],
  MEMBER_NOT_FOUND: [NOT_FOUND, 'etcdserver: member not found'],
  MEMBER_EXISTS: [FAILED_PRECONDITION, 'etcdserver: member ID already exist'],
  PEER_URL_EXISTS: [FAILED_PRECONDITION, 'etcdserver: Peer URLs already exists'],
  /** On the wire Unknown, like TOO_MANY_REQUESTS. */
  NOT_ENOUGH_STARTED: [UNKNOWN, 'etcdserver: re-configuration failed due to not enough started members'],
  UNHEALTHY: [UNAVAILABLE, 'etcdserver: unhealthy cluster'],
  TOO_MANY_LEARNERS: [FAILED_PRECONDITION, 'etcdserver: too many learner members in cluster'],
  MEMBER_NOT_LEARNER: [FAILED_PRECONDITION, 'etcdserver: can only promote a learner member'],
  LEARNER_NOT_READY: [
    FAILED_PRECONDITION,
    'etcdserver: can only promote a learner member which is in sync with leader',
  ],
  CLUSTER_ID_MISMATCH: [FAILED_PRECONDITION, 'etcdserver: cluster ID mismatch'],
  NOT_LEADER: [FAILED_PRECONDITION, 'etcdserver: not leader'],
  BAD_LEADER_TRANSFEREE: [FAILED_PRECONDITION, 'etcdserver: bad leader transferee'],
  NOT_SUPPORTED_FOR_LEARNER: [FAILED_PRECONDITION, 'etcdserver: rpc not supported for learner'],
  WRONG_DOWNGRADE_FORMAT: [INVALID_ARGUMENT, 'etcdserver: wrong downgrade target version format'],
  INVALID_DOWNGRADE_TARGET: [INVALID_ARGUMENT, 'etcdserver: invalid downgrade target version'],
  CLUSTER_VERSION_UNAVAILABLE: [
    FAILED_PRECONDITION,
    'etcdserver: cluster version not found during downgrade',
  ],
  DOWNGRADE_IN_PROGRESS: [FAILED_PRECONDITION, 'etcdserver: cluster has a downgrade job in progress'],
  NO_INFLIGHT_DOWNGRADE: [FAILED_PRECONDITION, 'etcdserver: no inflight downgrade job'],
  AUTH_NOT_ENABLED: [FAILED_PRECONDITION, 'etcdserver: authentication is not enabled'],
  AUTH_FAILED: [INVALID_ARGUMENT, 'etcdserver: authentication failed, invalid user ID or password'],
  /** etcd has no row for it: its raw text travels as Unknown. */
  AUTH_NO_PASSWORD_USER: [UNKNOWN, 'auth: authentication failed, password was given for no password user'],
  AUTH_REVISION_OLD: [INVALID_ARGUMENT, 'etcdserver: revision of auth store is old'],
  INVALID_AUTH_TOKEN: [UNAUTHENTICATED, 'etcdserver: invalid auth token'],
  INVALID_AUTH_MANAGEMENT: [INVALID_ARGUMENT, 'etcdserver: invalid auth management'],
  TOKEN_VERIFY_ONLY: [UNKNOWN, 'auth: token signing attempted with verify-only key'],
  /** A log-in where no kind of token is configured; raw, as Unknown. */
  NO_TOKEN_KIND: [UNKNOWN, 'auth: invalid auth options'],
  PERMISSION_DENIED: [PERMISSION_DENIED, 'etcdserver: permission denied'],
  PERMISSION_NOT_GIVEN: [INVALID_ARGUMENT, 'etcdserver: permission not given'],
  PERMISSION_NOT_GRANTED: [FAILED_PRECONDITION, 'etcdserver: permission is not granted to the role'],
  ROOT_USER_MISSING: [FAILED_PRECONDITION, 'etcdserver: root user does not exist'],
  ROOT_ROLE_MISSING: [FAILED_PRECONDITION, 'etcdserver: root user does not have root role'],
  USER_EMPTY: [INVALID_ARGUMENT, 'etcdserver: user name is empty'],
  USER_EXISTS: [FAILED_PRECONDITION, 'etcdserver: user name already exists'],
  USER_NOT_FOUND: [FAILED_PRECONDITION, 'etcdserver: user name not found'],
  ROLE_EMPTY: [INVALID_ARGUMENT, 'etcdserver: role name is empty'],
  ROLE_EXISTS: [FAILED_PRECONDITION, 'etcdserver: role name already exists'],
  ROLE_NOT_FOUND: [FAILED_PRECONDITION, 'etcdserver: role name not found'],
  ROLE_NOT_GRANTED: [FAILED_PRECONDITION, 'etcdserver: role is not granted to the user'],
  /** Go's bcrypt refuses to hash more; its raw text travels as Unknown. */
  PASSWORD_TOO_LONG: [UNKNOWN, 'bcrypt: password length exceeds 72 bytes'],
  /** Ours: too many passwords wait to be hashed or compared (limits.ts). */
  PASSWORD_QUEUE_FULL: [RESOURCE_EXHAUSTED, 'etcdserver: too many requests'],
  NO_LEADER: [UNAVAILABLE, 'etcdserver: no leader'],
  LEADER_CHANGED: [UNAVAILABLE, 'etcdserver: leader changed'],
  STOPPED: [UNAVAILABLE, 'etcdserver: server stopped'],
  TIMEOUT: [UNAVAILABLE, 'etcdserver: request timed out'],
  TIMEOUT_LEADER_FAIL: [
    UNAVAILABLE,
    'etcdserver: request timed out, possibly due to previous leader failure',
  ],
  TIMEOUT_CONNECTION_LOST: [UNAVAILABLE, 'etcdserver: request timed out, possibly due to connection lost'],
  TIMEOUT_WAIT_APPLIED: [
    UNAVAILABLE,
    'etcdserver: request timed out, waiting for the applied index took too long',
  ],
  CORRUPT: [DATA_LOSS, 'etcdserver: corrupt cluster'],
  UNKNOWN_METHOD: [UNKNOWN, 'etcdserver: unknown method'],
  NOT_PRIMARY: [UNKNOWN, 'not a primary lessor'],
  LEADER_TRANSFER_TIMEOUT: [UNKNOWN, 'etcdserver: request timed out, leader transfer took too long'],
  /** raft's own word when a proposal cannot be taken now (leadership moving, uncommitted log full). */
  PROPOSAL_DROPPED: [UNKNOWN, 'raft proposal dropped'],
  STREAM_SORT_UNSUPPORTED: [UNIMPLEMENTED, 'RangeStream does not support custom sort orders'],
  STREAM_FILTER_UNSUPPORTED: [UNIMPLEMENTED, 'RangeStream does not support revision filters'],
} as const satisfies Readonly<Record<string, readonly [status: number, message: string]>>;

export type ErrorCode = keyof typeof ROWS;

/** gRPC status of a code. */
export function statusOf(code: ErrorCode): number {
  return ROWS[code][0];
}

/** etcd's exact text of a code. */
export function messageOf(code: ErrorCode): string {
  return ROWS[code][1];
}

/** An expected failure of a request. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, options?: ErrorOptions) {
    super(ROWS[code][1], options);
    this.code = code;
  }
}

/**
 * Why a member cannot go on or cannot start: the data is not what it must be, or the disk refuses.
 * The process ends with one line of this text.
 */
export class FatalError extends Error {
  override readonly name = 'FatalError';
}

/** The cluster has removed this member for ever: it ends in good order, and its data is of no more use. */
export class RemovedError extends FatalError {
  constructor() {
    super('the member has been permanently removed from the cluster');
  }
}
