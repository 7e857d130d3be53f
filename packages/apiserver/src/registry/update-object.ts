/**
 * An update: what is written is made of what is there, again when somebody else wrote in between; it may make the object,
 * and it removes one whose last finalizer it takes while it is being deleted.
 *
 * Modelled on apiserver's registry/generic/registry Store.
 */

import type { KubeObject } from '../api/meta.ts';
import { ApiError, conflict, invalid, MODIFIED, notFound } from '../api/status.ts';
import { hasCode } from '../storage/storage-error.ts';
import type { StoredObject, Updated } from '../storage/storage.ts';
import {
  checkCreate,
  checkUpdate,
  inNamespace,
  prepareCreate,
  prepareUpdate,
  withSystemFields,
} from './before.ts';
import { deletesByUpdate } from './deletion.ts';
import { withMetadata } from './generation.ts';
import { withKeptMembers } from './kept-members.ts';
import { settleLater } from './reservations.ts';
import type { Reservation, ResourceDefinition } from './resource.ts';
import {
  checked,
  existing,
  refusalOf,
  slicesOfLong,
  ttlSecondsOf,
  type Made,
  type ObjectPlace,
  type StoreCall,
  type StoreParts,
  type UpdateRequest,
  type Written,
} from './store-parts.ts';
import type { SubresourceStrategy } from './strategy.ts';

/** Thrown inside an update to say that the object is to be removed instead. */
class RemoveInstead extends Error {
  readonly object: KubeObject;

  constructor(object: KubeObject) {
    super('the update emptied the finalizers of an object that is being deleted');
    this.object = object;
  }
}

/** @throws ApiError NotFound, Conflict, Invalid, or what `updated` or a validation refuses with */
export async function updateObject(
  parts: StoreParts,
  call: StoreCall,
  { key, namespace, name }: ObjectPlace,
  request: UpdateRequest,
): Promise<Written> {
  const { definition } = parts;
  let created = false;
  let reservation: Reservation | undefined;
  const tryUpdate = async (current: StoredObject | undefined): Promise<Updated> => {
    // What an earlier try reserved is given back before the next one begins.
    await reservation?.finish(false);
    reservation = undefined;
    created = current === undefined;
    const made =
      current === undefined
        ? await madeByUpdate(parts, call, { key, namespace, name }, request)
        : await changed(parts, call, namespace, current, request);
    reservation = made.reservation;
    const slices = slicesOfLong(call, current);
    return { value: made.object, ttlSeconds: ttlSecondsOf(parts, made.object), slices };
  };
  try {
    const made = await writeUpdate(parts, call, key, tryUpdate, request.uid);
    await reservation?.finish(true);
    return { ...made, created };
  } catch (error) {
    await reservation?.finish(false);
    if (error instanceof RemoveInstead) {
      const object = await removeInstead(parts, call, key, name, error.object);
      return { object, stored: undefined, created: false };
    }
    throw refusalOf(error, created ? 'create' : 'update', definition, name);
  }
}

async function writeUpdate(
  { definition, storage, reread }: StoreParts,
  { context, signal }: StoreCall,
  key: string,
  tryUpdate: (current: StoredObject | undefined) => Promise<Updated>,
  uid: string | undefined,
): Promise<Made> {
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  if (!context.dryRun) {
    const options = { ...preconditions, ignoreNotFound: true, signal };
    const stored = await storage.guaranteedUpdate(key, tryUpdate, options);
    return { object: stored.value, stored };
  }
  const current = await existing(storage, key);
  if (current !== undefined && uid !== undefined && uid !== current.value.metadata.uid) {
    throw uidConflict(definition, current.value, uid);
  }
  return { object: reread((await tryUpdate(current)).value), stored: undefined };
}

