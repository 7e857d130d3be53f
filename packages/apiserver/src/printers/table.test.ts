import { expect, test } from '@jest/globals';

import type { KubeObject } from '../api/meta.ts';
import { agePrinter } from './cluster-printers.ts';
import { printedAs } from './printer.ts';
import { DEFAULT_PRINTER, metadataListOf, metadataOf, tableOf, type IncludeObject } from './table.ts';

const NOW_MS = Date.UTC(2026, 0, 10, 12);
const OBJECT: KubeObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', creationTimestamp: '2026-01-10T11:00:00Z', labels: { x: 'y' } },
  data: { a: '1' },
};
const METADATA = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: OBJECT.metadata };

test.each<[IncludeObject, unknown]>([
  ['None', null],
  ['Metadata', METADATA],
  ['Object', OBJECT],
])('a row with the object as %s', (include, wanted) => {
  const table = tableOf([OBJECT], {}, { printer: agePrinter, version: 'v1', include, nowMs: NOW_MS });
  expect(table['rows']).toEqual([{ cells: ['a', '60m'], object: wanted }]);
});

test('a table of a page says where it ends', () => {
  const page = { resourceVersion: '7', continue: 'token', remainingItemCount: 3 };
  const options = { printer: agePrinter, version: 'v1', include: 'None', nowMs: NOW_MS } as const;
  expect(tableOf([], page, options)).toMatchObject({
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: page,
    rows: [],
  });
  expect(tableOf([], page, { ...options, version: 'v1beta1' }).apiVersion).toBe('meta.k8s.io/v1beta1');
});

test('columns are told once', () => {
  const options = { printer: agePrinter, version: 'v1', include: 'None', nowMs: NOW_MS } as const;
  expect(tableOf([OBJECT], {}, { ...options, columns: false })['columnDefinitions']).toBeNull();
  expect(tableOf([OBJECT], {}, options)['columnDefinitions']).toEqual([
    { name: 'Name', type: 'string', format: 'name', description: expect.any(String), priority: 0 },
    { name: 'Age', type: 'string', format: '', description: expect.any(String), priority: 0 },
  ]);
});

test('a kind without columns tells when it was made, and the first instant of all for an object that does not say', () => {
  expect(DEFAULT_PRINTER.cells(OBJECT, NOW_MS)).toEqual(['a', '2026-01-10T11:00:00Z']);
  expect(DEFAULT_PRINTER.cells({ ...OBJECT, metadata: { name: 'b' } }, NOW_MS)).toEqual([
    'b',
    '0001-01-01T00:00:00Z',
  ]);
});

test('an object of another version is printed as the one the printer reads, and stands behind its row as it is', () => {
  const named = printedAs(agePrinter, (object) => ({
    ...object,
    metadata: { ...object.metadata, name: 'b' },
  }));
  const table = tableOf([OBJECT], {}, { printer: named, version: 'v1', include: 'Metadata', nowMs: NOW_MS });
  expect(table['rows']).toEqual([{ cells: ['b', '60m'], object: METADATA }]);
});

test('metadata alone, of one and of a list', () => {
  expect(metadataOf(OBJECT, 'v1')).toEqual(METADATA);
  expect(metadataListOf([OBJECT], { resourceVersion: '7' }, 'v1')).toEqual({
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion: '7' },
    items: [METADATA],
  });
});
