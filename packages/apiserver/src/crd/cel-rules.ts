/**
 * The rules of custom resources in CEL: compiled against the types that their schema declares, weighed by what they may
 * cost at most, and evaluated over an object part by part, within a budget. A transition rule (`oldSelf`) runs where the
 * old part can be told; what a rule refuses of a part that did not change is let pass.
 *
 * Modelled on apiextensions-apiserver's schema/cel and apis/apiextensions/validation/cel_validation.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { FieldError } from '../api/status.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { SizeOf } from '../cel/cost-of-calls.ts';
import { costExceededText, STATIC_LIMITS, timesCardinality } from '../cel/cost-estimate.ts';
import { declareSchema, sizesOf, structsOf, type Declaration } from '../cel/declarations.ts';
import {
  BaseEnvironment,
  COMPATIBILITY_VERSION,
  RUNTIME_LIMITS,
  type Environment,
} from '../cel/environment.ts';
import { typedResult } from '../cel/json-values.ts';
import { compile, type Compilation, type Program } from '../cel/program.ts';
import { optionalOf } from '../cel/types.ts';
import { CelError, Optional, type Result } from '../cel/values.ts';
import type { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { flag, part, partOf, parts, text, textOf } from '../validation/value.ts';
import { isUnchanged, keyText } from './correlated.ts';
import { schemaAt } from './field-paths.ts';
import { goRule } from './go-form.ts';
import type { CostBudget, RuleEvaluation, Rules } from './rules.ts';
import { ERRORS_MAX } from './validate-value.ts';

const VALIDATIONS = 'x-kubernetes-validations';
const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
const MESSAGE_BYTES_MAX = 5 * 1024;
/** How many of the dearest rules are named when all together are too dear. */
const DEAREST_SHOWN = 4;
/** Of the limit of all together: what costs less is not named. */
const SHARE_MIN = 0.01;

/** Told how long rules took, seconds; what an evaluation waited for its turns too. */
export interface RuleTimes {
  readonly monotonicMs: () => number;
  readonly compiled: (seconds: number) => void;
  readonly evaluated: (seconds: number) => void;
}

export class CelRules implements Rules {
  private readonly times: RuleTimes | undefined;
  private environment: BaseEnvironment | undefined = undefined;
  /** Of schemas that are in use. */
  private readonly compiled = new WeakMap<Structural, CompiledNode | undefined>();

  constructor(times?: RuleTimes) {
    this.times = times;
  }

  readonly check: Rules['check'] = (errors, schema, path) => {
    new DefinitionWalk(errors, this.base).schema(schema, path);
  };

  *evaluate(evaluation: RuleEvaluation, pace: Pace): Sliced<readonly FieldError[]> {
    const { schema, value, old, place } = evaluation;
    if (!schema.holdsRules) return [];
    const { times } = this;
    const since = times?.monotonicMs() ?? 0;
    const walk = new ObjectWalk((node, root) => this.compiledOf(node, root), pace, evaluation);
    yield* walk.node(schema, value, old, place?.path, place?.root ?? true);
    times?.evaluated((times.monotonicMs() - since) / 1000);
    return walk.errors.list;
  }

  private get base(): BaseEnvironment {
    this.environment ??= new BaseEnvironment(COMPATIBILITY_VERSION);
    return this.environment;
  }

  private compiledOf(node: Structural, root: boolean): CompiledNode | undefined {
    if (node.source === undefined) return undefined;
    if (this.compiled.has(node)) return this.compiled.get(node);
    const { times } = this;
    const since = times?.monotonicMs() ?? 0;
    const made = compileNode(node.source, root, this.base);
    if (made !== undefined && made.rules.length > 0) times?.compiled((times.monotonicMs() - since) / 1000);
    this.compiled.set(node, made);
    return made;
  }
}

interface CompiledRule {
  readonly rule: JsonObject;
  readonly compilation: Compilation;
  readonly message: Compilation | undefined;
  readonly usesOld: boolean;
  readonly optionalOld: boolean;
}

