/**
 * Fills in what an object left out, as the defaulting of its version does: rules by type name run on every value
 * of that type wherever it lies (the pod template of a Deployment as a Pod's spec), the outer one before the inner
 * ones, together with the defaults the fact table states. Pure: an object that lacks nothing is given back as it
 * is; members that are added stand in Go's order.
 *
 * Modelled on the generated SetObjectDefaults functions of Kubernetes.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import type { FieldSchema, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import type { TypeTable } from '../schema/type-table.ts';
import { asObject } from '../validation/value.ts';

/** The value with what it lacks; the same one when it lacks nothing. Inner types have rules of their own. */
export type DefaultRule = (value: JsonObject) => JsonObject;

export type DefaultRules = Readonly<Record<string, DefaultRule>>;

/** A field that defaulting looks at. */
interface Concerned {
  readonly field: FieldSchema;
  /** What it gets when it is not there; undefined for none. */
  readonly default: Json | undefined;
  /** Whether its type has defaults. */
  readonly inside: boolean;
}

export class Defaulter {
  private readonly types: TypeTable;
  private readonly rules: DefaultRules;
  /** Whether a type or one inside of it has a default. */
  private readonly reach = new Map<string, boolean>();
  /** By type, its fields that have a default or one inside of them. */
  private readonly concerned = new Map<StructSchema, readonly Concerned[]>();

  constructor(types: TypeTable, rules: DefaultRules) {
    this.types = types;
    this.rules = rules;
  }

  /** The defaulting of one type; undefined where there is nothing to fill in. */
  forType(typeName: string): ((object: KubeObject) => KubeObject) | undefined {
    const struct = this.types.struct(typeName);
    if (!this.reaches(struct, new Set())) return undefined;
    return (object) => {
      const value = asObject(object);
      if (value === undefined) return object;
      const filled = this.struct(struct, value);
      if (filled === value) return object;
      // A rule may take a member away (what a secret says as text).
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object with what it lacked is one
      return filled as unknown as KubeObject;
    };
  }

  /** Types whose rules exist although the table has no such type: a mistake of ours. */
  unknownTypes(): string[] {
    return Object.keys(this.rules).filter((name) => !this.types.has(name));
  }

  private reaches(type: TypeSchema, within: Set<string>): boolean {
    switch (type.kind) {
      case 'list':
        return this.reaches(type.element, within);
      case 'map':
        return this.reaches(type.value, within);
      case 'struct': {
        const known = this.reach.get(type.name);
        if (known !== undefined) return known;
        if (within.has(type.name)) return false;
        within.add(type.name);
        const found =
          Object.hasOwn(this.rules, type.name) ||
          type.inlined.some((inlined) => this.reaches(inlined.type, within)) ||
          [...type.fields.values()].some(
            (field) => field.default !== undefined || this.reaches(field.type, within),
          );
        if (found || within.size === 1) this.reach.set(type.name, found);
        within.delete(type.name);
        return found;
      }
      default:
        return false;
    }
  }

  private value(type: TypeSchema, value: Json): Json {
    switch (type.kind) {
      case 'list': {
        if (!Array.isArray(value)) return value;
        const items: readonly Json[] = value;
        let filled: Json[] | undefined;
        for (let at = 0; at < items.length; at += 1) {
          const next = this.value(type.element, items[at]);
          if (next !== items[at]) (filled ??= [...items])[at] = next;
        }
        return filled ?? value;
      }
      case 'map': {
        const object = asObject(value);
        if (object === undefined) return value;
        const lacks = Object.keys(object).some((key) => this.value(type.value, object[key]) !== object[key]);
        if (!lacks) return value;
        return Object.fromEntries(
          Object.entries(object).map(([key, item]) => [key, this.value(type.value, item)]),
        );
      }
      case 'struct': {
        const object = asObject(value);
        return object === undefined ? value : this.struct(type, object);
      }
      default:
        return value;
    }
  }

  private concernedOf(struct: StructSchema): readonly Concerned[] {
    let concerned = this.concerned.get(struct);
    if (concerned === undefined) {
      concerned = [...struct.fields.values()].flatMap((field) => {
        // A zero that Go would not write is none.
        const writes =
          field.pointer || !field.omitEmpty || (field.default !== undefined && !isZero(field.default));
        const missing = writes ? field.default : undefined;
        const inside = this.reaches(field.type, new Set());
        return missing === undefined && !inside && field.type.kind !== 'struct'
          ? []
          : [{ field, default: missing, inside }];
      });
      this.concerned.set(struct, concerned);
    }
    return concerned;
  }

  private inlined(struct: StructSchema, value: JsonObject): JsonObject {
    let filled = value;
    for (const { type } of struct.inlined) {
      if (Object.hasOwn(this.rules, type.name)) filled = this.rules[type.name](filled);
      filled = this.inlined(type, filled);
    }
    return filled;
  }

  /** A pointer to an empty text is something that is said: only where there is none a default comes. */
  private ruled(struct: StructSchema, value: JsonObject): JsonObject {
    if (!Object.hasOwn(this.rules, struct.name)) return value;
    let filled = this.rules[struct.name](value);
    if (filled === value) return value;
    for (const name of Object.keys(value)) {
      if (value[name] !== '' || filled[name] === '' || struct.fields.get(name)?.pointer !== true) continue;
      filled = { ...filled, [name]: '' };
    }
    return filled;
  }

  private struct(struct: StructSchema, value: JsonObject): JsonObject {
    let filled = this.ruled(struct, value);
    // Inlined structs have rules of their own and lie in the same JSON object.
    filled = this.inlined(struct, filled);
    for (const { field, default: missing, inside } of this.concernedOf(struct)) {
      const had = filled[field.name];
      let next: Json | undefined = had;
      if (missing !== undefined && (had === undefined || had === null || (!field.pointer && isZero(had)))) {
        next = missing;
      }
      if (field.type.kind === 'struct' && had !== value[field.name]) {
        const replaced = asObject(next);
        if (replaced !== undefined) next = inOrder(field.type, replaced);
      }
      if (inside && next !== undefined && next !== null) next = this.value(field.type, next);
      if (next !== had && next !== undefined) filled = { ...filled, [field.name]: next };
    }
    return filled === value ? value : inOrder(struct, filled);
  }
}

function isZero(value: Json): boolean {
  return value === '' || value === 0 || value === false;
}

/** The members in the order of the struct's fields; those it does not name behind. */
function inOrder(struct: StructSchema, value: JsonObject): JsonObject {
  const ordered: Record<string, Json> = {};
  for (const name of struct.fields.keys()) if (Object.hasOwn(value, name)) ordered[name] = value[name];
  for (const name of Object.keys(value)) if (!struct.fields.has(name)) ordered[name] = value[name];
  return ordered;
}
