/**
 * A change of one key: what a write transaction yields and watchers receive. One object per change, shared
 * by every watcher and never changed, but for two slots that are filled once and mean the same to everyone.
 */
import type { KeyValue } from './key-value.ts';

/** mvccpb.Event.EventType, as on the wire. */
export const EventType = { PUT: 0, DELETE: 1 } as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

export class WatchEvent {
  readonly type: EventType;
  /** For a delete only key and mod revision. */
  readonly kv: KeyValue;
  /**
   * The version before this change: undefined until MvccStore.previousOf has looked, null when there is none
   * (the key was created) or none any more (compacted).
   */
  previous: KeyValue | null | undefined;
  /** For whoever sends events: the encoded mvccpb.Event without prev_kv, made once. */
  encoded: Buffer | undefined;

  constructor(type: EventType, kv: KeyValue) {
    this.type = type;
    this.kv = kv;
    this.previous = undefined;
    this.encoded = undefined;
  }

  /** Whether this put created the key. */
  get isCreate(): boolean {
    return this.type === EventType.PUT && this.kv.createRevision === this.kv.modRevision;
  }
}
