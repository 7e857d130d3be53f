/**
 * What reading gives of what writing made, without doing either: a value that was just encoded need not be decoded to be
 * known. Members come into Go's order, maps into the order of their keys, and what neither the message nor omitempty keeps
 * goes; a value that is so already is given back as it is. Where that cannot be told from the value alone (a number in
 * another form, a union of schemas, a struct that somebody left out) the answer is that it is not known, never a guess.
 *
 * The laws are those of protobuf.ts; a test compares the two on every object there is.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import type { FieldSchema, ScalarName, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import { absentValue, isDropped } from './presence.ts';

/** It takes a decoder to say. */
const UNKNOWN = Symbol('unknown');
type Known = Json | typeof UNKNOWN;

/** Fields of an object that are told in its envelope. */
const ENVELOPE: ReadonlySet<string> = new Set(['kind', 'apiVersion']);
const NOTHING_APART: ReadonlySet<string> = new Set();

interface Plan {
  readonly fields: readonly FieldSchema[];
  /** What stands there when nothing was given; UNKNOWN for a struct, which is never nothing. */
  readonly absent: readonly (Json | undefined | typeof UNKNOWN)[];
  /** Fields that protobuf does not carry: their place is the envelope's. */
  readonly bare: boolean;
}

/** For the structs of one type table. */
export class RoundTrip {
  private readonly plans = new Map<StructSchema, Plan>();

  /**
   * The object as it is read back.
   *
   * @param value conforms to the schema; its kind and apiVersion are told in the envelope
   * @returns undefined where only a decoder knows
   */
  object(struct: StructSchema, value: JsonObject): JsonObject | undefined {
    const { kind, apiVersion, ...rest } = value;
    const { fields, absent } = this.planOf(struct);
    const object: Record<string, Json> = { kind, apiVersion };
    let known = 0;
    for (let at = 0; at < fields.length; at += 1) {
      const field = fields[at];
      const { name } = field;
      if (name === 'kind' || name === 'apiVersion') continue;
      const given = Object.hasOwn(rest, name);
      if (given) known += 1;
      const member = given ? this.field(field, rest[name], absent[at]) : absent[at];
      if (member === UNKNOWN) return undefined;
      if (member !== undefined && !isDropped(field, member)) object[name] = member;
    }
    return known === Object.keys(rest).length ? object : undefined;
  }

  /** The same, which can be put down. */
  *objectInSlices(struct: StructSchema, value: JsonObject, pace: Pace): Sliced<JsonObject | undefined> {
    const { kind, apiVersion, ...rest } = value;
    const read = yield* this.remadeInSlices(this.planOf(struct), rest, ENVELOPE, pace);
    return read === UNKNOWN ? undefined : { kind, apiVersion, ...read };
  }

  /** As remade(), and what is in it. @param apart fields whose place is elsewhere */
  private *remadeInSlices(
    { fields, absent }: Plan,
    value: JsonObject,
    apart: ReadonlySet<string>,
    pace: Pace,
  ): Sliced<JsonObject | typeof UNKNOWN> {
    const object: Record<string, Json> = {};
    let known = 0;
    for (let at = 0; at < fields.length; at += 1) {
      const field = fields[at];
      const { name } = field;
      if (apart.has(name)) continue;
      let member = absent[at];
      if (Object.hasOwn(value, name)) {
        known += 1;
        member = yield* this.fieldInSlices(field, value[name], absent[at], pace);
      }
      if (member === UNKNOWN) return UNKNOWN;
      if (member !== undefined && !isDropped(field, member)) object[name] = member;
    }
    return known === Object.keys(value).length ? object : UNKNOWN;
  }

  private *fieldInSlices(
    field: FieldSchema,
    value: Json,
    absent: Known | undefined,
    pace: Pace,
  ): Sliced<Known | undefined> {
    const { type } = field;
    if (type.kind === 'list' && isJsonList(value) && value.length > 0 && !type.boxed) {
      const items: Json[] = [];
      for (const item of value) {
        if (items.length % LOOK_EVERY === 0 && pace.due()) yield;
        const read = yield* this.valueInSlices(type.element, item, pace);
        if (read === UNKNOWN) return UNKNOWN;
        items.push(read);
      }
      return items;
    }
    if (type.kind === 'map' && isJsonObject(value)) {
      return (yield* this.mapInSlices(type.value, value, pace)) ?? absent;
    }
    if (type.kind !== 'struct' && type.kind !== 'untyped') return this.field(field, value, absent);
    return value === null ? absent : yield* this.valueInSlices(type, value, pace);
  }