interface CompiledNode {
  readonly declaration: Declaration;
  readonly rules: readonly CompiledRule[];
}

/** @param root the node is of a whole object; undefined where expressions cannot see the data */
function compileNode(schema: JsonObject, root: boolean, base: BaseEnvironment): CompiledNode | undefined {
  const declaration = declareSchema(schema, 'selfType', root);
  if (declaration === undefined) return undefined;
  const structs = structsOf(declaration);
  const { type } = declaration;
  const made = new Map<boolean, Environment>();
  const environmentOf = (optional: boolean): Environment => {
    let environment = made.get(optional);
    if (environment === undefined) {
      environment = base.extend({ self: type, oldSelf: optional ? optionalOf(type) : type }, structs);
      made.set(optional, environment);
    }
    return environment;
  };
  return {
    declaration,
    rules: parts(schema, VALIDATIONS).map((rule) => {
      const optionalOld = flag(rule, 'optionalOldSelf');
      const environment = environmentOf(optionalOld);
      const compilation = compile(text(rule, 'rule'), environment);
      const expression = text(rule, 'messageExpression');
      const message = expression === '' ? undefined : compile(expression, environment);
      const usesOld =
        compilation.program !== undefined &&
        [...compilation.program.checked.references.values()].some(
          (reference) => reference.kind === 'variable' && reference.name === 'oldSelf',
        );
      return { rule, compilation, message, usesOld, optionalOld };
    }),
  };
}

/** Where the walk over a definition is. */
interface Place {
  /** How often the node may stand in an object; undefined: nobody limits it. */
  readonly cardinality: number | undefined;
  /** The first part above whose old one cannot be told. */
  readonly uncorrelated: FieldPath | undefined;
  readonly root: boolean;
}

class DefinitionWalk {
  private readonly errors: FieldErrors;
  private readonly base: BaseEnvironment;
  private total = 0;
  private readonly costs: { readonly path: FieldPath; readonly cost: number }[] = [];

  constructor(errors: FieldErrors, base: BaseEnvironment) {
    this.errors = errors;
    this.base = base;
  }

  schema(schema: JsonObject, path: FieldPath): void {
    this.node(schema, path, { cardinality: 1, uncorrelated: undefined, root: true });
    if (this.total <= STATIC_LIMITS.perDefinition) return;
    const dearest = this.costs.toSorted((a, b) => b.cost - a.cost).slice(0, DEAREST_SHOWN);
    for (const { path: at } of dearest) {
      this.errors.forbidden(
        at,
        'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
      );
    }
    this.errors.forbidden(
      path,
      costExceededText(
        'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
        this.total,
        STATIC_LIMITS.perDefinition,
      ),
    );
  }

  private node(schema: JsonObject, path: FieldPath, place: Place): void {
    const inner: Place = { ...place, root: false };
    const additional = partOf(schema, 'additionalProperties');
    if (additional !== undefined) {
      const cardinality = multiplied(place.cardinality, schema['maxProperties']);
      this.node(additional, path.child('additionalProperties'), { ...inner, cardinality });
    }
    for (const [name, node] of Object.entries(part(schema, 'properties'))) {
      if (!isJsonObject(node)) continue;
      this.node(node, path.child('properties').key(name), inner);
    }
    const items = partOf(schema, 'items');
    if (items !== undefined) {
      const keyed = textOf(schema, 'x-kubernetes-list-type') === 'map';
      this.node(items, path.child('items'), {
        cardinality: multiplied(place.cardinality, schema['maxItems']),
        uncorrelated: place.uncorrelated ?? (keyed ? undefined : path),
        root: false,
      });
    }
    if (schema[VALIDATIONS] !== undefined) this.rules(schema, path, place);
  }

  private rules(schema: JsonObject, path: FieldPath, place: Place): void {
    const node = compileNode(schema, place.root, this.base);
    const at = path.child(VALIDATIONS);
    if (node === undefined) {
      this.errors.list.push({
        type: 'InternalError',
        field: at.toString(),
        body: 'Internal error: internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations',
      });
      return;
    }
    for (const [index, rule] of node.rules.entries())
      this.rule(rule, node.declaration, at.index(index), place);
  }

