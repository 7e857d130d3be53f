/**
 * Whether a custom resource is what its schema says: types, bounds, patterns, formats, enums, what is required, and
 * the combinations of schemas. A part that was there before as it is now is not complained of (ratcheting), as far as
 * the old one of it can be told: by name in objects, by keys in lists of map type.
 *
 * Modelled on kube-openapi's validation and apiextensions-apiserver's ValidateCustomResource, whose texts these are.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import type { FieldError } from '../api/status.ts';
import { namesOf } from '../api/member-names.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import { CelError } from '../cel/values.ts';
import type { RegexCache } from '../cel/regex.ts';
import type { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { isUnchanged, keyText, textOf } from './correlated.ts';
import { hasFormat, isFormat } from './formats.ts';

/** A path that names nothing: what Go prints for it. */
const NOWHERE = FieldPath.of('<nil>');

/** Beyond so many errors nobody reads on. */
export const ERRORS_MAX = 1_000;

/** Values that are looked at between two looks at the pace: some 20 µs. */
const LOOK_VALUES = 64;

/** What the original counts of a value for its type alone: the checks that look at such a one. */
const WEIGHTS: Readonly<Record<string, number>> = {
  boolean: 4,
  string: 5,
  object: 5,
  array: 6,
  integer: 6,
  number: 6,
};

export interface ValueCheck {
  readonly schema: Structural;
  readonly value: Json;
  /** The value before, where it is updated. */
  readonly old?: Json | undefined;
  /** Where the value is, `spec.versions[0].default`; empty for an object's top. */
  readonly at?: string;
  readonly patterns: RegexCache;
}

/** All that is wrong. */
export function* valueErrors(
  { schema, value, old, at = '', patterns }: ValueCheck,
  pace: Pace,
): Sliced<FieldError[]> {
  const walk = new Validation({ patterns, pace, prefix: at });
  yield* walk.value(schema, value, old, '');
  return walk.errors.list;
}

interface ValidationParts {
  readonly patterns: RegexCache;
  readonly pace: Pace;
  /** Before every path that is told; texts in Go's sentences go without it. */
  readonly prefix: string;
}

class Validation {
  readonly errors = new FieldErrors();
  private readonly parts: ValidationParts;
  private readonly prefix: string;
  private looked = 0;
  /** A part of the value that is looked at was seen to be another one than before: then so is the value. */
  private changed = false;
  /** What fits, counted as the original does: of several schemas that refuse a value, the one with most of it says why. */
  private matches = 0;

  constructor(parts: ValidationParts) {
    this.parts = parts;
    this.prefix = parts.prefix;
  }

  /** @returns whether nothing is wrong */
  *value(schema: Structural, value: Json, old: Json | undefined, name: string): Sliced<boolean> {
    const before = this.errors.size;
    if (before >= ERRORS_MAX) return false;
    if (this.due()) yield;
    const around = this.changed;
    this.changed = false;
    if (value === null) {
      this.nothing(schema, name);
    } else {
      this.form(schema, value, name);
      if (combines(schema)) yield* this.combinations(schema, value, old, name);
      if (typeof value === 'string') yield* this.text(schema, value, name);
      this.number(schema, value, name);
      if (Array.isArray(value)) yield* this.list(schema, value, old, name);
      this.enumerated(schema, value, name);
      if (isJsonObject(value)) yield* this.object(schema, value, old, name);
    }
    const valid = this.settled(schema, before, value, old);
    this.changed ||= around;
    return valid;
  }

  /** The same for what holds no others, of which there may be very many; undefined: it is not that plain. */
  private plain(schema: Structural, value: Json, old: Json | undefined, name: string): boolean | undefined {
    if (typeof value === 'object' && !(value instanceof JsonFloat)) return undefined;
    if (combines(schema) || (typeof value === 'string' && schema.pattern !== '')) return undefined;
    const before = this.errors.size;
    if (before >= ERRORS_MAX) return false;
    this.looked += 1;
    this.form(schema, value, name);
    if (typeof value === 'string') {
      this.length(schema, value, name);
      this.format(schema, value, name);
    }
    this.number(schema, value, name);
    this.enumerated(schema, value, name);
    const around = this.changed;
    this.changed = false;
    const valid = this.settled(schema, before, value, old);
    this.changed ||= around;
    return valid;
  }

