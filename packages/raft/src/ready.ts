/**
 * What a node asks of its driver in one turn. Types only: raw-node.ts fills them. Arrays handed out are
 * the driver's to keep; entries and messages are shared and never changed by either side.
 */
import type { Entry, HardState, Message, ReadState, Snapshot, SoftState } from './types.ts';

/**
 * Work for the disk, in the order it is handed out. When it is done (durable, where `mustSync`), each
 * response is delivered: stepped into this node when `to` is its own id, else sent to that peer.
 */
export interface AppendWork {
  /** To be written when given; an omitted one has not changed. */
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** Replaces log and state before `entries` are appended. */
  readonly snapshot: Snapshot | undefined;
  /** Votes and acknowledgements that must not leave before the work is durable (thesis §3.8). */
  readonly responses: readonly Message[];
  /** False when only the commit index moved: then nothing is lost if a crash takes it back. */
  readonly mustSync: boolean;
}

/** Work for the state machine, in the order it is handed out; its responses are stepped when applied. */
export interface ApplyWork {
  readonly entries: readonly Entry[];
  readonly responses: readonly Message[];
}

/**
 * One turn's output. In asynchronous mode the driver acts on `messages`, `append` and `apply`; in
 * synchronous mode on `hardState`, `snapshot`, `entries` (written first), `messages` and
 * `committedEntries`, and then calls advance().
 */
export interface Ready {
  /** Leader or role changed. */
  readonly softState: SoftState | undefined;
  /** Term, vote or commit changed. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once their index is applied. */
  readonly readStates: readonly ReadState[];
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  /** Asynchronous mode: may leave at once. Synchronous mode: only after entries and hardState are durable. */
  readonly messages: readonly Message[];
  readonly mustSync: boolean;
  readonly append: AppendWork | undefined;
  readonly apply: ApplyWork | undefined;
}
