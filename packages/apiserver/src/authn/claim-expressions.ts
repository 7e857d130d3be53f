/**
 * What of a token becomes the user, said in CEL: his name, groups, uid and extra values, and the rules that its claims and
 * the user must keep. Compiled once, when the configuration is read; evaluated for each token that is not remembered.
 *
 * Modelled on apiserver's authentication/cel and its oidc authenticator, texts included. Numbers of a token are doubles, as
 * Go's decoder reads them. The configuration is the operator's: what an expression may cost is bounded all the same.
 */

import { fieldsOf } from '../api/fields.ts';
import type { UserInfo } from '../api/user-info.ts';
import { OPERATOR, type Expr } from '../cel/ast.ts';
import { BaseEnvironment, CURRENT_VERSION, RUNTIME_LIMITS, type Environment } from '../cel/environment.ts';
import { unescapeFieldName } from '../cel/field-names.ts';
import { compile, type Program } from '../cel/program.ts';
import { claimsEnvironment, USER_INFO, userEnvironment } from '../cel/rule-variables.ts';
import { CelError, CelList, CelMap, CelObject, type Value } from '../cel/values.ts';
import { AuthenticationError } from './authenticator.ts';

export interface Expression {
  readonly source: string;
  readonly program: Program;
}

/** A rule that must hold, and what is said where it does not. */
export interface Rule extends Expression {
  readonly message: string;
}

/** What of an issuer's mappings is said in CEL. */
export interface ClaimExpressions {
  readonly username?: Expression;
  readonly groups?: Expression;
  readonly uid?: Expression;
  /** By the key of the value. */
  readonly extra: readonly (readonly [string, Expression])[];
  readonly claimRules: readonly Rule[];
  readonly userRules: readonly Rule[];
}

/** Compiles the expressions of a configuration. */
export class ClaimCompiler {
  private readonly claims: Environment;
  private readonly user: Environment;

  constructor() {
    const base = new BaseEnvironment(CURRENT_VERSION);
    this.claims = claimsEnvironment(base);
    this.user = userEnvironment(base);
  }

  /** @returns the expression, or what is wrong with it */
  mapping(source: string): Expression | string {
    return compiled(source, this.claims, false);
  }

  claimRule(source: string): Expression | string {
    return compiled(source, this.claims, true);
  }

  userRule(source: string): Expression | string {
    return compiled(source, this.user, true);
  }
}

function compiled(source: string, environment: Environment, rule: boolean): Expression | string {
  const { program, text = '' } = { text: undefined, ...compile(source, environment) };
  if (program === undefined) return `compilation failed: ${text}`;
  if (rule && program.type.kind !== 'bool') return 'must evaluate to bool';
  return { source, program };
}

/** Whether an expression reads a claim by name: `claims.NAME`, `claims.?NAME`. */
export function readsClaim({ program }: Expression, name: string): boolean {
  return reads(program.checked.expr, name);
}

function reads(expr: Expr, name: string): boolean {
  const isClaims = (one: Expr): boolean => one.kind === 'ident' && one.name === 'claims';
  switch (expr.kind) {
    case 'const':
    case 'ident':
      return false;
    case 'select':
      return (isClaims(expr.operand) && expr.field === name) || reads(expr.operand, name);
    case 'call': {
      const [of, field] = expr.args;
      const optional =
        expr.name === OPERATOR.optionalSelect &&
        isClaims(of) &&
        field.kind === 'const' &&
        field.constant.kind === 'string' &&
        field.constant.value === name;
      return (
        optional ||
        expr.args.some((one) => reads(one, name)) ||
        (expr.target !== undefined && reads(expr.target, name))
      );
    }
    case 'list':
      return expr.elements.some((one) => reads(one, name));
    case 'map':
      return expr.entries.some(({ key, value }) => reads(key, name) || reads(value, name));
    case 'struct':
      return expr.fields.some(({ value }) => reads(value, name));
    case 'comprehension':
      return [expr.range, expr.init, expr.condition, expr.step, expr.result].some((one) => reads(one, name));
  }
}

/** The claims of one token, for the expressions of its issuer. */
export class ClaimValues {
  private readonly bindings: ReadonlyMap<string, Value>;

  constructor(claims: Members) {
    this.bindings = new Map([['claims', new ClaimMap(claims)]]);
  }

  username(expression: Expression): string {
    const value = this.evaluated(expression, 'oidc: error evaluating username claim expression');
    if (typeof value !== 'string') {
      throw new AuthenticationError(
        'oidc: error evaluating username claim expression: username claim expression must return a string',
      );
    }
    if (value === '') {
      throw new AuthenticationError('oidc: empty username via CEL expression is not allowed');
    }
    return value;
  }

