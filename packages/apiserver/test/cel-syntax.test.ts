/**
 * CEL-go's own tests of its parser and checker, as packed by @bufbuild/cel-spec: the trees they make, the types they
 * find, what they refuse, and in which words.
 */

import { expect, test } from '@jest/globals';
import { tests as checking } from '@bufbuild/cel-spec/testdata/checking.js';
import { tests as comprehension } from '@bufbuild/cel-spec/testdata/comprehension.js';
import { tests as parsing } from '@bufbuild/cel-spec/testdata/parsing.js';
import { KindAdorner, toDebugString } from '@bufbuild/cel-spec/testdata/to-debug-string.js';
import { check, type StructDeclaration } from '../src/cel/checker.ts';
import { makeEnvironment, standardLibrary } from '../src/cel/environment.ts';
import { overload } from '../src/cel/functions.ts';
import { OPTIONAL_LIBRARY } from '../src/cel/library-optional.ts';
import { EXTENDED_LISTS, TWO_VARIABLE_LIBRARY } from '../src/cel/library-collections.ts';
import { stringsLibrary } from '../src/cel/library-strings.ts';
import { OPTIONAL_MACROS, STANDARD_MACROS, TWO_VARIABLE_MACROS } from '../src/cel/macros.ts';
import { parse } from '../src/cel/parser.ts';
import { compile } from '../src/cel/program.ts';
import { RegexCache } from '../src/cel/regex.ts';
import { Source } from '../src/cel/source.ts';
import * as types from '../src/cel/types.ts';
import { CelError } from '../src/cel/values.ts';
import { readType, type SpecCase } from './cel-spec.ts';
import { CheckedAdorner, exprMessage } from './cel-tree.ts';

type Printable = Parameters<typeof toDebugString>[0];

/** The first line of an error; the data names no source. */
const firstLine = (text: string): string => text.split('\n')[0].replace('ERROR: <input>:', 'ERROR: :');

interface Score {
  readonly wrong: string[];
  readonly otherWords: string[];
  total: number;
}

const share = (score: Score): number => (score.total - score.wrong.length) / score.total;

function parserScore(): Score {
  const score: Score = { wrong: [], otherWords: [], total: 0 };
  for (const data of parsing.tests as readonly SpecCase[]) {
    score.total++;
    const { expr } = data.original;
    const source = new Source(expr, '');
    const escapes = !(data.error ?? '').includes("unsupported syntax: '`'");
    const optional = !(data.error ?? '').includes("unsupported syntax '");
    const parsed = parse(source, {
      macros: STANDARD_MACROS,
      optionalSyntax: optional,
      escapedIdentifiers: escapes,
      depthMax: 32,
      recoveriesMax: 4,
    });
    if (data.ast === undefined) {
      if (parsed.issues === undefined) score.wrong.push(`${expr}: parsed`);
      else if (firstLine(source.showAll(parsed.issues)) !== firstLine(data.error ?? '')) {
        score.otherWords.push(
          `${expr}\n  ${firstLine(source.showAll(parsed.issues))}\n  ${firstLine(data.error ?? '')}`,
        );
      }
      continue;
    }
    if (parsed.issues !== undefined) {
      score.wrong.push(`${expr}: ${source.showAll(parsed.issues)}`);
      continue;
    }
    const shown = toDebugString(exprMessage(parsed.expr) as Printable, KindAdorner.singleton);
    if (shown !== data.ast) score.wrong.push(`${expr}\n${shown}\n${data.ast}`);
  }
  return score;
}

/** What CEL-go's checker test declares for all its cases. */
const VARIABLES: ReadonlyMap<string, types.CelType> = new Map([
  ['is', types.STRING],
  ['ii', types.INT],
  ['iu', types.UINT],
  ['iz', types.BOOL],
  ['ib', types.BYTES],
  ['id', types.DOUBLE],
  ['ix', types.NULL],
]);
const nothing = (): CelError => new CelError('not evaluated');
const FUNCTIONS = [
  overload('fg_s_0', 'fg_s() string', nothing),
  overload('fi_s_s_0', 'string->fi_s_s() string', nothing),
];