  /** What is wrong since then is let pass where the value is the old one. @returns whether nothing is wrong */
  private settled(schema: Structural, before: number, value: Json, old: Json | undefined): boolean {
    const { list } = this.errors;
    if (list.length === before) return true;
    if (old === undefined || this.changed) return false;
    if (isUnchanged(schema, value, old)) {
      list.length = before;
      return true;
    }
    this.changed = true;
    return false;
  }

  private due(): boolean {
    this.looked += 1;
    if (this.looked < LOOK_VALUES) return false;
    this.looked = 0;
    return this.parts.pace.due();
  }

  private nothing(schema: Structural, name: string): void {
    const types = typesOf(schema);
    if (types !== '' && !schema.nullable) this.wrongType(name, types, 'null');
    else this.matches += 1;
    this.enumerated(schema, null, name);
  }

  /** The type, and what it counts. */
  private form(schema: Structural, value: Json, name: string): void {
    const before = this.errors.size;
    this.type(schema, value, name);
    this.matches += WEIGHTS[typeOf(value)] ?? 0;
    if (typesOf(schema) !== '' || schema.format !== '') this.matches += this.errors.size > before ? 1 : 2;
    if (typeof value === 'string' && isFormat('string', schema.format)) this.matches += 1;
  }

  private type(schema: Structural, value: Json, name: string): void {
    const types = typesOf(schema);
    // A form that only texts have asks for a text, whatever the type is.
    if (types === '' && !isFormat('', schema.format)) return;
    const actual = typeOf(value);
    const wanted = types.split(',');
    const numeric = wanted.includes('integer') || wanted.includes('number');
    const fits =
      wanted.includes(actual) ||
      (actual === 'integer' && wanted.includes('number')) ||
      (actual === 'number' && wanted.includes('integer') && isJsonInteger(numberOf(value)));
    if (fits) return;
    // A form that only texts have says nothing of a list, and is all that is said of anything else.
    const format = isFormat(schema.type, schema.format) ? schema.format : '';
    if (format === '' || actual === 'string' || actual === 'array') {
      if (format === '' || numeric) this.wrongType(name, types, actual);
      return;
    }
    this.wrongType(name, format, actual === 'number' ? 'float64' : actual === 'integer' ? 'int64' : '');
  }

  private wrongType(name: string, types: string, actual: string): void {
    this.errors.typeInvalid(
      this.path(name),
      actual,
      `${name} in body must be of type ${types}: ${JSON.stringify(actual)}`,
    );
  }

  private *combinations(schema: Structural, value: Json, old: Json | undefined, name: string): Sliced<void> {
    const shown = JSON.stringify(name);
    if (schema.anyOf.length > 0) {
      const { valid, best, matches } = yield* this.tried(schema.anyOf, value, old, name, true);
      this.matches += matches;
      if (valid === 0) {
        this.composite(`${shown} must validate at least one schema (anyOf)`);
        this.errors.list.push(...best);
      }
    }
    if (schema.oneOf.length > 0) {
      const { valid, best, matches } = yield* this.tried(schema.oneOf, value, old, name, false);
      if (valid <= 1) this.matches += matches;
      if (valid !== 1) {
        const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
        this.composite(`${shown} must validate one and only one schema (oneOf). ${found}`);
        if (valid === 0) this.errors.list.push(...best);
      }
    }
    if (schema.allOf.length > 0) {
      let valid = 0;
      for (const node of schema.allOf) if (yield* this.value(node, value, old, name)) valid += 1;
      if (valid < schema.allOf.length) {
        const none = valid === 0 ? '. None validated' : '';
        this.composite(`${shown} must validate all the schemas (allOf)${none}`);
      }
    }
    if (schema.not !== undefined) {
      const { valid } = yield* this.tried([schema.not], value, old, name, true);
      if (valid === 1) this.composite(`${shown} must not validate the schema (not)`);
    }
  }

