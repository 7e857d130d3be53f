/**
 * Create, read, list, watch, update and delete for any resource over its storage: the order of the steps, the
 * races between them, and what a client is told. What is particular to a kind comes from its definition; what is
 * particular to a request (decoding, patches, admission) comes as functions. Objects are in the storage version.
 *
 * Modelled on apiserver's registry/generic/registry Store.
 */

import { assert } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import {
  alreadyExists,
  ApiError,
  badRequest,
  generateNameConflict,
  hasReason,
  notFound,
} from '../api/status.ts';
import { listKey, objectKey } from '../storage/keys.ts';
import type {
  ObjectCodec,
  ListOptions,
  ListResult,
  Selection,
  Storage,
  StoredObject,
  Watch,
  WatchOptions,
} from '../storage/storage.ts';
import { pathSegmentErrors } from '../validation/names.ts';
import {
  checkCreate,
  GENERATED_NAME_ATTEMPTS,
  generatedName,
  inNamespace,
  needsName,
  prepareCreate,
  withSystemFields,
} from './before.ts';
import { deleteObject } from './delete-object.ts';
import { beingDeleted, checkDeleteOptions, isDeleting, type DeleteOptions } from './deletion.ts';
import { withMetadata } from './generation.ts';
import type { ObjectStore, ResourceDefinition, Stores } from './resource.ts';
import { settle } from './reservations.ts';
import {
  checked,
  existing,
  refusalOf,
  slicesOfLong,
  told,
  ttlSecondsOf,
  type Deleted,
  type Made,
  type ObjectPlace,
  type StoreCall,
  type StoreParts,
  type UpdateRequest,
  type Validations,
  type Written,
} from './store-parts.ts';
import type { StrategyContext, SubresourceStrategy } from './strategy.ts';
import { updateObject } from './update-object.ts';

/** Objects of a collection that are deleted at a time. */
const DELETE_PAGE = 10_000;

export class ResourceStore implements ObjectStore {
  readonly definition: ResourceDefinition;
  private readonly parts: StoreParts;
  private readonly storage: Storage;
  /** For calls that come from hooks and controllers, not from a request. */
  private readonly internalContext: (dryRun: boolean) => StrategyContext;

  constructor(
    definition: ResourceDefinition,
    storage: Storage,
    stores: Stores,
    codec: ObjectCodec,
    internalContext: (dryRun: boolean) => StrategyContext,
  ) {
    const { backing } = definition;
    assert(backing.kind === 'stored', `${definition.resource} is not stored`);
    this.definition = definition;
    this.parts = { definition, backing, storage, stores, reread: (object) => rereadBy(codec, object) };
    this.storage = storage;
    this.internalContext = internalContext;
  }

  // --- Reading ---------------------------------------------------------------------------------------------

  /** @throws ApiError NotFound */
  async read(
    namespace: string,
    name: string,
    options: { readonly resourceVersion?: string; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<StoredObject> {
    const key = this.keyOf(namespace, name);
    return await told(this.definition, 'get', name, () => this.storage.get(key, options));
  }

  /** As a cache has it now, without a wait; undefined where it has none. */
  peek(namespace: string, name: string): KubeObject | undefined {
    if (this.definition.scope === 'Namespaced' && namespace === '') return undefined;
    return this.storage.peek?.(this.keyOf(namespace, name))?.value;
  }

  /** All of a namespace, or of the cluster with '', as peek(); undefined where they are many. */
  peekList(namespace: string): readonly KubeObject[] | undefined {
    return this.storage.peekList?.(this.scopeOf(namespace, undefined).key)?.map((object) => object.value);
  }

  /** @throws ApiError what the client asked wrongly, or cannot have any more */
  async page(namespace: string, options: ListOptions): Promise<ListResult> {
    const { key, recursive } = this.scopeOf(namespace, options.selection);
    return await told(this.definition, 'list', '', () =>
      this.storage.list(key, { ...options, ...(recursive ? {} : { recursive }) }),
    );
  }

  async watch(namespace: string, options: WatchOptions): Promise<Watch> {
    const { key, recursive } = this.scopeOf(namespace, options.selection);
    return await told(this.definition, 'watch', '', () =>
      this.storage.watch(key, { ...options, ...(recursive ? {} : { recursive }) }),
    );
  }

  async get(namespace: string, name: string): Promise<KubeObject> {
    return (await this.read(namespace, name)).value;
  }

  async list(namespace: string): Promise<readonly KubeObject[]> {
    return (await this.page(namespace, {})).objects.map((object) => object.value);
  }

  // --- Creating --------------------------------------------------------------------------------------------

  /**
   * @param object decoded, with defaults, after mutating admission
   * @throws ApiError Invalid, AlreadyExists, or what a validation refuses with
   */
  async createObject(
    call: StoreCall,
    namespace: string,
    object: KubeObject,
    validations: Validations,
  ): Promise<Made> {
    const attempts = needsName(object) ? GENERATED_NAME_ATTEMPTS : 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.createOnce(call, namespace, object, validations);
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
        if (attempt < attempts) continue;
        if (!needsName(object)) throw error;
        throw generateNameConflict(this.definition, error.status.details?.name ?? '');
      }
    }
  }

