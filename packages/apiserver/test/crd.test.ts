/**
 * Custom resources by data: what of a definition and of its schema is refused, what of an object, what is taken out of
 * one and filled in, what rules say, what columns show. Each case names the upstream table or rule it covers; texts are
 * the original's.
 */

import { describe, expect, test } from '@jest/globals';

import { CelError } from '../src/cel/values.ts';
import { RegexCache } from '../src/cel/regex.ts';
import { Structural } from '../src/schema/structural.ts';
import { finish, WITHOUT_PAUSE } from '../src/api/sliced.ts';
import { valueErrors } from '../src/crd/validate-value.ts';
import {
  casesOf,
  runColumn,
  runDefault,
  runDefinition,
  runPrune,
  runValue,
  type ColumnCase,
  type DefinitionCase,
  type ShapeCase,
  type ValueCase,
} from './crd-cases.ts';

const files = {
  definitions: casesOf<DefinitionCase>('definitions.json'),
  schemas: casesOf<DefinitionCase>('schemas.json'),
  values: casesOf<ValueCase>('values.json'),
  rules: casesOf<ValueCase>('rules.json'),
  ruleTexts: casesOf<DefinitionCase>('rule-texts.json'),
  ruleFailures: casesOf<ValueCase>('rule-failures.json'),
  prune: casesOf<ShapeCase>('prune.json'),
  defaults: casesOf<ShapeCase>('defaults.json'),
  columns: casesOf<ColumnCase>('columns.json'),
};

/** A table of cases by their names. */
function named<T extends { readonly name: string }>(cases: readonly T[]): [string, T][] {
  return cases.map((each) => [each.name, each]);
}

describe('a definition', () => {
  test.each(named(files.definitions))('%s', (_name, each) => {
    expect(runDefinition(each)).toEqual(each.errors);
  });
});

describe('a schema', () => {
  test.each(named(files.schemas))('%s', (_name, each) => {
    expect(runDefinition(each)).toEqual(each.errors);
  });
});

describe('a value', () => {
  test.each(named(files.values))('%s', (_name, each) => {
    expect(runValue(each)).toEqual(each.errors);
  });
});

describe('a rule', () => {
  test.each(named(files.rules))('%s', (_name, each) => {
    expect(runValue(each)).toEqual(each.errors);
  });
});

describe('what is said of an expression when it is defined', () => {
  test.each(named(files.ruleTexts))('%s', (_name, each) => {
    expect(runDefinition(each)).toEqual(each.errors);
  });
});

describe('what is said of an expression when it is evaluated', () => {
  test.each(named(files.ruleFailures))('%s', (_name, each) => {
    expect(runValue(each)).toEqual(each.errors);
  });
});

describe('pruning', () => {
  test.each(named(files.prune))('%s', (_name, each) => {
    const { result, unknown } = runPrune(each);
    expect({ result, unknown }).toEqual({ result: each.result, unknown: each.unknown });
    // What loses nothing is the same value.
    if (JSON.stringify(result) === JSON.stringify(each.value)) expect(result).toBe(each.value);
  });
});

describe('defaulting', () => {
  test.each(named(files.defaults))('%s', (_name, each) => {
    const before = JSON.stringify(each.value);
    expect(runDefault(each)).toEqual(each.result);
    expect(JSON.stringify(each.value)).toBe(before);
  });
});

describe('a column', () => {
  test.each(named(files.columns))('%s', (_name, each) => {
    expect(runColumn(each, Date.UTC(2026, 0, 1))).toEqual(each.cell);
  });
});

test('each case is told apart and says what it covers', () => {
  let count = 0;
  for (const cases of Object.values(files)) {
    for (const { name, covers } of cases) {
      count += 1;
      expect(name).not.toBe('');
      expect(covers).not.toBe('');
    }
  }
  expect(count).toBeGreaterThanOrEqual(600);
});

test('a hostile pattern is answered in linear time', () => {
  const patterns = new RegexCache();
  expect(patterns.compile('^(([a-z])+.)+[A-Z]([a-z])+$')).not.toBeInstanceOf(CelError);
  const schema = new Structural({ type: 'string', pattern: '^(([a-z])+.)+[A-Z]([a-z])+$' });
  const value = 'a'.repeat(20_000);
  expect(finish(valueErrors({ schema, value, at: 'x', patterns }, WITHOUT_PAUSE))).toHaveLength(1);
});
