/**
 * The two doors through which every write passes: `trackUpdate` keeps metadata.managedFields true after a create,
 * update, patch or delete of fields, `applyPatch` is server-side apply. Pure: the time of the write is an argument.
 *
 * Modelled on the chain of managers in apimachinery's util/managedfields: version check, last-applied annotation,
 * tracking from the first write on, at most ten updaters, manager and time, metadata that nobody owns, merge.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { parseApiVersion } from '../api/meta.ts';
import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { ApiError, badRequest } from '../api/status.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { PathElement } from './field-path.ts';
import { FieldSet } from './field-set.ts';
import { unionOf } from './field-set-slices.ts';
import { createdFields, createdFieldsInSlices } from './created-fields.ts';
import { capUpdaters } from './managed-fields-cap.ts';
import {
  decodeManagedFieldsInSlices,
  encodeManagedFieldsInSlices,
  entryOf,
  managedFieldsOf,
  ManagedFieldsError,
  managerIdentifier,
  resetsManagedFields,
  withManagedFields,
  type Manager,
  type Managers,
  type Operation,
} from './managed-fields.ts';
import { ownersAfter, ownersAfterInSlices, type TrackedUpdate } from './owners-after.ts';
import { conflictError } from './server-side-apply-conflict.ts';
import { fieldsOfLastApplied, KUBECTL, withLastApplied } from './server-side-apply-last-applied.ts';
import {
  applyConfiguration,
  ConflictsError,
  MergeStepError,
  stepInSlices,
  updateManagers,
  type Versions,
} from './server-side-apply-updater.ts';
import { TypedMergeError, validateTypedInSlices } from './typed-merge-validate.ts';
import { zeroObject } from './typed-merge-zero.ts';

/** What a write is about. */
export interface FieldOptions {
  /** Version of the request, in which both objects are given. */
  readonly apiVersion: string;
  readonly kind: string;
  /** Empty for the resource itself. */
  readonly subresource: string;
  /** Time of the write, RFC 3339 at second precision in UTC. */
  readonly now: string;
  readonly versions: Versions;
  /** The client sent an empty managedFields list, which the codec has dropped: forget all owners. */
  readonly reset?: boolean;
  /** Told why an update could not be tracked; the object then has no managedFields. */
  readonly failed?: (error: Error) => void;
}

const BEFORE_FIRST_APPLY = 'before-first-apply';

/** Stands for the writer until it is known whether it changed anything. No identifier, since those are JSON. */
const SELF = 'current-operation';

/** What nobody owns: the server sets it, or it names the object. */
const STRIPPED = FieldSet.of(
  [PathElement.field('apiVersion')],
  [PathElement.field('kind')],
  [PathElement.field('metadata')],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((name) => [PathElement.field('metadata'), PathElement.field(name)]),
);

/**
 * The object to store after a create, update or patch, with managedFields that tell who wrote what. Never fails:
 * an object that cannot be tracked is stored without managedFields.
 *
 * @param live the object before; undefined for a create
 * @param next the object as it shall be stored, in the same version
 * @param manager see managerName
 */
