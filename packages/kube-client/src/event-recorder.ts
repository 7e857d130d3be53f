/**
 * Tells people what a loop did or could not do, as Events: the same thing said again raises a count, many similar ones
 * become one, and who says too much of one object is not heard. Events that wait to be sent are bounded; what does not
 * fit is dropped and counted, because a loop never waits for its words.
 *
 * Modelled on client-go's tools/record and its correlator.
 */

import type { Clock, Logger } from '@keelson/base';

import { hasReason, KubeError } from './kube-error.ts';
import type { Counter, MetricSet } from './metrics.ts';
import type { KubeObject, Resource } from './objects.ts';
import type { RestClient } from './rest-client.ts';

export type EventType = 'Normal' | 'Warning';

export interface EventRecorderOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricSet;
  /** Who speaks: source.component and reportingComponent. */
  readonly component: string;
}

const EVENTS: Resource = { group: '', version: 'v1', resource: 'events' };
/** Things said that are remembered, as client-go. */
const REMEMBERED_MAX = 4_096;
/** Events that wait to be sent, as client-go's broadcaster. */
const WAITING_MAX = 1_000;
/** Of one object: so many at once, then one in five minutes. */
const BURST = 25;
const REFILL_MS = 300_000;
/** More than so many that differ in their words alone within the interval are one. */
const SIMILAR_MAX = 10;
const SIMILAR_MS = 600_000;
const ATTEMPTS_MAX = 12;

interface Said {
  name: string;
  namespace: string;
  count: number;
  firstTimestamp: string;
}

interface Similar {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class EventRecorder {
  private readonly options: EventRecorderOptions;
  private readonly said = new Map<string, Said>();
  private readonly similar = new Map<string, Similar>();
  private readonly buckets = new Map<string, Bucket>();
  private readonly dropped: Counter;
  private waiting: (() => Promise<void>)[] = [];
  private sending: Promise<void> | undefined;
  private stopped = false;
  private serial = 0;

  constructor(options: EventRecorderOptions) {
    const { metrics, component } = options;
    this.options = options;
    const labels = { component };
    this.dropped = metrics.counter(
      'event_recorder_dropped_total',
      'Events that were not sent: too many of one object, or too many waiting.',
      labels,
    );
    metrics.gauge(
      'event_recorder_waiting',
      'Events that wait to be sent.',
      labels,
      () => this.waiting.length,
    );
  }

  /** @param about apiVersion, kind and metadata are read */
  event(about: KubeObject, type: EventType, reason: string, message: string): void {
    if (this.stopped) return;
    const { metadata } = about;
    const object = [about.kind, metadata.namespace, metadata.name, metadata.uid, about.apiVersion].join('\n');
    if (!this.allowed(object) || this.waiting.length >= WAITING_MAX) {
      this.dropped.add();
      return;
    }
    const group = [object, type, reason].join('\n');
    const combined = this.combined(group, message);
    const text = combined ? `(combined from similar events): ${message}` : message;
    const key = combined ? group : [group, message].join('\n');
    const now = this.time();
    this.waiting.push(() => this.send(key, about, type, reason, text, now));
    this.sending ??= this.drain();
  }

  /** Sends what waits, and takes no more. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.sending;
  }

  private async drain(): Promise<void> {
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      try {
        await next();
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        this.options.logger.warn('an event could not be written', { error: error.message });
        // Who stops does not wait for a server that is gone.
        if (this.stopped && error.code !== 'STATUS') this.waiting = [];
      }
    }
    this.sending = undefined;
  }

  private async send(
    key: string,
    about: KubeObject,
    type: EventType,
    reason: string,
    message: string,
    now: string,
  ): Promise<void> {
    const { client } = this.options;
    const before = this.said.get(key);
    if (before !== undefined) {
      const patch = { count: before.count + 1, lastTimestamp: now, message };
      try {
        await client.patch(EVENTS, before.namespace, before.name, 'strategic', patch);
        before.count += 1;
        remember(this.said, key, before);
        return;
      } catch (error) {
        // It has lived its hour; the count goes on in a new one.
        if (!hasReason(error, 'NotFound')) throw error;
      }
    }
    const said = await this.create(about, type, reason, message, now, before);
    remember(this.said, key, said);
  }

  private async create(
    about: KubeObject,
    type: EventType,
    reason: string,
    message: string,
    now: string,
    before: Said | undefined,
  ): Promise<Said> {
    const { client, component } = this.options;
    const { apiVersion, kind, metadata } = about;
    const { name = '', uid, resourceVersion } = metadata;
    const namespace = metadata.namespace ?? 'default';
    const count = (before?.count ?? 0) + 1;
    const firstTimestamp = before?.firstTimestamp ?? now;
    for (let attempt = 1; ; attempt += 1) {
      const eventName = `${name}.${this.suffix()}`;
      try {
        await client.create(EVENTS, namespace, {
          apiVersion: 'v1',
          kind: 'Event',
          metadata: { name: eventName, namespace },
          involvedObject: {
            ...(apiVersion === undefined ? {} : { apiVersion }),
            ...(kind === undefined ? {} : { kind }),
            name,
            ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
          reason,
          message,
          type,
          count,
          firstTimestamp,
          lastTimestamp: now,
          source: { component },
          reportingComponent: component,
          reportingInstance: '',
        });
        return { name: eventName, namespace, count, firstTimestamp };
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists') || attempt >= ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Of an object's events so many are let through. */
  private allowed(object: string): boolean {
    const nowMs = this.options.clock.monotonicMs();
    const bucket = this.buckets.get(object) ?? { tokens: BURST, atMs: nowMs };
    bucket.tokens = Math.min(BURST, bucket.tokens + (nowMs - bucket.atMs) / REFILL_MS);
    bucket.atMs = nowMs;
    remember(this.buckets, object, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** Whether too many were said that differ in their words alone. */
  private combined(group: string, message: string): boolean {
    const nowMs = this.options.clock.monotonicMs();
    const found = this.similar.get(group);
    const similar =
      found === undefined || nowMs - found.lastMs > SIMILAR_MS
        ? { messages: new Set<string>(), lastMs: nowMs }
        : found;
    similar.lastMs = nowMs;
    remember(this.similar, group, similar);
    if (similar.messages.has(message)) return false;
    if (similar.messages.size >= SIMILAR_MAX) return true;
    similar.messages.add(message);
    return false;
  }

  private time(): string {
    return `${new Date(this.options.clock.nowMs()).toISOString().slice(0, 19)}Z`;
  }

  /** Unlike any other of this process, and hardly like another's: the time, and a number. */
  private suffix(): string {
    this.serial += 1;
    return (BigInt(Math.trunc(this.options.clock.nowMs())) * 1_000_000n + BigInt(this.serial)).toString(16);
  }
}

/** Puts a value last in the order of use; the first one goes when there are too many. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= REMEMBERED_MAX) return;
  const [oldest] = map.keys();
  map.delete(oldest);
}
