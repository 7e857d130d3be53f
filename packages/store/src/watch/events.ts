/**
 * What a watcher is given: batches of events. Events and batches are shared and never changed: watchers that
 * are due the same events get the same batch object, however many they are, and its bytes are made once.
 */
import { putVarint, sizeDelimited } from '@keelson/proto';
import { EventType, type WatchEvent } from '../mvcc/event.ts';
import type { KeyValue } from '../mvcc/key-value.ts';

export { EventType, WatchEvent } from '../mvcc/event.ts';

const TAG_EVENTS = 0x5a;
const TAG_TYPE = 8;
const TAG_KV = 18;
const TAG_PREV_KV = 26;

export class WatchBatch {
  /** The store's revision when the batch was made: at or above every event's. */
  readonly revision: number;
  /** In the order of their revisions; all of one revision, or none. At least one. */
  readonly events: readonly WatchEvent[];
  /** Whether the watcher is given event.previous too. */
  readonly withPrevious: boolean;
  private bytes: Buffer | undefined;

  constructor(revision: number, events: readonly WatchEvent[], withPrevious: boolean) {
    this.revision = revision;
    this.events = events;
    this.withPrevious = withPrevious;
    this.bytes = undefined;
  }

  /** Field `events` of WatchResponse, its last: the whole response is its other fields and then this. */
  get encoded(): Buffer {
    this.bytes ??= encodeEvents(this.events, this.withPrevious);
    return this.bytes;
  }
}

/** Bytes an event takes in a WatchResponse, tag and length included. */
export function eventFieldBytes(event: WatchEvent, withPrevious: boolean): number {
  return 1 + sizeDelimited(eventBytes(event, withPrevious));
}

/** Of the mvccpb.Event message alone. */
function eventBytes(event: WatchEvent, withPrevious: boolean): number {
  let size = 1 + sizeDelimited(event.kv.encoded.length);
  if (event.type !== EventType.PUT) size += 2;
  if (withPrevious && event.previous) size += 1 + sizeDelimited(event.previous.encoded.length);
  return size;
}

function encodeEvents(events: readonly WatchEvent[], withPrevious: boolean): Buffer {
  let size = 0;
  for (const event of events) size += eventFieldBytes(event, withPrevious);
  const bytes = Buffer.allocUnsafe(size);
  let position = size;
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i];
    const end = position;
    if (withPrevious && event.previous) position = putKeyValue(bytes, position, event.previous, TAG_PREV_KV);
    position = putKeyValue(bytes, position, event.kv, TAG_KV);
    if (event.type !== EventType.PUT) {
      bytes[--position] = event.type;
      bytes[--position] = TAG_TYPE;
    }
    position = putVarint(bytes, position, end - position);
    bytes[--position] = TAG_EVENTS;
  }
  return bytes;
}

/** Writes so that it ends before `end`; returns where it starts. */
function putKeyValue(bytes: Buffer, end: number, kv: KeyValue, tag: number): number {
  const { encoded } = kv;
  let position = end - encoded.length;
  bytes.set(encoded, position);
  position = putVarint(bytes, position, encoded.length);
  bytes[--position] = tag;
  return position;
}

/**
 * The events collected for a watcher so far, as a chain of which watchers with the same events share every
 * link: while one list of events is handed round, each link remembers its extension by the current event.
 */
export class EventChain {
  private readonly parent: EventChain | undefined;
  private readonly event: WatchEvent | undefined;
  private readonly withPrevious: boolean;
  private extension: EventChain | undefined;
  private batch: WatchBatch | undefined;

  private constructor(parent: EventChain | undefined, event: WatchEvent | undefined, withPrevious: boolean) {
    this.parent = parent;
    this.event = event;
    this.withPrevious = withPrevious;
    this.extension = undefined;
    this.batch = undefined;
  }

  static root(withPrevious: boolean): EventChain {
    return new EventChain(undefined, undefined, withPrevious);
  }

  /** This chain and then `event`; events come in one order for all. */
  extend(event: WatchEvent): EventChain {
    if (this.extension?.event !== event) this.extension = new EventChain(this, event, this.withPrevious);
    return this.extension;
  }

  /** The chain as a batch; one for all who ask. */
  toBatch(revision: number): WatchBatch {
    this.batch ??= new WatchBatch(revision, EventChain.eventsOf(this), this.withPrevious);
    return this.batch;
  }

  private static eventsOf(chain: EventChain): WatchEvent[] {
    const events: WatchEvent[] = [];
    for (let link = chain; link.event !== undefined; link = link.parent!) events.push(link.event);
    return events.reverse();
  }
}
