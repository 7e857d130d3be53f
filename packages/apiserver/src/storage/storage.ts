/**
 * Where objects live: the interface everything above is built on, per resource, whatever holds the bytes. An
 * implementation stores what its codec makes of an object and hands back StoredObjects; it knows nothing about
 * kinds, defaulting, validation or who asks. Two stand: etcd-storage.ts over an etcd client and
 * memory-storage.ts; the watch cache in front of either answers the same questions.
 *
 * Modelled on kubernetes/apiserver pkg/storage/interfaces.go. What is refused is thrown: a StorageError where the
 * caller knows better what the object is called (storage-error.ts turns it into the answer a client gets), an
 * ApiError where the text is the same for everybody (410 Expired, 504 Too large resource version, 400).
 */

import type { GroupResource, KubeObject } from '../api/meta.ts';
import { matchesFields, matchesLabels, type FieldRequirement, type Requirement } from '../api/selectors.ts';
import type { Pace, Sliced, Slices } from '../api/sliced.ts';
import type { ApiError } from '../api/status.ts';

/**
 * One object as the store has it. `value` is decoded when it is first asked for and kept; `json` likewise. Neither
 * may be changed.
 */
export interface StoredObject {
  /** Key below the backend's prefix, `/pods/default/web-0`. */
  readonly key: string;
  /** The store's revision of the last change; metadata.resourceVersion is its decimal text. */
  readonly revision: number;
  /**
   * The object in the storage version, metadata.resourceVersion filled in.
   *
   * @throws StorageError CORRUPT_OBJECT when the bytes do not decode
   */
  readonly value: KubeObject;
  /** `value` as JSON, no newline at the end; made once and shared. @throws StorageError as `value` */
  json(): Buffer;
  /** Makes value and JSON in slices, where they are not made yet. @throws StorageError as `value` */
  prepareInSlices?(pace: Pace): Sliced<void>;
  /** Of what is kept of it, bytes. */
  readonly size?: number;
}

/** What is asked for: all requirements must be met. Empty lists select everything. */
export interface Selection {
  readonly labels: readonly Requirement[];
  readonly fields: readonly FieldRequirement[];
}

export const EVERYTHING: Selection = { labels: [], fields: [] };

export function selectsEverything({ labels, fields }: Selection): boolean {
  return labels.length === 0 && fields.length === 0;
}

/** Objects to stored bytes and back, for one resource. Pure; made by object-codec.ts. */
export interface ObjectCodec {
  /** The object as it is stored: resourceVersion and selfLink are left out. */
  encode(value: KubeObject): Buffer;
  /**
   * Reads protobuf and JSON alike.
   *
   * @param resourceVersion is put into metadata
   * @throws Error when the bytes are no object
   */
  decode(bytes: Buffer, resourceVersion: string): KubeObject;
  /**
   * What `decode` would give of what `encode` made of the value, where that is known without decoding.
   *
   * @returns undefined where it is not
   */
  reread?(value: KubeObject, resourceVersion: string): KubeObject | undefined;
  /** It is JSON with members in the order they came in: different bytes may say the same. */
  readonly keepsOrder?: boolean;
  /** The same, which can be put down: for what is large. */
  readonly slices?: SlicedCodec;
}

/** What an ObjectCodec does, in slices. */
export interface SlicedCodec {
  encode(value: KubeObject, pace: Pace): Sliced<Buffer>;
  decode(bytes: Buffer, resourceVersion: string, pace: Pace): Sliced<KubeObject>;
  reread(value: KubeObject, resourceVersion: string, pace: Pace): Sliced<KubeObject | undefined>;
}

/**
 * Encryption at rest: what is between the codec's bytes and the store's. Either direction may have to ask a key
 * service, so both may answer with a promise; the identity answers at once.
 */
export interface ValueTransformer {
  /**
   * @param key full key with the backend's prefix: it is authenticated, a value cannot be moved to another key
   * @throws Error when the value is not what was written there
   */
  fromStorage(value: Buffer, key: string): TransformedValue | Promise<TransformedValue>;
  toStorage(value: Buffer, key: string): Buffer | Promise<Buffer>;
}

export interface TransformedValue {
  readonly value: Buffer;
  /** Written with what is not the first choice any more (an old key): the next update writes although nothing changed. */
  readonly stale: boolean;
}

/** What a storage must know about the resource it holds. */
export interface StorageResource {
  readonly resource: GroupResource;
  /** Key prefix of the resource, `/pods`, `/services/specs`; see keys.ts. */
  readonly prefix: string;
  readonly codec: ObjectCodec;
  /** Selectable fields of an object: metadata.name, metadata.namespace, and what the kind adds. */
  fieldsOf(value: KubeObject): Readonly<Record<string, string>>;
  /** Default: bytes are stored as they are. */
  readonly transformer?: ValueTransformer;
}

