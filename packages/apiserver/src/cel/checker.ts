/**
 * Finds the type of each node and which overloads a call may mean, or says why an expression has none. It never
 * evaluates anything. Modelled on CEL-go's checker, whose messages and places are kept.
 */

import {
  OPERATOR,
  type CallExpr,
  type ComprehensionExpr,
  type Expr,
  type SelectExpr,
  type StructExpr,
} from './ast.ts';
import { type FunctionTable, type Overload } from './functions.ts';
import { type CelIssue } from './source.ts';
import { type Result, type Value } from './values.ts';
import {
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DYN,
  ERROR,
  formatArguments,
  INT,
  isDynOrError,
  listOf,
  mapOf,
  mostGeneral,
  NAMED_TYPES,
  NULL,
  optionalOf,
  STRING,
  structOf,
  Substitution,
  typeOfType,
  typeParam,
  UINT,
} from './types.ts';

/** What is known of a message type. */
export interface StructDeclaration {
  readonly name: string;
  /** Undefined where it has no such field. */
  field(name: string): CelType | undefined;
  /** Makes a message of its fields; not there for a type no expression may make. */
  readonly make?: (fields: ReadonlyMap<string, Value>) => Result;
}

/** What the checker takes for granted. */
export interface CheckerScope {
  /** Names are looked up in it and in what it lies in first (`a.b`); empty in Kubernetes. */
  readonly container: string;
  readonly variables: ReadonlyMap<string, CelType>;
  /** Types that libraries name. */
  readonly namedTypes: ReadonlyMap<string, CelType>;
  readonly functions: FunctionTable;
  /** A message type by its full name. */
  struct(name: string): StructDeclaration | undefined;
}

/** What a name or a call was found to mean. */
export type Reference =
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'type'; readonly type: CelType; readonly name: string }
  /** `name` is the function's full one; `qualified`: the target was a part of it. */
  | {
      readonly kind: 'function';
      readonly name: string;
      readonly qualified: boolean;
      readonly overloads: readonly Overload[];
    };

export interface Checked {
  readonly issues?: undefined;
  readonly expr: Expr;
  readonly type: CelType;
  /** By a node's id. */
  readonly types: ReadonlyMap<number, CelType>;
  readonly references: ReadonlyMap<number, Reference>;
}

/** `a.b.c` of a chain of selections, undefined of anything else. */
export function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name;
  if (expr.kind !== 'select' || expr.testOnly) return undefined;
  const operand = qualifiedName(expr.operand);
  return operand === undefined ? undefined : `${operand}.${expr.field}`;
}

/** The names a name may stand for in a container, the innermost first. */
export function candidateNames(container: string, name: string): readonly string[] {
  if (name.startsWith('.')) return [name.slice(1)];
  if (container === '') return [name];
  const names: string[] = [];
  for (
    let prefix = container;
    prefix !== '';
    prefix = prefix.slice(0, Math.max(prefix.lastIndexOf('.'), 0))
  ) {
    names.push(`${prefix}.${name}`);
  }
  names.push(name);
  return names;
}

/** Well-known messages that are types of the language. */
const WELL_KNOWN: ReadonlySet<string> = new Set(['google.protobuf.Timestamp', 'google.protobuf.Duration']);

class Checker {
  private readonly scope: CheckerScope;
  readonly issues: CelIssue[] = [];
  private readonly types: Map<number, CelType> = new Map();
  readonly references: Map<number, Reference> = new Map();
  private readonly bound = new Substitution();
  private freeCount = 0;
  /** Variables of the folds around, the innermost last. */
  private readonly locals: { readonly name: string; readonly type: CelType }[] = [];

  constructor(scope: CheckerScope) {
    this.scope = scope;
  }

  run(expr: Expr): ReadonlyMap<number, CelType> {
    this.check(expr);
    return new Map([...this.types].map(([id, type]) => [id, this.bound.apply(type, true)]));
  }

  private issue(at: { readonly offset: number }, message: string): void {
    this.issues.push({ offset: at.offset, message });
  }

  private free(): CelType {
    return typeParam(`_var${this.freeCount++}`);
  }

