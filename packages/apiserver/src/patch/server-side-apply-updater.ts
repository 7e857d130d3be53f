/**
 * Who owns what after a write: the ownership of fields moves with updates, an apply merges, takes away what its
 * manager no longer states, or meets fields of others. Knows versions through the Versions it is given; knows
 * neither times nor entries.
 *
 * Modelled on structured-merge-diff's merge.Updater, step by step: its order of reconcile, merge, prune and
 * compare decides what is kept.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { compareText, equalJsonInSlices, type FieldPath } from './field-path.ts';
import { FieldSet } from './field-set.ts';
import { differenceOf, intersectionOf, pathsOf, unionOf } from './field-set-slices.ts';
import type { Manager, Managers } from './managed-fields.ts';
import { mergeTypedInSlices } from './typed-merge.ts';
import { compareTypedInSlices, type Comparison } from './typed-merge-compare.ts';
import { fieldsOfInSlices, reconcileFieldsInSlices, withNamedFieldsInSlices } from './typed-merge-fields.ts';
import { removeFieldsInSlices } from './typed-merge-remove.ts';
import { TypedMergeError, validateTypedInSlices } from './typed-merge-validate.ts';

/** The versions of a kind. */
export interface Versions {
  /** The type in this version; undefined for one that is not served any more. */
  typeOf(apiVersion: string): TypeSchema | undefined;
  /** The object in another version; undefined when one of the two is not known any more. */
  convert(object: JsonObject, apiVersion: string): JsonObject | undefined;
  /** Fields that a write in this version does not own, since the server resets them. */
  resetFields(apiVersion: string): FieldSet | undefined;
}

/** A field of another manager that an apply would change. */
export interface Conflict {
  readonly manager: Manager;
  /** The manager's identifier. */
  readonly identifier: string;
  readonly path: FieldPath;
}

/** The fields of others that stop an apply; by manager, in the order of their identifiers. */
export class ConflictsError extends Error {
  override readonly name = 'ConflictsError';
  readonly conflicts: readonly Conflict[];

  constructor(conflicts: readonly Conflict[]) {
    super(`conflicts with ${conflicts.length} fields`);
    this.conflicts = conflicts;
  }
}

/** A step of the merge that could not be taken; the text says which, as the original does. */
export class MergeStepError extends Error {
  override readonly name = 'MergeStepError';
}

/** An object in one version, and its type there. */
interface Versioned {
  readonly object: JsonObject;
  readonly apiVersion: string;
  readonly type: TypeSchema;
}

/** The managers after a write. */
interface Outcome {
  readonly managers: Map<string, Manager>;
  readonly comparison: Comparison;
}

/**
 * The managers after an update, patch or create: fields that changed go to `self`, fields that went away have no
 * owner.
 *
 * @param live the object before; without fields for a create
 * @param self what the writer is known as; its fields are joined to those it has
 * @throws TypedMergeError | MergeStepError
 */
export function* updateManagers(
  live: JsonObject,
  next: JsonObject,
  apiVersion: string,
  managers: Managers,
  self: { readonly identifier: string; readonly manager: Omit<Manager, 'fields'> },
  versions: Versions,
  pace: Pace,
): Sliced<Map<string, Manager>> {
  const type = requireType(versions, apiVersion);
  const reconciled = yield* reconcile({ object: live, apiVersion, type }, managers, versions, pace);
  const { managers: after, comparison } = yield* takeFields(
    { object: live, apiVersion, type },
    { object: next, apiVersion, type },
    reconciled,
    self.identifier,
    true,
    versions,
    pace,
  );
  const { removed, modified, added } = comparison;
  const mine = after.get(self.identifier)?.fields ?? FieldSet.EMPTY;
  const left = yield* differenceOf(mine, removed, pace);
  const changed = yield* unionOf(yield* unionOf(left, modified, pace), added, pace);
  const fields = withoutReset(changed, versions.resetFields(apiVersion));
  if (fields.isEmpty) after.delete(self.identifier);
  else after.set(self.identifier, { ...self.manager, fields });
  return after;
}

/** What an apply makes of an object. */
export interface Applied {
  /** The merged object; undefined when it is the live one. */
  readonly object: JsonObject | undefined;
  readonly managers: Map<string, Manager>;
}

/**
 * Merges an applied configuration into the live object.
 *
 * @param self what the applier is known as; its entry is replaced by what it states now
 * @param force whether fields of others are taken over instead of being conflicts
 * @throws ConflictsError | TypedMergeError | MergeStepError
 */