async function madeByUpdate(
  { definition, stores }: StoreParts,
  call: StoreCall,
  { namespace, name }: ObjectPlace,
  request: UpdateRequest,
): Promise<{ readonly object: KubeObject; readonly reservation: Reservation | undefined }> {
  if (request.strategy !== undefined) throw notFound(definition, name);
  if (definition.strategy.allowCreateOnUpdate !== true && request.forceAllowCreate !== true) {
    throw notFound(definition, name);
  }
  const { context } = call;
  const made = await request.updated(undefined, slicesOfLong(call));
  checkVersion(made);
  const object = withMetadata(made, { resourceVersion: undefined });
  const fresh = prepareCreate(definition, withSystemFields(inNamespace(object, namespace), context), context);
  const reservation = await definition.hooks?.beginCreate?.(fresh, context, stores);
  return await settleLater(reservation, async () => {
    const ready = await checked(call, (parts) =>
      checkCreate(definition, reservation?.object ?? fresh, parts),
    );
    await request.validations.create?.(ready);
    return ready;
  });
}

async function changed(
  { definition, stores }: StoreParts,
  call: StoreCall,
  namespace: string,
  current: StoredObject,
  request: UpdateRequest,
): Promise<{ readonly object: KubeObject; readonly reservation: Reservation | undefined }> {
  const { context } = call;
  const strategy = request.strategy ?? definition.strategy;
  const old = current.value;
  const slices = slicesOfLong(call, current);
  const updated = await request.updated(old, slices);
  const kept = slices === undefined ? updated : await slices.run(withKeptMembers(updated, old, slices));
  const object = inNamespace(kept, namespace);
  checkVersion(object);
  const versioned = withVersion(definition, object, old, strategy);
  const prepared = prepareUpdate(strategy, versioned, old, context);
  const reservation =
    request.strategy === undefined
      ? await definition.hooks?.beginUpdate?.(prepared, old, context, stores)
      : undefined;
  return await settleLater(reservation, async () => {
    const ready = await checked(call, (parts) =>
      checkUpdate(definition, strategy, reservation?.object ?? prepared, old, parts),
    );
    await request.validations.update?.(ready, old);
    if (deletesByUpdate(definition, ready, old)) throw new RemoveInstead(ready);
    return ready;
  });
}

/** @throws ApiError 500 without a reason, as the original, for a version that is no number */
function checkVersion({ metadata: { resourceVersion = '' } }: KubeObject): void {
  if (/^\d*$/.test(resourceVersion)) return;
  const message = `strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`;
  throw new ApiError({ code: 500, reason: '', message });
}

/** The object with a resourceVersion that is the newest one's. @throws ApiError Conflict, Invalid */
function withVersion(
  definition: ResourceDefinition,
  object: KubeObject,
  old: KubeObject,
  strategy: SubresourceStrategy,
): KubeObject {
  const name = old.metadata.name ?? '';
  const version = object.metadata.resourceVersion ?? '';
  if (version === '' || version === '0') {
    if (strategy.allowUnconditionalUpdate !== false) {
      return withMetadata(object, { resourceVersion: old.metadata.resourceVersion });
    }
    // The kind is the resource here, as the original has it.
    throw invalid({ group: definition.group, kind: definition.resource }, name, [
      {
        type: 'FieldValueInvalid',
        field: 'metadata.resourceVersion',
        body: 'Invalid value: 0: must be specified for an update',
      },
    ]);
  }
  if (version !== old.metadata.resourceVersion) throw conflict(definition, name, MODIFIED);
  return object;
}

async function removeInstead(
  { definition, storage, stores }: StoreParts,
  { context, signal }: StoreCall,
  key: string,
  name: string,
  object: KubeObject,
): Promise<KubeObject> {
  if (context.dryRun) return object;
  const { uid } = object.metadata;
  try {
    await storage.delete(key, { ...(uid === undefined ? {} : { preconditions: { uid } }), signal });
  } catch (error) {
    // Two updates may both empty the list: it is gone either way.
    if (!hasCode(error, 'KEY_NOT_FOUND')) throw refusalOf(error, 'delete', definition, name);
  }
  await definition.hooks?.afterDelete?.(object, context, stores);
  return object;
}

function uidConflict(definition: ResourceDefinition, { metadata }: KubeObject, uid: string): ApiError {
  return conflict(
    definition,
    metadata.name ?? '',
    `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
  );
}
