/**
 * A resource's objects in memory, kept current, with the handlers that want to hear of changes and indexes by whatever
 * a function says of an object. Handlers run within the turn in which the change arrives: they put keys into queues.
 *
 * Modelled on client-go's shared informers; there is no queue between the watch and the handlers, and no resync.
 */

import { keyOf, type KubeObject } from './objects.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';

/** What somebody does when an object changes; none may throw. */
export interface Handler {
  added?(object: KubeObject): void;
  updated?(object: KubeObject, old: KubeObject): void;
  /** With the last state that is known. */
  deleted?(object: KubeObject): void;
}

/** The values an object is found by. */
export type Indexer = (object: KubeObject) => readonly string[];

export interface InformerOptions extends Omit<ReflectorOptions, 'target'> {
  readonly indexers?: Readonly<Record<string, Indexer>>;
  /** What is kept of an object: memory is what an informer costs. */
  readonly transform?: (object: KubeObject) => KubeObject;
}

export class Informer {
  readonly resource: ReflectorOptions['resource'];
  private readonly objects = new Map<string, KubeObject>();
  private readonly indexes: readonly Index[];
  private readonly handlers: Handler[] = [];
  private readonly transform: (object: KubeObject) => KubeObject;
  private readonly reflector: Reflector;
  private readonly waiting: (() => void)[] = [];

  constructor(options: InformerOptions) {
    const { indexers = {}, transform = withoutManagedFields, ...rest } = options;
    this.resource = options.resource;
    this.transform = transform;
    this.indexes = Object.entries(indexers).map(([name, indexer]) => new Index(name, indexer));
    this.reflector = new Reflector({
      ...rest,
      target: {
        replace: (objects) => this.replace(objects),
        change: (type, object) => this.change(type, object),
      },
    });
  }

  /** Adds a handler; it hears of what is there already as added. */
  handle(handler: Handler): void {
    this.handlers.push(handler);
    for (const object of this.objects.values()) handler.added?.(object);
  }

  start(): void {
    this.reflector.start();
  }

  stop(): Promise<void> {
    for (const resolve of this.waiting.splice(0)) resolve();
    return this.reflector.stop();
  }

  /** Whether the whole state has arrived and the handlers have heard of it. */
  get synced(): boolean {
    return this.reflector.synced;
  }

  /** Resolves when the whole state has arrived, or the informer is stopped. */
  whenSynced(): Promise<void> {
    if (this.synced) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  get size(): number {
    return this.objects.size;
  }

  /** @param key `namespace/name`, or the name alone */
  get(key: string): KubeObject | undefined {
    return this.objects.get(key);
  }

  list(): IterableIterator<KubeObject> {
    return this.objects.values();
  }

  /** The objects of which the indexer says the value. */
  byIndex(name: string, value: string): readonly KubeObject[] {
    const index = this.indexes.find((one) => one.name === name);
    if (index === undefined) throw new Error(`no index ${name}`);
    return index.find(value, this.objects);
  }

  private replace(objects: readonly KubeObject[]): void {
    const keys = new Set<string>();
    for (const object of objects) {
      keys.add(keyOf(object));
      this.put(object);
    }
    for (const [key, old] of [...this.objects]) if (!keys.has(key)) this.remove(key, old);
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private change(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): void {
    if (type === 'DELETED') this.remove(keyOf(object), this.transform(object));
    else this.put(object);
  }

  private put(object: KubeObject): void {
    const key = keyOf(object);
    const old = this.objects.get(key);
    const kept = this.transform(object);
    this.objects.set(key, kept);
    for (const index of this.indexes) index.change(key, old, kept);
    if (old === undefined) {
      for (const handler of this.handlers) handler.added?.(kept);
    } else if (old.metadata.uid !== undefined && old.metadata.uid !== kept.metadata.uid) {
      // Deleted and made again while nobody looked.
      for (const handler of this.handlers) handler.deleted?.(old);
      for (const handler of this.handlers) handler.added?.(kept);
    } else {
      for (const handler of this.handlers) handler.updated?.(kept, old);
    }
  }

  private remove(key: string, last: KubeObject): void {
    const old = this.objects.get(key);
    if (old === undefined) return;
    this.objects.delete(key);
    for (const index of this.indexes) index.change(key, old, undefined);
    for (const handler of this.handlers) handler.deleted?.(last);
  }
}

class Index {
  readonly name: string;
  private readonly indexer: Indexer;
  private readonly keys = new Map<string, Set<string>>();

  constructor(name: string, indexer: Indexer) {
    this.name = name;
    this.indexer = indexer;
  }

  change(key: string, old: KubeObject | undefined, object: KubeObject | undefined): void {
    if (old !== undefined) {
      for (const value of this.indexer(old)) {
        const keys = this.keys.get(value);
        keys?.delete(key);
        if (keys?.size === 0) this.keys.delete(value);
      }
    }
    if (object === undefined) return;
    for (const value of this.indexer(object)) {
      const keys = this.keys.get(value);
      if (keys === undefined) this.keys.set(value, new Set([key]));
      else keys.add(key);
    }
  }

  find(value: string, objects: ReadonlyMap<string, KubeObject>): KubeObject[] {
    const found: KubeObject[] = [];
    for (const key of this.keys.get(value) ?? []) {
      const object = objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }
}

/** Nobody who watches wants to know who owns which field, and it is most of the metadata. */
export function withoutManagedFields(object: KubeObject): KubeObject {
  if (!Object.hasOwn(object.metadata, 'managedFields')) return object;
  const metadata: Record<string, unknown> = { ...object.metadata };
  delete metadata['managedFields'];
  return { ...object, metadata };
}
