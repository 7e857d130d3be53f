/**
 * What a case of the storage contract gets: a storage of pods under keys of its own, and the few things a case does
 * behind the storage's back. One backend serves all cases, one after another.
 */

import { expect } from '@jest/globals';

import type { KubeObject } from '../../src/api/meta.ts';
import { parseFieldSelector, parseLabelSelector } from '../../src/api/selectors.ts';
import { ApiError } from '../../src/api/status.ts';
import { ProtobufCodec } from '../../src/codec/protobuf.ts';
import { TypeTable } from '../../src/schema/type-table.ts';
import { builtInCodec } from '../../src/storage/object-codec.ts';
import { StorageError, type StorageErrorCode } from '../../src/storage/storage-error.ts';
import type {
  Selection,
  Storage,
  StorageBackend,
  StorageResource,
  StoredObject,
  ValueTransformer,
  Watch,
  WatchEvent,
} from '../../src/storage/storage.ts';

/** A backend under test. Its prefix is /registry. */
export interface BackendUnderTest {
  readonly backend: StorageBackend;
  /** As etcd's Compact. */
  compact(revision: number): Promise<void>;
  /** The bytes under a full key. */
  read(key: string): Promise<Buffer | undefined>;
  write(key: string, value: Buffer): Promise<void>;
  /** Whether it reports progress when asked. */
  readonly reportsProgress: boolean;
  close(): Promise<void>;
}

export interface Case {
  readonly name: string;
  /** Only where the store reports progress. */
  readonly needsProgress?: boolean;
  readonly run: (context: Context) => Promise<void>;
}

const table = new TypeTable();
const schemaProps = table.struct('apiextensions.v1.JSONSchemaProps');
const podCodec = builtInCodec({
  protobuf: new ProtobufCodec(schemaProps),
  schemaProps,
  stored: { apiVersion: 'v1', kind: 'Pod', struct: table.struct('core.v1.Pod') },
});

export class Context {
  readonly under: BackendUnderTest;
  /** `/case-7/pods`. */
  readonly prefix: string;
  readonly storage: Storage;

  constructor(under: BackendUnderTest, serial: number) {
    this.under = under;
    this.prefix = `/case-${serial}/pods`;
    this.storage = this.with({});
  }

  /** Another storage of the same keys. */
  with(fields: { readonly transformer?: ValueTransformer }): Storage {
    const resource: StorageResource = {
      resource: { group: '', resource: 'pods' },
      prefix: this.prefix,
      codec: podCodec,
      fieldsOf: podFields,
      ...fields,
    };
    return this.under.backend.storage(resource);
  }

  key(name: string, namespace = 'ns'): string {
    return `${this.prefix}/${namespace}/${name}`;
  }

  full(name: string, namespace = 'ns'): string {
    return `/registry${this.key(name, namespace)}`;
  }

  create(name: string, fields: PodFields = {}): Promise<StoredObject> {
    const made = pod(name, fields);
    return this.storage.create(this.key(name, made.metadata.namespace), made);
  }

  /** Sets the node: what changes a pod in these cases. */
  update(name: string, node: string, namespace = 'ns'): Promise<StoredObject> {
    return this.storage.guaranteedUpdate(this.key(name, namespace), (current) => ({
      value: withNode(valueOf(current), node),
    }));
  }

  /** Pods `p0` … in namespace ns. */
  async fill(count: number, fields: (index: number) => PodFields = () => ({})): Promise<StoredObject[]> {
    const made: StoredObject[] = [];
    for (let index = 0; index < count; index += 1) made.push(await this.create(`p${index}`, fields(index)));
    return made;
  }
}

export interface PodFields {
  readonly namespace?: string;
  readonly uid?: string;
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export function pod(name: string, { namespace = 'ns', uid, node = '', labels }: PodFields = {}): KubeObject {
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name,
      namespace,
      ...(uid === undefined ? {} : { uid }),
      ...(labels === undefined ? {} : { labels }),
    },
    spec: { containers: null, ...(node === '' ? {} : { nodeName: node }) },
    status: {},
  };
}

