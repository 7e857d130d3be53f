/**
 * Keeps somebody told of all objects of a resource: lists them, follows what happens from there, goes on where a
 * broken watch ended, and lists again when its place in history is gone. The one who is told keeps what he needs;
 * nothing is kept here but which objects there are.
 *
 * Modelled on client-go's Reflector, on the storage itself instead of a client.
 */

import { Deferred, pause, toError, type Clock, type Logger } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import { Turns } from '../storage/list-reader.ts';
import type { ListOptions, ListResult, Watch, WatchEvent, WatchOptions } from '../storage/storage.ts';

/** Where the objects are read: the store of a resource. */
export interface InformerSource {
  page(namespace: string, options: ListOptions): Promise<ListResult>;
  watch(namespace: string, options: WatchOptions): Promise<Watch>;
}

/** Who is told. Called synchronously and in order; must not throw. */
export interface InformerHandler {
  /** An object that is there: new, changed, or seen again by another list. */
  put(object: KubeObject): void;
  /** An object that is gone. */
  remove(namespace: string, name: string): void;
}

export interface InformerOptions {
  /** For logs and health checks: `clusterroles.rbac.authorization.k8s.io`. */
  readonly name: string;
  readonly source: InformerSource;
  readonly handler: InformerHandler;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Pause after a failure; doubles up to the longest, and falls back as soon as something came through. As client-go. */
const PAUSE_MS = 800;
const PAUSE_MAX_MS = 30_000;

export class Informer {
  readonly name: string;
  private readonly options: InformerOptions;
  private readonly stopping = new AbortController();
  private readonly firstList = new Deferred<void>();
  /** `namespace/name` of all objects that are there. */
  private readonly known = new Set<string>();
  private state: 'new' | 'running' | 'stopped' = 'new';
  private listed = false;
  /** Up to here everything was told; undefined: list first. */
  private revision: number | undefined = undefined;
  private pauseMs = PAUSE_MS;
  private running: Promise<void> = Promise.resolve();

  constructor(options: InformerOptions) {
    this.options = options;
    this.name = options.name;
  }

  /** Whether the handler was told the state of one moment at least. */
  get synced(): boolean {
    return this.listed;
  }

  /** Resolves when the first list has been told; never after a stop before that. */
  whenSynced(): Promise<void> {
    return this.firstList.promise;
  }

  /** Begins; a second call does nothing. */
  start(): void {
    if (this.state !== 'new') return;
    this.state = 'running';
    this.running = this.run();
  }

  /** Ends; nobody is told anything after it resolved. */
  async stop(): Promise<void> {
    this.state = 'stopped';
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { logger } = this.options;
    while (!this.stopping.signal.aborted) {
      try {
        this.revision ??= await this.list();
        await this.follow(this.revision);
      } catch (error) {
        if (this.stopping.signal.aborted) return;
        if (hasReason(error, 'Expired') || hasReason(error, 'Gone')) {
          this.revision = undefined;
        } else {
          logger.warn('an informer was interrupted', { resource: this.name, error: toError(error).message });
        }
      }
      await this.pause();
    }
  }

  /** Tells the whole state, and what is not there any more. @returns its revision */
  private async list(): Promise<number> {
    const { source, handler, clock } = this.options;
    const { signal } = this.stopping;
    const { objects, revision } = await source.page('', { signal });
    const gone = new Set(this.known);
    const turns = new Turns(clock);
    for (const { value } of objects) {
      const { namespace = '', name = '' } = value.metadata;
      const key = `${namespace}/${name}`;
      this.known.add(key);
      gone.delete(key);
      handler.put(value);
      if (turns.due()) await turns.take();
      signal.throwIfAborted();
    }
    for (const key of gone) this.forget(key);
    this.listed = true;
    this.firstList.resolve();
    this.pauseMs = PAUSE_MS;
    return revision;
  }

  private async follow(from: number): Promise<void> {
    const { signal } = this.stopping;
    const watch = await this.options.source.watch('', {
      resourceVersion: String(from),
      sendInitialEvents: false,
      bookmarks: true,
      signal,
    });
    for await (const events of watch) {
      for (const event of events) this.tell(event);
      this.pauseMs = PAUSE_MS;
    }
  }

  private tell(event: WatchEvent): void {
    switch (event.type) {
      case 'ERROR':
        throw event.error;
      case 'BOOKMARK':
        this.revision = event.revision;
        return;
      case 'DELETED': {
        const { namespace = '', name = '' } = event.object.value.metadata;
        this.forget(`${namespace}/${name}`);
        break;
      }
      default: {
        const { value } = event.object;
        this.known.add(`${value.metadata.namespace ?? ''}/${value.metadata.name ?? ''}`);
        this.options.handler.put(value);
      }
    }
    this.revision = event.object.revision;
  }

  private forget(key: string): void {
    this.known.delete(key);
    const slash = key.indexOf('/');
    this.options.handler.remove(key.slice(0, slash), key.slice(slash + 1));
  }

  /** Waits before the next try; ends at once when it is stopped. */
  private pause(): Promise<void> {
    const { signal } = this.stopping;
    const wait = this.pauseMs;
    this.pauseMs = Math.min(this.pauseMs * 2, PAUSE_MAX_MS);
    return pause(this.options.clock, wait, signal);
  }
}