  private rule(
    { rule, compilation, message, usesOld }: CompiledRule,
    declaration: Declaration,
    path: FieldPath,
    place: Place,
  ): void {
    const { errors } = this;
    const failure = failureOf(compilation);
    let sound = false;
    if (compilation.program === undefined || failure !== undefined) {
      errors.invalid(path.child('rule'), goRule(rule), failure ?? '');
    } else if (compilation.program.type.kind !== 'bool' && compilation.program.type.kind !== 'dyn') {
      errors.invalid(path.child('rule'), goRule(rule), 'cel expression must evaluate to a bool');
    } else {
      sound = true;
      this.weigh(compilation.program, declaration, path.child('rule'), 'estimated rule cost', place);
    }
    // What a rule says is looked at where the rule is one.
    if (sound && message !== undefined) {
      const at = path.child('messageExpression');
      if (message.program === undefined) {
        errors.invalid(at, goRule(rule), `messageExpression compilation failed: ${message.text}`);
      } else if (message.program.type.kind !== 'string') {
        errors.invalid(at, goRule(rule), 'messageExpression must evaluate to a string');
      } else if (message.program.failure !== undefined) {
        const why = `messageExpression instantiation failed: ${message.program.failure}`;
        errors.invalid(at, goRule(rule), why);
      } else {
        this.weigh(message.program, declaration, at, 'estimated messageExpression cost', {
          ...place,
          cardinality: 1,
        });
      }
    }
    if (usesOld) {
      if (place.uncorrelated === undefined) return;
      errors.invalid(
        path.child('rule'),
        text(rule, 'rule'),
        `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated.toString()}`,
      );
    } else if (rule['optionalOldSelf'] !== undefined) {
      errors.invalid(
        path.child('optionalOldSelf'),
        rule['optionalOldSelf'],
        'may not be set if oldSelf is not used in rule',
      );
    }
  }

  private weigh(
    program: Program,
    declaration: Declaration,
    path: FieldPath,
    what: string,
    { cardinality }: Place,
  ): void {
    const { max } = program.estimate(ruleSizes(declaration));
    const fitting = Math.floor(REQUEST_BYTES_MAX / (declaration.minSize + 1));
    const cost = timesCardinality(max, cardinality ?? fitting);
    if (cost > STATIC_LIMITS.perExpression) {
      this.errors.forbidden(path, costExceededText(what, cost, STATIC_LIMITS.perExpression));
    }
    this.total += cost;
    if (cost >= STATIC_LIMITS.perDefinition * SHARE_MIN) this.costs.push({ path, cost });
  }
}

/** As the original: whatever an expression names first, its size is looked for in the rule's own data. */
function ruleSizes(self: Declaration): SizeOf {
  const sizes = sizesOf({ self });
  return (node) => sizes(node.path === undefined ? node : { ...node, path: ['self', ...node.path.slice(1)] });
}

function multiplied(cardinality: number | undefined, max: Json | undefined): number | undefined {
  return cardinality === undefined || typeof max !== 'number' ? undefined : cardinality * max;
}

const NOWHERE = FieldPath.of('<nil>');

class ObjectWalk {
  readonly errors = new FieldErrors();
  private readonly budget: CostBudget;
  /** The budget is used up, or one call was too dear: nothing more is evaluated. */
  private ended = false;
  private readonly compiledOf: (node: Structural, root: boolean) => CompiledNode | undefined;
  private readonly pace: Pace;
  private readonly warn: RuleEvaluation['warn'];

  constructor(
    compiledOf: (node: Structural, root: boolean) => CompiledNode | undefined,
    pace: Pace,
    { warn, budget }: RuleEvaluation,
  ) {
    this.warn = warn;
    this.budget = budget ?? { left: RUNTIME_LIMITS.perObject };
    this.compiledOf = compiledOf;
    this.pace = pace;
  }

