/**
 * Fills in what a custom resource left out, by the defaults of its schema: a member that is missing, or is null where
 * null is not allowed. A value that lacks nothing is given back as it is; defaults are frozen values and shared.
 *
 * Modelled on apiextensions-apiserver's schema/defaulting.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
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