/** The fields of the messages that the cases name. */
function messageType(name: string): StructDeclaration | undefined {
  if (
    !/^google\.expr\.proto[23]\.test\.(?:TestAllTypes|NestedTestAllTypes|TestAllTypes\.NestedMessage)$/.test(
      name,
    )
  )
    return undefined;
  const prefix = name.replace(/\.(?:NestedTestAllTypes|TestAllTypes)(?:\.NestedMessage)?$/, '');
  const all = types.structOf(`${prefix}.TestAllTypes`);
  const nested = types.structOf(`${prefix}.TestAllTypes.NestedMessage`);
  const scalars: Readonly<Record<string, types.CelType>> = {
    int32: types.INT,
    int64: types.INT,
    uint32: types.UINT,
    uint64: types.UINT,
    fixed32: types.UINT,
    bool: types.BOOL,
    string: types.STRING,
    bytes: types.BYTES,
    float: types.DOUBLE,
    double: types.DOUBLE,
    nested_enum: types.INT,
    nested_message: nested,
    any: types.ANY,
    duration: types.DURATION,
    timestamp: types.TIMESTAMP,
    value: types.DYN,
    struct: types.mapOf(types.STRING, types.DYN),
    int64_wrapper: types.wrapperOf(types.INT),
    bool_wrapper: types.wrapperOf(types.BOOL),
    bytes_wrapper: types.wrapperOf(types.BYTES),
    double_wrapper: types.wrapperOf(types.DOUBLE),
    float_wrapper: types.wrapperOf(types.DOUBLE),
    int32_wrapper: types.wrapperOf(types.INT),
    string_wrapper: types.wrapperOf(types.STRING),
    uint32_wrapper: types.wrapperOf(types.UINT),
    uint64_wrapper: types.wrapperOf(types.UINT),
  };
  const field = (wanted: string): types.CelType | undefined => {
    if (name.endsWith('.NestedMessage')) return wanted === 'bb' ? types.INT : undefined;
    if (name.endsWith('.NestedTestAllTypes')) {
      return wanted === 'payload' ? all : wanted === 'child' ? types.structOf(name) : undefined;
    }
    const single = /^(?:single|standalone)_(\w+)$/.exec(wanted);
    if (single !== null) return scalars[single[1]];
    const repeated = /^repeated_(\w+)$/.exec(wanted);
    if (repeated !== null && scalars[repeated[1]] !== undefined) return types.listOf(scalars[repeated[1]]);
    const map = /^map_(string|bool|int32|int64|uint64)_(\w+)$/.exec(wanted);
    if (map !== null) {
      const value =
        map[2] === 'nested_type' ? types.structOf(`${prefix}.NestedTestAllTypes`) : scalars[map[2]];
      return value === undefined ? undefined : types.mapOf(scalars[map[1]], value);
    }
    return undefined;
  };
  return { name, field };
}

