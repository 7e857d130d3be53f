/**
 * What an expression may use: variables, types, and the libraries of a Kubernetes version. A new expression is checked
 * in the environment of the version before (so that a server one version older can run it), a stored one in the newest.
 *
 * Which library came when: kubernetes apiserver pkg/cel/environment/base.go.
 */

import { type CheckerScope, type StructDeclaration } from './checker.ts';
import { FunctionTable, type Overload } from './functions.ts';
import { AUTHORIZER_LIBRARY, AUTHORIZER_SELECTORS_LIBRARY } from './library-authorizer.ts';
import {
  EXTENDED_LISTS,
  KUBERNETES_LISTS,
  SETS_LIBRARY,
  TWO_VARIABLE_LIBRARY,
} from './library-collections.ts';
import { FORMAT_LIBRARY } from './library-format.ts';
import { CIDR_LIBRARY, IP_LIBRARY, NETWORK_TYPES } from './library-network.ts';
import { OPTIONAL_LIBRARY } from './library-optional.ts';
import { QUANTITY_LIBRARY, SEMVER_LIBRARY } from './library-quantity.ts';
import { stringsLibrary } from './library-strings.ts';
import { regexLibrary, URL_LIBRARY } from './library-text.ts';
import {
  OPTIONAL_MACROS,
  SORT_BY_MACRO,
  STANDARD_MACROS,
  TWO_VARIABLE_MACROS,
  type Macro,
} from './macros.ts';
import { type ParserOptions } from './parser.ts';
import { RegexCache } from './regex.ts';
import { ARITHMETIC, comparisonFunctions, CONTAINERS } from './standard-arithmetic.ts';
import { CONVERSIONS, stringFunctions, TIME_PARTS } from './standard-conversions.ts';
import { DYN, optionalOf, type CelType } from './types.ts';

/** The version this server is, and the one new expressions must still run on. */
export const CURRENT_VERSION = 36;
export const COMPATIBILITY_VERSION = 35;

/** What a program may not exceed in one evaluation, in one object or binding, and in all match conditions of a webhook. */
export const RUNTIME_LIMITS = {
  perCall: 1_000_000,
  perObject: 10_000_000,
  matchConditions: 2_500_000,
} as const;

export interface Environment {
  readonly container: string;
  readonly variables: ReadonlyMap<string, CelType>;
  readonly functions: FunctionTable;
  readonly namedTypes: ReadonlyMap<string, CelType>;
  readonly parserOptions: ParserOptions;
  readonly checkerScope: CheckerScope;
  readonly foldConstants: boolean;
  /** Whether the elements of a literal must be of one type. */
  readonly homogeneousLiterals: boolean;
  /** Whether constants that no duration(), timestamp() or matches() takes are refused. */
  readonly validatesLiterals: boolean;
  /** The variable whose fields are expressions themselves; undefined: there is none. */
  readonly lazyVariable: string | undefined;
  struct(name: string): StructDeclaration | undefined;
}

export interface EnvironmentParts {
  readonly libraries: readonly (readonly Overload[])[];
  /** All of the libraries' functions, where somebody has them in a table already. */
  readonly functions?: FunctionTable | undefined;
  readonly macros: readonly Macro[];
  readonly optionalSyntax: boolean;
  readonly variables: ReadonlyMap<string, CelType>;
  /** Types that have a name in expressions beside those of the language. */
  readonly namedTypes?: ReadonlyMap<string, CelType>;
  /** Message types by full name. */
  readonly structs?: ((name: string) => StructDeclaration | undefined) | undefined;
  readonly container?: string;
  readonly homogeneousLiterals?: boolean;
  readonly validatesLiterals?: boolean;
  readonly foldConstants?: boolean;
  readonly escapedIdentifiers?: boolean;
  readonly lazyVariable?: string | undefined;
}