  /** @param path undefined at an object's top */
  *node(
    schema: Structural,
    value: Json,
    old: Json | undefined,
    path: FieldPath | undefined,
    root: boolean,
  ): Sliced<void> {
    if (this.ended || !schema.holdsRules || value === null) return;
    if (schema.rules.length > 0) yield* this.rules(schema, value, old, path, root);
    if (Array.isArray(value)) yield* this.items(schema, value, old, path);
    else if (isJsonObject(value)) yield* this.members(schema, value, old, path);
  }

  private *items(
    schema: Structural,
    value: readonly Json[],
    old: Json | undefined,
    path: FieldPath | undefined,
  ): Sliced<void> {
    const { items, listMapKeys } = schema;
    if (items?.holdsRules !== true) return;
    const before = new Map<string, Json>();
    if (schema.listType === 'map' && Array.isArray(old)) {
      for (const item of old) before.set(keyText(listMapKeys, item), item);
    }
    for (let index = 0; index < value.length && !this.ended; index += 1) {
      const item = value[index];
      const was = before.get(keyText(listMapKeys, item));
      yield* this.node(items, item, was, (path ?? NOWHERE).index(index), false);
    }
  }

  private *members(
    schema: Structural,
    value: JsonObject,
    old: Json | undefined,
    path: FieldPath | undefined,
  ): Sliced<void> {
    const before = isJsonObject(old) ? old : undefined;
    for (const name in value) {
      if (this.ended || !Object.hasOwn(value, name)) continue;
      const named = schema.properties.get(name);
      const node = named ?? schema.additional;
      if (node?.holdsRules !== true) continue;
      const was = before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined;
      const at =
        path === undefined
          ? FieldPath.of(named === undefined ? `[${name}]` : name)
          : named === undefined
            ? path.key(name)
            : path.child(name);
      yield* this.node(node, value[name], was, at, false);
    }
  }

  private *rules(
    schema: Structural,
    value: Json,
    old: Json | undefined,
    path: FieldPath | undefined,
    root: boolean,
  ): Sliced<void> {
    const compiled = this.compiledOf(schema, root);
    if (compiled === undefined) return;
    const { declaration } = compiled;
    const self = typedResult(value, declaration);
    const before = old === undefined || old === null ? undefined : typedResult(old, declaration);
    const part = {
      schema,
      value,
      path,
      unchanged: () => old !== undefined && isUnchanged(schema, value, old),
    };
    for (const rule of compiled.rules) {
      if (this.ended) break;
      if (this.pace.due()) yield;
      if (rule.usesOld && before === undefined && !rule.optionalOld) continue;
      yield* this.rule(part, rule, self, before);
    }
  }

  private *rule(part: RulePart, rule: CompiledRule, self: Result, old: Result | undefined): Sliced<void> {
    const { schema } = part;
    const at = part.path ?? NOWHERE;
    const refuse = (detail: string): void => this.errors.invalid(at, schema.type, detail);
    const { program } = rule.compilation;
    const failure = failureOf(rule.compilation);
    if (program === undefined || failure !== undefined) {
      refuse(`rule compile error: ${failure ?? ''}`);
      return;
    }
    const bindings = bindingsOf(self, old, rule.optionalOld);
    const costMax = Math.min(RUNTIME_LIMITS.perCall, this.budget.left);
    const outcome = yield* program.sliced(bindings, costMax, this.pace);
    this.budget.left -= outcome.cost;
    if (outcome.kind === 'value') {
      if (outcome.value !== true) yield* this.failed(part, rule, bindings);
    } else if (outcome.kind === 'exceeded' && this.budget.left > 0) {
      refuse(
        `'${outcome.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${nameOf(rule.rule)}`,
      );
      this.ended = true;
      this.budget.left = -1;
      return;
    } else if (outcome.kind === 'error') {
      refuse(
        outcome.message.startsWith('no such overload')
          ? `'${outcome.message}': call arguments did not match a supported operator, function or macro signature for rule: ${nameOf(rule.rule)}`
          : `${outcome.message} evaluating rule: ${nameOf(rule.rule)}`,
      );
    }
    if (this.budget.left <= 0) {
      refuse('validation failed due to running out of cost budget, no further validation rules will be run');
      this.ended = true;
    }
    if (this.errors.size >= ERRORS_MAX) this.ended = true;
  }