  private *valueInSlices(type: TypeSchema, value: Json, pace: Pace): Sliced<Known> {
    if (type.kind === 'struct' && isJsonObject(value)) {
      const plan = this.planOf(type);
      return plan.bare ? UNKNOWN : yield* this.remadeInSlices(plan, value, NOTHING_APART, pace);
    }
    if (type.kind === 'untyped') {
      return type.form === 'raw' && (yield* isPlainInSlices(value, pace)) ? value : UNKNOWN;
    }
    return this.value(type, value);
  }

  private *mapInSlices(type: TypeSchema, value: JsonObject, pace: Pace): Sliced<Known | undefined> {
    const keys = [...namesOf(value)];
    if (keys.length === 0) return undefined;
    for (let at = 0; at < keys.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      if (!ASCII.test(keys[at]) || keys[at] === '__proto__') return UNKNOWN;
    }
    const map: Record<string, Json> = {};
    let count = 0;
    const names = new NameKeeper();
    for (const key of yield* sortedInSlices(keys, inOrder, pace)) {
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const member = this.value(type, value[key]);
      if (member === UNKNOWN) return UNKNOWN;
      map[key] = member;
      names.add(key);
    }
    names.keep(map);
    return map;
  }

  private planOf(struct: StructSchema): Plan {
    let plan = this.plans.get(struct);
    if (plan === undefined) {
      const fields = [...struct.fields.values()];
      plan = {
        fields,
        absent: fields.map(absentOf),
        bare:
          struct.own.some(({ number }) => number === 0) || struct.inlined.some(({ number }) => number === 0),
      };
      this.plans.set(struct, plan);
    }
    return plan;
  }

  private struct(struct: StructSchema, value: JsonObject): Known {
    const plan = this.planOf(struct);
    if (plan.bare) return UNKNOWN;
    const { fields, absent } = plan;
    const names = Object.keys(value);
    // First a look whether it is so already, which makes nothing.
    let next = 0;
    let same = true;
    for (let at = 0; at < fields.length && same; at += 1) {
      const field = fields[at];
      if (names[next] === field.name) {
        const before = value[field.name];
        const member = this.field(field, before, absent[at]);
        if (member === UNKNOWN) return UNKNOWN;
        same = member === before && !isDropped(field, member);
        next += 1;
      } else {
        same = absent[at] === undefined && !Object.hasOwn(value, field.name);
      }
    }
    return same && next === names.length ? value : this.remade(plan, value, names.length);
  }

  private remade({ fields, absent }: Plan, value: JsonObject, count: number): Known {
    const object: Record<string, Json> = {};
    let known = 0;
    for (let at = 0; at < fields.length; at += 1) {
      const field = fields[at];
      const given = Object.hasOwn(value, field.name);
      if (given) known += 1;
      const member = given ? this.field(field, value[field.name], absent[at]) : absent[at];
      if (member === UNKNOWN) return UNKNOWN;
      if (member !== undefined && !isDropped(field, member)) object[field.name] = member;
    }
    // A member that no field knows: nobody should have left it there.
    return known === count ? object : UNKNOWN;
  }

  /** A field that was given. @returns undefined where nothing is read */
  private field(field: FieldSchema, value: Json, absent: Known | undefined): Known | undefined {
    if (value === null || value === undefined) return absent;
    const { type } = field;
    if (type.kind === 'list') {
      if (!Array.isArray(value) || type.boxed) return UNKNOWN;
      return value.length === 0 ? absent : this.list(type.element, value);
    }
    if (type.kind === 'map') {
      if (!isJsonObject(value)) return UNKNOWN;
      return this.map(type.value, value) ?? absent;
    }
    return this.value(type, value);
  }

  private value(type: TypeSchema, value: Json): Known {
    switch (type.kind) {
      case 'scalar':
        return isPlainScalar(type.scalar, value) ? value : UNKNOWN;
      case 'struct':
        return isJsonObject(value) ? this.struct(type, value) : UNKNOWN;
      case 'untyped':
        return type.form === 'raw' && isPlain(value) ? value : UNKNOWN;
      default:
        return UNKNOWN;
    }
  }

