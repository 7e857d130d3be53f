/**
 * The columns of `kubectl get` for every kind, by data: objects as requests decode them, and their rows. Each rule
 * of the original's cells has a row. PRINTERS_REWRITE=1 writes what the code says into the data; such a diff is
 * read line by line.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { Json, JsonObject } from '../src/api/json.ts';
import { describeResource, type KubeObject } from '../src/api/meta.ts';
import { conform } from '../src/codec/typed.ts';
import { BUILT_IN_PRINTERS } from '../src/printers/built-in-printers.ts';
import type { TablePrinter } from '../src/printers/printer.ts';
import { DEFAULT_PRINTER, tableOf } from '../src/printers/table.ts';
import { scalePrinter } from '../src/printers/workload-printers.ts';
import { builtInResources, STORED_KINDS } from '../src/registry/kinds/built-in.ts';
import type { ResourceDefinition, VersionDefinition } from '../src/registry/resource.ts';
import { TypeTable } from '../src/schema/type-table.ts';

interface Case {
  readonly name: string;
  readonly resource: string;
  readonly version?: string;
  /** The objects stand as they are written, as they may have been stored before a field had a default. */
  readonly withoutDefaults?: boolean;
  readonly objects: readonly JsonObject[];
  /** Cells of each row, in the order of the rows. */
  rows?: readonly (readonly Json[])[];
  /** Reason of the condition of the first row, where it has one. */
  condition?: string;
}

const FOLDER = new URL('testdata/printers/', import.meta.url);
const REWRITE = process.env['PRINTERS_REWRITE'] === '1';
const NOW_MS = Date.UTC(2026, 0, 10, 12);
const types = new TypeTable();
const schemaProps = types.struct('apiextensions.v1.JSONSchemaProps');
const kinds = builtInResources(types);

function kindOf(name: string): ResourceDefinition {
  const found = kinds.find((kind) => describeResource(kind) === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
}

function versionNamed(kind: ResourceDefinition, name: string | undefined): VersionDefinition {
  return kind.versions.find(({ version }) => version === name) ?? kind.versions[0];
}

function decoded(each: Case, object: JsonObject): KubeObject {
  const kind = kindOf(each.resource);
  const version = versionNamed(kind, each.version);
  const apiVersion = kind.group === '' ? version.version : `${kind.group}/${version.version}`;
  const named = { apiVersion, kind: kind.kind, ...object };
  const typed = conform(types.struct(version.typeName), named, { schemaProps }) as unknown as KubeObject;
  return each.withoutDefaults === true ? typed : (version.defaults?.(typed) ?? typed);
}

interface Row {
  readonly cells: readonly Json[];
  readonly conditions?: readonly { readonly type: string; readonly reason: string }[];
}

function rowsOf(each: Case): readonly Row[] {
  const { printer } = versionNamed(kindOf(each.resource), each.version);
  const objects = each.objects.map((object) => decoded(each, object));
  const table = tableOf(objects, {}, { printer, version: 'v1', include: 'None', nowMs: NOW_MS });
  return table['rows'] as readonly Row[];
}

/** `Name string name`, `IP string wide`. */
function columnsOf(printer: TablePrinter): string[] {
  return printer.columns.map(({ name, type, format, priority }) =>
    [`${name}:`, type, ...(format === '' ? [] : [format]), ...(priority === 0 ? [] : ['wide'])].join(' '),
  );
}

const all: Case[] = [];
for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.json') && name !== 'columns.json')) {
  const cases = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Case[];
  all.push(...cases);
  if (REWRITE) {
    for (const each of cases) {
      const rows = rowsOf(each);
      each.rows = rows.map(({ cells }) => cells);
      const reason = rows[0].conditions?.[0].reason;
      if (reason !== undefined) each.condition = reason;
    }
    writeFileSync(new URL(file, FOLDER), `${JSON.stringify(cases, null, 2)}\n`);
  }
  describe(file, () => {
    test.each(cases.map((each) => [`${each.resource}: ${each.name}`, each] as const))('%s', (_name, each) => {
      const rows = rowsOf(each);
      expect(rows.map(({ cells }) => cells)).toEqual(each.rows);
      expect(rows[0].conditions?.[0].reason).toBe(each.condition);
      const { printer = DEFAULT_PRINTER } = versionNamed(kindOf(each.resource), each.version);
      for (const { cells } of rows) expect(cells).toHaveLength(printer.columns.length);
    });
  });
}

test('every kind has a case, those of every day several', () => {
  const counts = new Map<string, number>();
  for (const { resource } of all) counts.set(resource, (counts.get(resource) ?? 0) + 1);
  const daily =
    'pods services nodes namespaces configmaps secrets events persistentvolumes persistentvolumeclaims ' +
    'deployments.apps replicasets.apps statefulsets.apps daemonsets.apps jobs.batch cronjobs.batch ' +
    'ingresses.networking.k8s.io horizontalpodautoscalers.autoscaling';
  const few = STORED_KINDS.map(describeResource).filter(
    (name) => (counts.get(name) ?? 0) < (daily.split(' ').includes(name) ? 3 : 1),
  );
  expect(few).toEqual([]);
});

test('columns: names, types, and which are shown only where there is room', () => {
  const found: Record<string, string[]> = { '(others)': columnsOf(DEFAULT_PRINTER) };
  for (const [name, printer] of BUILT_IN_PRINTERS) found[name] = columnsOf(printer);
  found['(scale)'] = columnsOf(scalePrinter);
  const at = new URL('columns.json', FOLDER);
  if (REWRITE) writeFileSync(at, `${JSON.stringify(found, null, 2)}\n`);
  expect(found).toEqual(JSON.parse(readFileSync(at, 'utf8')));
});

test('every column says what it shows', () => {
  const silent = [...BUILT_IN_PRINTERS].flatMap(([name, { columns }]) =>
    columns.filter(({ description }) => description === '').map((column) => `${name} ${column.name}`),
  );
  expect(silent).toEqual([]);
});

test('printers stand under names of resources', () => {
  // Component statuses are looked up, not stored, and come with who looks them up.
  const names = new Set([...kinds.map(describeResource), 'componentstatuses']);
  expect([...BUILT_IN_PRINTERS.keys()].filter((name) => !names.has(name))).toEqual([]);
});

test.each<[string, JsonObject, readonly Json[]]>([
  [
    'well',
    { conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }] },
    ['etcd-0', 'Healthy', 'ok', ''],
  ],
  [
    'not well',
    { conditions: [{ type: 'Healthy', status: 'False', error: 'refused' }] },
    ['etcd-0', 'Unhealthy', '', 'refused'],
  ],
  ['silent', {}, ['etcd-0', 'Unknown', '', '']],
])('componentstatuses: %s', (_name, fields, wanted) => {
  const object = { apiVersion: 'v1', kind: 'ComponentStatus', metadata: { name: 'etcd-0' }, ...fields };
  expect(BUILT_IN_PRINTERS.get('componentstatuses')?.cells(object, NOW_MS)).toEqual(wanted);
});

test('a scale', () => {
  const metadata = { name: 'web', creationTimestamp: '2026-01-10T11:00:00Z' };
  const object = {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata,
    spec: { replicas: 3 },
    status: { replicas: 2 },
  };
  expect(scalePrinter.cells(object, NOW_MS)).toEqual(['web', 3, 2, '60m']);
});