  async create(
    namespace: string,
    object: KubeObject,
    options: { readonly dryRun: boolean },
  ): Promise<KubeObject> {
    return (await this.createObject(this.internalCall(options.dryRun), namespace, object, {})).object;
  }

  private async createOnce(
    call: StoreCall,
    namespace: string,
    object: KubeObject,
    validations: Validations,
  ): Promise<Made> {
    const { context } = call;
    let fresh = withSystemFields(inNamespace(object, namespace), context);
    if (needsName(fresh)) {
      const base = fresh.metadata.generateName ?? '';
      fresh = withMetadata(fresh, { name: generatedName(base, (limit) => context.random(limit)) });
    }
    fresh = prepareCreate(this.definition, fresh, context);
    const reservation = await this.definition.hooks?.beginCreate?.(fresh, context, this.parts.stores);
    return await settle(reservation, async () => {
      const ready = await checked(call, (parts) =>
        checkCreate(this.definition, reservation?.object ?? fresh, parts),
      );
      await validations.create?.(ready);
      return await this.insert(call, namespace, ready);
    });
  }

  private async insert(call: StoreCall, namespace: string, object: KubeObject): Promise<Made> {
    const { context, signal } = call;
    const name = object.metadata.name ?? '';
    const key = this.keyOf(namespace, name);
    try {
      if (context.dryRun) {
        if ((await existing(this.storage, key)) === undefined) {
          return { object: this.parts.reread(object), stored: undefined };
        }
        throw alreadyExists(this.definition, name);
      }
      const ttlSeconds = ttlSecondsOf(this.parts, object);
      const stored = await this.storage.create(key, object, {
        ttlSeconds,
        slices: slicesOfLong(call),
        signal,
      });
      return { object: stored.value, stored };
    } catch (error) {
      // A resourceVersion has no place on what is created: a plain 500 without a reason, as it ever was.
      if ((object.metadata.resourceVersion ?? '') !== '' && !(error instanceof ApiError) && isPlain(error)) {
        throw new ApiError({ code: 500, reason: '', message: error.message }, { cause: error });
      }
      const refused = refusalOf(error, 'create', this.definition, name);
      if (refused.reason !== 'AlreadyExists') throw refused;
      const there = await existing(this.storage, key);
      throw there !== undefined && isDeleting(there.value) ? beingDeleted(refused) : refused;
    }
  }

  // --- Updating --------------------------------------------------------------------------------------------

  /** @throws ApiError NotFound, Conflict, Invalid, or what `updated` or a validation refuses with */
  async updateObject(
    call: StoreCall,
    namespace: string,
    name: string,
    request: UpdateRequest,
  ): Promise<Written> {
    return await updateObject(this.parts, call, this.placeOf(namespace, name), request);
  }

  async change(
    namespace: string,
    name: string,
    change: (object: KubeObject) => KubeObject,
    options: { readonly dryRun: boolean; readonly strategy?: SubresourceStrategy },
  ): Promise<KubeObject> {
    const updated = async (there: KubeObject | undefined): Promise<KubeObject> => {
      if (there === undefined) throw notFound(this.definition, name);
      return await Promise.resolve(change(there));
    };
    const request = {
      updated,
      validations: {},
      ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
    };
    return (await this.updateObject(this.internalCall(options.dryRun), namespace, name, request)).object;
  }

