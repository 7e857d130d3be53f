/**
 * managedFields after an update, out of those before it: entry by entry, without making sets of any. For what is usual:
 * all entries are in the version of the request and as the server writes them. Where they are not, the answer is that it
 * is not known, and the general way (server-side-apply-updater.ts) does it.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { changedFields, changedFieldsInSlices, type Change, type Taken } from './changed-fields.ts';
import { compareManagers, entryOf, managerIdentifier, type Manager } from './managed-fields.ts';
import { UPDATERS_MAX } from './managed-fields-cap.ts';
import { fieldsAfter, fieldsAfterInSlices, isOwned, UNKNOWN } from './owned-fields.ts';
import { isEmptyMap } from './typed-merge-schema.ts';

type Owner = Omit<Manager, 'fields'>;

/** An update of an object, in one version. */
export interface TrackedUpdate {
  /** Without managedFields. */
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly type: TypeSchema;
  /** managedFields it starts from. */
  readonly entries: readonly Json[];
  /** The writer, at the time of the write. */
  readonly writer: Owner;
  readonly taken: Taken;
}

/** @returns undefined where only the general way knows; an empty list where nobody owns anything */
export function ownersAfter(update: TrackedUpdate): readonly JsonObject[] | undefined {
  const owners = ownersOf(update);
  if (owners === undefined) return undefined;
  const change = changedFields(update.before, update.after, update.type, update.taken);
  if (change === undefined) return undefined;
  const after: Owned[] = [];
  for (const { owner, fields, own } of withWriter(update, owners, change)) {
    const left = fieldsAfter(fields, change, update.type, own);
    if (left === UNKNOWN) return undefined;
    after.push({ owner, fields: left });
  }
  return encoded(after);
}

/** The same, which can be put down. */
export function* ownersAfterInSlices(
  update: TrackedUpdate,
  pace: Pace,
): Sliced<readonly JsonObject[] | undefined> {
  const owners = ownersOf(update);
  if (owners === undefined) return undefined;
  const { before, type, taken } = update;
  const change = yield* changedFieldsInSlices(before, update.after, type, taken, pace);
  if (change === undefined) return undefined;
  const after: Owned[] = [];
  for (const { owner, fields, own } of withWriter(update, owners, change)) {
    const left = yield* fieldsAfterInSlices(fields, change, type, own, pace);
    if (left === UNKNOWN) return undefined;
    after.push({ owner, fields: left });
  }
  return encoded(after);
}

/** An entry, taken apart. */
interface Owned {
  readonly owner: Owner;
  readonly fields: JsonObject;
}

/** One that is to be changed. */
interface Changed {
  readonly owner: Owner;
  /** Undefined: it owned nothing. */
  readonly fields: JsonObject | undefined;
  /** Whether what was changed is its own now. */
  readonly own: boolean;
}

/** The entries by what tells them apart; undefined where one of them is unusual. */
function ownersOf({ entries, writer }: TrackedUpdate): Map<string, Owned> | undefined {
  const owners = new Map<string, Owned>();
  let updaters = 1;
  for (const entry of entries) {
    const owned = ownedBy(entry, writer.apiVersion);
    if (owned === undefined) return undefined;
    const identifier = managerIdentifier(owned.owner);
    if (owners.has(identifier)) return undefined;
    owners.set(identifier, owned);
    if (owned.owner.operation === 'Update') updaters += 1;
  }
  // Too many are joined, which takes sets.
  return updaters > UPDATERS_MAX ? undefined : owners;
}

function ownedBy(entry: Json, apiVersion: string): Owned | undefined {
  if (!isJsonObject(entry)) return undefined;
  let fields: Json | undefined;
  for (const name of Object.keys(entry)) {
    if (name === 'fieldsV1') fields = entry[name];
    else if (!TEXTS.has(name) || typeof entry[name] !== 'string') return undefined;
  }
  const { operation, manager = '', time = '', subresource = '' } = entry;
  if (operation !== 'Apply' && operation !== 'Update') return undefined;
  if (entry['apiVersion'] !== apiVersion || entry['fieldsType'] !== 'FieldsV1') return undefined;
  if (!isJsonObject(fields) || isEmptyMap(fields)) return undefined;
  if (typeof manager !== 'string' || typeof time !== 'string' || typeof subresource !== 'string') {
    return undefined;
  }
  const owner: Owner = {
    name: manager,
    operation,
    apiVersion,
    subresource,
    time: time === '' ? undefined : time,
  };
  return { owner, fields };
}

const TEXTS: ReadonlySet<string> = new Set([
  'manager',
  'operation',
  'apiVersion',
  'time',
  'fieldsType',
  'subresource',
]);

/** What is to become of each entry, and of the writer's: its time changes only where it changed something. */
function withWriter(
  { writer }: TrackedUpdate,
  owners: ReadonlyMap<string, Owned>,
  change: Change,
): readonly Changed[] {
  const self = isOwned(change) ? managerIdentifier(writer) : undefined;
  const changed: Changed[] = [];
  for (const [identifier, { owner, fields }] of owners) {
    const own = identifier === self;
    changed.push({ owner: own ? writer : owner, fields, own });
  }
  if (self !== undefined && !owners.has(self)) changed.push({ owner: writer, fields: undefined, own: true });
  return changed;
}

function encoded(owned: readonly Owned[]): readonly JsonObject[] {
  return owned
    .filter(({ fields }) => !isEmptyMap(fields))
    .sort((a, b) => compareManagers(a.owner, b.owner))
    .map(({ owner, fields }) => entryOf(owner, fields));
}
