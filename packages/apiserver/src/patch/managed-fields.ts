/**
 * metadata.managedFields as the API writes it and as ownership is computed on: entries decode to managers, each
 * with the set of fields it owns in one version, and back in the order Kubernetes keeps. Computes no ownership.
 *
 * Modelled on apimachinery's util/managedfields: an entry is identified by manager, operation and subresource, for
 * updates by its version too; the time is no part of it.
 */

import { goQuote, isPrintable } from '@keelson/base';

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import { canonicalJson, compareText, equalJsonInSlices, FieldPathError } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
import { readFieldSet, writeFieldSet } from './field-set-slices.ts';

export type Operation = 'Apply' | 'Update';

/** Who owns fields: one entry of managedFields. */
export interface Manager {
  readonly name: string;
  readonly operation: Operation;
  /** Version in which the fields are named. */
  readonly apiVersion: string;
  /** Empty for the resource itself. */
  readonly subresource: string;
  readonly fields: FieldSet;
  /** RFC 3339 at second precision. */
  readonly time: string | undefined;
}

/** Managers by their identifier. */
export type Managers = ReadonlyMap<string, Manager>;

/** managedFields that mean nothing; the original answers an apply to such an object with 500. */
export class ManagedFieldsError extends Error {
  override readonly name = 'ManagedFieldsError';
}

/** What tells entries apart, in the original's text: its order decides between managers of the same time. */
export function managerIdentifier({
  name,
  operation,
  apiVersion,
  subresource,
}: Pick<Manager, 'name' | 'operation' | 'apiVersion' | 'subresource'>): string {
  const members: string[] = [];
  if (name !== '') members.push(`"manager":${canonicalJson(name)}`);
  members.push(`"operation":"${operation}"`);
  if (operation === 'Update' && apiVersion !== '') members.push(`"apiVersion":${canonicalJson(apiVersion)}`);
  if (subresource !== '') members.push(`"subresource":${canonicalJson(subresource)}`);
  return `{${members.join(',')}}`;
}

/** managedFields of an object as they stand in it; undefined when there are none, or no list. */
export function managedFieldsOf(object: JsonObject): readonly Json[] | undefined {
  const { metadata } = object;
  if (!isJsonObject(metadata)) return undefined;
  const entries = metadata['managedFields'];
  return Array.isArray(entries) ? entries : undefined;
}

/** The object with these managedFields at the end of its metadata, or without any. */
export function withManagedFields(object: JsonObject, entries: readonly Json[] | undefined): JsonObject {
  const { metadata } = object;
  if (!isJsonObject(metadata)) {
    return entries === undefined ? object : { ...object, metadata: { managedFields: entries } };
  }
  if (entries === undefined && !Object.hasOwn(metadata, 'managedFields')) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: entries === undefined ? rest : { ...rest, managedFields: entries } };
}

/**
 * Whether the client asks to forget all owners: an empty list, or one empty entry. Ask it of the body as it was
 * sent, since a codec drops an empty list.
 */
export function resetsManagedFields(object: JsonObject): boolean {
  const entries = managedFieldsOf(object);
  if (entries === undefined || entries.length > 1) return false;
  if (entries.length === 0) return true;
  const [entry] = entries;
  return isJsonObject(entry) && Object.values(entry).every((value) => value === null || value === '');
}