  /** How many of the schemas take the value, what the one that came nearest says, and what counts of it. */
  private *tried(
    nodes: readonly Structural[],
    value: Json,
    old: Json | undefined,
    name: string,
    one: boolean,
  ): Sliced<{ readonly valid: number; readonly best: readonly FieldError[]; readonly matches: number }> {
    let valid = 0;
    let best: Validation | undefined;
    let first: Validation | undefined;
    for (const node of nodes) {
      const attempt = new Validation(this.parts);
      if (yield* attempt.value(node, value, old, name)) {
        valid += 1;
        first ??= attempt;
        if (one) break;
      } else if (best === undefined || attempt.matches > best.matches) {
        best = attempt;
      }
    }
    return { valid, best: best?.errors.list ?? [], matches: (first ?? best)?.matches ?? 0 };
  }

  private composite(text: string): void {
    this.errors.invalid(this.prefix === '' ? NOWHERE : FieldPath.of(this.prefix), '', text);
  }

  private *text(schema: Structural, value: string, name: string): Sliced<void> {
    const { pattern } = schema;
    if (this.length(schema, value, name) && pattern !== '') {
      const regex = this.parts.patterns.compile(pattern);
      if (regex instanceof CelError || !(yield* regex.slicedTest(value, this.parts.pace))) {
        this.refuse(name, value, `should match '${pattern}'`);
      }
    }
    this.format(schema, value, name);
  }

  /** @returns whether it is right; nothing is said of the pattern of a text whose length is not */
  private length({ maxLength, minLength }: Structural, value: string, name: string): boolean {
    if (maxLength === undefined && minLength === undefined) return true;
    const length = runes(value);
    if (maxLength !== undefined && length > maxLength) {
      this.errors.tooLong(this.path(name), maxLength);
    } else if (minLength !== undefined && length < minLength) {
      this.refuse(name, value, `should be at least ${minLength} chars long`);
    } else return true;
    return false;
  }

  private format({ format }: Structural, value: string, name: string): void {
    if (format !== '' && !hasFormat(format, value)) {
      this.errors.typeInvalid(
        this.path(name),
        value,
        `${name} in body must be of type ${format}: ${JSON.stringify(value)}`,
      );
    }
  }

  private number(schema: Structural, value: Json, name: string): void {
    const number = numberOf(value);
    if (number === undefined) return;
    const { multipleOf, maximum, minimum } = schema;
    const whole = integerOf(value);
    const shown = whole === undefined ? new JsonFloat(number) : value;
    this.range(schema, whole ?? number, 'Checked value', name);
    // A whole number is compared with the whole part of a limit, unless the limit is none of the type.
    const limits = (limit: number, what: string): readonly [bigint | number, bigint | number] => {
      const sound = this.range(schema, limit, what, name);
      return sound && whole !== undefined ? [whole, BigInt(Math.trunc(limit))] : [number, limit];
    };
    if (multipleOf !== undefined) {
      const [counted, factor] = limits(multipleOf, 'MultipleOf value');
      if (factor <= 0) {
        const text = `factor MultipleOf declared for ${name} must be positive: ${factor}`;
        this.errors.invalid(this.path(name), Number(factor), text);
      } else if (!isMultiple(counted, factor)) {
        this.refuse(name, shown, `should be a multiple of ${factor}`);
      }
    }
    if (minimum !== undefined) {
      const [counted, limit] = limits(minimum, 'Minimum boundary value');
      if (schema.exclusiveMinimum ? counted <= limit : counted < limit) {
        this.refuse(
          name,
          shown,
          `should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${limit}`,
        );
      }
    }
    if (maximum !== undefined) {
      const [counted, limit] = limits(maximum, 'Maximum boundary value');
      if (schema.exclusiveMaximum ? counted >= limit : counted > limit) {
        this.refuse(
          name,
          shown,
          `should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${limit}`,
        );
      }
    }
  }

