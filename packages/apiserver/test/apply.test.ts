import { describe, expect, test } from '@jest/globals';

import { isJsonObject, type Json } from '../src/api/json.ts';
import { caseFiles, readCases, Runner } from './apply-cases.ts';

/** What the cases cover; a rule without a case, or a case of an unknown rule, is a mistake. */
const RULES = [
  'apply',
  'atomic-list',
  'atomic-map',
  'before-first-apply',
  'builtin',
  'cap',
  'conflict',
  'conflict-text',
  'create',
  'dangling',
  'decode-error',
  'deduced',
  'default-keys',
  'duplicates',
  'empty-container',
  'empty-manager',
  'error',
  'field-override',
  'fieldsv1',
  'force',
  'form-change',
  'granular-map',
  'identifiers',
  'keep-managed',
  'keys',
  'last-applied',
  'leaf',
  'list-map',
  'metadata',
  'names',
  'no-op',
  'null',
  'obsolete',
  'order',
  'preserve-unknown',
  'prune',
  'raw',
  'reset-fields',
  'reset-managed',
  'schema-change',
  'set',
  'set-managed',
  'shared-ownership',
  'skip-non-applied',
  'strip',
  'struct',
  'subresource',
  'time',
  'unknown-field',
  'update-adds',
  'update-moves',
  'update-removes',
  'version',
  'versions',
];

const runner = new Runner();

for (const file of caseFiles()) {
  describe(`cases of ${file}`, () => {
    test.each(readCases(file).map((given) => [given.name, given] as const))('%s', (_name, given) => {
      const outcome = runner.run(given);
      expect(outcome.errors).toEqual(given.steps.map(({ error }) => error));
      expect(outcome.object).toEqual(given.object);
      // As text: the order of entries and of path elements is part of the contract.
      expect(outcome.managed.map(entryText)).toEqual(given.managed.map(entryText));
    });
  });
}

test('each rule has a case, each case a rule and a source', () => {
  const cases = caseFiles().flatMap(readCases);
  expect(cases.length).toBeGreaterThanOrEqual(200);
  expect([...new Set(cases.flatMap(({ rules }) => rules ?? []))].toSorted()).toEqual(RULES);
  expect(cases.filter(({ source, rules }) => source === '' || rules === undefined)).toEqual([]);
});

function entryText(entry: Json): string {
  if (!isJsonObject(entry)) return '';
  const { fieldsV1, ...rest } = entry;
  return `${JSON.stringify(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)))} ${JSON.stringify(fieldsV1)}`;
}
