/**
 * Whole objects inside of custom resources (x-kubernetes-embedded-resource): they say what they are and their metadata
 * is metadata. Pure.
 *
 * Modelled on apiextensions-apiserver's schema/objectmeta, whose texts these are.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { parseApiVersion } from '../api/meta.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import { asObject } from '../codec/object-codec.ts';
import { conform, TypedError } from '../codec/typed.ts';
import { metadataErrors } from '../registry/metadata.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { dns1035LabelErrors, pathSegmentErrors } from '../validation/names.ts';
import { textOf } from '../validation/value.ts';
import { inOrder } from './list-types.ts';

export interface EmbeddedCheck {
  readonly errors: FieldErrors;
  readonly objectMeta: StructSchema;
  readonly pace: Pace;
}

/** Wrong about the objects inside of this one. @param at where the value is; empty for an object's top */
export function* embeddedErrors(
  check: EmbeddedCheck,
  schema: Structural,
  value: Json,
  at: string,
): Sliced<void> {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined || !items.holdsEmbedded) return;
    for (let index = 0; index < value.length; index += 1) {
      yield* embeddedErrors(check, items, value[index], `${at}[${index}]`);
    }
    return;
  }
  if (!isJsonObject(value)) return;
  if (schema.embedded) {
    if (check.pace.due()) yield;
    checkEmbedded(check.errors, value, at, check.objectMeta);
  }
  for (const name in value) {
    if (!Object.hasOwn(value, name)) continue;
    const named = schema.properties.get(name);
    const node = named ?? schema.additional;
    if (node === undefined || !node.holdsEmbedded) continue;
    const inner = named === undefined ? `${at}[${name}]` : child(at, name);
    yield* embeddedErrors(check, node, value[name], inner);
  }
}

export interface EmbeddedRead {
  readonly objectMeta: StructSchema;
  /** Told the path of each member of metadata that is left out. */
  readonly unknown?: ((path: string) => void) | undefined;
}

/**
 * A client's JSON with the metadata of the objects inside of it in Go's form, without what nobody named.
 *
 * @throws TypedError for metadata that is none, and for a kind or version that is no text
 */
export function readEmbedded(schema: Structural, value: Json, at: string, read: EmbeddedRead): Json {
  if (!schema.holdsEmbedded) return value;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return value.map((item, index) => readEmbedded(items, item, `${at}[${index}]`, read));
  }
  if (!isJsonObject(value)) return value;
  // Made of entries: `__proto__` is a name as any other.
  const next: Record<string, Json> = Object.fromEntries(
    Object.entries(value).map(([name, inner]): [string, Json] => {
      const node = schema.properties.get(name) ?? schema.additional;
      return [name, node === undefined ? inner : readEmbedded(node, inner, child(at, name), read)];
    }),
  );
  if (!schema.embedded) return next;
  for (const name of ['apiVersion', 'kind']) {
    if (next[name] !== undefined && typeof next[name] !== 'string') {
      throw refused(child(at, name), next[name], 'must be a string');
    }
  }
  if (next['metadata'] !== undefined)
    next['metadata'] = readMetadata(next['metadata'], child(at, 'metadata'), read);
  return next;
}

function refused(at: string, value: Json, why: string): TypedError {
  const errors = new FieldErrors();
  errors.invalid(FieldPath.of(at), inOrder(value), why);
  return new TypedError(errors.list.map(({ field, body }) => `${field}: ${body}`).join());
}

function readMetadata(value: Json, at: string, { objectMeta, unknown }: EmbeddedRead): Json {
  if (value === null) return {};
  if (!isJsonObject(value)) {
    throw refused(at, value, notMetadata(value));
  }
  try {
    const typed = conform(objectMeta, value, {
      schemaProps: objectMeta,
      ...(unknown === undefined ? {} : { unknown: (path: string) => unknown(`${at}.${path}`) }),
    });
    const { creationTimestamp, ...others } = typed;
    return creationTimestamp === null || creationTimestamp === undefined ? others : typed;
  } catch (error) {
    if (error instanceof TypedError) throw refused(at, value, error.message);
    throw error;
  }
}

function notMetadata(value: Json): string {
  const what = Array.isArray(value) ? 'array' : typeof value === 'object' ? 'number' : goWord(typeof value);
  return `json: cannot unmarshal ${what} into Go value of type v1.ObjectMeta`;
}

const goWord = (type: string): string => (type === 'boolean' ? 'bool' : type === 'bigint' ? 'number' : type);

function child(at: string, name: string): string {
  return at === '' ? name : `${at}.${name}`;
}

function checkEmbedded(errors: FieldErrors, value: JsonObject, at: string, objectMeta: StructSchema): void {
  const path = (name: string): FieldPath => FieldPath.of(child(at, name));
  for (const name of ['apiVersion', 'kind']) {
    const given = value[name];
    if (given === undefined || typeof given === 'string') continue;
    errors.invalid(path(name), given, 'must be a string');
    return;
  }
  const [apiVersion, kind] = [textOf(value, 'apiVersion'), textOf(value, 'kind')];
  const { metadata } = value;
  if (apiVersion === undefined) errors.required(path('apiVersion'));
  else if (apiVersion === '') errors.invalid(path('apiVersion'), apiVersion, 'must not be empty');
  else if (parseApiVersion(apiVersion) === undefined) {
    errors.invalid(path('apiVersion'), apiVersion, `unexpected GroupVersion string: ${apiVersion}`);
  }
  if (kind === undefined) errors.required(path('kind'));
  else if (kind === '') errors.invalid(path('kind'), kind, 'must not be empty');
  else {
    const wrong = dns1035LabelErrors(kind.toLowerCase());
    if (wrong.length > 0) {
      errors.invalid(
        path('kind'),
        kind,
        `may have mixed case, but should otherwise match: ${wrong.join(',')}`,
      );
    }
  }
  if (metadata !== undefined && metadata !== null)
    checkMetadata(errors, metadata, path('metadata'), at, objectMeta);
}

function checkMetadata(
  errors: FieldErrors,
  metadata: Json,
  path: FieldPath,
  at: string,
  objectMeta: StructSchema,
): void {
  if (!isJsonObject(metadata)) {
    errors.invalid(path, metadata, notMetadata(metadata));
    return;
  }
  let typed: JsonObject;
  try {
    typed = conform(objectMeta, metadata, { schemaProps: objectMeta });
  } catch (error) {
    if (!(error instanceof TypedError)) throw error;
    errors.invalid(path, metadata, error.message);
    return;
  }
  const name = typed['name'] ?? 'fakename';
  const object = asObject({ metadata: { ...typed, name } });
  const namespaced = typeof typed['namespace'] === 'string' && typed['namespace'] !== '';
  const found = metadataErrors(object, namespaced, pathSegmentErrors);
  errors.list.push(...found.map((error) => ({ ...error, field: child(at, error.field) })));
}
