/**
 * Keeps somebody told of the state of a resource: a list, then every change, for as long as it runs. Watches that end
 * are begun again where they stopped; what was missed for too long is listed anew. One request at a time is open.
 *
 * Modelled on client-go's Reflector, streaming lists included.
 */

import { pause, type Clock, type Logger, type Prng } from '@keelson/base';

import { hasReason, KubeError, statusError } from './kube-error.ts';
import { describeResource, type KubeObject, type Resource, type WatchEvent } from './objects.ts';
import { Backoff, jittered } from './backoff.ts';
import type { ListOptions, RestClient } from './rest-client.ts';

/** Who is told. Calls come one after the other, never during another; none may throw. */
export interface ReflectorTarget {
  /** All there is now; what is not among it is gone. */
  replace(objects: readonly KubeObject[], resourceVersion: string): void;
  change(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void;
}

export interface ReflectorOptions {
  readonly client: RestClient;
  readonly resource: Resource;
  /** Empty: all of them. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly metadataOnly?: boolean;
  readonly target: ReflectorTarget;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
}

/** Watches last that long, and up to twice as long, so that they spread over servers that come and go. */
const WATCH_SECONDS_MIN = 300;
/** A server that does not end a watch by itself is not believed to be there. */
const WATCH_GRACE_MS = 30_000;
/** A watch that ends earlier and brought nothing is no watch. */
const SHORT_WATCH_MS = 1_000;
const PAGE = 500;
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export class Reflector {
  private readonly options: ReflectorOptions;
  private readonly backoff: Backoff;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  private resourceVersion = '';
  /** Whether the version was too old or too new for the server: then it says itself what is newest. */
  private versionUnusable = false;
  /** Whether the server sends a list as a stream; known after the first refusal. */
  private streams = true;
  private listed = false;
  /** Whether what is to be watched from is not known, or not to be had any more. */
  private needsList = true;

  constructor(options: ReflectorOptions) {
    this.options = options;
    this.backoff = new Backoff(
      { firstMs: 800, maxMs: 30_000, factor: 2, jitter: 1, resetMs: 120_000 },
      options.clock,
      options.prng,
    );
  }

  /** Whether the target has been told of a whole state. */
  get synced(): boolean {
    return this.listed;
  }

  /** The version of the last thing the target was told. */
  get lastResourceVersion(): string {
    return this.resourceVersion;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Resolves when nothing runs any more; the target is not told anything after the call. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async run(): Promise<void> {
    const { clock } = this.options;
    while (!this.stopped) {
      const beganMs = clock.monotonicMs();
      const before = this.resourceVersion;
      let failed = false;
      try {
        if (!this.needsList) await this.watch();
        else if (this.streams) await this.stream();
        else await this.list();
      } catch (error) {
        if (this.stopped) return;
        if (!(error instanceof KubeError)) throw error;
        failed = true;
        if (isExpired(error)) {
          this.needsList = true;
          this.versionUnusable = true;
        } else {
          this.report(error);
        }
      }
      const vain = clock.monotonicMs() - beganMs < SHORT_WATCH_MS && before === this.resourceVersion;
      if (failed || vain) await pause(clock, this.backoff.next(), this.stopping.signal);
    }
  }

  private report(error: KubeError): void {
    const { logger, resource } = this.options;
    logger.warn('a watch failed', {
      resource: describeResource(resource),
      code: error.code,
      reason: error.reason,
      error: error.message,
    });
  }

  /** A list that arrives as a watch does, and stays one. */
  private async stream(): Promise<void> {
    const initial = new Map<string, KubeObject>();
    let complete = false;
    try {
      await this.follow(
        {
          ...(this.versionUnusable ? {} : { resourceVersion: this.resourceVersion }),
          sendInitialEvents: true,
        },
        (event) => {
          if (complete) return this.take(event);
          const { metadata } = event.object;
          if (event.type === 'BOOKMARK') {
            if (metadata.annotations?.[INITIAL_EVENTS_END] !== 'true') return;
            complete = true;
            this.replace([...initial.values()], metadata.resourceVersion ?? '');
            // The watch lasts for minutes; what changes meanwhile is not kept for it.
            initial.clear();
          } else if (event.type === 'DELETED') {
            initial.delete(identity(event.object));
          } else {
            initial.set(identity(event.object), event.object);
          }
        },
      );
    } catch (error) {
      // A server without streaming lists refuses the option, or does not know it.
      if (!complete && error instanceof KubeError && [400, 405, 406, 422].includes(error.httpCode)) {
        this.streams = false;
        await this.list();
        return;
      }
      throw error;
    }
  }

  /** Whole, in pages; a list that grows too old on the way is had in one piece. */
  private async list(): Promise<void> {
    const { client, resource, namespace = '', metadataOnly, labelSelector, fieldSelector } = this.options;
    const select: ListOptions = {
      signal: this.stopping.signal,
      ...(metadataOnly === undefined ? {} : { metadataOnly }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
    const start = this.versionUnusable ? {} : { resourceVersion: this.resourceVersion || '0' };
    const objects: KubeObject[] = [];
    let page = await client.list(resource, namespace, { ...select, ...start, limit: PAGE });
    objects.push(...page.items);
    while ((page.metadata.continue ?? '') !== '') {
      try {
        page = await client.list(resource, namespace, {
          ...select,
          limit: PAGE,
          continue: page.metadata.continue ?? '',
        });
      } catch (error) {
        if (!hasReason(error, 'Expired', 'Gone')) throw error;
        objects.length = 0;
        page = await client.list(resource, namespace, select);
      }
      objects.push(...page.items);
    }
    if (this.stopped) return;
    this.replace(objects, page.metadata.resourceVersion ?? '');
  }

  private watch(): Promise<void> {
    return this.follow({ resourceVersion: this.resourceVersion }, (event) => this.take(event));
  }

  private async follow(
    options: { readonly resourceVersion?: string; readonly sendInitialEvents?: boolean },
    take: (event: WatchEvent) => void,
  ): Promise<void> {
    const { client, resource, namespace = '', metadataOnly, labelSelector, fieldSelector } = this.options;
    const { clock, prng } = this.options;
    const timeoutSeconds = Math.round(jittered(WATCH_SECONDS_MIN, 1, prng));
    const guard = new AbortController();
    const abort = (): void => guard.abort();
    const timer = clock.setTimer(timeoutSeconds * 1_000 + WATCH_GRACE_MS, abort);
    this.stopping.signal.addEventListener('abort', abort, { once: true });
    if (this.stopped) guard.abort();
    try {
      const batches = client.watch(resource, namespace, {
        ...options,
        timeoutSeconds,
        signal: guard.signal,
        ...(metadataOnly === undefined ? {} : { metadataOnly }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
      });
      for await (const batch of batches) {
        for (const event of batch) {
          if (this.stopped) return;
          if (event.type === 'ERROR') throw errorOf(event.object);
          take(event);
        }
      }
    } finally {
      timer.cancel();
      this.stopping.signal.removeEventListener('abort', abort);
    }
  }

  private replace(objects: readonly KubeObject[], resourceVersion: string): void {
    this.resourceVersion = resourceVersion;
    this.versionUnusable = false;
    this.listed = true;
    this.needsList = false;
    this.options.target.replace(objects, resourceVersion);
  }

  private take({ type, object }: WatchEvent): void {
    const { resourceVersion } = object.metadata;
    if (resourceVersion !== undefined) this.resourceVersion = resourceVersion;
    if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED')
      this.options.target.change(type, object);
  }
}

/** Names an object within a resource. */
function identity({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}

/** The version asked for is not to be had: too old, or of a server that was ahead. */
function isExpired(error: unknown): boolean {
  return (
    hasReason(error, 'Expired', 'Gone') ||
    (error instanceof KubeError &&
      (error.causes.some((cause) => cause.reason === 'ResourceVersionTooLarge') ||
        error.message.startsWith('Too large resource version')))
  );
}

function errorOf(status: KubeObject): KubeError {
  const code = status['code'];
  return statusError(typeof code === 'number' ? code : 500, { ...status, kind: 'Status' }, '');
}
