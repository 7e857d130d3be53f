/**
 * Which fields of which kind a selector may name, what they are worth for an object, and what is said of others.
 * The data names the kinds that know fields of their own, and some of those that know only their metadata.
 */

import { readFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { matchesFields } from '../src/api/selectors.ts';
import { ApiError } from '../src/api/status.ts';
import { describeResource, type ObjectMeta } from '../src/api/meta.ts';
import { STORED_KINDS } from '../src/registry/kinds/built-in.ts';
import type { ResourceDefinition } from '../src/registry/resource.ts';
import { selectionOf } from '../src/registry/selection.ts';

interface Case {
  readonly resource: string;
  /** As it is stored. */
  readonly object: { readonly metadata: ObjectMeta };
  /** What clients may name, with the value that selects the object. */
  readonly fields: Readonly<Record<string, string>>;
  readonly refused: Readonly<Record<string, string>>;
}

const cases = JSON.parse(
  readFileSync(new URL('testdata/field-selectors/kinds.json', import.meta.url), 'utf8'),
) as Case[];

function kindOf(name: string): ResourceDefinition {
  const found = STORED_KINDS.find((kind) => describeResource(kind) === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
}

function selects(kind: ResourceDefinition, { metadata, ...rest }: Case['object'], selector: string): boolean {
  const object = { apiVersion: 'v1', kind: kind.kind, metadata, ...rest };
  return matchesFields(selectionOf(kind, '', selector).fields, {
    ...kind.selectable?.values(object),
    'metadata.name': metadata.name ?? '',
    'metadata.namespace': metadata.namespace ?? '',
  });
}

function refusal(kind: ResourceDefinition, selector: string): string {
  try {
    selectionOf(kind, '', selector);
  } catch (error) {
    if (error instanceof ApiError) return `${error.status.code} ${error.status.message}`;
    throw error;
  }
  return 'taken';
}

describe.each(cases.map((each, index) => [`${each.resource} (${index})`, each] as const))(
  '%s',
  (_name, { resource, object, fields, refused }) => {
    const kind = kindOf(resource);

    test('fields that are known select by their values', () => {
      for (const [field, value] of Object.entries(fields)) {
        expect([field, selects(kind, object, `${field}=${value}`)]).toEqual([field, true]);
        expect([field, selects(kind, object, `${field}!=${value}`)]).toEqual([field, false]);
        expect([field, selects(kind, object, `${field}=else`)]).toEqual([field, false]);
      }
    });

    test('others are refused', () => {
      for (const [field, text] of Object.entries(refused)) {
        expect(refusal(kind, `${field}=x`)).toBe(`400 ${text}`);
      }
    });
  },
);

test('every kind with fields of its own is in the data, with all of them', () => {
  for (const kind of STORED_KINDS) {
    if (kind.selectable === undefined) continue;
    const { names, aliases = {}, hidden = [] } = kind.selectable;
    const known = new Set([...names.filter((name) => !hidden.includes(name)), ...Object.keys(aliases)]);
    for (const { resource, fields } of cases) {
      if (resource === describeResource(kind)) for (const field of Object.keys(fields)) known.delete(field);
    }
    expect([describeResource(kind), [...known]]).toEqual([describeResource(kind), []]);
  }
});