export function* applyConfiguration(
  live: JsonObject,
  applied: JsonObject,
  apiVersion: string,
  managers: Managers,
  self: { readonly identifier: string; readonly manager: Omit<Manager, 'fields'> },
  force: boolean,
  versions: Versions,
  pace: Pace,
): Sliced<Applied> {
  const type = requireType(versions, apiVersion);
  const before: Versioned = { object: live, apiVersion, type };
  const reconciled = yield* reconcile(before, managers, versions, pace);
  if (pace.due()) yield;
  const merged = yield* stepInSlices('failed to merge config', () =>
    mergeTypedInSlices(live, applied, type, pace),
  );
  if (pace.due()) yield;
  const last = reconciled.get(self.identifier);
  const fields = yield* fieldsOfInSlices(applied, type, pace);
  const stated = withoutReset(fields, versions.resetFields(apiVersion));
  reconciled.set(self.identifier, { ...self.manager, fields: stated });
  if (pace.due()) yield;
  const after = yield* stepInSlices('failed to prune fields', () =>
    prune({ object: asObject(merged), apiVersion, type }, reconciled, last, versions, pace),
  );
  if (pace.due()) yield;
  const outcome = yield* takeFields(before, after, reconciled, self.identifier, force, versions, pace);
  if (pace.due()) yield;
  return {
    object: (yield* equalJsonInSlices(live, after.object, pace)) ? undefined : after.object,
    managers: outcome.managers,
  };
}

/**
 * Compares the objects, in each version that a manager names its fields in, and takes from the managers what
 * changed and what went away.
 */
function* takeFields(
  before: Versioned,
  after: Versioned,
  managers: Managers,
  self: string,
  force: boolean,
  versions: Versions,
  pace: Pace,
): Sliced<Outcome> {
  const comparison = yield* stepInSlices('failed to compare objects', () =>
    compareVersioned(before, after, versions.resetFields(before.apiVersion), pace),
  );
  const comparisons = new Map<string, Comparison>([[before.apiVersion, comparison]]);
  const left = new Map<string, Manager>();
  const conflicts: Conflict[] = [];
  for (const [identifier, manager] of managers) {
    if (identifier === self) {
      if (!manager.fields.isEmpty) left.set(identifier, manager);
      continue;
    }
    let versioned = comparisons.get(manager.apiVersion);
    if (versioned === undefined) {
      const old = yield* convert(before, manager.apiVersion, versions, 'failed to convert old object', pace);
      const fresh = yield* convert(after, manager.apiVersion, versions, 'failed to convert new object', pace);
      // Nobody knows the version of these fields any more: the manager goes.
      if (old === undefined || fresh === undefined) continue;
      versioned = yield* stepInSlices('failed to compare objects', () =>
        compareVersioned(old, fresh, versions.resetFields(manager.apiVersion), pace),
      );
      comparisons.set(manager.apiVersion, versioned);
    }
    const changed = yield* unionOf(versioned.modified, versioned.added, pace);
    const taken = yield* intersectionOf(manager.fields, changed, pace);
    if (!force) {
      for (const path of yield* pathsOf(taken, pace)) conflicts.push({ manager, identifier, path });
    }
    const rest = yield* differenceOf(manager.fields, taken, pace);
    const fields = yield* differenceOf(rest, versioned.removed, pace);
    if (!fields.isEmpty) left.set(identifier, { ...manager, fields });
  }
  if (conflicts.length > 0)
    throw new ConflictsError(conflicts.toSorted((a, b) => compareText(a.identifier, b.identifier)));
  return { managers: left, comparison };
}

function* compareVersioned(
  before: Versioned,
  after: Versioned,
  reset: FieldSet | undefined,
  pace: Pace,
): Sliced<Comparison> {
  const comparison = yield* compareTypedInSlices(before.object, after.object, before.type, pace);
  if (reset === undefined) return comparison;
  return {
    removed: comparison.removed.recursiveDifference(reset),
    modified: comparison.modified.recursiveDifference(reset),
    added: comparison.added.recursiveDifference(reset),
  };
}

/**
 * Takes from the merged object what its applier stated the last time and does not state now, unless another
 * manager owns it.
 *
 * @param managers with what the applier states now
 * @param last what it stated the last time
 */
function* prune(
  merged: Versioned,
  managers: Managers,
  last: Manager | undefined,
  versions: Versions,
  pace: Pace,
): Sliced<Versioned> {
  if (last === undefined || last.fields.isEmpty) return merged;
  const converted = yield* convert(
    merged,
    last.apiVersion,
    versions,
    'failed to convert merged object to last applied version',
    pace,
  );
  if (converted === undefined) return merged;
  const named = yield* withNamedFieldsInSlices(last.fields, converted.type, pace);
  const bare = yield* remove(converted, named, pace);
  if (pace.due()) yield;
  const owned = yield* stepInSlices('failed add back owned items', () =>
    addBackOwned(converted, bare, managers, versions, pace),
  );
  if (pace.due()) yield;
  const dangling = yield* stepInSlices('failed add back dangling items', () =>
    addBackDangling(converted, owned, last, named, versions, pace),
  );
  const back = yield* convert(dangling, merged.apiVersion, versions, '', pace);
  if (back === undefined)
    throw new MergeStepError(`no version ${merged.apiVersion} to convert the pruned object to`);
  return back;
}

