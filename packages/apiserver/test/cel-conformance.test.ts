/**
 * The conformance tests of the language (cel-spec, as packed by @bufbuild/cel-spec): all that need no protobuf
 * messages and no library outside Kubernetes' environment.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { tests as conformance } from '@bufbuild/cel-spec/testdata/conformance.js';
import { makeEnvironment, standardLibrary, type Environment } from '../src/cel/environment.ts';
import { SETS_LIBRARY, TWO_VARIABLE_LIBRARY } from '../src/cel/library-collections.ts';
import { OPTIONAL_LIBRARY } from '../src/cel/library-optional.ts';
import { stringsLibrary } from '../src/cel/library-strings.ts';
import { OPTIONAL_MACROS, STANDARD_MACROS, TWO_VARIABLE_MACROS } from '../src/cel/macros.ts';
import { compile, evaluateUnchecked, type Outcome } from '../src/cel/program.ts';
import { RegexCache } from '../src/cel/regex.ts';
import {
  NeedsProto,
  readDeclarations,
  readType,
  readValue,
  sameValue,
  type SpecCase,
  type SpecSuite,
} from './cel-spec.ts';

/** Sections that are about libraries or types Kubernetes' environment does not have. */
const OUTSIDE: Readonly<Record<string, string>> = {
  bindings_ext: 'cel.bind is no macro of Kubernetes',
  block_ext: 'cel.block is an optimizer’s own',
  encoders_ext: 'base64 is no library of Kubernetes',
  math_ext: 'math is no library of Kubernetes',
  proto2_ext: 'protobuf extensions',
  dynamic: 'protobuf wrappers and Any',
  enums: 'protobuf enums',
  proto2: 'protobuf messages',
  proto3: 'protobuf messages',
  wrappers: 'protobuf wrappers',
  unknowns: 'partial evaluation; the section is empty',
};

/** Where Kubernetes' library, cel-go 0.26, answers otherwise: behind the end of a text nothing is found. */
const AS_CEL_GO: ReadonlySet<string> = new Set([
  "'tacocat'.indexOf('a', 30) == -1",
  "'tacocat'.lastIndexOf('a', 30) == -1",
]);

/** What kube-apiserver answers otherwise than the specification wants, and why; its answers are in the data cases. */
const UNLIKE: readonly { readonly why: string; readonly expressions: readonly string[] }[] = JSON.parse(
  readFileSync(new URL('./testdata/cel/unlike-spec.json', import.meta.url), 'utf8'),
);
const OTHERWISE: ReadonlySet<string> = new Set(UNLIKE.flatMap(({ expressions }) => expressions));

/** What an expression says when it needs messages. */
const MESSAGES =
  /TestAllTypes|google\.protobuf\.(?!Timestamp|Duration)|NestedTestAllTypes|proto[23]|GlobalEnum/;

function environmentOf(data: SpecCase['original']): Environment {
  const { variables, functions } = readDeclarations(data.typeEnv);
  return makeEnvironment({
    libraries: [
      ...standardLibrary(new RegexCache(), true),
      stringsLibrary(3),
      OPTIONAL_LIBRARY,
      TWO_VARIABLE_LIBRARY,
      SETS_LIBRARY,
      functions,
    ],
    macros:
      data.disableMacros === true ? [] : [...STANDARD_MACROS, ...OPTIONAL_MACROS, ...TWO_VARIABLE_MACROS],
    optionalSyntax: true,
    escapedIdentifiers: true,
    variables,
    container: data.container ?? '',
    foldConstants: false,
  });
}

/** What is wrong with the outcome; undefined when nothing is. */
function grade(data: SpecCase['original']): string | undefined {
  const environment = environmentOf(data);
  const bindings = new Map(
    Object.entries<{ readonly value: unknown }>(data.bindings ?? {}).map(([name, bound]) => [
      name,
      readValue(bound.value),
    ]),
  );
  let outcome: Outcome;
  if (data.disableCheck === true) {
    outcome = evaluateUnchecked(data.expr, environment, bindings);
  } else {
    const compiled = compile(data.expr, environment);
    if (compiled.issues !== undefined) {
      return data.evalError === undefined ? compiled.text : undefined;
    }
    const { program } = compiled;
    const deduced = data.typedResult?.deducedType;
    if (deduced !== undefined && program.type.toString() !== readType(deduced).toString()) {
      return `type ${program.type.toString()}, wanted ${readType(deduced).toString()}`;
    }
    if (data.checkOnly === true) return undefined;
    outcome = program.evaluate(bindings);
  }
  if (data.evalError !== undefined) {
    return outcome.kind === 'error' ? undefined : `wanted an error, got ${outcome.kind}`;
  }
  if (outcome.kind !== 'value') return `${outcome.kind}: ${'message' in outcome ? outcome.message : ''}`;
  const wanted = data.value ?? data.typedResult?.result ?? { boolValue: true };
  return sameValue(outcome.value, readValue(wanted))
    ? undefined
    : `another value than ${JSON.stringify(wanted)}`;
}

function collect(suite: SpecSuite): SpecCase[] {
  return [...(suite.tests ?? []), ...(suite.suites ?? []).flatMap(collect)];
}

const sections: readonly SpecSuite[] = conformance.suites ?? [];

test.each(
  sections.filter((section) => !(section.name in OUTSIDE)).map((section) => [section.name, section] as const),
)('conformance: %s', (_name, section) => {
  const failures: string[] = [];
  let graded = 0;
  for (const { original } of collect(section)) {
    if (MESSAGES.test(JSON.stringify({ expr: original.expr, container: original.container ?? '' }))) continue;
    if (OTHERWISE.has(original.expr)) continue;
    // They hold there, where the table has an error.
    const { evalError: _error, ...holds } = original;
    try {
      const wrong = grade(AS_CEL_GO.has(original.expr) ? holds : original);
      graded++;
      if (wrong !== undefined) failures.push(`${original.expr}\n    ${wrong}`);
    } catch (error) {
      if (!(error instanceof NeedsProto)) throw error;
    }
  }
  expect(failures).toEqual([]);
  expect(graded).toBeGreaterThan(0);
});

test('what is answered otherwise is in the specification, and little', () => {
  const all = new Set(sections.flatMap(collect).map(({ original }) => original.expr));
  for (const expression of OTHERWISE) expect(all).toContain(expression);
  expect(OTHERWISE.size).toBeLessThan(30);
});

test('the sections left out are the ones that are named', () => {
  const names = sections.map((section) => section.name);
  for (const name of Object.keys(OUTSIDE)) expect(names).toContain(name);
  const graded = sections.filter((section) => !(section.name in OUTSIDE)).flatMap(collect);
  expect(graded.length).toBeGreaterThan(1_200);
});