export function trackUpdate(
  live: JsonObject | undefined,
  next: JsonObject,
  manager: string,
  options: FieldOptions,
): JsonObject {
  const bare = withManagedFields(next, undefined);
  const update = usualUpdate(live, bare, next, manager, options);
  const owners = update && ownersAfter(update);
  if (owners !== undefined) return withManagedFields(bare, owners.length === 0 ? undefined : owners);
  return finish(trackGenerally(live, next, bare, manager, options, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* trackUpdateInSlices(
  live: JsonObject,
  next: JsonObject,
  manager: string,
  options: FieldOptions,
  pace: Pace,
): Sliced<JsonObject> {
  const bare = withManagedFields(next, undefined);
  const update = usualUpdate(live, bare, next, manager, options);
  const owners = update && (yield* ownersAfterInSlices(update, pace));
  if (owners !== undefined) return withManagedFields(bare, owners.length === 0 ? undefined : owners);
  return yield* trackGenerally(live, next, bare, manager, options, pace);
}

/** An update of an object whose owners are known: undefined for another. */
function usualUpdate(
  live: JsonObject | undefined,
  bare: JsonObject,
  next: JsonObject,
  name: string,
  options: FieldOptions,
): TrackedUpdate | undefined {
  const { apiVersion, subresource, versions, now } = options;
  const type = versions.typeOf(apiVersion);
  if (live === undefined || type === undefined || options.reset === true || resetsManagedFields(next)) {
    return undefined;
  }
  const sent = subresource === '' ? managedFieldsOf(next) : undefined;
  const entries = sent === undefined || sent.length === 0 ? managedFieldsOf(live) : sent;
  if (entries === undefined || entries.length === 0) return undefined;
  return {
    before: withManagedFields(live, undefined),
    after: bare,
    type,
    entries,
    writer: { ...managerOf(name, 'Update', options), time: now },
    taken: { reset: versions.resetFields(apiVersion), stripped: STRIPPED },
  };
}

function* trackGenerally(
  live: JsonObject | undefined,
  next: JsonObject,
  bare: JsonObject,
  manager: string,
  options: FieldOptions,
  pace: Pace,
): Sliced<JsonObject> {
  try {
    const managers = yield* managersBefore(live, next, options, pace);
    const exists = live !== undefined && uidOf(live) !== '';
    // An object that was stored without owners stays so until it is applied for the first time.
    if (managers.size === 0 && exists) return bare;
    const own = live === undefined && managers.size === 0 ? ownEntry(bare, manager, options) : undefined;
    if (own !== undefined) return withManagedFields(bare, own.length === 0 ? undefined : own);
    const before = live === undefined ? undefined : withManagedFields(live, undefined);
    const after = yield* track(before, bare, manager, managers, options, pace);
    const capped = yield* capUpdaters(after, pace);
    return withManagedFields(bare, yield* encodeManagedFieldsInSlices(capped, pace));
  } catch (error) {
    if (!(error instanceof TypedMergeError || error instanceof MergeStepError)) throw error;
    options.failed?.(error);
    return bare;
  }
}

/** The same for a new object. */
export function* trackCreationInSlices(
  next: JsonObject,
  manager: string,
  options: FieldOptions,
  pace: Pace,
): Sliced<JsonObject> {
  const { apiVersion, versions } = options;
  const type = versions.typeOf(apiVersion);
  const bare = withManagedFields(next, undefined);
  if (type === undefined || (yield* managersBefore(undefined, next, options, pace)).size > 0) {
    return yield* trackGenerally(undefined, next, bare, manager, options, pace);
  }
  const reset = versions.resetFields(apiVersion);
  const start = startOf(type, options);
  const fields = yield* createdFieldsInSlices(start, bare, type, reset, STRIPPED, pace);
  if (fields === undefined) return yield* trackGenerally(undefined, next, bare, manager, options, pace);
  const own = ownEntries(fields, manager, options);
  return withManagedFields(bare, own.length === 0 ? undefined : own);
}

/**
 * The owners a write starts from: those the client sends, if they can be read, else those of the live object. A
 * write to a subresource cannot set them.
 */
function* managersBefore(
  live: JsonObject | undefined,
  next: JsonObject,
  options: FieldOptions,
  pace: Pace,
): Sliced<Managers> {
  if (options.subresource === '') {
    if (options.reset === true || resetsManagedFields(next)) return NOBODY;
    const sent = yield* readable(managedFieldsOf(next), pace);
    if (sent !== undefined && sent.size > 0) return sent;
  }
  return (live && (yield* readable(managedFieldsOf(live), pace))) ?? NOBODY;
}

const NOBODY: ReadonlyMap<string, Manager> = new Map();

/** undefined for entries that cannot be read. */
function* readable(entries: readonly Json[] | undefined, pace: Pace): Sliced<Managers | undefined> {
  try {
    return yield* decodeManagedFieldsInSlices(entries ?? [], pace);
  } catch (error) {
    if (error instanceof ManagedFieldsError) return undefined;
    throw error;
  }
}

/** The only entry of a new object that nobody owned anything of; undefined where it takes the general way to know. */
function ownEntry(next: JsonObject, name: string, options: FieldOptions): readonly JsonObject[] | undefined {
  const { apiVersion, versions } = options;
  const type = versions.typeOf(apiVersion);
  if (type === undefined) return undefined;
  const reset = versions.resetFields(apiVersion);
  const fields = createdFields(startOf(type, options), next, type, reset, STRIPPED);
  return fields && ownEntries(fields, name, options);
}

function ownEntries(fields: JsonObject, name: string, options: FieldOptions): readonly JsonObject[] {
  if (Object.keys(fields).length === 0) return [];
  return [entryOf({ ...managerOf(name, 'Update', options), time: options.now }, fields)];
}

/** The owners after an update; the writer's entry and its time change only when it changed a field. */
function* track(
  before: JsonObject | undefined,
  next: JsonObject,
  name: string,
  managers: Managers,
  options: FieldOptions,
  pace: Pace,
): Sliced<Map<string, Manager>> {
  const { apiVersion, versions, now } = options;
  const type = versions.typeOf(apiVersion);
  if (type === undefined) throw new MergeStepError(`no corresponding type for ${apiVersion}`);
  const live = before ?? startOf(type, options);
  yield* stepInSlices(
    () => `failed to convert new object (${describe(next)}) to smd typed`,
    () => validateTypedInSlices(next, type, true, pace),
  );
  // What there is before a create is ours, and of its type.
  if (before !== undefined) {
    yield* stepInSlices(
      () => `failed to convert live object (${describe(live)}) to smd typed`,
      () => validateTypedInSlices(live, type, true, pace),
    );
  }
  const manager = managerOf(name, 'Update', options);
  const writer = { identifier: SELF, manager: { ...manager, time: undefined } };
  const after = yield* stepInSlices(
    () => `failed to update ManagedFields (${describe(next)})`,
    () => updateManagers(live, next, apiVersion, managers, writer, versions, pace),
  );
  const self = strip(after, SELF);
  if (self !== undefined) {
    after.delete(SELF);
    const identifier = managerIdentifier(manager);
    const fields = yield* unionOf(self.fields, after.get(identifier)?.fields ?? FieldSet.EMPTY, pace);
    after.set(identifier, { ...manager, fields, time: now });
  }
  return after;
}

/** What there is before a create. */
function startOf(type: TypeSchema | undefined, { apiVersion, kind }: FieldOptions): JsonObject {
  return { ...(type === undefined ? {} : zeroObject(type)), apiVersion, kind };
}

function managerOf(
  name: string,
  operation: Operation,
  { apiVersion, subresource }: FieldOptions,
): Omit<Manager, 'fields' | 'time'> {
  return { name: name === '' ? 'unknown' : name, operation, apiVersion, subresource };
}

/** Takes from a manager what nobody owns; undefined when nothing is left of it. */
function strip(managers: Map<string, Manager>, identifier: string): Manager | undefined {
  const manager = managers.get(identifier);
  if (manager === undefined) return undefined;
  const fields = manager.fields.difference(STRIPPED);
  if (fields.isEmpty) {
    managers.delete(identifier);
    return undefined;
  }
  const stripped = { ...manager, fields };
  managers.set(identifier, stripped);
  return stripped;
}

/**
 * Server-side apply: the live object with the configuration merged in, and its managedFields.
 *
 * The result is the live object itself, owners and all, when nothing changes. It is neither defaulted nor brought
 * into Go's form: pass it through the codec.
 *
 * @param live the object before; undefined to create it
 * @param patch the configuration as it was sent, without managedFields
 * @throws ApiError 409 Conflict naming the owners; 400 for another version or kind; 500 with the original's text for a
 *   configuration that is not one of the type
 */
export function applyPatch(
  live: JsonObject | undefined,
  patch: JsonObject,
  manager: string,
  force: boolean,
  options: FieldOptions,
): JsonObject {
  return finish(applyPatchInSlices(live, patch, manager, force, options, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* applyPatchInSlices(
  live: JsonObject | undefined,
  patch: JsonObject,
  manager: string,
  force: boolean,
  options: FieldOptions,
  pace: Pace,
): Sliced<JsonObject> {
  const start = live ?? startOf(options.versions.typeOf(options.apiVersion), options);
  const managers = yield* decodeForApply(start, pace);
  checkVersion(patch, options);
  if (isJsonObject(patch['metadata']) && Array.isArray(patch['metadata']['managedFields']))
    throw badRequest('metadata.managedFields must be nil');
  const bare = withManagedFields(start, undefined);
  try {
    if (pace.due()) yield;
    const applied = yield* applyForKubectl(bare, patch, manager, managers, force, options, pace);
    const object = manager === KUBECTL ? withLastApplied(applied.object, patch) : applied.object;
    return withManagedFields(object, yield* encodeManagedFieldsInSlices(applied.managers, pace));
  } catch (error) {
    if (error instanceof ConflictsError) throw yield* conflictError(error.conflicts, pace);
    if (error instanceof TypedMergeError || error instanceof MergeStepError)
      throw plainError(error.message, error);
    throw error;
  }
}

function* decodeForApply(live: JsonObject, pace: Pace): Sliced<Managers> {
  try {
    return yield* decodeManagedFieldsInSlices(managedFieldsOf(live) ?? [], pace);
  } catch (error) {
    if (!(error instanceof ManagedFieldsError)) throw error;
    throw plainError(`failed to decode managed fields: ${error.message}`, error);
  }
}

function checkVersion(patch: JsonObject, { apiVersion, kind }: FieldOptions): void {
  if (patch['apiVersion'] === apiVersion && patch['kind'] === kind) return;
  throw badRequest(`invalid object type: ${describeKind(patch)}`);
}

/** The object, live or merged, and its owners. */
interface Result {
  readonly object: JsonObject;
  readonly managers: Managers;
}

/** An apply by kubectl does not conflict over what its client-side apply left as it was. */
function* applyForKubectl(
  live: JsonObject,
  patch: JsonObject,
  name: string,
  managers: Managers,
  force: boolean,
  options: FieldOptions,
  pace: Pace,
): Sliced<Result> {
  try {
    return yield* apply(live, patch, name, managers, force, options, pace);
  } catch (error) {
    if (!(error instanceof ConflictsError) || name !== KUBECTL) throw error;
    const type = options.versions.typeOf(options.apiVersion);
    const allowed = type && (yield* fieldsOfLastApplied(live, options.apiVersion, type, pace));
    if (allowed === undefined) throw error;
    const left = error.conflicts.filter(({ path }) => !allowed.has(path));
    if (left.length > 0) throw new ConflictsError(left);
    return yield* apply(live, patch, name, managers, true, options, pace);
  }
}

function* apply(
  live: JsonObject,
  patch: JsonObject,
  name: string,
  managers: Managers,
  force: boolean,
  options: FieldOptions,
  pace: Pace,
): Sliced<Result> {
  const { apiVersion, versions, now } = options;
  const before =
    managers.size > 0
      ? managers
      : yield* stepInSlices('failed to create manager for existing fields', () =>
          track(undefined, live, BEFORE_FIRST_APPLY, managers, options, pace),
        );
  if (pace.due()) yield;
  const type = versions.typeOf(apiVersion);
  if (type === undefined) throw new MergeStepError(`no corresponding type for ${apiVersion}`);
  yield* stepInSlices(
    () => `failed to create typed patch object (${describe(patch)})`,
    () => validateTypedInSlices(patch, type, false, pace),
  );
  if (pace.due()) yield;
  yield* stepInSlices(
    () => `failed to create typed live object (${describe(live)})`,
    () => validateTypedInSlices(live, type, true, pace),
  );
  const self = managerOf(name, 'Apply', options);
  const identifier = managerIdentifier(self);
  if (pace.due()) yield;
  const { object, managers: after } = yield* applyConfiguration(
    live,
    patch,
    apiVersion,
    before,
    { identifier, manager: { ...self, time: before.get(identifier)?.time } },
    force,
    versions,
    pace,
  );
  const applier = strip(after, identifier);
  // Without a change of the object the applier keeps its time, even if it states other fields now.
  if (applier !== undefined && object !== undefined) after.set(identifier, { ...applier, time: now });
  return { object: object ?? live, managers: after };
}

/** Which object, as the original names it: `default/web; apps/v1, Kind=Deployment`. */
function describe(object: JsonObject): string {
  return `${textIn(object, 'namespace')}/${textIn(object, 'name')}; ${describeKind(object)}`;
}

function textIn(object: JsonObject, name: string): string {
  const { metadata } = object;
  const value = isJsonObject(metadata) ? metadata[name] : undefined;
  return typeof value === 'string' ? value : '';
}

function uidOf(object: JsonObject): string {
  return textIn(object, 'uid');
}

/** `apps/v1, Kind=Deployment`; the core group is empty, `/v1, Kind=Pod`. */
function describeKind(object: JsonObject): string {
  const { apiVersion, kind } = object;
  const parsed = typeof apiVersion === 'string' ? parseApiVersion(apiVersion) : undefined;
  return `${parsed?.group ?? ''}/${parsed?.version ?? ''}, Kind=${typeof kind === 'string' ? kind : ''}`;
}

/** What the original answers to an error without a status: 500 without a reason, the text as it is. */
function plainError(message: string, cause: Error): ApiError {
  return new ApiError({ code: 500, reason: '', message }, { cause });
}