/** @throws ManagedFieldsError with the original's text */
export function decodeManagedFields(entries: readonly Json[]): Managers {
  return finish(decodeManagedFieldsInSlices(entries, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* decodeManagedFieldsInSlices(entries: readonly Json[], pace: Pace): Sliced<Managers> {
  const managers = new Map<string, Manager>();
  for (let index = 0; index < entries.length; index += 1) {
    const entry = entries[index];
    if (!isJsonObject(entry)) throw new ManagedFieldsError('operation must be `Apply` or `Update`');
    const manager = yield* decodeEntry(entry, index, pace);
    managers.set(managerIdentifier(manager), manager);
  }
  return managers;
}

function* decodeEntry(entry: JsonObject, index: number, pace: Pace): Sliced<Manager> {
  const operation = textOf(entry, 'operation');
  if (operation !== 'Apply' && operation !== 'Update')
    throw new ManagedFieldsError('operation must be `Apply` or `Update`');
  const apiVersion = textOf(entry, 'apiVersion');
  if (apiVersion === '') throw new ManagedFieldsError('apiVersion must not be empty');
  const fieldsType = textOf(entry, 'fieldsType');
  if (fieldsType === '') throw new ManagedFieldsError(`missing fieldsType in managed fields entry ${index}`);
  if (fieldsType !== 'FieldsV1')
    throw new ManagedFieldsError(
      `invalid fieldsType ${goQuote(fieldsType)} in managed fields entry ${index}`,
    );
  const manager = {
    name: textOf(entry, 'manager'),
    operation,
    apiVersion,
    subresource: textOf(entry, 'subresource'),
    time: textOf(entry, 'time') || undefined,
  } as const;
  try {
    return { ...manager, fields: yield* readFieldSet(entry['fieldsV1'] ?? null, pace) };
  } catch (error) {
    if (!(error instanceof FieldPathError)) throw error;
    throw new ManagedFieldsError(
      `error decoding versioned set from ${managerIdentifier(manager)}: error decoding set: parsing key as path element: ${error.message}`,
      { cause: error },
    );
  }
}

function textOf(entry: JsonObject, name: string): string {
  const value = Object.hasOwn(entry, name) ? entry[name] : undefined;
  return typeof value === 'string' ? value : '';
}

/** The entries in Kubernetes' order: applies before updates, then by time, name, version, subresource; undefined for none. */
export function encodeManagedFields(managers: Managers): readonly JsonObject[] | undefined {
  if (managers.size === 0) return undefined;
  return [...managers.values()]
    .toSorted(compareManagers)
    .map((manager) => entryOf(manager, manager.fields.toJson()));
}

/** The same, which can be put down. */
export function* encodeManagedFieldsInSlices(
  managers: Managers,
  pace: Pace,
): Sliced<readonly JsonObject[] | undefined> {
  if (managers.size === 0) return undefined;
  const entries: JsonObject[] = [];
  for (const manager of yield* sortedInSlices([...managers.values()], compareManagers, pace))
    entries.push(entryOf(manager, yield* writeFieldSet(manager.fields, pace)));
  return entries;
}

/** An entry of managedFields. @param fieldsV1 what the manager owns, in order */
export function entryOf(
  { name, operation, apiVersion, subresource, time }: Omit<Manager, 'fields'>,
  fieldsV1: JsonObject,
): JsonObject {
  return {
    ...(name === '' ? {} : { manager: name }),
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(subresource === '' ? {} : { subresource }),
  };
}

export function compareManagers(a: Omit<Manager, 'fields'>, b: Omit<Manager, 'fields'>): number {
  return (
    compareText(a.operation, b.operation) ||
    timeSeconds(a.time) - timeSeconds(b.time) ||
    compareText(a.name, b.name) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource, b.subresource)
  );
}

/** Seconds since 1970; 0 for no time. */
export function timeSeconds(time: string | undefined): number {
  const milliseconds = time === undefined ? 0 : Date.parse(time);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}

/** The original's bound of a manager's name, in bytes. */
const MANAGER_BYTES = 128;

/** Printable, and each character one byte. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Bytes of the text in UTF-8. */
export function byteLength(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** The manager of a request that names none: the first word of its user agent, as far as it may be a name. */
export function managerName(fieldManager: string, userAgent: string): string {
  if (fieldManager !== '') return fieldManager;
  const end = userAgent.indexOf('/');
  const word = end < 0 ? userAgent : userAgent.slice(0, end);
  if (word.length <= MANAGER_BYTES && PLAIN.test(word)) return word;
  let name = '';
  let bytes = 0;
  for (const char of word) {
    if (!isPrintable(char)) continue;
    bytes += byteLength(char);
    if (bytes > MANAGER_BYTES) break;
    name += char;
  }
  return name;
}

/**
 * The object to store in place of the live one, without a change of times that is the only change: then nothing
 * has to be written.
 */
export function withoutNewTimes(live: JsonObject, next: JsonObject): JsonObject {
  return finish(withoutNewTimesInSlices(live, next, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* withoutNewTimesInSlices(live: JsonObject, next: JsonObject, pace: Pace): Sliced<JsonObject> {
  const before = managedFieldsOf(live);
  const after = managedFieldsOf(next);
  if (before === undefined || after === undefined || after.length === 0) return next;
  if (before.length !== after.length) return next;
  for (let at = 0; at < after.length; at += 1) {
    if (!(yield* equalJsonInSlices(withoutTime(before[at]), withoutTime(after[at]), pace))) return next;
  }
  const same = yield* equalJsonInSlices(
    withManagedFields(live, undefined),
    withManagedFields(next, undefined),
    pace,
  );
  return same ? withManagedFields(next, before) : next;
}

function withoutTime(entry: Json): Json {
  if (!isJsonObject(entry)) return entry;
  const { time: _, ...rest } = entry;
  return rest;
}

/**
 * managedFields after mutating admission: what a webhook broke is what stood before, and the client is warned.
 *
 * @param before the object as it went into admission
 */
export function managedFieldsAfterAdmission(
  before: JsonObject,
  after: JsonObject,
): { readonly object: JsonObject; readonly warning: string | undefined } {
  const entries = managedFieldsOf(after);
  // What nobody touched is as sound as it was.
  if (entries === managedFieldsOf(before)) return { object: after, warning: undefined };
  try {
    decodeManagedFields(entries ?? []);
    return { object: after, warning: undefined };
  } catch (error) {
    if (!(error instanceof ManagedFieldsError)) throw error;
    return {
      object: withManagedFields(after, managedFieldsOf(before)),
      warning: `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${error.message}`,
    };
  }
}
