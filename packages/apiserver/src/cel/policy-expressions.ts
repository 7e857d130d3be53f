/**
 * Expressions of admission policies and of match conditions: compiled with the variables of their place and held to the
 * type their place wants. One that does not compile is kept with what is wrong, since who meets it decides what that
 * means: the API refuses it, a running policy fails as it says.
 *
 * Modelled on apiserver's admission/plugin/cel compiler, its composition of variables included; texts are the original's.
 */

import { structsOf, type Declaration } from './declarations.ts';
import type { BaseEnvironment, Environment } from './environment.ts';
import { escapeFieldName } from './field-names.ts';
import { JSON_PATCH_LIBRARY } from './library-jsonpatch.ts';
import { mutationStructs } from './mutation-types.ts';
import { compile, type Program } from './program.ts';
import { admissionEnvironment } from './rule-variables.ts';
import { BOOL, DYN, listOf, mapOf, NULL, STRING, structOf, type CelType } from './types.ts';

/** An expression of a policy: what runs, or what is wrong with it. */
export type PolicyExpression =
  | { readonly source: string; readonly program: Program; readonly error?: undefined }
  | { readonly source: string; readonly program?: undefined; readonly error: string };

/** What an expression may give, and what it may use, by its place in a policy. */
export interface ExpressionPlace {
  /** Undefined: anything. */
  readonly returns?: readonly CelType[];
  readonly authorizer: boolean;
  /** Whether it makes the messages of mutations. */
  readonly patches?: boolean;
}

export const CONDITION: ExpressionPlace = { returns: [BOOL], authorizer: true };
export const VARIABLE: ExpressionPlace = { authorizer: true };
export const MESSAGE: ExpressionPlace = { returns: [STRING], authorizer: false };
export const AUDIT_VALUE: ExpressionPlace = { returns: [STRING, NULL], authorizer: true };
export const APPLY_CONFIGURATION: ExpressionPlace = {
  returns: [structOf('Object')],
  authorizer: true,
  patches: true,
};
export const JSON_PATCH: ExpressionPlace = {
  returns: [listOf(structOf('JSONPatch'))],
  authorizer: true,
  patches: true,
};

export interface PolicyCompilerOptions {
  /** Whether the policy has a paramKind. */
  readonly params: boolean;
  /** Whether `variables` can be named; the conditions of webhooks cannot. */
  readonly composed: boolean;
  /** What is known of the object and of parameters; they are untyped without. */
  readonly types?: { readonly object: Declaration; readonly params?: Declaration };
}

/** Compiles the expressions of one policy: variables in their order, and what uses them after. */
export class PolicyCompiler {
  private readonly base: BaseEnvironment;
  private readonly params: boolean;
  private readonly variables: Map<string, CelType> | undefined;
  private readonly environments = new Map<string, Environment>();
  private readonly types: PolicyCompilerOptions['types'];

  constructor(base: BaseEnvironment, { params, composed, types }: PolicyCompilerOptions) {
    this.base = base;
    this.types = types;
    this.params = params;
    this.variables = composed ? new Map() : undefined;
  }

  /** A variable, which those behind it can name. One that does not compile can be named too: its use fails. */
  variable(name: string, source: string, base?: BaseEnvironment): PolicyExpression {
    const compiled = this.compile(source, VARIABLE, base);
    this.variables?.set(name, compiled.program === undefined ? DYN : composedType(compiled.program.type));
    return compiled;
  }

  /** @param base instead of the compiler's own */
  compile(source: string, place: ExpressionPlace, base = this.base): PolicyExpression {
    const compilation = compile(source, this.environmentOf(place, base));
    if (compilation.program === undefined) {
      return { source, error: `compilation failed: ${compilation.text}` };
    }
    const { program } = compilation;
    const { returns } = place;
    if (returns === undefined || returns.some((type) => type.equals(program.type)))
      return { source, program };
    const given = declaredName(program.type);
    const wanted = returns.map(declaredName);
    return {
      source,
      error:
        wanted.length === 1
          ? `must evaluate to ${wanted[0]} but got ${given}`
          : `must evaluate to one of [${wanted.join(' ')}] but got ${given}`,
    };
  }

  private environmentOf(
    { authorizer, patches = false }: ExpressionPlace,
    base: BaseEnvironment,
  ): Environment {
    const key = `${base.version}/${authorizer}/${patches}`;
    let environment = this.environments.get(key);
    if (environment === undefined) {
      const { params, variables, types } = this;
      environment = admissionEnvironment(
        base,
        {
          params,
          authorizer,
          ...(variables === undefined ? {} : { variables }),
          ...(types === undefined ? {} : { object: types.object.type }),
          ...(types?.params === undefined ? {} : { paramsType: types.params.type }),
        },
        patches
          ? { structs: mutationStructs, libraries: [JSON_PATCH_LIBRARY] }
          : types === undefined
            ? {}
            : { structs: namedStructs(types.object, ...(types.params === undefined ? [] : [types.params])) },
      );
      this.environments.set(key, environment);
    }
    return environment;
  }
}

/** Message types whose members are known by their own names too, not only as expressions of rules write them. */
function namedStructs(...declarations: readonly Declaration[]): ReturnType<typeof structsOf> {
  const structs = structsOf(...declarations);
  return (name) => {
    const struct = structs(name);
    if (struct === undefined) return undefined;
    return {
      ...struct,
      field(member) {
        const escaped = escapeFieldName(member);
        return struct.field(member) ?? (escaped === undefined ? undefined : struct.field(escaped));
      },
    };
  };
}

/** What a variable is known as to those that name it: the language's own types, lists and maps of them. */
function composedType(type: CelType): CelType {
  switch (type.kind) {
    case 'list':
      return listOf(composedType(type.params[0]));
    case 'map':
      return mapOf(composedType(type.params[0]), composedType(type.params[1]));
    case 'any':
    case 'bool':
    case 'bytes':
    case 'double':
    case 'duration':
    case 'int':
    case 'null':
    case 'string':
    case 'timestamp':
    case 'uint':
      return type;
    default:
      return DYN;
  }
}

const DECLARED: Readonly<Record<string, string>> = {
  null: 'null_type',
  timestamp: 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
};

/** A type by the name it is declared with, which is not the one that messages of the checker use. */
function declaredName(type: CelType): string {
  if (type.params.length > 0 && type.kind !== 'wrapper')
    return `${type.name}(${type.params.map(declaredName).join(', ')})`;
  return Object.hasOwn(DECLARED, type.kind) ? DECLARED[type.kind] : type.toString();
}