/** What other managers own, and the applier now, stays; first in the pruned version, where conversion cannot fail for want of it. */
function* addBackOwned(
  merged: Versioned,
  bare: Versioned,
  managers: Managers,
  versions: Versions,
  pace: Pace,
): Sliced<Versioned> {
  const owned = new Map<string, FieldSet>();
  for (const { apiVersion, fields } of managers.values())
    owned.set(apiVersion, yield* unionOf(owned.get(apiVersion) ?? FieldSet.EMPTY, fields, pace));
  const order = [...owned.keys()].toSorted(
    (a, b) => Number(b === bare.apiVersion) - Number(a === bare.apiVersion),
  );
  let whole = merged;
  let pruned = bare;
  for (const apiVersion of order) {
    const all = yield* convert(
      whole,
      apiVersion,
      versions,
      `failed to convert merged object at version ${apiVersion}`,
      pace,
    );
    if (all === undefined) continue;
    whole = all;
    const left = yield* convert(
      pruned,
      apiVersion,
      versions,
      `failed to convert pruned object at version ${apiVersion}`,
      pace,
    );
    if (left === undefined) continue;
    if (pace.due()) yield;
    const kept = yield* namedOf(left, pace);
    const mine = owned.get(apiVersion) ?? FieldSet.EMPTY;
    const keep = yield* unionOf(kept, yield* withNamedFieldsInSlices(mine, all.type, pace), pace);
    const gone = yield* differenceOf(yield* namedOf(all, pace), keep, pace);
    pruned = yield* remove(all, gone, pace);
  }
  return pruned;
}

/**
 * Takes away no more than what the applier owned the last time: what nobody owns stays.
 *
 * @param named what it owned, with the named fields above
 */
function* addBackDangling(
  merged: Versioned,
  pruned: Versioned,
  last: Manager,
  named: FieldSet,
  versions: Versions,
  pace: Pace,
): Sliced<Versioned> {
  const left = yield* convert(
    pruned,
    last.apiVersion,
    versions,
    'failed to convert pruned object to last applied version',
    pace,
  );
  if (left === undefined) return merged;
  const there = yield* namedOf(merged, pace);
  const gone = yield* differenceOf(there, yield* namedOf(left, pace), pace);
  return yield* remove(merged, yield* intersectionOf(gone, named, pace), pace);
}

function* namedOf({ object, type }: Versioned, pace: Pace): Sliced<FieldSet> {
  return yield* withNamedFieldsInSlices(yield* fieldsOfInSlices(object, type, pace), type, pace);
}

function* remove({ object, apiVersion, type }: Versioned, fields: FieldSet, pace: Pace): Sliced<Versioned> {
  const left = yield* removeFieldsInSlices(object, fields, type, pace);
  return { object: asObject(left), apiVersion, type };
}

/** Sets as they read under the types of today; managers of versions that nobody knows are dropped. */
function* reconcile(
  live: Versioned,
  managers: Managers,
  versions: Versions,
  pace: Pace,
): Sliced<Map<string, Manager>> {
  const reconciled = new Map<string, Manager>();
  const types = new Map<string, TypeSchema | undefined>([[live.apiVersion, live.type]]);
  for (const [identifier, manager] of managers) {
    if (!types.has(manager.apiVersion))
      types.set(manager.apiVersion, (yield* convert(live, manager.apiVersion, versions, '', pace))?.type);
    const type = types.get(manager.apiVersion);
    if (type === undefined) continue;
    const fields = yield* reconcileFieldsInSlices(manager.fields, type, pace);
    reconciled.set(identifier, fields === manager.fields ? manager : { ...manager, fields });
  }
  return reconciled;
}

/** The object in another version; undefined for a version that is not known. */
function* convert(
  from: Versioned,
  apiVersion: string,
  versions: Versions,
  what: string,
  pace: Pace,
): Sliced<Versioned | undefined> {
  if (from.apiVersion === apiVersion) return from;
  const type = versions.typeOf(apiVersion);
  if (type === undefined) return undefined;
  const object = versions.convert(from.object, apiVersion);
  if (object === undefined) return undefined;
  yield* stepInSlices(what, () => validateTypedInSlices(object, type, false, pace));
  return { object, apiVersion, type };
}

function requireType(versions: Versions, apiVersion: string): TypeSchema {
  const type = versions.typeOf(apiVersion);
  if (type === undefined) throw new MergeStepError(`no corresponding type for ${apiVersion}`);
  return type;
}

function withoutReset(fields: FieldSet, reset: FieldSet | undefined): FieldSet {
  return reset === undefined ? fields : fields.recursiveDifference(reset);
}

function asObject(value: Json): JsonObject {
  // Only an object goes in, and a merge of two objects is one; it is null when all of it is gone.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return value === null ? {} : (value as JsonObject);
}

/** Says which step failed, in the original's words; conflicts pass as they are. */
export function* stepInSlices<T>(what: string | (() => string), run: () => Sliced<T>): Sliced<T> {
  try {
    return yield* run();
  } catch (error) {
    if (!(error instanceof TypedMergeError || error instanceof MergeStepError) || what === '') throw error;
    const said = typeof what === 'string' ? what : what();
    throw new MergeStepError(`${said}: ${error.message}`, { cause: error });
  }
}