  private *failed(
    { schema, value, path, unchanged }: RulePart,
    compiled: CompiledRule,
    bindings: ReadonlyMap<string, Result>,
  ): Sliced<void> {
    const { rule } = compiled;
    const message = yield* this.messageOf(compiled, bindings);
    // What was wrong before and did not change is let pass; an expression that cannot be evaluated is not.
    const passes = !compiled.usesOld && unchanged();
    if (passes && this.warn === undefined) return;
    const refused = passes ? new FieldErrors() : this.errors;
    const at = below(schema, path, text(rule, 'fieldPath'));
    // What is large is left out of the message.
    const whole = schema.type === 'object' || schema.type === 'array';
    switch (textOf(rule, 'reason')) {
      case 'FieldValueForbidden':
        refused.forbidden(at, message);
        break;
      case 'FieldValueRequired':
        refused.required(at, message);
        break;
      case 'FieldValueDuplicate':
        if (whole) {
          refused.list.push({
            type: 'FieldValueDuplicate',
            field: at.toString(),
            body: 'Duplicate value',
          });
        } else refused.duplicate(at, value);
        break;
      default:
        if (whole) refused.refused(at, message);
        else refused.invalid(at, value, message);
    }
    if (passes) for (const { field, body } of refused.list) this.warn?.(`${field}: ${body}`);
  }

  /** What the rule says; its own words where the expression gives none that can be shown. */
  private *messageOf({ rule, message }: CompiledRule, bindings: ReadonlyMap<string, Result>): Sliced<string> {
    const plain = text(rule, 'message').trim();
    const usual = plain === '' ? `failed rule: ${text(rule, 'rule').trim()}` : plain;
    if (message?.program === undefined || this.budget.left <= 0) return usual;
    const costMax = Math.min(RUNTIME_LIMITS.perCall, this.budget.left);
    const outcome = yield* message.program.sliced(bindings, costMax, this.pace);
    this.budget.left -= outcome.cost;
    if (outcome.kind !== 'value' || typeof outcome.value !== 'string') return usual;
    const said = outcome.value.trim();
    return said === '' || /[\n\r]/.test(said) || Buffer.byteLength(said) > MESSAGE_BYTES_MAX ? usual : said;
  }
}

/** The part of an object that rules are asked of. */
interface RulePart {
  readonly schema: Structural;
  readonly value: Json;
  /** Undefined at an object's top. */
  readonly path: FieldPath | undefined;
  readonly unchanged: () => boolean;
}

/** Why an expression cannot be evaluated at all, as the original says it; undefined where it can. */
function failureOf(compilation: Compilation): string | undefined {
  if (compilation.program === undefined) return `compilation failed: ${compilation.text}`;
  const { failure } = compilation.program;
  return failure === undefined ? undefined : `program instantiation failed: ${failure}`;
}

function bindingsOf(self: Result, old: Result | undefined, optional: boolean): ReadonlyMap<string, Result> {
  const bindings = new Map<string, Result>([['self', self]]);
  if (optional) bindings.set('oldSelf', old instanceof CelError ? old : new Optional(old));
  else if (old !== undefined) bindings.set('oldSelf', old);
  return bindings;
}

function nameOf(rule: JsonObject): string {
  const message = text(rule, 'message').trim();
  return message === '' ? text(rule, 'rule').trim() : message;
}

/** The place that a rule names below its own. */
function below(schema: Structural, path: FieldPath | undefined, fieldPath: string): FieldPath {
  const found = fieldPath === '' ? '' : schemaAt(schema, fieldPath, true);
  if (typeof found === 'string') return path ?? NOWHERE;
  return path === undefined ? FieldPath.of(found.shown) : path.child(found.shown);
}