/** Whether an object is selected. */
export function matches(
  resource: Pick<StorageResource, 'fieldsOf'>,
  { labels, fields }: Selection,
  value: KubeObject,
): boolean {
  if (labels.length > 0 && !matchesLabels(labels, value.metadata.labels)) return false;
  return fields.length === 0 || matchesFields(fields, resource.fieldsOf(value));
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface GetOptions extends ReadOptions {
  /** '' (default): the newest, by a quorum. '0' or N: may be older, but not than N. */
  readonly resourceVersion?: string;
  /** A copy that may be old: handed out instead of decoding anew, when it turns out to be the newest. */
  readonly cached?: StoredObject | undefined;
}

export type ResourceVersionMatch = '' | 'NotOlderThan' | 'Exact';

export interface ListOptions extends ReadOptions {
  /** '' (default): the newest. '0', N: see `resourceVersionMatch`. Empty with `continue` (or '0'). */
  readonly resourceVersion?: string;
  /**
   * What N means: not older than (also the default without a limit), or exactly (also the default with one). With
   * '0' anything will do.
   */
  readonly resourceVersionMatch?: ResourceVersionMatch;
  readonly selection?: Selection;
  /** Most objects to return; 0 (default): all. */
  readonly limit?: number;
  /** Token of the page before; '' (default): the first page. */
  readonly continue?: string;
  /** False: the key is one object's, and the list has it or is empty. Default: true, the key is a prefix. */
  readonly recursive?: boolean;
}

export interface ListResult {
  /** In order of their keys. */
  readonly objects: readonly StoredObject[];
  /** Revision of the snapshot: the list's resourceVersion. */
  readonly revision: number;
  /** Token for the next page; '' when this was the last. */
  readonly continue: string;
  /** How many follow; only when there is a next page and everything is selected. */
  readonly remainingItemCount?: number;
}

export interface WatchOptions extends ReadOptions {
  /** '' (default) and '0': the current state as ADDED, then what happens. N: what happens after N. */
  readonly resourceVersion?: string;
  readonly selection?: Selection;
  /** False: the key is one object's. Default: true, the key is a prefix. */
  readonly recursive?: boolean;
  /**
   * True: the current state first whatever the version, then a BOOKMARK with `initialEventsEnd` when bookmarks are
   * allowed. False: only what happens after N, or from now on. Absent: by the version, as it always was.
   */
  readonly sendInitialEvents?: boolean | undefined;
  /** Asks for BOOKMARKs when nothing happens. Default: false. */
  readonly bookmarks?: boolean;
  /** The reader will stop it after as long; a cache tells a BOOKMARK shortly before. */
  readonly timeoutMs?: number | undefined;
}

export type WatchEvent = ObjectEvent | BookmarkEvent | ErrorEvent;

export interface ObjectEvent {
  /**
   * With a selection, seen from it: an object that comes to be selected is ADDED, one that ceases to be is DELETED
   * and shown as it was before, with the revision of the change.
   */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** DELETED: the last state, with the revision of the deletion. */
  readonly object: StoredObject;
  /** The state before, whether it was selected or not. ADDED of the initial state: undefined. */
  readonly previous: StoredObject | undefined;
  /** Of the initial state: nothing happened, it was there. */
  readonly initial: boolean;
}

/** Every change up to `revision` has been delivered. */
export interface BookmarkEvent {
  readonly type: 'BOOKMARK';
  readonly revision: number;
  /** True once, when the whole initial state has been delivered. */
  readonly initialEventsEnd: boolean;
}

/** The watch is broken; nothing follows. 410 Expired: its place is compacted away, list again. */
export interface ErrorEvent {
  readonly type: 'ERROR';
  readonly error: ApiError;
}

/**
 * A running watch: batches of one or more events, in order of revisions. Iterate it once. A reader that is slow makes
 * the source wait or keep a bounded number; it never loses an event silently. Leaving the loop stops the watch.
 */
export interface Watch extends AsyncIterable<readonly WatchEvent[]> {
  /** Ends the iteration without an error; calling it again does nothing. */
  stop(): void;
}

export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface CreateOptions extends ReadOptions {
  /** For an object that is long: it is encoded and written as JSON in these. */
  readonly slices?: Slices | undefined;
  /** The object disappears by itself after about as long; 0 (default): never. */
  readonly ttlSeconds?: number;
}

/** What an update makes of an object. */
export interface Updated {
  readonly value: KubeObject;
  /** As CreateOptions. */
  readonly slices?: Slices | undefined;
  /** As CreateOptions; 0 or absent: the object stays, also if it had a time to live before. */
  readonly ttlSeconds?: number;
}

/**
 * Makes the new object of the current one; may be called again, with a newer one, so it must not have effects. What it
 * throws ends the update, but only if `current` is certain to be the newest: otherwise it is asked again.
 *
 * @param current undefined only with `ignoreNotFound`
 */
export type TryUpdate = (current: StoredObject | undefined) => Updated | Promise<Updated>;

export interface UpdateOptions extends ReadOptions {
  readonly preconditions?: Preconditions;
  /** A key that does not exist is given to `tryUpdate` as undefined, and created. Default: KEY_NOT_FOUND. */
  readonly ignoreNotFound?: boolean;
  /** A copy that may be old, to save the first read. Ignored when it is of another key. */
  readonly cached?: StoredObject | undefined;
}

export interface DeleteOptions extends ReadOptions {
  readonly preconditions?: Preconditions;
  /** Throws when the object must stay; called again when it changed meanwhile. */
  readonly validate?: (current: StoredObject) => void | Promise<void>;
  /** As UpdateOptions. */
  readonly cached?: StoredObject | undefined;
  /** Deletes also what cannot be decrypted or decoded; then what is returned has no readable value. Default: false. */
  readonly ignoreReadErrors?: boolean;
}

/** The objects of one resource. Keys begin with the resource's prefix, `/pods/default/web-0`. */
export interface Storage {
  readonly resource: StorageResource;

  /** @throws StorageError KEY_NOT_FOUND; ApiError 504 when the version has not been reached */
  get(key: string, options?: GetOptions): Promise<StoredObject>;

  /** What a cache before the store has now, without a wait; undefined where it has none, or there is no cache. */
  peek?(key: string): StoredObject | undefined;

  /** All under a key prefix, as a cache before the store has them now; undefined where they are many, or no cache is. */
  peekList?(key: string): readonly StoredObject[] | undefined;

  /**
   * Objects under a key prefix (a `/` is added at its end), at one revision.
   *
   * @throws ApiError 400 for a token or version that is none, 410 Expired, 504 Too large resource version
   */
  list(key: string, options?: ListOptions): Promise<ListResult>;

  /**
   * Resolves when it is settled from which revision on nothing will be missed.
   *
   * @throws ApiError 400, or what stands in the way of reading; what goes wrong later comes as an ERROR event
   */
  watch(key: string, options?: WatchOptions): Promise<Watch>;

  /**
   * @param value without a resourceVersion
   * @throws StorageError KEY_EXISTS; Error `resourceVersion should not be set on objects to be created` (a plain 500)
   */
  create(key: string, value: KubeObject, options?: CreateOptions): Promise<StoredObject>;

  /**
   * Reads, asks `tryUpdate`, writes if nobody else wrote meanwhile, and begins again if somebody did. What encodes to
   * the same bytes is not written: the stored object is returned as it is.
   *
   * @returns the object as it is stored now
   * @throws StorageError KEY_NOT_FOUND, INVALID_OBJECT for a precondition that fails; what `tryUpdate` throws
   */
  guaranteedUpdate(key: string, tryUpdate: TryUpdate, options?: UpdateOptions): Promise<StoredObject>;

  /**
   * @returns the object as it was, with the revision of the deletion
   * @throws StorageError KEY_NOT_FOUND, INVALID_OBJECT for a precondition that fails; what `validate` throws
   */
  delete(key: string, options?: DeleteOptions): Promise<StoredObject>;

  /** How many objects the resource has, or those under a key prefix. */
  count(key?: string, options?: ReadOptions): Promise<number>;

  /** The store's newest revision, by a quorum. */
  currentRevision(options?: ReadOptions): Promise<number>;

  /** Whether `requestProgress` works with this store; a watch cache then reads consistently by itself. */
  supportsProgress(): Promise<boolean>;

  /**
   * Asks for a BOOKMARK on all watches of the resource that want bookmarks, at the revision the store has then or later.
   * Does nothing where it is not supported.
   */
  requestProgress(): void;

  /** The oldest revision that can still be read is the one after this; 0 while nothing is known to be compacted. */
  compactedRevision(): number;

  /** Ends what runs for this resource alone, which is served no more or anew; its watches end. */
  close?(): void;
}

export interface ReadyOptions extends ReadOptions {
  /** How long the store may take; what the backend was made with unless said. */
  readonly timeoutMs?: number;
}

/** One store, many resources; what they share (connection, leases, compaction) belongs to it. */
export interface StorageBackend {
  storage(resource: StorageResource): Storage;
  /** Whether the store answers a linearizable read in time. @throws when it does not */
  ready(options?: ReadyOptions): Promise<void>;
  /** Stops what it does by itself and ends its watches. */
  close(): void;
}
