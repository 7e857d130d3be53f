/**
 * A watch: events of the storage as a client sees them, in his version and form, until he goes, the time is up or
 * the source ends. Frames are http's.
 */

import type { ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { isReady, type ReadyIterator } from '../api/ready.ts';
import { statusObject } from '../api/status.ts';
import { asObject } from '../codec/object-codec.ts';
import { metadataOf, tableOf, type IncludeObject } from '../printers/table.ts';
import { settled } from '../registry/conversions.ts';
import { selectionOf } from '../registry/selection.ts';
import type { ObjectEvent, StoredObject, Watch, WatchEvent } from '../storage/storage.ts';
import { formOf, includeOf, isServedAsStored } from './answer.ts';
import { ConvertedSelection } from './converted-selection.ts';
import { pathName, turnOf } from './list.ts';
import { listOptions } from './options.ts';
import { namespaceOf, type Scope } from './scope.ts';
import type { AnswerForm, WireEvent } from './wire.ts';

/** Events that are shown in one go: about two milliseconds of decoding and encoding pods. */
const PORTION_COUNT = 16;
/** Tells a client of sendInitialEvents that all that was there has been sent. */
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export async function watch(scope: Scope): Promise<ApiResponse> {
  const { request, served, parts } = scope;
  const { info } = request;
  const form = formOf(scope, true);
  const options = listOptions(request.query, true);
  const selection = selectionOf(served.definition, info.labelSelector, info.fieldSelector, pathName(scope));
  if (served.store === undefined) throw new Error(`${served.definition.resource} is not stored`);
  const seconds = options.timeoutSeconds ?? parts.watchSecondsMin * (1 + parts.random(1000) / 1000);
  const converted = new ConvertedSelection(scope, selection);
  const source = await served.store.watch(namespaceOf(scope), {
    resourceVersion: options.resourceVersion,
    selection: converted.stored,
    bookmarks: options.allowWatchBookmarks,
    sendInitialEvents: options.sendInitialEvents,
    timeoutMs: seconds * 1000,
    signal: request.signal,
  });
  const include = form.as === 'Table' ? includeOf(scope) : 'None';
  const shape = new EventShape(scope, converted, form, include);
  return parts.wire.watchResponse(request, form, new WireEvents(scope, shape, source, seconds * 1000));
}

/**
 * The source's batches as one watcher sees them, until it ends, the time is up or nobody listens. No generator: with a
 * thousand watchers of one object each step of each of them counts.
 */
class WireEvents implements AsyncIterable<readonly WireEvent[]>, ReadyIterator<readonly WireEvent[]> {
  private readonly source: Watch;
  private readonly batches: AsyncIterator<readonly WatchEvent[]>;
  /** The same, once they can be polled. */
  private ready: ReadyIterator<readonly WatchEvent[]> | undefined = undefined;
  private readonly shape: EventShape;
  private readonly timer: { cancel(): void };
  private readonly signal: AbortSignal;
  private readonly turn: () => Promise<void>;
  /** Of a long batch, what was not handed on yet, and how far it was. */
  private long: readonly WatchEvent[] = [];
  private at = 0;
  private readonly stop = (): void => this.source.stop();
  private readonly step = (result: IteratorResult<readonly WatchEvent[]>): Step | Promise<Step> => {
    if (result.done === true) {
      this.end();
      return OVER;
    }
    const events = result.value;
    if (events.length > PORTION_COUNT) {
      this.long = events;
      this.at = 0;
      return this.portion();
    }
    return this.shape.prepares ? this.converted(events) : { done: false, value: this.wired(events) };
  };
  private readonly failed = (error: unknown): never => {
    this.end();
    throw error;
  };

  constructor(scope: Scope, shape: EventShape, source: Watch, limitMs: number) {
    const { parts, request } = scope;
    this.source = source;
    this.batches = source[Symbol.asyncIterator]();
    this.shape = shape;
    this.signal = request.signal;
    this.turn = () => turnOf(scope);
    this.timer = parts.setTimer(limitMs, this.stop);
    this.signal.addEventListener('abort', this.stop, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get canPoll(): boolean {
    if (this.long.length === 0 && isReady(this.batches) && !this.shape.prepares) this.ready = this.batches;
    return this.ready !== undefined;
  }

  poll(): readonly WireEvent[] | 'ended' | undefined {
    const batch = this.ready === undefined ? 'ended' : this.ready.poll();
    if (batch === undefined) return undefined;
    if (batch === 'ended') {
      this.end();
      return batch;
    }
    return this.wired(batch);
  }

  whenReady(task: () => void): void {
    this.ready?.whenReady(task);
  }

  next(): Promise<Step> {
    if (this.long.length > 0) return this.portion();
    const next = this.batches.next();
    const ready = this.shape.prepares ? next.then((result) => this.shape.prepared(result)) : next;
    return ready.then(this.step, this.failed);
  }

  async return(): Promise<Step> {
    this.end();
    await this.batches.return?.();
    return OVER;
  }

  /** Some of a long batch, when it is its turn: a watch that begins with the state is as much work as a list. */
  private async portion(): Promise<Step> {
    await this.turn();
    const { long, at } = this;
    this.at += PORTION_COUNT;
    if (this.at >= long.length) this.long = [];
    const events = long.slice(at, at + PORTION_COUNT);
    return this.shape.prepares ? await this.converted(events) : { done: false, value: this.wired(events) };
  }

  /** What was asked for the batch may be forgotten by now, where others ask for much: then it is asked for again. */
  private async converted(events: readonly WatchEvent[]): Promise<Step> {
    try {
      const value: WireEvent[] = [];
      for (const event of events) value.push(await settled(() => this.shape.wire(event)));
      return { done: false, value };
    } catch (error) {
      return this.failed(error);
    }
  }

  private wired(events: readonly WatchEvent[]): readonly WireEvent[] {
    const { shape } = this;
    try {
      return events.map((event) => shape.wire(event));
    } catch (error) {
      return this.failed(error);
    }
  }

  private end(): void {
    this.timer.cancel();
    this.signal.removeEventListener('abort', this.stop);
    this.source.stop();
  }
}

type Step = IteratorResult<readonly WireEvent[], undefined>;

const OVER = { done: true, value: undefined } as const;

/** Is sent as it is stored: its object is looked at only where somebody asks for it. */
class PlainEvent implements WireEvent {
  readonly type: WireEvent['type'];
  readonly initial: boolean;
  private readonly stored: StoredObject;

  constructor({ type, object, initial }: ObjectEvent) {
    this.type = type;
    this.initial = initial;
    this.stored = object;
  }

  get object(): KubeObject {
    return this.stored.value;
  }

  get json(): Buffer {
    return this.stored.json();
  }
}

/** Makes of the storage's events those of one watcher. */
class EventShape {
  private readonly scope: Scope;
  private readonly selection: ConvertedSelection;
  private readonly form: AnswerForm;
  private readonly include: IncludeObject;
  /** Whether stored bytes are what is sent. */
  private readonly plain: boolean;
  /** A table tells its columns in the first event only. */
  private columns = true;

  constructor(scope: Scope, selection: ConvertedSelection, form: AnswerForm, include: IncludeObject) {
    this.scope = scope;
    this.selection = selection;
    this.form = form;
    this.include = include;
    this.plain = form.as === 'object' && form.media === 'json' && isServedAsStored(scope);
  }

  /** Whether objects are converted by somebody who is asked. */
  get prepares(): boolean {
    return this.scope.served.definition.prepareConversion !== undefined;
  }

  /** The same, once the calls are made that its conversions take. */
  async prepared(
    result: IteratorResult<readonly WatchEvent[]>,
  ): Promise<IteratorResult<readonly WatchEvent[]>> {
    if (result.done === true) return result;
    return { done: false, value: await this.selection.events(result.value) };
  }

  wire(event: WatchEvent): WireEvent {
    switch (event.type) {
      case 'BOOKMARK':
        return { type: 'BOOKMARK', object: this.bookmark(event.revision, event.initialEventsEnd) };
      case 'ERROR':
        return { type: 'ERROR', object: asObject(statusObject(event.error.status)) };
      default:
        return this.change(event);
    }
  }

  private change(event: ObjectEvent): WireEvent {
    if (this.plain) return new PlainEvent(event);
    const { parts, served } = this.scope;
    const { type, object } = event;
    return { type, object: this.shaped(parts.scheme.toServed(served, object.value)) };
  }

  private bookmark(revision: number, initialEventsEnd: boolean): KubeObject {
    const { served } = this.scope;
    const object: KubeObject = {
      kind: served.kind,
      apiVersion: served.apiVersion,
      metadata: {
        resourceVersion: String(revision),
        ...(initialEventsEnd ? { annotations: { [INITIAL_EVENTS_END]: 'true' } } : {}),
      },
    };
    return this.shaped(object);
  }

  private shaped(object: KubeObject): KubeObject {
    const { served, parts } = this.scope;
    switch (this.form.as) {
      case 'Table': {
        const columns = this.columns;
        this.columns = false;
        const { resourceVersion } = object.metadata;
        return tableOf([object], resourceVersion === undefined ? {} : { resourceVersion }, {
          printer: served.version.printer,
          version: this.form.version,
          include: this.include,
          nowMs: parts.nowMs(),
          columns,
        });
      }
      case 'PartialObjectMetadata':
      case 'PartialObjectMetadataList':
        return metadataOf(object, this.form.version);
      case 'object':
        return object;
    }
  }
}