  private typeOf(expr: Expr): CelType {
    return this.types.get(expr.id) ?? ERROR;
  }

  /** Checks a node, keeps its type and answers with it. */
  private check(expr: Expr): CelType {
    const type = this.infer(expr);
    this.types.set(expr.id, type);
    return type;
  }

  private infer(expr: Expr): CelType {
    switch (expr.kind) {
      case 'const':
        return CONSTANT_TYPES[expr.constant.kind];
      case 'ident':
        return this.ident(expr);
      case 'select':
        return this.select(expr);
      case 'call':
        return this.call(expr);
      case 'list': {
        let element: CelType | undefined;
        for (const [i, item] of expr.elements.entries()) {
          let type = this.check(item);
          if (expr.optionalIndices.includes(i)) type = this.unwrapOptional(item, type);
          element = this.join(element, type);
        }
        return listOf(element ?? this.free());
      }
      case 'map': {
        let key: CelType | undefined;
        let value: CelType | undefined;
        for (const entry of expr.entries) {
          key = this.join(key, this.check(entry.key));
          let type = this.check(entry.value);
          if (entry.optional) type = this.unwrapOptional(entry.value, type);
          value = this.join(value, type);
        }
        return mapOf(key ?? this.free(), value ?? this.free());
      }
      case 'struct':
        return this.struct(expr);
      case 'comprehension':
        return this.comprehension(expr);
    }
  }

  /** The type behind an optional one, of an element marked `?`. */
  private unwrapOptional(at: Expr, type: CelType): CelType {
    if (type.kind === 'opaque' && type.name === 'optional_type') return type.params[0];
    if (!isDynOrError(type)) this.mismatch(at, optionalOf(type), type);
    return type;
  }

  private mismatch(at: { readonly offset: number }, wanted: CelType, given: CelType): void {
    this.issue(at, `expected type '${wanted.toString()}' but found '${given.toString()}'`);
  }

  /** What holds both; literals of unlike elements hold anything. */
  private join(before: CelType | undefined, type: CelType): CelType {
    if (before === undefined) return type;
    if (this.bound.assignable(before, type)) return mostGeneral(before, type);
    return DYN;
  }

  // Names.

  private lookup(name: string): { readonly type: CelType; readonly reference: Reference } | undefined {
    const local = this.locals.findLast((entry) => entry.name === name);
    if (local !== undefined) return { type: local.type, reference: { kind: 'variable', name } };
    for (const candidate of candidateNames(this.scope.container, name)) {
      const variable = this.scope.variables.get(candidate);
      if (variable !== undefined) return { type: variable, reference: { kind: 'variable', name: candidate } };
      const type =
        NAMED_TYPES.get(candidate) ?? this.scope.namedTypes.get(candidate) ?? this.structType(candidate);
      if (type !== undefined)
        return { type: typeOfType(type), reference: { kind: 'type', type, name: candidate } };
    }
    return undefined;
  }

  private structType(name: string): CelType | undefined {
    const struct = this.scope.struct(name);
    return struct === undefined ? undefined : structOf(struct.name);
  }

  private undeclared(at: { readonly offset: number }, name: string): CelType {
    this.issue(at, `undeclared reference to '${name}' (in container '${this.scope.container}')`);
    return ERROR;
  }

  private ident(expr: Expr & { readonly kind: 'ident' }): CelType {
    const found = this.lookup(expr.name);
    if (found === undefined) return this.undeclared(expr, expr.name);
    this.references.set(expr.id, found.reference);
    return found.type;
  }

  private select(expr: SelectExpr): CelType {
    const name = qualifiedName(expr);
    if (name !== undefined) {
      const root = name.split('.').find((part) => part !== '');
      const shadowed = !name.startsWith('.') && this.locals.some((entry) => entry.name === root);
      const found = shadowed ? undefined : this.lookup(name);
      if (found !== undefined) {
        this.references.set(expr.id, found.reference);
        return found.type;
      }
    }
    this.check(expr.operand);
    const type = this.selectField(
      expr,
      this.bound.apply(this.typeOf(expr.operand), false),
      expr.field,
      false,
    );
    return expr.testOnly ? BOOL : this.bound.apply(type, false);
  }