  // --- Deleting --------------------------------------------------------------------------------------------

  /** @throws ApiError NotFound, Conflict for preconditions, Invalid options */
  async deleteObject(
    call: StoreCall,
    namespace: string,
    name: string,
    options: DeleteOptions,
    validations: Validations,
  ): Promise<Deleted> {
    return await deleteObject(this.parts, call, this.placeOf(namespace, name), options, validations);
  }

  /**
   * Deletes what is selected, page by page; what disappears meanwhile is passed over.
   *
   * @param chosen leaves out of a page what is not meant after all
   * @returns the objects as they were listed, and where the last page ended
   */
  async deleteCollection(
    call: StoreCall,
    namespace: string,
    list: ListOptions,
    options: DeleteOptions,
    validations: Validations,
    chosen: (found: readonly StoredObject[]) => Promise<readonly StoredObject[]> = (found) =>
      Promise.resolve(found),
  ): Promise<{ readonly objects: readonly KubeObject[]; readonly last: ListResult }> {
    checkDeleteOptions(options);
    const limit = list.limit === undefined || list.limit === 0 ? DELETE_PAGE : list.limit;
    const objects: KubeObject[] = [];
    let next = list.continue ?? '';
    for (;;) {
      const page = await this.page(namespace, { ...list, limit, continue: next });
      for (const { value } of await chosen(page.objects)) {
        const { name = '', namespace: own = '' } = value.metadata;
        try {
          await this.deleteObject(call, own, name, options, validations);
          objects.push(value);
        } catch (error) {
          if (!hasReason(error, 'NotFound')) throw error;
        }
      }
      // A client that gave a limit asked for that many.
      if (page.continue === '' || (list.limit ?? 0) > 0) return { objects, last: page };
      next = page.continue;
    }
  }

  async delete(
    namespace: string,
    name: string,
    options: {
      readonly dryRun: boolean;
      readonly gracePeriodSeconds?: number;
      readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
    },
  ): Promise<KubeObject> {
    const { dryRun, ...rest } = options;
    return (await this.deleteObject(this.internalCall(dryRun), namespace, name, rest, {})).object;
  }

  // --- Keys and errors -------------------------------------------------------------------------------------

  private internalCall(dryRun: boolean): StoreCall {
    return { context: this.internalContext(dryRun), warn: () => undefined };
  }

  private get namespaced(): boolean {
    return this.definition.scope === 'Namespaced';
  }

  private placeOf(namespace: string, name: string): ObjectPlace {
    return { key: this.keyOf(namespace, name), namespace, name };
  }

  private keyOf(namespace: string, name: string): string {
    if (this.namespaced && namespace === '') throw badRequest('Namespace parameter required.');
    return objectKey(`/${this.parts.backing.keyPrefix}`, this.namespaced ? namespace : '', name);
  }

  /** Where a list looks: at one object if its name is asked for, in a namespace, everywhere. */
  private scopeOf(
    namespace: string,
    selection: Selection | undefined,
  ): { readonly key: string; readonly recursive: boolean } {
    const name = selection?.fields.find(
      ({ field, operator }) => field === 'metadata.name' && operator === '=',
    )?.value;
    if (name !== undefined && pathSegmentErrors(name).length === 0 && name !== '') {
      if (!this.namespaced || namespace !== '') return { key: this.keyOf(namespace, name), recursive: false };
    }
    return {
      key: listKey(`/${this.parts.backing.keyPrefix}`, this.namespaced ? namespace : ''),
      recursive: true,
    };
  }
}

/** Whether nobody gave the error a class of his own. */
function isPlain(error: unknown): error is Error {
  return error instanceof Error && error.constructor === Error;
}

/** What reading would give of what writing makes of an object. */
function rereadBy(codec: ObjectCodec, object: KubeObject): KubeObject {
  const { resourceVersion } = object.metadata;
  const read = codec.decode(codec.encode(object), resourceVersion ?? '');
  return resourceVersion === undefined ? withMetadata(read, { resourceVersion }) : read;
}
