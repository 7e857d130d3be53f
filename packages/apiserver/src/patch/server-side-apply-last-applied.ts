/**
 * The bridge from client-side apply: kubectl keeps what it applied in an annotation. An apply by the manager
 * `kubectl` takes over, without conflict, the fields that the annotation and the object agree on, and keeps the
 * annotation up to date so that a later client-side apply finds what it expects.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { canonicalJson, readPlainJson } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
import { differenceOf } from './field-set-slices.ts';
import { byteLength } from './managed-fields.ts';
import { compareTypedInSlices } from './typed-merge-compare.ts';
import { fieldsOfInSlices } from './typed-merge-fields.ts';
import { TypedMergeError, validateTypedInSlices } from './typed-merge-validate.ts';

/** The manager whose applies mind the annotation. Another name opts out. */
export const KUBECTL = 'kubectl';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** All annotations of an object together, names and values. */
const ANNOTATIONS_BYTES = 256 * 1024;

function annotationsOf(object: JsonObject): JsonObject | undefined {
  const { metadata } = object;
  const annotations = isJsonObject(metadata) ? metadata['annotations'] : undefined;
  return isJsonObject(annotations) ? annotations : undefined;
}

function lastAppliedOf(object: JsonObject): string {
  const annotations = annotationsOf(object);
  const text =
    annotations !== undefined && Object.hasOwn(annotations, LAST_APPLIED) ? annotations[LAST_APPLIED] : '';
  return typeof text === 'string' ? text : '';
}

/**
 * The fields of the last client-side apply that are as it left them; undefined when there was none, or its
 * annotation is in another version or cannot be read.
 */
export function* fieldsOfLastApplied(
  live: JsonObject,
  apiVersion: string,
  type: TypeSchema,
  pace: Pace,
): Sliced<FieldSet | undefined> {
  const text = lastAppliedOf(live);
  if (text === '') return undefined;
  try {
    yield* validateTypedInSlices(live, type, false, pace);
    const last: Json = readPlainJson(text);
    if (!isJsonObject(last) || last['apiVersion'] !== apiVersion) return undefined;
    yield* validateTypedInSlices(last, type, false, pace);
    const { modified, added, removed } = yield* compareTypedInSlices(last, live, type, pace);
    let fields = yield* fieldsOfInSlices(last, type, pace);
    for (const other of [modified, added, removed]) fields = yield* differenceOf(fields, other, pace);
    return fields;
  } catch (error) {
    // The annotation belongs to clients: one that cannot be understood gives no right to anything.
    if (error instanceof TypedMergeError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The object with the annotation set to what was applied, if it has one; without it, if annotations grew too large. */
export function withLastApplied(object: JsonObject, applied: JsonObject): JsonObject {
  if (lastAppliedOf(object) === '') return object;
  if (isLonger(applied, ANNOTATIONS_BYTES))
    return withAnnotations(object, without(annotationsOf(object) ?? {}));
  const annotations = { ...annotationsOf(object), [LAST_APPLIED]: `${canonicalJson(bare(applied))}\n` };
  const bytes = Object.entries(annotations).reduce(
    (sum, [name, value]) => sum + byteLength(name) + (typeof value === 'string' ? byteLength(value) : 0),
    0,
  );
  return withAnnotations(object, bytes > ANNOTATIONS_BYTES ? without(annotations) : annotations);
}

/** Whether the texts in what was applied alone, without its annotations, are longer: then it need not be written to be known. */
function isLonger(applied: JsonObject, bytes: number): boolean {
  const left = [...namesOf(applied)].filter((name) => name !== 'metadata').map((name) => applied[name]);
  let length = 0;
  for (let value = left.pop(); value !== undefined; value = left.pop()) {
    if (typeof value === 'string') length += value.length;
    else if (Array.isArray(value)) length += value.length;
    if (length > bytes) return true;
    if (isJsonObject(value)) {
      for (const name of namesOf(value)) {
        length += name.length;
        if (length > bytes) return true;
        left.push(value[name]);
      }
    } else if (Array.isArray(value)) {
      for (const item of value as readonly Json[]) left.push(item);
    }
  }
  return false;
}

/** What was applied, without the annotation itself. */
function bare(applied: JsonObject): JsonObject {
  const annotations = annotationsOf(applied);
  return annotations === undefined || !Object.hasOwn(annotations, LAST_APPLIED)
    ? applied
    : withAnnotations(applied, without(annotations));
}

function without(annotations: JsonObject): JsonObject {
  const { [LAST_APPLIED]: _, ...rest } = annotations;
  return rest;
}

function withAnnotations(object: JsonObject, annotations: JsonObject): JsonObject {
  const { metadata } = object;
  return { ...object, metadata: { ...(isJsonObject(metadata) ? metadata : {}), annotations } };
}
