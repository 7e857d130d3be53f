/**
 * A deletion: an object that somebody holds (finalizers, a time of grace) is marked and stays; one that nobody holds goes,
 * and with it what its kind lets go.
 *
 * Modelled on apiserver's registry/generic/registry Store.
 */

import { assert } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { invalid } from '../api/status.ts';
import { hasCode } from '../storage/storage-error.ts';
import type { StoredObject, Updated } from '../storage/storage.ts';
import { checkDeleteOptions, deletedStatus, planDeletion, type DeleteOptions } from './deletion.ts';
import type { ResourceDefinition } from './resource.ts';
import {
  refusalOf,
  told,
  ttlSecondsOf,
  type Deleted,
  type ObjectPlace,
  type StoreCall,
  type StoreParts,
  type Validations,
} from './store-parts.ts';

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

/** @throws ApiError NotFound, Conflict for preconditions, Invalid options */
export async function deleteObject(
  parts: StoreParts,
  call: StoreCall,
  { key, name }: ObjectPlace,
  options: DeleteOptions,
  validations: Validations,
): Promise<Deleted> {
  checkDeleteOptions(options);
  const { definition, storage, stores } = parts;
  const { context, signal } = call;
  const first = await told(definition, 'delete', name, () => storage.get(key, { signal }));
  const plan = planDeletion(definition, first.value, options, context);
  if (plan.kind === 'pending') return { object: deletedAnswer(definition, first.value), gone: false };
  refuseDelete(definition, first.value, call, options);
  let marked: KubeObject | undefined;
  let admitted: string | undefined;
  if (plan.kind !== 'remove') {
    const outcome = await mark(parts, call, key, name, options, validations);
    if (outcome.kind === 'stays') return { object: outcome.object, gone: false };
    if (outcome.kind === 'pending') return { object: deletedAnswer(definition, outcome.object), gone: false };
    ({ object: marked, admitted } = outcome);
  }
  const last = await remove(parts, call, key, name, options, validations, marked, admitted);
  await definition.hooks?.afterDelete?.(last, context, stores);
  return { object: deletedAnswer(definition, last), gone: true };
}

function refuseDelete(
  definition: ResourceDefinition,
  object: KubeObject,
  { context, warn }: StoreCall,
  options: DeleteOptions,
): void {
  const { strategy } = definition;
  const errors = strategy.validateDelete?.(object, context) ?? [];
  if (errors.length > 0) {
    throw invalid({ group: definition.group, kind: definition.kind }, object.metadata.name ?? '', errors);
  }
  for (const text of strategy.warningsOnDelete?.(object, context, options) ?? []) warn(text);
}

/** Writes the marks of a deletion. `remove`: nothing holds the object, it is to go now. */
async function mark(
  parts: StoreParts,
  { context, signal }: StoreCall,
  key: string,
  name: string,
  options: DeleteOptions,
  validations: Validations,
): Promise<
  | { readonly kind: 'stays'; readonly object: KubeObject }
  | { readonly kind: 'pending'; readonly object: KubeObject }
  | {
      readonly kind: 'remove';
      readonly object: KubeObject | undefined;
      /** The version of the object that admission has let go. */
      readonly admitted: string | undefined;
    }
> {
  const { definition, storage } = parts;
  let removes = false;
  const tryUpdate = async (current: StoredObject | undefined): Promise<Updated> => {
    assert(current !== undefined, 'an update that ignores nothing has an object');
    await validations.delete?.(current.value);
    const plan = planDeletion(definition, current.value, options, context);
    if (plan.kind === 'pending' || plan.kind === 'remove') throw new Settled(plan.kind, current.value);
    removes = plan.kind === 'mark-and-remove';
    return { value: plan.object, ttlSeconds: ttlSecondsOf(parts, plan.object) };
  };
  try {
    const written = context.dryRun
      ? (await tryUpdate(await storage.get(key, { signal }))).value
      : (
          await storage.guaranteedUpdate(key, tryUpdate, {
            preconditions: options.preconditions ?? {},
            signal,
          })
        ).value;
    if (!removes) return { kind: 'stays', object: written };
    return { kind: 'remove', object: written, admitted: written.metadata.resourceVersion };
  } catch (error) {
    if (error instanceof Settled) {
      return error.kind === 'pending'
        ? { kind: 'pending', object: error.object }
        : { kind: 'remove', object: undefined, admitted: error.object.metadata.resourceVersion };
    }
    throw refusalOf(error, 'update', definition, name);
  }
}

/**
 * @param marked the object as this deletion has just written it; it may be gone by now
 * @param admitted the version that admission was asked about: of another one it is asked
 */
async function remove(
  { definition, storage }: StoreParts,
  { context, signal }: StoreCall,
  key: string,
  name: string,
  options: DeleteOptions,
  validations: Validations,
  marked: KubeObject | undefined,
  admitted: string | undefined,
): Promise<KubeObject> {
  const validate = async (current: StoredObject): Promise<void> => {
    if (admitted !== undefined && current.value.metadata.resourceVersion === admitted) return;
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
      const current = await storage.get(key, { signal });
      await validate(current);
      return current.value;
    }
    const ignoreReadErrors = options.ignoreStoreReadErrorWithClusterBreakingPotential === true;
    return (await storage.delete(key, { preconditions, validate, signal, ignoreReadErrors })).value;
  } catch (error) {
    if (marked !== undefined && hasCode(error, 'KEY_NOT_FOUND')) return marked;
    throw refusalOf(error, 'delete', definition, name);
  }
}

function deletedAnswer(definition: ResourceDefinition, object: KubeObject): KubeObject {
  return definition.returnsDeletedObject === true ? object : deletedStatus(definition, object);
}
