/**
 * Takes out of a custom resource what its schema does not name, and nulls where the schema allows none. A value that
 * loses nothing is given back as it is. apiVersion, kind and metadata stay as they are, at the top and in embedded
 * resources.
 *
 * Modelled on apiextensions-apiserver's schema/pruning and defaulting's PruneNonNullableNullsWithoutDefaults.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { changedMembers } from './changed-members.ts';
import { META_FIELDS, type Structural } from './structural.ts';

/** Told the path of each member that is taken out, `spec.items[0].foo`. */
export type Pruned = (path: string) => void;

/** The object without what nobody named. @param whole the object has a kind: apiVersion, kind and metadata stay */
export function prune(schema: Structural, object: JsonObject, whole: boolean, pruned?: Pruned): JsonObject {
  const walk = new Pruning(pruned);
  return walk.object(schema, object, whole || schema.embedded, schema.keepsUnknown);
}

/** The same, which can be put down. */
export function* pruneInSlices(
  schema: Structural,
  object: JsonObject,
  pace: Pace,
  pruned?: Pruned,
): Sliced<JsonObject> {
  const walk = new Pruning(pruned);
  return yield* walk.slicedObject(schema, object, true, schema.keepsUnknown, pace);
}

/** Members with another value than before; the same object where there is none. */
class Pruning {
  private readonly told: Pruned | undefined;
  private readonly path: (string | number)[] = [];

  constructor(told: Pruned | undefined) {
    this.told = told;
  }

  object(schema: Structural | undefined, value: JsonObject, meta: boolean, keeps: boolean): JsonObject {
    let copy: Record<string, Json> | undefined;
    const drop = (name: string): void => {
      copy ??= { ...value };
      delete copy[name];
    };
    for (const name in value) {
      if (!Object.hasOwn(value, name) || (meta && META_FIELDS.has(name))) continue;
      const member = value[name];
      const node = schema?.properties.get(name);
      this.path.push(name);
      if (node === undefined && schema?.hasAdditional !== true && !keeps) {
        drop(name);
        this.told?.(describe(this.path));
      } else {
        const inner = node ?? schema?.additional;
        if (member === null && inner !== undefined && !inner.nullable && inner.default === undefined) {
          drop(name);
        } else if (typeof member === 'object' && member !== null) {
          // Where unknown members are kept, what lies below is looked at only as far as the schema knows it.
          const next = keeps && inner === undefined ? member : this.value(inner, member);
          if (next !== member) {
            copy ??= { ...value };
            copy[name] = next;
          }
        }
      }
      this.path.pop();
    }
    return copy ?? value;
  }

  // The same, which can be put down between the members of what holds many.

  *slicedObject(
    schema: Structural | undefined,
    value: JsonObject,
    meta: boolean,
    keeps: boolean,
    pace: Pace,
  ): Sliced<JsonObject> {
    const changes = new Map<string, Json | undefined>();
    let count = 0;
    for (const name of namesOf(value)) {
      if (meta && META_FIELDS.has(name)) continue;
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const member = value[name];
      const node = schema?.properties.get(name);
      const inner = node ?? schema?.additional;
      if (node === undefined && schema?.hasAdditional !== true && !keeps) {
        changes.set(name, undefined);
        if (this.told !== undefined) this.told(describe([...this.path, name]));
      } else if (member === null) {
        if (inner !== undefined && !inner.nullable && inner.default === undefined) {
          changes.set(name, undefined);
        }
      } else if (typeof member === 'object' && !(keeps && inner === undefined)) {
        this.path.push(name);
        const next = yield* this.slicedValue(inner, member, pace);
        this.path.pop();
        if (next !== member) changes.set(name, next);
      }
    }
    return yield* changedMembers(value, changes, pace);
  }

  private *slicedValue(schema: Structural | undefined, value: Json, pace: Pace): Sliced<Json> {
    if (isJsonObject(value)) {
      const { embedded = false, keepsUnknown = false } = schema ?? {};
      return yield* this.slicedObject(schema, value, embedded, keepsUnknown, pace);
    }
    const items = schema?.items;
    if (!Array.isArray(value) || (schema?.keepsUnknown === true && items === undefined)) return value;
    let copy: Json[] | undefined;
    for (let index = 0; index < value.length; index += 1) {
      const item: Json = value[index];
      if (index % LOOK_EVERY === 0 && pace.due()) yield;
      if (typeof item !== 'object' || item === null) continue;
      this.path.push(index);
      const next = yield* this.slicedValue(items, item, pace);
      this.path.pop();
      if (next !== item) (copy ??= [...value])[index] = next;
    }
    return copy ?? value;
  }

  private value(schema: Structural | undefined, value: Json): Json {
    if (Array.isArray(value)) return this.list(schema, value);
    if (!isJsonObject(value)) return value;
    return this.object(schema, value, schema?.embedded ?? false, schema?.keepsUnknown ?? false);
  }

  private list(schema: Structural | undefined, value: readonly Json[]): readonly Json[] {
    const keeps = schema?.keepsUnknown ?? false;
    const items = schema?.items;
    if (keeps && items === undefined) return value;
    let copy: Json[] | undefined;
    this.path.push(0);
    for (let index = 0; index < value.length; index += 1) {
      const item = value[index];
      if (typeof item !== 'object' || item === null) continue;
      this.path[this.path.length - 1] = index;
      const next = this.value(items, item);
      if (next !== item) {
        copy ??= [...value];
        copy[index] = next;
      }
    }
    this.path.pop();
    return copy ?? value;
  }
}

function describe(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}
