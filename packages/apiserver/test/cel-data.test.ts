/**
 * Our own cases for the libraries, messages and costs of Kubernetes' expressions (testdata/cel): each group names the
 * upstream table or rule it covers.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { type Json, type JsonObject } from '../src/api/json.ts';
import { finish } from '../src/api/sliced.ts';
import { declareSchema, sizesOf, structsOf } from '../src/cel/declarations.ts';
import { BaseEnvironment, CURRENT_VERSION } from '../src/cel/environment.ts';
import { typedResult, untypedValue } from '../src/cel/json-values.ts';
import { AUTHORIZER_TYPES, AuthorizerValue } from '../src/cel/library-authorizer.ts';
import { JSON_PATCH_LIBRARY } from '../src/cel/library-jsonpatch.ts';
import { compile, type Outcome } from '../src/cel/program.ts';
import { DYN, type CelType } from '../src/cel/types.ts';
import { type Value } from '../src/cel/values.ts';

interface Group<T> {
  readonly covers: string;
  readonly cases: readonly T[];
}

function read<T>(name: string): readonly Group<T>[] {
  return JSON.parse(readFileSync(new URL(`./testdata/cel/${name}.json`, import.meta.url), 'utf8'));
}

const USER = { name: 'jane', uid: '', groups: [], extra: {} };
const ALLOW = new AuthorizerValue(USER, () => ({ kind: 'allow', reason: '' }));

/** Every wrong case with what was wrong, so that one run shows all. */
function grade<T>(groups: readonly Group<T>[], wrong: (data: T) => string | undefined): void {
  const failures: string[] = [];
  for (const { covers, cases } of groups) {
    expect(covers).not.toBe('');
    for (const data of cases) {
      const message = wrong(data);
      if (message !== undefined) failures.push(`${covers}: ${JSON.stringify(data)}\n    ${message}`);
    }
  }
  expect(failures).toEqual([]);
}

interface CostCase {
  readonly expr: string;
  readonly estimate: readonly [number, number];
  readonly runtime: number;
}

test('costs before and while an expression runs', () => {
  // The tables upstream are of an environment that folds no constants and takes lists of unlike elements.
  const environment = new BaseEnvironment(CURRENT_VERSION).extend(
    { authorizer: AUTHORIZER_TYPES.authorizer },
    undefined,
    {
      foldConstants: false,
      homogeneousLiterals: false,
      validatesLiterals: false,
      libraries: [JSON_PATCH_LIBRARY],
    },
  );
  grade(read<CostCase>('costs'), ({ expr, estimate, runtime }) => {
    const { program, ...refused } = compile(expr, environment);
    if (program === undefined) return JSON.stringify(refused);
    const range = program.estimate(({ type }) =>
      type.kind === 'string' || type.kind === 'bytes' ? { min: 0, max: 12 } : undefined,
    );
    if (range.min !== estimate[0] || range.max !== estimate[1])
      return `estimated ${range.min} to ${range.max}`;
    const outcome = program.evaluate(new Map<string, Value>([['authorizer', ALLOW]]));
    if (outcome.kind !== 'value') return JSON.stringify(outcome);
    return outcome.cost === runtime ? undefined : `cost ${outcome.cost}`;
  });
});

/** Of an outcome, what can be compared. */
function shown({ kind, cost, ...rest }: Outcome): readonly unknown[] {
  return [kind, cost, 'message' in rest ? rest.message : undefined];
}

interface LibraryCase {
  readonly expr: string;
  /** The error at run time; without it the expression is true. */
  readonly error?: string;
  /** The text of what is wrong with it. */
  readonly issue?: string;
  /** Why it fails over anything: a constant in it is no value of its type. */
  readonly failure?: string;
}

