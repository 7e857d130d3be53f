/**
 * What metadata may be: names, namespace, labels, annotations, owners, finalizers, managed fields of any object,
 * when it is made and when it is changed. Pure; texts are apimachinery's. What the server sets itself is
 * before.ts.
 */

import { goQuote, isPrintable } from '@keelson/base';

import { isJsonObject, type Json } from '../api/json.ts';
import {
  parseApiVersion,
  type KubeObject,
  type ManagedFieldsEntry,
  type OwnerReference,
} from '../api/meta.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { FieldError } from '../api/status.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { byteLength, checkAnnotationsInSlices, checkLabelsInSlices } from '../validation/labels.ts';
import { checkNotNegative, IMMUTABLE } from '../validation/scalars.ts';
import { dnsLabelErrors, dnsSubdomainErrors, forName, qualifiedNameErrors } from '../validation/names.ts';

const METADATA = FieldPath.of('metadata');
const FIELD_MANAGER_BYTES_MAX = 128;
const SUBRESOURCE_BYTES_MAX = 256;

const UNKNOWN_FINALIZER = 'name is neither a standard finalizer name nor is it fully qualified';
export const ORPHAN_FINALIZER = 'orphan';
export const FOREGROUND_FINALIZER = 'foregroundDeletion';
/** Finalizers without a domain that built-in objects may have. */
export const STANDARD_FINALIZERS: readonly string[] = ['kubernetes', ORPHAN_FINALIZER, FOREGROUND_FINALIZER];

/** What is wrong with a name, as texts. @param prefix something is appended yet */
export type NameRule = (name: string, prefix: boolean) => string[];

/** DNS-1123 subdomain: what most kinds are called. */
export const subdomainName: NameRule = forName(dnsSubdomainErrors);

/**
 * Metadata of an object that is made.
 *
 * @param ownFinalizers those without a domain that the kind knows; undefined: it does not ask
 */
