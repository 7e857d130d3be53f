/**
 * Every bound of the store in one place, each with its reason and what would show it wrong. Where etcd
 * has a bound ours is the same: on the etcd port the defaults refuse nothing that etcd accepts. Bounds
 * etcd lacks protect memory and are set where no honest client meets them. A bound the operator may
 * move is a flag; here stands only what the flag's value is turned into.
 *
 * Every bound is checked before memory is allocated or an entry is replicated.
 */

// Requests.

/** Default of --max-request-bytes (1.5 MiB): the encoded raft command, not the gRPC message. */
export const REQUEST_BYTES_DEFAULT = 1_572_864;

/**
 * Largest value of --max-request-bytes. etcd has none but its peers' (they read no message above 512 MiB). A
 * segment of the log is read back in one piece of at most 1 GiB, and what one write appends to the 64 MB at which
 * it is cut may be two such requests. Beside that, a member holds each request several times while it is under way.
 */
export const REQUEST_BYTES_MAX = 256 * 1024 * 1024;

/** From here on etcd warns at start: one such request holds up every other for about 0.1 s. */
export const REQUEST_BYTES_RECOMMENDED_MAX = 10 * 1024 * 1024;

/** What a gRPC message may hold beyond the command in it; etcd's allowance for the envelope. */
export const GRPC_OVERHEAD_BYTES = 512 * 1024;

/** Largest gRPC message accepted, compared with the length prefix before anything is buffered. */
export function receiveBytesMax(maxRequestBytes: number): number {
  return maxRequestBytes + GRPC_OVERHEAD_BYTES;
}

/** Largest gRPC message sent: gRPC's own bound (a length is a signed 32-bit integer in etcd's stack). */
export const SEND_BYTES_MAX = 2_147_483_647;

/** Default of --max-txn-ops, applied to the longest of compare, success and failure. */
export const TXN_OPS_DEFAULT = 128;

// Transactions inside transactions: a message's depth is bounded where it is decoded (proto's DECODE_LIMITS).

/** Keys and values have no bound but the request's. */

// Time.

/** Queueing, computing and disk: the fixed part of the request timeout. */
const REQUEST_TIMEOUT_BASE_MS = 5_000;

/** How long a proposal or linearizable read may take: 5 s, and two elections in between. */
export function requestTimeoutMs(electionTimeoutMs: number): number {
  return REQUEST_TIMEOUT_BASE_MS + 2 * electionTimeoutMs;
}

/** An unanswered ReadIndex is asked again this often. */
export const READ_INDEX_RETRY_MS = 500;

/** --raft-read-timeout and --raft-write-timeout are never below this: an idle stream beats slower. */
export const PEER_IO_TIMEOUT_MS_MIN = 5_000;

// Back-pressure.

/** Committed entries not yet applied at which proposals are refused with "too many requests". */
export const APPLY_GAP_MAX = 5_000;

/** The same for what must get through (lease revocation) with the PriorityRequest gate. */
export const APPLY_GAP_PRIORITY_MAX = 10_000;

/**
 * Bytes of proposals accepted and not yet applied. etcd leaves this unbounded; 64 MiB are 40 requests
 * of the largest size, or a quarter of a million puts of 256 B, about 5 s of full load. If
 * "too many requests" is seen while the apply gap is small, revisit.
 */
const PENDING_PROPOSAL_BYTES = 64 * 1024 * 1024;

/** That bound; two of the largest requests fit always. */
export function pendingProposalBytesMax(maxRequestBytes: number): number {
  return Math.max(PENDING_PROPOSAL_BYTES, 2 * maxRequestBytes);
}

// Backend.

/** --quota-backend-bytes=0. */
export const QUOTA_BACKEND_BYTES_DEFAULT = 2 * 1024 * 1024 * 1024;

/** Above this etcd warns: a restart reads the whole index. */
export const QUOTA_BACKEND_BYTES_RECOMMENDED_MAX = 8 * 1024 * 1024 * 1024;