  groups(expression: Expression): readonly string[] {
    const about = 'oidc: error evaluating group claim expression';
    return textsOf(this.evaluated(expression, about), about);
  }

  uid(expression: Expression): string {
    const value = this.evaluated(expression, 'oidc: error evaluating uid claim expression');
    if (typeof value === 'string') return value;
    throw new AuthenticationError(
      'oidc: error evaluating uid claim expression: uid claim expression must return a string',
    );
  }

  /** Keys without a value are left out. */
  extra(mappings: ClaimExpressions['extra']): Readonly<Record<string, readonly string[]>> {
    const extra: Record<string, readonly string[]> = {};
    for (const [key, expression] of mappings) {
      const about = `oidc: error evaluating extra claim expression: ${expression.source}`;
      const texts = textsOf(this.evaluated(expression, ''), about);
      if (texts.length > 0) extra[key] = texts;
    }
    return extra;
  }

  /** @throws AuthenticationError naming the first rule that does not hold */
  check(rules: readonly Rule[]): void {
    checkRules(rules, this.bindings, 'oidc: error evaluating claim validation expression');
  }

  private evaluated({ source, program }: Expression, about: string): Value {
    return valueOf(source, program, this.bindings, about);
  }
}

/** @throws AuthenticationError naming the first rule that the user does not keep */
export function checkUser(rules: readonly Rule[], user: UserInfo): void {
  if (rules.length === 0) return;
  const about = 'oidc: error evaluating user info validation rule';
  checkRules(rules, new Map([['user', new TokenUser(user)]]), about);
}

function checkRules(rules: readonly Rule[], bindings: ReadonlyMap<string, Value>, about: string): void {
  const values = rules.map(({ source, program }) => valueOf(source, program, bindings, about));
  for (const [index, { source, message }] of rules.entries()) {
    if (values[index] === true) continue;
    throw new AuthenticationError(`${about}: validation expression '${source}' failed: ${message}`);
  }
}

function valueOf(
  source: string,
  program: Program,
  bindings: ReadonlyMap<string, Value>,
  about: string,
): Value {
  const outcome = program.evaluate(bindings, RUNTIME_LIMITS.perCall);
  if (outcome.kind === 'value') return outcome.value;
  const why = outcome.kind === 'undecided' ? 'no authorizer' : outcome.message;
  const text = `expression '${source}' resulted in error: ${why}`;
  throw new AuthenticationError(about === '' ? text : `${about}: ${text}`);
}

/** A text or a list of texts; empty ones are none. */
function textsOf(value: Value, about: string): readonly string[] {
  if (value === null) return [];
  const all = value instanceof CelList ? value.toArray() : [value];
  const texts = all.filter((one) => typeof one === 'string');
  if (texts.length === all.length) return texts.filter((one) => one !== '');
  throw new AuthenticationError(`${about}: expression must return a string or a list of strings`);
}

/**
 * An object of a token's JSON, under the names that expressions have for its members as well: `a__dot__b` is `a.b`, as in the
 * original. Made member by member when it is asked for: a token is as deep as its issuer likes.
 */
class ClaimMap extends CelMap {
  private readonly members: Members;

  constructor(members: Members) {
    super();
    this.members = members;
  }

  override get size(): number {
    return this.keys().length;
  }

  override get(key: Value): Value | undefined {
    if (typeof key !== 'string') return undefined;
    const name = unescapeFieldName(key) ?? key;
    return Object.hasOwn(this.members, name) ? claimValue(this.members[name]) : undefined;
  }

  override keys(): readonly string[] {
    return Object.keys(this.members);
  }
}

class ClaimList extends CelList {
  private readonly elements: readonly unknown[];

  constructor(elements: readonly unknown[]) {
    super();
    this.elements = elements;
  }

  override get size(): number {
    return this.elements.length;
  }

  override at(index: number): Value {
    return claimValue(this.elements[index]);
  }
}

/** The user whom a token makes. */
class TokenUser extends CelObject {
  override readonly type = USER_INFO.type;
  private readonly members: ClaimMap;

  constructor({ name, uid, groups, extra }: UserInfo) {
    super();
    this.members = new ClaimMap({ username: name, uid, groups, extra });
  }

  override field(name: string): Value | CelError {
    return this.members.get(name) ?? new CelError(`no such key: ${name}`);
  }

  override has(name: string): boolean {
    return this.members.get(name) !== undefined;
  }

  override names(): readonly string[] {
    return this.members.keys();
  }
}

type Members = Readonly<Record<string, unknown>>;

/** What a token's JSON says, its numbers as doubles. */
function claimValue(value: unknown): Value {
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return new ClaimList(value);
  return typeof value === 'object' && value !== null ? new ClaimMap(fieldsOf(value)) : null;
}