  private selectField(
    at: { readonly offset: number },
    operand: CelType,
    field: string,
    optional: boolean,
  ): CelType {
    const isOptional = operand.kind === 'opaque' && operand.name === 'optional_type';
    const target = isOptional ? this.bound.apply(operand.params[0], false) : operand;
    let result = DYN;
    switch (target.kind) {
      case 'map':
        result = target.params[1];
        break;
      case 'struct':
        result = this.fieldType(at, target.name, field) ?? ERROR;
        break;
      case 'param':
        this.bound.assignable(DYN, target);
        break;
      default:
        if (!isDynOrError(target))
          this.issue(
            at,
            optional && target.kind === 'opaque'
              ? `unexpected failed resolution of '${target.name}'`
              : `type '${target.toString()}' does not support field selection`,
          );
    }
    return isOptional || optional ? optionalOf(result) : result;
  }

  private fieldType(at: { readonly offset: number }, typeName: string, field: string): CelType | undefined {
    const struct = this.scope.struct(typeName);
    if (struct === undefined) {
      this.issue(at, `unexpected failed resolution of '${typeName}'`);
      return undefined;
    }
    const type = struct.field(field);
    if (type === undefined) this.issue(at, `undefined field '${field}'`);
    return type;
  }

  // Calls.

  private findFunction(
    name: string,
  ): { readonly name: string; readonly overloads: readonly Overload[] } | undefined {
    for (const candidate of candidateNames(this.scope.container, name)) {
      const overloads = this.scope.functions.find(candidate);
      if (overloads !== undefined) return { name: candidate, overloads };
    }
    return undefined;
  }

  private call(expr: CallExpr): CelType {
    if (expr.name === OPERATOR.optionalSelect) return this.optionalSelect(expr);
    for (const arg of expr.args) this.check(arg);
    if (expr.target === undefined) {
      const found = this.findFunction(expr.name);
      if (found === undefined) return this.undeclared(expr, expr.name);
      return this.resolve(expr, found.name, found.overloads, undefined, false);
    }
    const prefix = qualifiedName(expr.target);
    if (prefix !== undefined) {
      const found = this.findFunction(`${prefix}.${expr.name}`);
      if (found !== undefined) return this.resolve(expr, found.name, found.overloads, undefined, true);
    }
    this.check(expr.target);
    const found = this.scope.functions.find(expr.name);
    if (found === undefined) return this.undeclared(expr, expr.name);
    return this.resolve(expr, expr.name, found, expr.target, false);
  }

  private optionalSelect(expr: CallExpr): CelType {
    const [operand, field] = expr.args;
    this.check(operand);
    if (field.kind !== 'const' || field.constant.kind !== 'string') {
      this.issue(field, 'unsupported optional field selection');
      return ERROR;
    }
    const type = this.selectField(
      expr,
      this.bound.apply(this.typeOf(operand), false),
      field.constant.value,
      true,
    );
    const overloads = this.scope.functions.find(OPERATOR.optionalSelect) ?? [];
    this.references.set(expr.id, { kind: 'function', name: expr.name, qualified: false, overloads });
    this.types.set(field.id, STRING);
    return this.bound.apply(type, false);
  }

  private resolve(
    expr: CallExpr,
    name: string,
    overloads: readonly Overload[],
    target: Expr | undefined,
    qualified: boolean,
  ): CelType {
    const argTypes = [...(target === undefined ? [] : [target]), ...expr.args].map((arg) => this.typeOf(arg));
    if (name === OPERATOR.and || name === OPERATOR.or) return this.resolveLogical(expr, overloads);
    const fitting: Overload[] = [];
    let result: CelType | undefined;
    for (const overload of overloads) {
      if (overload.instance !== (target !== undefined)) continue;
      let { args, result: declared } = overload;
      if (overload.typeParams.length > 0) {
        const fresh = new Substitution(new Map(overload.typeParams.map((param) => [param, this.free()])));
        args = args.map((arg) => fresh.apply(arg, false));
        declared = fresh.apply(declared, false);
      }
      if (!this.bound.assignableAll(args, argTypes)) continue;
      fitting.push(overload);
      const type = this.bound.apply(declared, false);
      if (result === undefined) result = type;
      else if (!isDynOrError(result) && !type.equals(result)) result = DYN;
    }
    if (result === undefined) {
      const given = argTypes.map((type) => this.bound.apply(type, true));
      this.issue(
        expr,
        `found no matching overload for '${name}' applied to '${formatArguments(given, target !== undefined)}'`,
      );
      return ERROR;
    }
    this.references.set(expr.id, { kind: 'function', name, qualified, overloads: fitting });
    return result;
  }