export function makeEnvironment(parts: EnvironmentParts): Environment {
  const functions = parts.functions ?? new FunctionTable(parts.libraries);
  const struct = parts.structs ?? (() => undefined);
  const container = parts.container ?? '';
  const { variables } = parts;
  const namedTypes = parts.namedTypes ?? new Map([['optional_type', optionalOf(DYN)]]);
  return {
    container,
    variables,
    functions,
    namedTypes,
    struct,
    foldConstants: parts.foldConstants ?? true,
    homogeneousLiterals: parts.homogeneousLiterals ?? false,
    validatesLiterals: parts.validatesLiterals ?? false,
    lazyVariable: parts.lazyVariable,
    parserOptions: {
      macros: parts.macros,
      optionalSyntax: parts.optionalSyntax,
      escapedIdentifiers: parts.escapedIdentifiers ?? false,
    },
    checkerScope: {
      container,
      variables,
      namedTypes,
      functions,
      struct,
    },
  };
}

/** The functions of the language itself. */
export function standardLibrary(
  regexes: RegexCache,
  crossTypeComparisons: boolean,
): readonly (readonly Overload[])[] {
  return [
    ARITHMETIC,
    comparisonFunctions(crossTypeComparisons),
    CONTAINERS,
    CONVERSIONS,
    TIME_PARTS,
    stringFunctions(regexes),
  ];
}

/** The libraries and macros of Kubernetes 1.`version`. */
export class BaseEnvironment {
  readonly version: number;
  private readonly libraries: readonly (readonly Overload[])[];
  private readonly functions: FunctionTable;
  private readonly macros: readonly Macro[];
  private readonly namedTypes: ReadonlyMap<string, CelType>;

  constructor(version: number) {
    this.version = version;
    const regexes = new RegexCache();
    const since = (introduced: number, library: readonly Overload[]): readonly (readonly Overload[])[] =>
      version >= introduced ? [library] : [];
    this.libraries = [
      ...standardLibrary(regexes, version >= 28),
      URL_LIBRARY,
      regexLibrary(regexes),
      KUBERNETES_LISTS,
      stringsLibrary(version >= 29 ? 2 : 0),
      ...since(27, AUTHORIZER_LIBRARY),
      ...since(28, OPTIONAL_LIBRARY),
      ...since(28, QUANTITY_LIBRARY),
      ...since(29, SETS_LIBRARY),
      ...since(30, IP_LIBRARY),
      ...since(30, CIDR_LIBRARY),
      ...since(31, FORMAT_LIBRARY),
      ...since(31, AUTHORIZER_SELECTORS_LIBRARY),
      ...since(32, TWO_VARIABLE_LIBRARY),
      ...since(33, SEMVER_LIBRARY),
      ...since(34, EXTENDED_LISTS),
    ];
    this.functions = new FunctionTable(this.libraries);
    this.namedTypes = new Map(
      [
        { introduced: 28, type: optionalOf(DYN) },
        { introduced: 30, type: NETWORK_TYPES.ip },
        { introduced: 30, type: NETWORK_TYPES.cidr },
      ]
        .filter(({ introduced }) => version >= introduced)
        .map(({ type }) => [type.name, type]),
    );
    this.macros = [
      ...STANDARD_MACROS,
      ...(version >= 28 ? OPTIONAL_MACROS : []),
      ...(version >= 32 ? TWO_VARIABLE_MACROS : []),
      ...(version >= 34 ? [SORT_BY_MACRO] : []),
    ];
  }

  /** With the variables of a rule, and the types they have. */
  extend(
    variables: Readonly<Record<string, CelType>>,
    structs?: (name: string) => StructDeclaration | undefined,
    more: Partial<EnvironmentParts> = {},
  ): Environment {
    return makeEnvironment({
      macros: this.macros,
      optionalSyntax: this.version >= 28,
      variables: new Map(Object.entries(variables)),
      namedTypes: this.namedTypes,
      structs,
      homogeneousLiterals: true,
      validatesLiterals: this.version >= 29,
      functions: more.libraries === undefined ? this.functions : undefined,
      ...more,
      libraries: [...this.libraries, ...(more.libraries ?? [])],
    });
  }
}