export function metadataErrors(
  { metadata }: KubeObject,
  namespaced: boolean,
  nameErrors: NameRule,
  ownFinalizers?: readonly string[],
): FieldError[] {
  return finish(metadataErrorsInSlices({ metadata }, namespaced, nameErrors, ownFinalizers, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* metadataErrorsInSlices(
  { metadata }: Pick<KubeObject, 'metadata'>,
  namespaced: boolean,
  nameErrors: NameRule,
  ownFinalizers: readonly string[] | undefined,
  pace: Pace,
): Sliced<FieldError[]> {
  const errors = new FieldErrors();
  if (metadata.generateName !== undefined && metadata.generateName !== '') {
    const at = METADATA.child('generateName');
    errors.invalids(at, metadata.generateName, nameErrors(metadata.generateName, true));
  }
  if (metadata.name === undefined || metadata.name === '') {
    errors.required(METADATA.child('name'), 'name or generateName is required');
  } else {
    errors.invalids(METADATA.child('name'), metadata.name, nameErrors(metadata.name, false));
  }
  const namespace = metadata.namespace ?? '';
  if (namespaced) {
    if (namespace === '') errors.required(METADATA.child('namespace'));
    else errors.invalids(METADATA.child('namespace'), namespace, dnsLabelErrors(namespace));
  } else if (namespace !== '') {
    errors.forbidden(METADATA.child('namespace'), 'not allowed on this type');
  }
  yield* checkCommon(errors, { metadata }, pace);
  checkKnownFinalizers(errors, metadata.finalizers ?? [], ownFinalizers);
  return errors.list;
}

/** Metadata of an object that is changed. @param ownFinalizers as of metadataErrors */
export function metadataUpdateErrors(
  object: KubeObject,
  old: KubeObject,
  ownFinalizers?: readonly string[],
): FieldError[] {
  return finish(metadataUpdateErrorsInSlices(object, old, ownFinalizers, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* metadataUpdateErrorsInSlices(
  { metadata }: KubeObject,
  { metadata: old }: KubeObject,
  ownFinalizers: readonly string[] | undefined,
  pace: Pace,
): Sliced<FieldError[]> {
  const errors = new FieldErrors();
  yield* checkCommon(errors, { metadata }, pace);
  if (old.deletionTimestamp !== undefined && old.deletionTimestamp !== null) {
    const before = new Set(old.finalizers);
    const added = [...new Set(metadata.finalizers)].filter((name) => !before.has(name)).toSorted();
    if (added.length > 0) {
      const shown = added.map((name) => goQuote(name)).join(', ');
      errors.forbidden(
        METADATA.child('finalizers'),
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${shown}}`,
      );
    }
  }
  if ((metadata.resourceVersion ?? '') === '') {
    errors.invalid(METADATA.child('resourceVersion'), '', 'must be specified for an update');
  }
  if ((metadata.generation ?? 0) < (old.generation ?? 0)) {
    errors.invalid(METADATA.child('generation'), metadata.generation ?? 0, 'must not be decremented');
  }
  for (const name of ['name', 'namespace', 'uid'] as const) {
    if ((metadata[name] ?? '') !== (old[name] ?? '')) {
      errors.invalid(METADATA.child(name), metadata[name] ?? '', IMMUTABLE);
    }
  }
  for (const name of ['creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if ((metadata[name] ?? undefined) !== (old[name] ?? undefined)) {
      errors.invalid(METADATA.child(name), metadata[name], IMMUTABLE);
    }
  }
  checkKnownFinalizers(errors, metadata.finalizers ?? [], ownFinalizers);
  return errors.list;
}

function* checkCommon(
  errors: FieldErrors,
  { metadata }: Pick<KubeObject, 'metadata'>,
  pace: Pace,
): Sliced<void> {
  checkNotNegative(errors, METADATA.child('generation'), metadata.generation);
  yield* checkLabelsInSlices(errors, METADATA.child('labels'), metadata.labels ?? {}, pace);
  yield* checkAnnotationsInSlices(errors, METADATA.child('annotations'), metadata.annotations ?? {}, pace);
  if (pace.due()) yield;
  checkOwners(errors, metadata.ownerReferences ?? []);
  yield* checkFinalizers(errors, metadata.finalizers ?? [], pace);
  if (pace.due()) yield;
  checkManagedFields(errors, metadata.managedFields ?? []);
}

function checkOwners(errors: FieldErrors, owners: readonly Partial<OwnerReference>[]): void {
  const path = METADATA.child('ownerReferences');
  let controller = '';
  for (const owner of owners) {
    // A custom resource's metadata is not brought into Go's form: members may be missing.
    const { apiVersion = '', kind = '', name = '', uid = '' } = owner;
    if ((parseApiVersion(apiVersion)?.version ?? '') === '') {
      errors.invalid(path.child('apiVersion'), apiVersion, 'version must not be empty');
    }
    if (kind === '') errors.invalid(path.child('kind'), kind, 'must not be empty');
    if (name === '') errors.invalid(path.child('name'), name, 'must not be empty');
    if (uid === '') errors.invalid(path.child('uid'), uid, 'must not be empty');
    if (apiVersion === 'v1' && kind === 'Event') {
      errors.invalid(path, owner, '/v1, Kind=Event is disallowed from being an owner');
    }
    if (owner.controller === true) {
      const current = `${kind}/${name}`;
      if (controller !== '') {
        errors.invalid(
          path,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${current}`,
        );
      } else {
        controller = current;
      }
    }
  }
}

function* checkFinalizers(errors: FieldErrors, finalizers: readonly string[], pace: Pace): Sliced<void> {
  const path = METADATA.child('finalizers');
  for (const [index, name] of finalizers.entries()) {
    if (index % LOOK_EVERY === 0 && pace.due()) yield;
    errors.invalids(path, name, qualifiedNameErrors(name));
  }
  if (finalizers.includes(ORPHAN_FINALIZER) && finalizers.includes(FOREGROUND_FINALIZER)) {
    errors.invalid(
      path,
      finalizers,
      `finalizer ${ORPHAN_FINALIZER} and ${FOREGROUND_FINALIZER} cannot be both set`,
    );
  }
}

function checkKnownFinalizers(
  errors: FieldErrors,
  finalizers: readonly string[],
  own: readonly string[] | undefined,
): void {
  if (own === undefined) return;
  for (const [index, name] of finalizers.entries()) {
    if (name.includes('/') || own.includes(name)) continue;
    errors.invalid(METADATA.child('finalizers').index(index), name, UNKNOWN_FINALIZER);
  }
}

function checkManagedFields(errors: FieldErrors, entries: readonly ManagedFieldsEntry[]): void {
  for (const [index, entry] of entries.entries()) {
    const path = METADATA.child('managedFields').index(index);
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      errors.invalid(path.child('operation'), entry.operation ?? '', 'must be `Apply` or `Update`');
    }
    if ((entry.fieldsType ?? '') !== '' && entry.fieldsType !== 'FieldsV1') {
      errors.invalid(path.child('fieldsType'), entry.fieldsType, 'must be `FieldsV1`');
    }
    checkFieldManager(errors, path.child('manager'), entry.manager ?? '');
    if (byteLength(entry.subresource ?? '') > SUBRESOURCE_BYTES_MAX) {
      errors.tooLong(path.child('subresource'), SUBRESOURCE_BYTES_MAX);
    }
  }
}

/** A manager's name: short, of characters that can be seen. */
export function checkFieldManager(errors: FieldErrors, path: FieldPath, manager: string): void {
  if (byteLength(manager) > FIELD_MANAGER_BYTES_MAX) errors.tooLong(path, FIELD_MANAGER_BYTES_MAX);
  let at = 0;
  for (const char of manager) {
    if (!isPrintable(char)) {
      const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      errors.invalid(path, manager, `invalid character U+${code} (at position ${at})`);
    }
    at += byteLength(char);
  }
}

/** Whether an owner reference stands twice; the list without repetitions. */
export function withoutRepeatedOwners(object: KubeObject): {
  readonly object: KubeObject;
  readonly repeated: readonly string[];
} {
  const owners = object.metadata.ownerReferences ?? [];
  const kept: OwnerReference[] = [];
  const repeated: string[] = [];
  const seen = new Set<string>();
  for (const owner of owners) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an owner reference is JSON
    const json = owner as unknown as Json;
    const text = isJsonObject(json)
      ? JSON.stringify(Object.entries(json).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : '';
    if (seen.has(text)) repeated.push(owner.uid);
    else {
      seen.add(text);
      kept.push(owner);
    }
  }
  if (repeated.length === 0) return { object, repeated };
  return { object: { ...object, metadata: { ...object.metadata, ownerReferences: kept } }, repeated };
}
