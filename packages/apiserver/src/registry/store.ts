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
  conflict,
  generateNameConflict,
  hasReason,
  invalid,
  MODIFIED,
  notFound,
} from '../api/status.ts';
import { listKey, objectKey } from '../storage/keys.ts';
import { hasCode, toApiError, type StorageOperation } from '../storage/storage-error.ts';
import type {
  ListOptions,
  ListResult,
  Selection,
  Storage,
  StoredObject,
  Updated,
  Watch,
  WatchOptions,
} from '../storage/storage.ts';
import { pathSegmentErrors } from '../validation/names.ts';
import {
  checkCreate,
  checkUpdate,
  GENERATED_NAME_ATTEMPTS,
  generatedName,
  inNamespace,
  needsName,
  prepareCreate,
  prepareUpdate,
  withSystemFields,
} from './before.ts';
import { ConversionNeeded } from './conversions.ts';
import {
  beingDeleted,
  checkDeleteOptions,
  deletedStatus,
  deletesByUpdate,
  isDeleting,
  planDeletion,
  type DeleteOptions,
} from './deletion.ts';
import { withMetadata } from './generation.ts';
import type { ObjectStore, Reservation, ResourceDefinition, StoredBacking, Stores } from './resource.ts';
import { settle, settleLater } from './reservations.ts';
import type { StrategyContext, SubresourceStrategy } from './strategy.ts';

/** One operation: what strategies may know, and who is warned. */
export interface StoreCall {
  readonly context: StrategyContext;
  readonly warn: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Checks of validating admission; each may refuse with an ApiError. */
export interface Validations {
  create?(object: KubeObject): Promise<void>;
  update?(object: KubeObject, old: KubeObject): Promise<void>;
  delete?(object: KubeObject): Promise<void>;
}

export interface UpdateRequest {
  /**
   * What is to be written, made of what is there: asked again when somebody else wrote meanwhile.
   *
   * @param existing undefined where there is nothing
   */
  updated(existing: KubeObject | undefined): Promise<KubeObject>;
  readonly validations: Validations;
  /** The resource's own without it. */
  readonly strategy?: SubresourceStrategy;
  /** An apply creates whatever the kind says. */
  readonly forceAllowCreate?: boolean;
  /** The object must be this one. */
  readonly uid?: string | undefined;
}

/** What was made. */
export interface Made {
  readonly object: KubeObject;
  /** Undefined where nothing was written: a dry run, or an update that removed the object. */
  readonly stored: StoredObject | undefined;
}

export interface Written extends Made {
  readonly created: boolean;
}

export interface Deleted {
  /** The object, or the Status that says it is gone. */
  readonly object: KubeObject;
  /** Whether it is gone already. */
  readonly gone: boolean;
}

/** Objects of a collection that are deleted at a time. */
const DELETE_PAGE = 10_000;

/** Thrown inside an update to say that the object is to be removed instead. */
class RemoveInstead extends Error {
  readonly object: KubeObject;

  constructor(object: KubeObject) {
    super('the update emptied the finalizers of an object that is being deleted');
    this.object = object;
  }
}

/** Thrown inside the update of a deletion that has nothing to write. */
class Settled extends Error {
  readonly kind: 'pending' | 'remove';
  readonly object: KubeObject;

  constructor(kind: 'pending' | 'remove', object: KubeObject) {
    super(`the deletion is ${kind}`);
    this.kind = kind;
    this.object = object;
  }
}

export class ResourceStore implements ObjectStore {
  readonly definition: ResourceDefinition;
  private readonly backing: StoredBacking;
  private readonly storage: Storage;
  private readonly stores: Stores;
  /** For calls that come from hooks and controllers, not from a request. */
  private readonly internalContext: (dryRun: boolean) => StrategyContext;

  constructor(
    definition: ResourceDefinition,
    storage: Storage,
    stores: Stores,
    internalContext: (dryRun: boolean) => StrategyContext,
  ) {
    assert(definition.backing.kind === 'stored', `${definition.resource} is not stored`);
    this.definition = definition;
    this.backing = definition.backing;
    this.storage = storage;
    this.stores = stores;
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
    return await this.told('get', name, () => this.storage.get(key, options));
  }

  /** @throws ApiError what the client asked wrongly, or cannot have any more */
  async page(namespace: string, options: ListOptions): Promise<ListResult> {
    const { key, recursive } = this.scopeOf(namespace, options.selection);
    return await this.told('list', '', () =>
      this.storage.list(key, { ...options, ...(recursive ? {} : { recursive }) }),
    );
  }