/** What the quota counts for a put beside key and value, and for a lease. etcd's figures. */
/**
 * Free bytes of the disk below which a member raises NOSPACE, as if its quota were reached: enough for the deletes,
 * compactions and defragmentations that follow (two write buffers of LevelDB and the table they become), so that a full
 * disk is met by an alarm and not by a failed write, which ends the member.
 */
export const DISK_RESERVE_BYTES = 16 * 1024 * 1024;

export const QUOTA_PUT_OVERHEAD_BYTES = 256;
export const QUOTA_LEASE_BYTES = 64;

export const BACKEND_BATCH_INTERVAL_MS_DEFAULT = 100;
export const BACKEND_BATCH_OPERATIONS_DEFAULT = 10_000;

/** A compaction looks at this many revisions, then lets others at the backend. */
export const COMPACTION_BATCH_REVISIONS_DEFAULT = 1_000;
export const COMPACTION_PAUSE_MS_DEFAULT = 10;

// The index checkpoint (mvcc/index-checkpoint.ts).

/** Changes between two checkpoints at least: a start reads so many in 0.3 s. */
export const CHECKPOINT_CHANGES_MIN = 100_000;

/** Where so few were made in the last so long, fewer are worth one: a member that is killed starts sooner. */
export const CHECKPOINT_CALM_MS = 2_000;
export const CHECKPOINT_CALM_CHANGES_MAX = 1_000;
export const CHECKPOINT_CHANGES_CALM_MIN = 20_000;

/** A disk that has failed is not asked again before. */
export const CHECKPOINT_REVISIONS_AFTER_FAILURE = 100_000;

/** Changes that are worth a last one when the member ends in order: 0.03 s of the next start. */
export const CHECKPOINT_CHANGES_AT_END_MIN = 10_000;

/** Between two slices of 1 to 2 ms. */
export const CHECKPOINT_PAUSE_MS = 3;

// Leases.

/** Nine billion seconds (285 years): the largest TTL etcd grants, else "too large lease TTL". */
export const LEASE_TTL_SECONDS_MAX = 9_000_000_000;

/**
 * The shortest lease: one that could expire during a single election would be lost without fault of
 * its holder. 1.5 election timeouts, rounded up to whole seconds: 2 s with the defaults.
 */
export function leaseTtlSecondsMin(electionTimeoutMs: number): number {
  return Math.ceil((1.5 * electionTimeoutMs) / 1_000);
}

/** Expired leases are looked for this often, and this many are revoked each time: 1000 a second. */
export const LEASE_EXPIRY_INTERVAL_MS = 500;
export const LEASE_EXPIRY_BATCH_MAX = 500;
export const LEASE_REVOKE_CONCURRENCY_MAX = 16;

/** Remaining TTLs in one checkpoint entry, and how often a lease is checkpointed. */
export const LEASE_CHECKPOINT_BATCH_MAX = 1_000;
export const LEASE_CHECKPOINT_INTERVAL_MS = 300_000;

/** Such entries proposed at a time: a million leases take half a minute of their five, at 0.6 MB a second. */
export const LEASE_CHECKPOINT_BATCHES_MAX = 16;

// Watches.

/**
 * Watchers of one stream and of one member. etcd has no bound, so neither have we until an operator
 * asks for one; a stream of 10,000 and a member of 200,000 are what we have sized buffers for.
 */
export const WATCHERS_PER_STREAM_MAX = Number.POSITIVE_INFINITY;
export const WATCHERS_PER_MEMBER_MAX = Number.POSITIVE_INFINITY;

/** Responses waiting for a stream: of events, and of created, canceled and progress notes. */
export const WATCH_EVENT_RESPONSES_MAX = 128;
export const WATCH_CONTROL_RESPONSES_MAX = 16;