  private list(type: TypeSchema, items: readonly Json[]): Known {
    let changed: Json[] | undefined;
    for (let at = 0; at < items.length; at += 1) {
      const item = this.value(type, items[at]);
      if (item === UNKNOWN) return UNKNOWN;
      if (item !== items[at]) (changed ??= [...items])[at] = item;
    }
    return changed ?? items;
  }

  /** @returns undefined for an empty one */
  private map(type: TypeSchema, value: JsonObject): Known | undefined {
    const keys = Object.keys(value);
    if (keys.length === 0) return undefined;
    let changed = false;
    let before = '';
    const members: Json[] = [];
    for (const key of keys) {
      // Beyond ASCII the order is that of bytes, which is not that of texts.
      if (!ASCII.test(key) || key === '__proto__') return UNKNOWN;
      const member = this.value(type, value[key]);
      if (member === UNKNOWN) return UNKNOWN;
      changed ||= member !== value[key] || key < before;
      before = key;
      members.push(member);
    }
    if (!changed) return value;
    const map: Record<string, Json> = {};
    const order = keys.map((_key, at) => at).toSorted((a, b) => (keys[a] < keys[b] ? -1 : 1));
    for (const at of order) map[keys[at]] = members[at];
    return map;
  }
}

function absentOf(field: FieldSchema): Json | undefined | typeof UNKNOWN {
  const { type } = field;
  if (!field.pointer) {
    // A struct is written whenever it is a value, and read with all that it always has.
    if (type.kind === 'struct' || type.kind === 'untyped') return UNKNOWN;
    if (type.kind === 'scalar' && field.omitZero && type.scalar !== 'time' && type.scalar !== 'microTime') {
      return UNKNOWN;
    }
  }
  const value = absentValue(field);
  return value === undefined || isDropped(field, value) ? undefined : value;
}

const ASCII = /^[\x20-\x7e]*$/;
/** A second of a year that is not the zero of Go's time. */
const SECOND = /^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const MICROSECOND = /^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** Half of a character is written as another; the few texts with whole ones beyond the basic plane are not told apart. */
const SURROGATE = /[\ud800-\udfff]/;

function isText(value: Json): boolean {
  return typeof value === 'string' && !SURROGATE.test(value);
}

/** Whether the scalar is read as it stands. */
function isPlainScalar(scalar: ScalarName, value: Json): boolean {
  switch (scalar) {
    case 'string':
      return isText(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return Number.isSafeInteger(value);
    case 'float64':
      return typeof value === 'number' && Number.isFinite(value);
    case 'bytes':
      return typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value;
    case 'time':
      return typeof value === 'string' && SECOND.test(value);
    case 'microTime':
      return typeof value === 'string' && MICROSECOND.test(value);
    case 'quantity':
      return isText(value) && value !== '';
    case 'intOrString':
      return isText(value) || Number.isSafeInteger(value);
    default:
      return false;
  }
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isJsonList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** isPlain(), which can be put down. */
function* isPlainInSlices(value: Json, pace: Pace): Sliced<boolean> {
  if (!isJsonList(value) && !isJsonObject(value)) return isPlain(value);
  const names = isJsonList(value) ? undefined : namesOf(value);
  const count = isJsonList(value) ? value.length : namesOf(value).length;
  for (let at = 0; at < count; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const member: Json = isJsonList(value) ? value[at] : value[names?.[at] ?? ''];
    const deep = typeof member === 'object' && member !== null;
    if (!(deep ? yield* isPlainInSlices(member, pace) : isPlain(member))) return false;
  }
  return true;
}

/** Whether JSON is read as it is written: no number that the text tells otherwise. */
function isPlain(value: Json): boolean {
  switch (typeof value) {
    case 'string':
      return isText(value);
    case 'boolean':
      return true;
    case 'number':
      return Number.isSafeInteger(value);
    case 'object':
      if (value === null) return true;
      if (Array.isArray(value)) return value.every(isPlain);
      if (!isJsonObject(value)) return false;
      for (const name in value) if (Object.hasOwn(value, name) && !isPlain(value[name])) return false;
      return true;
    default:
      return false;
  }
}
