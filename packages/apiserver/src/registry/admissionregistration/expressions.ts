/**
 * Expressions of policies and conditions, compiled before they are stored, so that who writes them hears what is wrong.
 * A new one has to run on a server one version older too; one that was there before may use what this server has.
 *
 * Modelled on kubernetes pkg/apis/admissionregistration/validation.
 */

import { isJsonObject, type Json } from '../../api/json.ts';
import { BaseEnvironment, COMPATIBILITY_VERSION, CURRENT_VERSION } from '../../cel/environment.ts';
import {
  PolicyCompiler,
  type ExpressionPlace,
  type PolicyCompilerOptions,
} from '../../cel/policy-expressions.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';

/** @param shown what the error shows, where that is not what is compiled */
export type CheckExpression = (
  path: FieldPath,
  expression: string,
  place: ExpressionPlace,
  shown?: string,
) => void;

/** The expressions of one object. */
export class ExpressionChecks {
  private readonly errors: FieldErrors;
  private readonly options: PolicyCompilerOptions;
  private readonly before: ReadonlySet<string>;
  private compiler: PolicyCompiler | undefined = undefined;
  private current: BaseEnvironment | undefined = undefined;

  /** @param before what is there, in an update: each text in it may be an expression */
  constructor(errors: FieldErrors, options: PolicyCompilerOptions, before: Json | undefined) {
    this.errors = errors;
    this.options = options;
    const texts = new Set<string>();
    if (before !== undefined) gather(before, texts);
    this.before = texts;
  }

  readonly check: CheckExpression = (path, expression, place, shown = expression) => {
    const { error } = this.made().compile(expression, place, this.baseOf(expression));
    if (error !== undefined) this.errors.invalid(path, shown, error);
  };

  variable(path: FieldPath, name: string, expression: string): void {
    const { error } = this.made().variable(name, expression, this.baseOf(expression));
    if (error !== undefined) this.errors.invalid(path, expression, error);
  }

  private made(): PolicyCompiler {
    this.compiler ??= new PolicyCompiler(new BaseEnvironment(COMPATIBILITY_VERSION), this.options);
    return this.compiler;
  }

  /** Undefined: that of new expressions. */
  private baseOf(expression: string): BaseEnvironment | undefined {
    if (!this.before.has(expression)) return undefined;
    this.current ??= new BaseEnvironment(CURRENT_VERSION);
    return this.current;
  }
}

function gather(value: Json, texts: Set<string>): void {
  if (typeof value === 'string') texts.add(value);
  else if (Array.isArray(value)) for (const item of value) gather(item, texts);
  else if (isJsonObject(value)) for (const item of Object.values(value)) gather(item, texts);
}
