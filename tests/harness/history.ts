/**
 * The store's history as watchers of the whole key space tell it: what happened at each revision. The first
 * watcher that sees a revision writes it down, all others must tell the same, word for word. It knows nothing of
 * who wrote: `judgement.ts` compares with that.
 */
import { mvccpb } from '@keelson/proto';

/** A key's state, with everything a watcher may be told about it. */
export interface Held {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export interface HistoryEvent {
  readonly kind: 'put' | 'delete';
  readonly key: string;
  /** Undefined: deleted. */
  readonly now: Held | undefined;
  readonly previous: Held | undefined;
}

/** Complaints kept; one cause can break thousands of revisions. */
const BROKEN_MAX = 100;

export class History {
  /** The first revision that belongs to it. */
  readonly first: number;
  /** The largest revision that anybody was told. */
  last: number;
  readonly broken: string[] = [];
  /** Events told, by all watchers together. */
  told = 0;
  private readonly revisions: { readonly events: HistoryEvent[]; readonly text: string; seenMs: number }[] =
    [];

  constructor(first: number) {
    this.first = first;
    this.last = first - 1;
  }

  /** One whole revision, as `who` was told it. */
  take(who: string, revision: number, events: readonly mvccpb.Event[]): void {
    this.told += events.length;
    const text = events.map(eventText).join('\n');
    const known = this.revisions[revision - this.first];
    if (known === undefined) {
      this.revisions[revision - this.first] = {
        events: events.map(eventOf),
        text,
        seenMs: performance.now(),
      };
      this.last = Math.max(this.last, revision);
    } else if (known.text !== text) {
      this.complain(
        `${who}: at revision ${revision} was told\n    ${text}\n  where another was told\n    ${known.text}`,
      );
    }
  }

  complain(line: string): void {
    if (this.broken.length < BROKEN_MAX) this.broken.push(line);
  }

  /** Undefined when nobody was told of it. */
  at(revision: number): readonly HistoryEvent[] | undefined {
    return this.revisions[revision - this.first]?.events;
  }

  /** When it was told first, by the monotonic clock. */
  seenMs(revision: number): number {
    return this.revisions[revision - this.first]?.seenMs ?? Infinity;
  }
}

export function heldOf(kv: mvccpb.KeyValue): Held {
  const { createRevision, modRevision, version, lease } = kv;
  return { value: kv.value.toString('latin1'), createRevision, modRevision, version, lease };
}

export function heldText(held: Held | undefined): string {
  if (held === undefined) return 'nothing';
  const { value, createRevision, modRevision, version, lease } = held;
  return `"${value.slice(0, 60)}" (${value.length} bytes) c${createRevision} m${modRevision} v${version} l${lease.toString(16)}`;
}

export function sameHeld(a: Held | undefined, b: Held | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.value === b.value &&
    a.createRevision === b.createRevision &&
    a.modRevision === b.modRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function eventOf({ type, kv, prevKv }: mvccpb.Event): HistoryEvent {
  if (kv === undefined) throw new Error('an event without its key');
  const put = type === mvccpb.EventType.PUT;
  return {
    kind: put ? 'put' : 'delete',
    key: kv.key.toString('latin1'),
    now: put ? heldOf(kv) : undefined,
    previous: prevKv === undefined ? undefined : heldOf(prevKv),
  };
}

/** Every field of the event, so that two tellings can be compared. */
function eventText({ type, kv, prevKv }: mvccpb.Event): string {
  return `${type} ${kv === undefined ? 'no key' : kvText(kv)} was ${prevKv === undefined ? 'nothing' : kvText(prevKv)}`;
}

function kvText({ key, value, createRevision, modRevision, version, lease }: mvccpb.KeyValue): string {
  return `${key.toString('latin1')}=${value.toString('latin1')} c${createRevision} m${modRevision} v${version} l${lease}`;
}