  /** Whether the type has room for a number; says so where it has not. */
  private range({ type, format }: Structural, number: bigint | number, what: string, name: string): boolean {
    if (type === 'integer' ? fitsInteger(number, format) : format !== 'float' || fitsFloat(number))
      return true;
    const known = isFormat(type, format) ? format : '';
    const form = known === '' ? '(default format)' : `with format ${known}`;
    this.composite(`${what} must be of type ${type} ${form} in ${name}`);
    return false;
  }

  private *list(
    schema: Structural,
    value: readonly Json[],
    old: Json | undefined,
    name: string,
  ): Sliced<void> {
    const { items, minItems, maxItems } = schema;
    if (items !== undefined) {
      const before = schema.listType === 'map' ? byKeys(schema.listMapKeys, old) : undefined;
      for (let index = 0; index < value.length; index += 1) {
        const item = value[index];
        const was = before?.get(keyText(schema.listMapKeys, item));
        const at = `${name}[${index}]`;
        if (this.looked >= LOOK_VALUES && this.due()) yield;
        if (this.plain(items, item, was, at) === undefined) yield* this.value(items, item, was, at);
      }
      // Items are found by their keys, which two of them may share: only the list tells whether it is the old one.
      this.changed = false;
    }
    if (minItems !== undefined && value.length < minItems) {
      this.refuse(name, value.length, `should have at least ${minItems} items`);
    }
    if (maxItems !== undefined && value.length > maxItems) {
      this.errors.tooMany(this.path(name), value.length, maxItems);
    }
    if (schema.uniqueItems && new Set(value.map((item) => textOf(item))).size < value.length) {
      this.refuse(name, '', `shouldn't contain duplicates`);
    }
  }

  private enumerated(schema: Structural, value: Json, name: string): void {
    const { enum: values } = schema;
    if (values === undefined || values.some((allowed) => sameScalar(allowed, value))) return;
    this.errors.notSupported(
      this.path(name),
      value,
      values.map((allowed) => (typeof allowed === 'string' ? allowed : textOf(allowed))),
    );
  }

  private *object(schema: Structural, value: JsonObject, old: Json | undefined, name: string): Sliced<void> {
    const { minProperties, maxProperties, properties, additional, required } = schema;
    if (minProperties !== undefined || maxProperties !== undefined) {
      const count = namesOf(value).length;
      if (minProperties !== undefined && count < minProperties) {
        this.refuse(name, count, `should have at least ${minProperties} properties`);
      }
      if (maxProperties !== undefined && count > maxProperties) {
        this.errors.tooMany(this.path(name), count, maxProperties);
      }
    }
    if (schema.forbidsOthers) {
      for (const member of Object.keys(value)) {
        if (properties.has(member)) continue;
        const inner = name === '' ? member : `${name}.${member}`;
        this.errors.invalid(this.path(name), member, `${inner} in body is a forbidden property`);
      }
    }
    const before = isJsonObject(old) ? old : undefined;
    if (properties.size > 0 || additional !== undefined) {
      for (const member of namesOf(value)) {
        const node = properties.get(member) ?? additional;
        if (node === undefined) continue;
        const was = before !== undefined && Object.hasOwn(before, member) ? before[member] : undefined;
        const at = name === '' ? member : `${name}.${member}`;
        const inner = value[member];
        if (this.looked >= LOOK_VALUES && this.due()) yield;
        if (this.plain(node, inner, was, at) === undefined) yield* this.value(node, inner, was, at);
      }
    }
    for (const member of required) {
      if (!Object.hasOwn(value, member)) {
        this.errors.required(this.path(name === '' ? member : `${name}.${member}`));
      }
    }
  }

