/**
 * What can go wrong between members. These errors never reach a client (StoreError is for that): they
 * close a connection, fail one message or refuse one request, and are counted. Their texts are etcd's
 * where its peers read the text of a refusal (etcd: server/etcdserver/api/rafthttp).
 */

/** code → the text sent to or understood from a peer, or the default for our own log line. */
const TEXTS = {
  /** Bytes that are not what the format says; the connection they came on is closed. */
  MALFORMED: 'malformed peer bytes',
  /** A length above our bound; refused before anything is allocated for it. */
  TOO_LARGE: 'rafthttp: error limit exceeded',
  /** The peer's or our version is too old for the other. Sent as a 412 body. */
  INCOMPATIBLE_VERSION: 'incompatible version',
  /** The peer belongs to another cluster. Sent as a 412 body. */
  CLUSTER_ID_MISMATCH: 'cluster ID mismatch',
  /** The peer's message or stream is for, or from, another member than the one it reached. */
  MEMBER_MISMATCH: 'to field mismatch',
  /** The peer says that this member was removed: critical, the member should stop. */
  MEMBER_REMOVED: 'the member has been permanently removed from the cluster',
  /** The peer does not know this member (yet): the usual answer while a join is being applied. */
  MEMBER_NOT_FOUND: 'member not found',
  /** Any other refusal: an HTTP status that the protocol does not give a meaning. */
  REFUSED: 'refused by the peer',
  /** Nothing was read, or nothing could be written, for the read or write timeout. */
  TIMEOUT: 'i/o timeout',
  /** The connection could not be made or was lost. */
  CONNECTION: 'connection lost',
  /** A snapshot body of another length than announced. */
  SNAPSHOT_LENGTH: 'snapshot body has another length than announced',
  /** A peer URL that this transport cannot dial. */
  INVALID_URL: 'invalid peer URL',
  /** The transport or the peer was stopped meanwhile. */
  STOPPED: 'stopped',
} as const satisfies Readonly<Record<string, string>>;

export type PeerErrorCode = keyof typeof TEXTS;

/** The fixed text of a code, as peers send it. */
export function peerErrorText(code: PeerErrorCode): string {
  return TEXTS[code];
}

/** An expected failure between two members. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly code: PeerErrorCode;

  constructor(code: PeerErrorCode, detail = '', options?: ErrorOptions) {
    super(detail === '' ? TEXTS[code] : `${TEXTS[code]}: ${detail}`, options);
    this.code = code;
  }
}
