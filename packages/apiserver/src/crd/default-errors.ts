/**
 * Whether the defaults of a schema are values that the schema itself takes: nothing in them that nobody named, nothing
 * that its checks refuse. Those of metadata are looked at as the object they would lie in.
 *
 * Modelled on apiextensions-apiserver's schema/defaulting ValidateDefaults, whose texts these are.
 */

import { equalJson } from '../api/equal.ts';
import { isJsonObject, type Json } from '../api/json.ts';
import { finish, WITHOUT_PAUSE } from '../api/sliced.ts';
import { RUNTIME_LIMITS } from '../cel/environment.ts';
import type { RegexCache } from '../cel/regex.ts';
import { prune } from '../schema/prune.ts';
import { META_FIELDS, type Structural } from '../schema/structural.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { embeddedErrors } from './embedded.ts';
import type { CostBudget, Rules } from './rules.ts';
import { valueErrors } from './validate-value.ts';

export interface DefaultCheck {
  /** Evaluates the rules of a schema. */
  readonly evaluate: Rules['evaluate'];
  readonly patterns: RegexCache;
  readonly objectMeta: StructSchema;
}

/** @param schema of an object with a kind; the rules of all its defaults may cost together what those of an object may */
export function checkDefaults(
  errors: FieldErrors,
  schema: Structural,
  path: FieldPath,
  check: DefaultCheck,
): void {
  checkWithin(errors, schema, path, { ...check, budget: { left: RUNTIME_LIMITS.perObject } }, true, false);
}

interface BoundedCheck extends DefaultCheck {
  readonly budget: CostBudget;
}

/** @param whole the schema is of an object with a kind */
function checkWithin(
  errors: FieldErrors,
  schema: Structural,
  path: FieldPath,
  check: BoundedCheck,
  whole: boolean,
  insideMeta: boolean,
): void {
  const inside = insideMeta && !schema.embedded;
  const before = errors.size;
  if (schema.default !== undefined) {
    checkDefault(errors, schema, schema.default, path, check, inside);
    if (errors.size === before) checkRules(errors, schema, schema.default, { path, whole }, check);
  }
  if (schema.items !== undefined) {
    checkWithin(errors, schema.items, path.child('items'), check, false, inside);
  }
  for (const [name, node] of schema.properties) {
    const meta = inside || ((whole || schema.embedded) && META_FIELDS.has(name));
    checkWithin(errors, node, path.child('properties').key(name), check, false, meta);
  }
}

function checkDefault(
  errors: FieldErrors,
  schema: Structural,
  value: Json,
  path: FieldPath,
  { patterns, objectMeta }: DefaultCheck,
  insideMeta: boolean,
): void {
  const at = path.child('default');
  if (!insideMeta && !equalJson(pruned(schema, value), value)) {
    errors.invalid(at, value, 'must not have unknown fields');
  }
  const before = errors.size;
  if (!insideMeta) {
    finish(embeddedErrors({ errors, objectMeta, pace: WITHOUT_PAUSE }, schema, value, at.toString()));
  }
  if (errors.size > before) return;
  errors.list.push(...finish(valueErrors({ schema, value, at: at.toString(), patterns }, WITHOUT_PAUSE)));
}

/**
 * A default must be one that an object may be made with, and one that may stay: the dearer of the two counts. Where nothing
 * is left, no more are looked at: that was told.
 */
function checkRules(
  errors: FieldErrors,
  schema: Structural,
  value: Json,
  { path, whole }: { readonly path: FieldPath; readonly whole: boolean },
  { evaluate, budget }: BoundedCheck,
): void {
  const place = { path: path.child('default'), root: whole || schema.embedded };
  const { left } = budget;
  if (left <= 0) return;
  for (const old of [value, undefined]) {
    const own = { left };
    const refused = finish(evaluate({ schema, value, old, place, budget: own }, WITHOUT_PAUSE));
    budget.left = Math.min(budget.left, own.left);
    errors.list.push(...refused);
    if (refused.length > 0) return;
  }
}

function pruned(schema: Structural, value: Json): Json {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => pruned(items, item));
  }
  return isJsonObject(value) ? prune(schema, value, schema.embedded) : value;
}