export function withNode(value: KubeObject, node: string): KubeObject {
  return { ...value, spec: { ...specOf(value), nodeName: node } };
}

export function withLabels(value: KubeObject, labels: Readonly<Record<string, string>>): KubeObject {
  return { ...value, metadata: { ...value.metadata, labels } };
}

export function nodeOf(object: StoredObject): string {
  const node = specOf(object.value)['nodeName'];
  return typeof node === 'string' ? node : '';
}

function specOf(value: KubeObject): Readonly<Record<string, unknown>> {
  return typeof value['spec'] === 'object' && value['spec'] !== null ? { ...value['spec'] } : {};
}

function podFields(value: KubeObject): Readonly<Record<string, string>> {
  const node = specOf(value)['nodeName'];
  return {
    'metadata.name': value.metadata.name ?? '',
    'metadata.namespace': value.metadata.namespace ?? '',
    'spec.nodeName': typeof node === 'string' ? node : '',
  };
}

export function valueOf(current: StoredObject | undefined): KubeObject {
  if (current === undefined) throw new Error('the object does not exist');
  return current.value;
}

export function select({ labels = '', fields = '' }: { labels?: string; fields?: string }): Selection {
  return { labels: parseLabelSelector(labels), fields: parseFieldSelector(fields) };
}

export function names(objects: readonly StoredObject[]): string {
  return objects.map(({ value }) => value.metadata.name ?? '').join(' ');
}

/** What an operation is refused with. */
export async function refusal(operation: Promise<unknown>): Promise<Error> {
  try {
    await operation;
  } catch (error) {
    // A test's realm has an Error of its own: an AbortError is none of it.
    return error instanceof Error ? error : new Error(String(error));
  }
  throw new Error('it was not refused');
}

export async function expectCode(operation: Promise<unknown>, code: StorageErrorCode): Promise<StorageError> {
  const error = await refusal(operation);
  if (!(error instanceof StorageError)) throw error;
  expect(error.code).toBe(code);
  return error;
}

export async function expectStatus(operation: Promise<unknown>, code: number): Promise<ApiError> {
  const error = await refusal(operation);
  if (!(error instanceof ApiError)) throw error;
  expect([error.code, error.message]).toEqual([code, error.message]);
  return error;
}

/** Reads a watch event by event. */
export class Reader {
  private readonly watch: Watch;
  private readonly iterator: AsyncIterator<readonly WatchEvent[]>;
  private waiting: WatchEvent[] = [];

  constructor(watch: Watch) {
    this.watch = watch;
    this.iterator = watch[Symbol.asyncIterator]();
  }

  /** The next event; undefined at the end. */
  async next(): Promise<WatchEvent | undefined> {
    while (this.waiting.length === 0) {
      const { done, value } = await this.iterator.next();
      if (done === true) return undefined;
      this.waiting = [...value];
    }
    return this.waiting.shift();
  }

  /** The next events that are no bookmarks, each as `ADDED p0 @12`, the revision counted from `base`. */
  async take(count: number, base = 0): Promise<string[]> {
    const seen: string[] = [];
    while (seen.length < count) {
      const event = await this.next();
      if (event === undefined) throw new Error(`the watch ended after ${seen.join(', ')}`);
      if (event.type !== 'BOOKMARK') seen.push(describe(event, base));
    }
    return seen;
  }

  stop(): void {
    this.watch.stop();
  }
}

export function describe(event: WatchEvent, base = 0): string {
  switch (event.type) {
    case 'BOOKMARK':
      return `BOOKMARK @${event.revision - base}${event.initialEventsEnd ? ' end' : ''}`;
    case 'ERROR':
      return `ERROR ${event.error.code} ${event.error.message}`;
    default: {
      const { value, revision } = event.object;
      expect(value.metadata.resourceVersion).toBe(String(revision));
      return `${event.type} ${value.metadata.name} @${revision - base}`;
    }
  }
}
