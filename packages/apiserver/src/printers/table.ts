/**
 * Objects as meta.k8s.io Table, and as their metadata alone: what kubectl prints and what clients ask that
 * want no more. Pure; the columns come from the kind's printer, name and age where it has none.
 *
 * Modelled on apiserver's handlers/response.go.
 */

import type { KubeObject, ListMeta } from '../api/meta.ts';
import { ageOf } from './ages.ts';
import { AGE_COLUMN, NAME_COLUMN, type PrinterColumn, type TablePrinter } from './printer.ts';

/** What a row carries of its object. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Name and age. */
export const DEFAULT_PRINTER: TablePrinter = {
  columns: [NAME_COLUMN, AGE_COLUMN],
  cells: ({ metadata }, nowMs) => [metadata.name ?? '', ageOf(metadata.creationTimestamp, nowMs)],
};

const GROUP = 'meta.k8s.io';

export interface TableOptions {
  readonly printer: TablePrinter | undefined;
  /** `v1` or `v1beta1`. */
  readonly version: string;
  readonly include: IncludeObject;
  readonly nowMs: number;
  /** Without it the columns are left out: they were told in an event before. */
  readonly columns?: boolean;
}

/** A table of these objects. */
export function tableOf(
  objects: readonly KubeObject[],
  listMeta: ListMeta,
  { printer = DEFAULT_PRINTER, version, include, nowMs, columns = true }: TableOptions,
): KubeObject {
  // A list's metadata knows neither names nor labels, which is all right: an object's may lack them too.
  const metadata: KubeObject['metadata'] & ListMeta = listMeta;
  return {
    kind: 'Table',
    apiVersion: `${GROUP}/${version}`,
    metadata,
    columnDefinitions: columns ? printer.columns.map(definitionOf) : null,
    rows: objects.map((object) => ({
      cells: printer.cells(object, nowMs),
      ...rowObject(object, version, include),
    })),
  };
}

function definitionOf({ name, type, format, description, priority }: PrinterColumn): PrinterColumn {
  return { name, type, format, description, priority };
}

function rowObject(
  object: KubeObject,
  version: string,
  include: IncludeObject,
): { readonly object?: KubeObject | null } {
  switch (include) {
    case 'None':
      return { object: null };
    case 'Metadata':
      return { object: metadataOf(object, version) };
    case 'Object':
      return { object };
  }
}

/** PartialObjectMetadata. */
export function metadataOf({ metadata }: KubeObject, version: string): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `${GROUP}/${version}`, metadata };
}

/** PartialObjectMetadataList. */
export function metadataListOf(
  objects: readonly KubeObject[],
  listMeta: ListMeta,
  version: string,
): KubeObject {
  const metadata: KubeObject['metadata'] & ListMeta = listMeta;
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `${GROUP}/${version}`,
    metadata,
    items: objects.map((object) => metadataOf(object, version)),
  };
}