/** A pass over watchers that lag: so many of them, and so many revisions of history, at a time. */
export const WATCH_CATCH_UP_WATCHERS_MAX = 512;
export const WATCH_CATCH_UP_REVISIONS_MAX = 1_000;
export const WATCH_CATCH_UP_INTERVAL_MS = 100;

/** A watcher whose stream was full is offered its events again after this. */
export const WATCH_VICTIM_RETRY_MS = 10;

export const WATCH_PROGRESS_INTERVAL_MS_DEFAULT = 600_000;
export const WATCH_PROGRESS_INTERVAL_MS_MIN = 100;

// Raft and peers.

/** Entries of one append message: 1 MiB, so that one lost message costs little to send again. */
export const RAFT_MESSAGE_BYTES_MAX = 1024 * 1024;

/** Append messages to one follower without an answer. */
export const RAFT_INFLIGHT_MESSAGES_MAX = 512;

/**
 * One message read from a peer: an append holds at least one entry whatever its size, and the member that proposed it
 * may have another --max-request-bytes than this one (or had it before a restart): what one member logged, all must
 * be able to read. It only bounds what a corrupt length can make us wait for: memory follows the bytes that came.
 */
export const PEER_MESSAGE_BYTES_MAX = RAFT_MESSAGE_BYTES_MAX + REQUEST_BYTES_MAX + GRPC_OVERHEAD_BYTES;

/** What stands before the backend file in a snapshot sent to a peer (etcd: 64 MiB; ours is never near). */
export const SNAPSHOT_METADATA_BYTES_MAX = 16 * 1024 * 1024;

/** Body of a lease request a follower forwards: two small integers. */
export const PEER_LEASE_BODY_BYTES_MAX = 64 * 1024;

/** One record of the WAL: the largest request and what stands around it; a longer length word is damage. */
export const WAL_RECORD_BYTES_MAX = REQUEST_BYTES_MAX + GRPC_OVERHEAD_BYTES;

/** So much goes into one write of the WAL, though never less than what was appended in one call. */
export const WAL_WRITE_BYTES_MAX = 64 * 1024 * 1024;

/** --snapshot-count=0 and --snapshot-catchup-entries. */
export const SNAPSHOT_ENTRIES_DEFAULT = 10_000;

/** Heartbeats that must fit into an election timeout, and its longest value (etcd: a global cluster). */
export const ELECTION_HEARTBEATS_MIN = 5;
export const ELECTION_TIMEOUT_MS_MAX = 50_000;

// Connections.

/** A client may ping this often and be early twice; then it is sent away (too_many_pings). */
export const CLIENT_PING_STRIKES_MAX = 2;

/** TLS handshake, and the whole header of an HTTP/1 request. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const HEADER_READ_TIMEOUT_MS = 10_000;

/** Header list of a request: Node's bound for HTTP/2, ample for tokens and traces. */
export const HEADER_BYTES_MAX = 64 * 1024;
export const HEADER_PAIRS_MAX = 128;

// Auth.

export const BCRYPT_COST_MIN = 4;
export const BCRYPT_COST_MAX = 31;
export const BCRYPT_COST_DEFAULT = 10;

/** Password hashes computed at a time, and waiting: each costs 50 ms of a core, so the queue is 1.6 s long. */
export const BCRYPT_CONCURRENCY_MAX = 2;
export const BCRYPT_QUEUE_MAX = 64;

/** bcrypt looks at no more of a password; etcd refuses a longer one instead of cutting it. */
export const PASSWORD_BYTES_MAX = 72;

/** Expired tokens are swept this often; until then they are refused all the same. */
export const TOKEN_SWEEP_INTERVAL_MS = 1_000;

/** JSON web tokens whose signature was checked and need not be again: a few hundred bytes each. */
export const JWT_CACHE_MAX = 1_000;

/** --auth-token-ttl=0. */
export const AUTH_TOKEN_TTL_SECONDS_DEFAULT = 300;