function checkerScore(cases: readonly SpecCase[]): Score {
  const score: Score = { wrong: [], otherWords: [], total: 0 };
  for (const data of cases) {
    score.total++;
    const { expr, container } = data.original;
    const variables = new Map(VARIABLES);
    const functions = [...FUNCTIONS];
    for (const entry of data.original.typeEnv ?? []) {
      if (entry.ident !== undefined) variables.set(entry.name, readType(entry.ident.type));
      for (const declared of entry.function?.overloads ?? []) {
        functions.push({
          ...overload(declared.overloadId, `${entry.name}() dyn`, nothing),
          instance: declared.isInstanceFunction === true,
          args: (declared.params ?? []).map(readType),
          result: readType(declared.resultType),
          typeParams: declared.typeParams ?? [],
        });
      }
    }
    const error = data.error ?? '';
    const environment = makeEnvironment({
      libraries: [
        // Some of the cases are about an environment without comparison of unlike numbers.
        ...standardLibrary(new RegexCache(), !/no matching overload for '_[<>]/.test(error)),
        OPTIONAL_LIBRARY,
        functions,
      ],
      macros: [...STANDARD_MACROS, ...OPTIONAL_MACROS],
      optionalSyntax: !error.includes('unsupported syntax'),
      variables,
      container: container ?? '',
      structs: messageType,
    });
    const source = new Source(expr, '');
    const parsed = parse(source, environment.parserOptions);
    const checked = parsed.issues === undefined ? check(parsed.expr, environment.checkerScope) : parsed;
    if (checked.issues !== undefined) {
      const text = source.showAll(checked.issues);
      if (data.checkedAst !== undefined) score.wrong.push(`${expr}: ${text}`);
      else if (firstLine(text) !== firstLine(error))
        score.otherWords.push(`${expr}\n  ${firstLine(text)}\n  ${firstLine(error)}`);
      continue;
    }
    if (data.checkedAst === undefined) {
      score.wrong.push(`${expr}: checked as ${checked.type.toString()}, wanted ${error}`);
      continue;
    }
    const shown = toDebugString(exprMessage(checked.expr, checked) as Printable, new CheckedAdorner(checked));
    if (shown !== data.checkedAst) score.wrong.push(`${expr}\n${shown}\n${data.checkedAst}`);
  }
  return score;
}

const report = (score: Score): string =>
  `${score.wrong.length} of ${score.total} wrong:\n${score.wrong.join('\n')}\n${score.otherWords.length} in other words:\n${score.otherWords.join('\n')}`;

test('at least 95 % of the parser’s tests, and the same words for most mistakes', () => {
  const score = parserScore();
  if (process.env['KEELSON_CEL_REPORT'] !== undefined) process.stdout.write(report(score));
  expect({ share: share(score) >= 0.95, report: score.wrong }).toMatchObject({ share: true });
  expect(score.otherWords.length).toBeLessThanOrEqual(8);
});

test('at least 95 % of the checker’s tests, and the same words for most mistakes', () => {
  const score = checkerScore(checking.tests as readonly SpecCase[]);
  if (process.env['KEELSON_CEL_REPORT'] !== undefined) process.stdout.write(report(score));
  expect({ share: share(score) >= 0.95, report: score.wrong }).toMatchObject({ share: true });
  expect(score.otherWords.length).toBeLessThanOrEqual(3);
});

/** How the data is ordered: what is true, what is refused, what fails while it runs or is a benchmark. */
const TRUE_CASES = 51;
const REFUSED_CASES = 20;

test('the comprehensions with two variables', () => {
  const environment = makeEnvironment({
    libraries: [
      ...standardLibrary(new RegexCache(), true),
      stringsLibrary(3),
      OPTIONAL_LIBRARY,
      TWO_VARIABLE_LIBRARY,
      EXTENDED_LISTS,
    ],
    macros: [...STANDARD_MACROS, ...OPTIONAL_MACROS, ...TWO_VARIABLE_MACROS],
    optionalSyntax: true,
    variables: new Map(),
  });
  const failures: string[] = [];
  const graded = { true: 0, refused: 0 };
  for (const [i, { original }] of (comprehension.tests as readonly SpecCase[]).entries()) {
    const { expr } = original;
    // cel.bind is no macro of Kubernetes, and the data does not say what the variables of some cases hold.
    if (expr.includes('cel.bind') || /\b[mxy]\./.test(expr)) continue;
    const compiled = compile(expr, environment);
    if (i >= TRUE_CASES) {
      if (i >= TRUE_CASES + REFUSED_CASES) break;
      graded.refused++;
      if (compiled.issues === undefined) failures.push(`${expr}: compiled`);
      continue;
    }
    graded.true++;
    if (compiled.issues !== undefined) {
      failures.push(`${expr}: ${compiled.text}`);
      continue;
    }
    const outcome = compiled.program.evaluate(new Map());
    if (outcome.kind !== 'value' || outcome.value !== true) failures.push(`${expr}: ${outcome.kind}`);
  }
  expect(failures).toEqual([]);
  expect(graded).toEqual({ true: 39, refused: 20 });
});