  private refuse(name: string, value: Json, text: string): void {
    this.errors.invalid(this.path(name), value, `${name} in body ${text}`);
  }

  private path(name: string): FieldPath {
    if (this.prefix === '') return name === '' ? NOWHERE : FieldPath.of(name);
    return FieldPath.of(name === '' ? this.prefix : `${this.prefix}.${name}`);
  }
}

/** Whether a value is held to other schemas too. */
function combines({ anyOf, oneOf, allOf, not }: Structural): boolean {
  return anyOf.length > 0 || oneOf.length > 0 || allOf.length > 0 || not !== undefined;
}

function typesOf({ intOrString, type }: Structural): string {
  return intOrString ? 'integer,string' : type;
}

/** JSON schema's word for a value's type. */
export function typeOf(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'boolean';
    case 'bigint':
      return integerOf(value) === undefined ? 'number' : 'integer';
    case 'number':
      return Number.isInteger(value) ? 'integer' : 'number';
    default:
      return value instanceof JsonFloat ? 'number' : 'object';
  }
}

/** The largest number with a fraction that is taken for a whole one. */
const JSON_INTEGER_MAX = 2 ** 53 - 1;
/** How far from a whole number one may be, of its own size. */
const NEAR = 1e-9;

/** As near as a double tells: 0.1 + 0.2 tenfold is 3. */
function isJsonInteger(number: number | undefined): boolean {
  if (number === undefined || !(Math.abs(number) <= JSON_INTEGER_MAX)) return false;
  if (Number.isInteger(number)) return true;
  const whole = Math.trunc(number);
  if (number < 0 || whole === 0) return false;
  return (number - whole) / (number + whole) < NEAR;
}

/** A number that was written without a fraction, if an int64 holds it. */
function integerOf(value: Json): bigint | undefined {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value ? value : undefined;
}

function numberOf(value: Json): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return value instanceof JsonFloat ? value.value : undefined;
}

/** Whether it is a whole number that the format has room for; int64 unless it says another one. */
function fitsInteger(number: bigint | number, format: string): boolean {
  const exact = typeof number === 'bigint' ? number : Number.isInteger(number) ? BigInt(number) : undefined;
  return exact !== undefined && BigInt.asIntN(format === 'int32' ? 32 : 64, exact) === exact;
}

const FLOAT_MAX = 3.4028235677973366e38;
const fitsFloat = (number: bigint | number): boolean => Math.abs(Number(number)) < FLOAT_MAX;

/** As near as a double tells: 0.3 is a multiple of 0.1. */
function isMultiple(value: bigint | number, factor: bigint | number): boolean {
  if (typeof value === 'bigint' && typeof factor === 'bigint') return value % factor === 0n;
  const [number, of] = [Number(value), Number(factor)];
  return isJsonInteger(of < 1 ? (1 / of) * number : number / of);
}

/** How many characters a text has, as Go counts runes. */
function runes(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.codePointAt(at) ?? 0;
    if (code > 0xff_ff) at += 1;
    count += 1;
  }
  return count;
}

/** @param allowed what an enumeration has: of a number with a fraction its whole part is compared with a whole one */
function sameScalar(allowed: Json, value: Json): boolean {
  const number = numberOf(value);
  if (number !== undefined && integerOf(allowed) !== undefined && integerOf(value) === undefined) {
    return Math.trunc(number) === numberOf(allowed);
  }
  return sameText(allowed, value);
}

function sameText(a: Json, b: Json): boolean {
  return a === b || (a !== null && b !== null && textOf(a) === textOf(b));
}

/** The items of a list with keys, by those. */
function byKeys(keys: readonly string[], list: Json | undefined): ReadonlyMap<string, Json> | undefined {
  if (!Array.isArray(list)) return undefined;
  return new Map(list.map((item) => [keyText(keys, item), item]));
}