  /** && and ||: each operand that is no bool is told for itself. */
  private resolveLogical(expr: CallExpr, overloads: readonly Overload[]): CelType {
    let fits = true;
    for (const arg of expr.args) {
      if (this.bound.assignable(this.typeOf(arg), BOOL)) continue;
      this.mismatch(arg, BOOL, this.typeOf(arg));
      fits = false;
    }
    if (!fits) return ERROR;
    this.references.set(expr.id, { kind: 'function', name: expr.name, qualified: false, overloads });
    return BOOL;
  }

  // Messages and folds.

  private struct(expr: StructExpr): CelType {
    const found = this.lookup(expr.name);
    let type = ERROR;
    if (found === undefined) {
      this.undeclared(expr, expr.name);
      return ERROR;
    }
    if (found.reference.kind !== 'type') {
      this.issue(expr, `'${found.type.toString()}' is not a type`);
    } else if (found.reference.type.kind !== 'struct' && !WELL_KNOWN.has(found.reference.name)) {
      this.issue(expr, `'${found.reference.type.name}' is not a message type`);
    } else {
      type = found.reference.type;
      this.references.set(expr.id, found.reference);
    }
    for (const field of expr.fields) {
      let given = this.check(field.value);
      if (field.optional) given = this.unwrapOptional(field.value, given);
      const wanted = type.kind === 'struct' ? (this.fieldType(field, type.name, field.name) ?? ERROR) : ERROR;
      if (!this.bound.assignable(wanted, given)) {
        this.issue(
          field,
          `expected type of field '${field.name}' is '${wanted.toString()}' but provided type is '${given.toString()}'`,
        );
      }
    }
    return type;
  }

  private comprehension(expr: ComprehensionExpr): CelType {
    this.check(expr.range);
    const accu = this.check(expr.init);
    const range = this.bound.apply(this.typeOf(expr.range), false);
    const two = expr.iterVar2 !== '';
    let first = DYN;
    let second = DYN;
    switch (range.kind) {
      case 'list':
        [first, second] = two ? [INT, range.params[0]] : [range.params[0], DYN];
        break;
      case 'map':
        [first, second] = [range.params[0], range.params[1]];
        break;
      case 'dyn':
      case 'error':
      case 'param':
        this.bound.assignable(DYN, range);
        break;
      default:
        this.issue(
          expr.range,
          `expression of type '${range.toString()}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        );
        [first, second] = [ERROR, ERROR];
    }
    this.locals.push({ name: expr.accuVar, type: accu }, { name: expr.iterVar, type: first });
    if (two) this.locals.push({ name: expr.iterVar2, type: second });
    this.assert(expr.condition, BOOL);
    this.assert(expr.step, accu);
    this.locals.length -= two ? 2 : 1;
    const result = this.check(expr.result);
    this.locals.length--;
    return this.bound.apply(result, false);
  }

  private assert(expr: Expr, wanted: CelType): void {
    const given = this.check(expr);
    if (!this.bound.assignable(wanted, given)) this.mismatch(expr, wanted, given);
  }
}

const CONSTANT_TYPES = {
  null: NULL,
  bool: BOOL,
  int: INT,
  uint: UINT,
  double: DOUBLE,
  string: STRING,
  bytes: BYTES,
} as const;

/** The types of an expression, or what is wrong with it. */
export function check(
  expr: Expr,
  scope: CheckerScope,
): Checked | { readonly expr?: undefined; readonly issues: readonly CelIssue[] } {
  const checker = new Checker(scope);
  const types = checker.run(expr);
  if (checker.issues.length > 0) return { issues: checker.issues };
  return { expr, types, references: checker.references, type: types.get(expr.id) ?? DYN };
}