test.each(['libraries', 'language', 'messages'])('expressions: %s', (name) => {
  const environment = new BaseEnvironment(CURRENT_VERSION).extend({
    authorizer: AUTHORIZER_TYPES.authorizer,
    object: DYN,
  });
  const object: Json = {
    metadata: { name: 'web', labels: { 'a-b': 'c' } },
    spec: { replicas: 3, ratio: 0.5, ports: [80, 443] },
    none: null,
  };
  const bindings = new Map<string, Value>([
    ['authorizer', ALLOW],
    ['object', untypedValue(object)],
  ]);
  grade(read<LibraryCase>(name), ({ expr, error, issue, failure }) => {
    const compiled = compile(expr, environment);
    if (compiled.issues !== undefined) return compiled.text === issue ? undefined : compiled.text;
    if (issue !== undefined) return 'compiled';
    if (failure !== undefined || compiled.program.failure !== undefined) {
      return compiled.program.failure === failure ? undefined : `fails: ${compiled.program.failure ?? 'no'}`;
    }
    const outcome = compiled.program.evaluate(bindings);
    // Put down wherever that is possible it comes to the same, at the same cost.
    const paced = finish(compiled.program.sliced(bindings, Number.POSITIVE_INFINITY, { due: () => true }));
    if (JSON.stringify(shown(paced)) !== JSON.stringify(shown(outcome))) return 'another outcome in slices';
    if (error !== undefined) {
      if (outcome.kind === 'error' && outcome.message === error) return undefined;
      return outcome.kind === 'error' ? outcome.message : outcome.kind;
    }
    if (outcome.kind !== 'value') return 'message' in outcome ? outcome.message : outcome.kind;
    return outcome.value === true ? undefined : 'not true';
  });
});

interface VersionCase {
  readonly expr: string;
  readonly since: number;
}

test('what each version knows', () => {
  const versions = [23, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36];
  const environments = versions.map((version) =>
    new BaseEnvironment(version).extend({ authorizer: AUTHORIZER_TYPES.authorizer }),
  );
  grade(read<VersionCase>('versions'), ({ expr, since }) => {
    const knowing = versions.filter((_version, i) => compile(expr, environments[i]).issues === undefined);
    const wanted = versions.filter((version) => version >= since);
    return String(knowing) === String(wanted) ? undefined : `known in ${String(knowing)}`;
  });
});

interface RuleCase {
  readonly schema: JsonObject;
  readonly rule: string;
  readonly self?: Json;
  readonly oldSelf?: Json;
  readonly result?: boolean;
  readonly error?: string;
  readonly issue?: string;
  /** The most the rule may cost by the estimate. */
  readonly costMax?: number;
}

test('rules of custom resources', () => {
  const base = new BaseEnvironment(CURRENT_VERSION);
  grade(read<RuleCase>('rules'), ({ schema, rule, self, oldSelf, result, error, issue, costMax }) => {
    const declaration = declareSchema(schema, 'selfType', false);
    if (declaration === undefined) return 'no declaration';
    const variables: Record<string, CelType> = { self: declaration.type, oldSelf: declaration.type };
    const compiled = compile(rule, base.extend(variables, structsOf(declaration)));
    if (compiled.issues !== undefined) return compiled.text === issue ? undefined : compiled.text;
    if (issue !== undefined) return 'compiled';
    if (costMax !== undefined) {
      const estimate = compiled.program.estimate(sizesOf({ self: declaration, oldSelf: declaration }));
      if (estimate.max !== costMax) return `may cost ${estimate.max}`;
    }
    if (self === undefined) return undefined;
    const bindings = new Map([['self', typedResult(self, declaration)]]);
    if (oldSelf !== undefined) bindings.set('oldSelf', typedResult(oldSelf, declaration));
    const outcome = compiled.program.evaluate(bindings);
    if (error !== undefined)
      return outcome.kind === 'error' && outcome.message === error
        ? undefined
        : JSON.stringify(outcome, String);
    if (outcome.kind !== 'value') return 'message' in outcome ? outcome.message : outcome.kind;
    return outcome.value === (result ?? true) ? undefined : 'another result';
  });
});

test('at least 300 cases', () => {
  const names = ['costs', 'libraries', 'language', 'messages', 'versions', 'rules'];
  const count = names
    .flatMap((name) => read<unknown>(name))
    .reduce((total, group) => total + group.cases.length, 0);
  expect(count).toBeGreaterThanOrEqual(300);
});