  async watch(namespace: string, options: WatchOptions): Promise<Watch> {
    const { key, recursive } = this.scopeOf(namespace, options.selection);
    return await this.told('watch', '', () =>
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
    const reservation = await this.definition.hooks?.beginCreate?.(fresh, context, this.stores);
    return await settle(reservation, async () => {
      const ready = checkCreate(this.definition, reservation?.object ?? fresh, context, call.warn);
      await validations.create?.(ready);
      return await this.insert(call, namespace, ready);
    });
  }

  private async insert({ context, signal }: StoreCall, namespace: string, object: KubeObject): Promise<Made> {
    const name = object.metadata.name ?? '';
    const key = this.keyOf(namespace, name);
    try {
      if (context.dryRun) {
        if ((await this.existing(key)) === undefined) return { object, stored: undefined };
        throw alreadyExists(this.definition, name);
      }
      const ttlSeconds = this.backing.ttlSeconds?.(object) ?? 0;
      const stored = await this.storage.create(key, object, { ttlSeconds, signal });
      return { object: stored.value, stored };
    } catch (error) {
      // A resourceVersion has no place on what is created: a plain 500 without a reason, as it ever was.
      if ((object.metadata.resourceVersion ?? '') !== '' && !(error instanceof ApiError) && isPlain(error)) {
        throw new ApiError({ code: 500, reason: '', message: error.message }, { cause: error });
      }
      const refused = refusalOf(error, 'create', this.definition, name);
      if (refused.reason !== 'AlreadyExists') throw refused;
      const there = await this.existing(key);
      throw there !== undefined && isDeleting(there.value) ? beingDeleted(refused) : refused;
    }
  }

  private async existing(key: string): Promise<StoredObject | undefined> {
    try {
      return await this.storage.get(key);
    } catch (error) {
      if (hasCode(error, 'KEY_NOT_FOUND')) return undefined;
      throw error;
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
    const key = this.keyOf(namespace, name);
    let created = false;
    let reservation: Reservation | undefined;
    const tryUpdate = async (current: StoredObject | undefined): Promise<Updated> => {
      // What an earlier try reserved is given back before the next one begins.
      await reservation?.finish(false);
      reservation = undefined;
      created = current === undefined;
      const made =
        current === undefined
          ? await this.madeByUpdate(call, namespace, name, request)
          : await this.changed(call, namespace, current, request);
      reservation = made.reservation;
      const ttlSeconds = this.backing.ttlSeconds?.(made.object) ?? 0;
      return { value: made.object, ttlSeconds };
    };
    try {
      const made = await this.writeUpdate(call, key, tryUpdate, request.uid);
      await reservation?.finish(true);
      return { ...made, created };
    } catch (error) {
      await reservation?.finish(false);
      if (error instanceof RemoveInstead) {
        const object = await this.removeInstead(call, key, name, error.object);
        return { object, stored: undefined, created: false };
      }
      const refused = refusalOf(error, created ? 'create' : 'update', this.definition, name);
      throw refused;
    }
  }

  private async writeUpdate(
    { context, signal }: StoreCall,
    key: string,
    tryUpdate: (current: StoredObject | undefined) => Promise<Updated>,
    uid: string | undefined,
  ): Promise<Made> {
    const preconditions = uid === undefined ? {} : { preconditions: { uid } };
    if (!context.dryRun) {
      const options = { ...preconditions, ignoreNotFound: true, signal };
      const stored = await this.storage.guaranteedUpdate(key, tryUpdate, options);
      return { object: stored.value, stored };
    }
    const current = await this.existing(key);
    if (current !== undefined && uid !== undefined && uid !== current.value.metadata.uid) {
      throw uidConflict(this.definition, current.value, uid);
    }
    return { object: (await tryUpdate(current)).value, stored: undefined };
  }

  private async madeByUpdate(
    call: StoreCall,
    namespace: string,
    name: string,
    request: UpdateRequest,
  ): Promise<{ readonly object: KubeObject; readonly reservation: Reservation | undefined }> {
    if (request.strategy !== undefined) throw notFound(this.definition, name);
    if (this.definition.strategy.allowCreateOnUpdate !== true && request.forceAllowCreate !== true) {
      throw notFound(this.definition, name);
    }
    const { context } = call;
    const object = withMetadata(await request.updated(undefined), { resourceVersion: undefined });
    const fresh = prepareCreate(
      this.definition,
      withSystemFields(inNamespace(object, namespace), context),
      context,
    );
    const reservation = await this.definition.hooks?.beginCreate?.(fresh, context, this.stores);
    return await settleLater(reservation, async () => {
      const ready = checkCreate(this.definition, reservation?.object ?? fresh, context, call.warn);
      await request.validations.create?.(ready);
      return ready;
    });
  }

  private async changed(
    call: StoreCall,
    namespace: string,
    current: StoredObject,
    request: UpdateRequest,
  ): Promise<{ readonly object: KubeObject; readonly reservation: Reservation | undefined }> {
    const { definition } = this;
    const { context } = call;
    const strategy = request.strategy ?? definition.strategy;
    const old = current.value;
    const object = inNamespace(await request.updated(old), namespace);
    const versioned = this.withVersion(object, old, strategy);
    const prepared = prepareUpdate(strategy, versioned, old, context);
    const reservation =
      request.strategy === undefined
        ? await definition.hooks?.beginUpdate?.(prepared, old, context, this.stores)
        : undefined;
    return await settleLater(reservation, async () => {
      const ready = checkUpdate(
        definition,
        strategy,
        reservation?.object ?? prepared,
        old,
        context,
        call.warn,
      );
      await request.validations.update?.(ready, old);
      if (deletesByUpdate(definition, ready, old)) throw new RemoveInstead(ready);
      return ready;
    });
  }

  /** The object with a resourceVersion that is the newest one's. @throws ApiError Conflict, Invalid */
  private withVersion(object: KubeObject, old: KubeObject, strategy: SubresourceStrategy): KubeObject {
    const name = old.metadata.name ?? '';
    const version = object.metadata.resourceVersion ?? '';
    if (version === '' || version === '0') {
      if (strategy.allowUnconditionalUpdate !== false) {
        return withMetadata(object, { resourceVersion: old.metadata.resourceVersion });
      }
      // The kind is the resource here, as the original has it.
      throw invalid({ group: this.definition.group, kind: this.definition.resource }, name, [
        {
          type: 'FieldValueInvalid',
          field: 'metadata.resourceVersion',
          body: 'Invalid value: 0: must be specified for an update',
        },
      ]);
    }
    if (version !== old.metadata.resourceVersion) throw conflict(this.definition, name, MODIFIED);
    return object;
  }

  private async removeInstead(
    { context, signal }: StoreCall,
    key: string,
    name: string,
    object: KubeObject,
  ): Promise<KubeObject> {
    if (context.dryRun) return object;
    const { uid } = object.metadata;
    try {
      await this.storage.delete(key, { ...(uid === undefined ? {} : { preconditions: { uid } }), signal });
    } catch (error) {
      // Two updates may both empty the list: it is gone either way.
      if (!hasCode(error, 'KEY_NOT_FOUND')) throw refusalOf(error, 'delete', this.definition, name);
    }
    await this.definition.hooks?.afterDelete?.(object, context, this.stores);
    return object;
  }

  async change(
    namespace: string,
    name: string,
    change: (object: KubeObject) => KubeObject,
    options: { readonly dryRun: boolean; readonly strategy?: SubresourceStrategy },
  ): Promise<KubeObject> {
    const updated = async (existing: KubeObject | undefined): Promise<KubeObject> => {
      if (existing === undefined) throw notFound(this.definition, name);
      return await Promise.resolve(change(existing));
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
    checkDeleteOptions(options);
    const { definition } = this;
    const { context } = call;
    const key = this.keyOf(namespace, name);
    const first = await this.told('delete', name, () => this.storage.get(key, { signal: call.signal }));
    const plan = planDeletion(definition, first.value, options, context);
    if (plan.kind === 'pending') return { object: this.deletedAnswer(first.value), gone: false };
    this.refuseDelete(first.value, call);
    let marked: KubeObject | undefined;
    if (plan.kind !== 'remove') {
      const outcome = await this.mark(call, key, name, options, validations);
      if (outcome.kind === 'stays') return { object: outcome.object, gone: false };
      if (outcome.kind === 'pending') return { object: this.deletedAnswer(outcome.object), gone: false };
      marked = outcome.object;
    }
    const last = await this.remove(call, key, name, options, validations, marked);
    await definition.hooks?.afterDelete?.(last, context, this.stores);
    return { object: this.deletedAnswer(last), gone: true };
  }

  private refuseDelete(object: KubeObject, { context, warn }: StoreCall): void {
    const { strategy } = this.definition;
    const errors = strategy.validateDelete?.(object, context) ?? [];
    if (errors.length > 0) {
      throw invalid(
        { group: this.definition.group, kind: this.definition.kind },
        object.metadata.name ?? '',
        errors,
      );
    }
    for (const text of strategy.warningsOnDelete?.(object, context) ?? []) warn(text);
  }

  /** Writes the marks of a deletion. `remove`: nothing holds the object, it is to go now. */
  private async mark(
    { context, signal }: StoreCall,
    key: string,
    name: string,
    options: DeleteOptions,
    validations: Validations,
  ): Promise<
    | { readonly kind: 'stays'; readonly object: KubeObject }
    | { readonly kind: 'pending'; readonly object: KubeObject }
    | { readonly kind: 'remove'; readonly object: KubeObject | undefined }
  > {
    let removes = false;
    const tryUpdate = async (current: StoredObject | undefined): Promise<Updated> => {
      assert(current !== undefined, 'an update that ignores nothing has an object');
      await validations.delete?.(current.value);
      const plan = planDeletion(this.definition, current.value, options, context);
      if (plan.kind === 'pending' || plan.kind === 'remove') throw new Settled(plan.kind, current.value);
      removes = plan.kind === 'mark-and-remove';
      return { value: plan.object, ttlSeconds: this.backing.ttlSeconds?.(plan.object) ?? 0 };
    };
    try {
      const written = context.dryRun
        ? (await tryUpdate(await this.storage.get(key, { signal }))).value
        : (
            await this.storage.guaranteedUpdate(key, tryUpdate, {
              preconditions: options.preconditions ?? {},
              signal,
            })
          ).value;
      return removes ? { kind: 'remove', object: written } : { kind: 'stays', object: written };
    } catch (error) {
      if (error instanceof Settled) {
        return error.kind === 'pending'
          ? { kind: 'pending', object: error.object }
          : { kind: 'remove', object: undefined };
      }
      throw refusalOf(error, 'update', this.definition, name);
    }
  }

  /** @param marked the object as this deletion has just written it; it may be gone by now */
  private async remove(
    { context, signal }: StoreCall,
    key: string,
    name: string,
    options: DeleteOptions,
    validations: Validations,
    marked: KubeObject | undefined,
  ): Promise<KubeObject> {
    const validate = async (current: StoredObject): Promise<void> => {
      await validations.delete?.(current.value);
    };
    const preconditions =
      options.preconditions === undefined
        ? {}
        : {
            ...options.preconditions,
            // The mark that was just written made a new version.
            ...(options.preconditions.resourceVersion === undefined || marked === undefined
              ? {}
              : { resourceVersion: marked.metadata.resourceVersion }),
          };
    try {
      if (context.dryRun) {
        const current = await this.storage.get(key, { signal });
        await validate(current);
        return current.value;
      }
      const ignoreReadErrors = options.ignoreStoreReadErrorWithClusterBreakingPotential === true;
      return (await this.storage.delete(key, { preconditions, validate, signal, ignoreReadErrors })).value;
    } catch (error) {
      if (marked !== undefined && hasCode(error, 'KEY_NOT_FOUND')) return marked;
      throw refusalOf(error, 'delete', this.definition, name);
    }
  }

  private deletedAnswer(object: KubeObject): KubeObject {
    return this.definition.returnsDeletedObject === true ? object : deletedStatus(this.definition, object);
  }

  /**
   * Deletes what is selected, page by page; what disappears meanwhile is passed over.
   *
   * @returns the objects as they were listed
   */
  async deleteCollection(
    call: StoreCall,
    namespace: string,
    list: ListOptions,
    options: DeleteOptions,
    validations: Validations,
  ): Promise<{ readonly objects: readonly KubeObject[]; readonly revision: number }> {
    checkDeleteOptions(options);
    const limit = list.limit === undefined || list.limit === 0 ? DELETE_PAGE : list.limit;
    const objects: KubeObject[] = [];
    let next = list.continue ?? '';
    let revision = 0;
    for (;;) {
      const page = await this.page(namespace, { ...list, limit, continue: next });
      revision = page.revision;
      for (const { value } of page.objects) {
        const { name = '', namespace: own = '' } = value.metadata;
        try {
          await this.deleteObject(call, own, name, options, validations);
          objects.push(value);
        } catch (error) {
          if (!hasReason(error, 'NotFound')) throw error;
        }
      }
      // A client that gave a limit asked for that many.
      if (page.continue === '' || (list.limit ?? 0) > 0) return { objects, revision };
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

  private keyOf(namespace: string, name: string): string {
    if (this.namespaced && namespace === '') throw badRequest('Namespace parameter required.');
    return objectKey(`/${this.backing.keyPrefix}`, this.namespaced ? namespace : '', name);
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
    return { key: listKey(`/${this.backing.keyPrefix}`, this.namespaced ? namespace : ''), recursive: true };
  }

  private async told<T>(operation: StorageOperation, name: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw refusalOf(error, operation, this.definition, name);
    }
  }
}

/** What the client is told; a conversion that has to be asked for is nothing to tell. @throws ConversionNeeded */
function refusalOf(
  error: unknown,
  operation: StorageOperation,
  definition: ResourceDefinition,
  name: string,
): ApiError {
  if (error instanceof ConversionNeeded) throw error;
  return toApiError(error, operation, definition, name);
}

/** Whether nobody gave the error a class of his own. */
function isPlain(error: unknown): error is Error {
  return error instanceof Error && error.constructor === Error;
}

function uidConflict(definition: ResourceDefinition, { metadata }: KubeObject, uid: string): ApiError {
  return conflict(
    definition,
    metadata.name ?? '',
    `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
  );
}
