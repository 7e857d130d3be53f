/**
 * What is asked of whoever knows CEL: whether the rules of a schema (x-kubernetes-validations) can be compiled, and what
 * they say of an object. An argument of the room, so that definitions and objects are checked the same with any of them.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { FieldError } from '../api/status.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { Structural } from '../schema/structural.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';

/** Checks the rules of a schema that is sound otherwise. @param schema JSONSchemaProps */
export type RuleCheck = (errors: FieldErrors, schema: JsonObject, path: FieldPath) => void;

export interface RuleEvaluation {
  readonly schema: Structural;
  readonly value: Json;
  /** The value before; undefined when it is made. */
  readonly old: Json | undefined;
  /** Told what is wrong but was wrong before, and is let pass. */
  readonly warn?: ((text: string) => void) | undefined;
  /** Where the value is, and whether it is an object with a kind; without it is an object of its own. */
  readonly place?: { readonly path: FieldPath; readonly root: boolean };
  /** What may be used; is told what is left of it. Without it that is an object's. */
  readonly budget?: CostBudget;
}

/** What evaluations may cost together. */
export interface CostBudget {
  left: number;
}

export interface Rules {
  readonly check: RuleCheck;
  /** What the rules refuse. */
  evaluate(evaluation: RuleEvaluation, pace: Pace): Sliced<readonly FieldError[]>;
}
