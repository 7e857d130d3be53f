/**
 * Fills in what a custom resource left out, by the defaults of its schema: a member that is missing, or is null where
 * null is not allowed. A value that lacks nothing is given back as it is; defaults are frozen values and shared.
 *
 * Modelled on apiextensions-apiserver's schema/defaulting.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { changedMembers } from './changed-members.ts';
import type { Structural } from './structural.ts';

/** The object with its defaults. */
export function withDefaults(schema: Structural, object: JsonObject): JsonObject {
  let copy: Record<string, Json> | undefined;
  for (const [name, node] of schema.properties) {
    if (node.default === undefined) continue;
    if (!Object.hasOwn(object, name) || (object[name] === null && !node.nullable)) {
      copy ??= { ...object };
      copy[name] = node.default;
    }
  }
  const present = copy ?? object;
  for (const name in present) {
    if (!Object.hasOwn(present, name)) continue;
    const node = schema.member(name);
    if (node === undefined) continue;
    const member = present[name];
    const next = filled(node, member);
    if (next !== member) {
      copy ??= { ...object };
      copy[name] = next;
    }
  }
  return copy ?? object;
}

function filled(node: Structural, value: Json): Json {
  const present = value === null && !node.nullable && node.default !== undefined ? node.default : value;
  if (Array.isArray(present)) {
    const { items } = node;
    if (items === undefined) return present;
    let copy: Json[] | undefined;
    for (let index = 0; index < present.length; index += 1) {
      const next = filled(items, present[index]);
      if (next !== present[index]) {
        copy ??= [...present];
        copy[index] = next;
      }
    }
    return copy ?? present;
  }
  return isJsonObject(present) ? withDefaults(node, present) : present;
}

/** The same as withDefaults(), which can be put down. */
export function* withDefaultsInSlices(
  schema: Structural,
  object: JsonObject,
  pace: Pace,
): Sliced<JsonObject> {
  const changes = new Map<string, Json>();
  for (const [name, node] of schema.properties) {
    if (node.default === undefined) continue;
    if (!Object.hasOwn(object, name) || (object[name] === null && !node.nullable)) {
      changes.set(name, node.default);
    }
  }
  // A default may lack some of its own members.
  for (const [name, value] of changes) {
    const node = schema.member(name);
    if (node !== undefined) changes.set(name, yield* filledInSlices(node, value, pace));
  }
  let count = 0;
  for (const name of namesOf(object)) {
    const node = schema.member(name);
    if (node === undefined || changes.has(name)) continue;
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const member = object[name];
    const next = yield* filledInSlices(node, member, pace);
    if (next !== member) changes.set(name, next);
  }
  return yield* changedMembers(object, changes, pace);
}

function* filledInSlices(node: Structural, value: Json, pace: Pace): Sliced<Json> {
  const present = value === null && !node.nullable && node.default !== undefined ? node.default : value;
  if (Array.isArray(present)) {
    const { items } = node;
    if (items === undefined) return present;
    let copy: Json[] | undefined;
    for (let index = 0; index < present.length; index += 1) {
      if (index % LOOK_EVERY === 0 && pace.due()) yield;
      const item: Json = present[index];
      const next = yield* filledInSlices(items, item, pace);
      if (next !== item) (copy ??= [...present])[index] = next;
    }
    return copy ?? present;
  }
  return isJsonObject(present) ? yield* withDefaultsInSlices(node, present, pace) : present;
}
