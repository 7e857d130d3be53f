/**
 * Objects as meta.k8s.io Table, and as their metadata alone: what kubectl prints and what clients ask that
 * want no more. Pure; the columns come from the kind's printer, the name and when it was made where it has none.
 *
 * Modelled on apiserver's handlers/response.go and registry/rest/table.go.
 */

import type { KubeObject, ListMeta } from '../api/meta.ts';
import { formatTime, ZERO_SECONDS } from '../codec/times.ts';
import { timeMs } from './ages.ts';
import {
  CREATED_COLUMN,
  NAME_COLUMN,
  type PrinterColumn,
  type RowPrinter,
  type TablePrinter,
} from './printer.ts';

/** What a row carries of its object. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Name and time of creation. */
export const DEFAULT_PRINTER: TablePrinter = {
  columns: [NAME_COLUMN, CREATED_COLUMN],
  cells({ metadata }) {
    const ms = timeMs(metadata.creationTimestamp);
    return [metadata.name ?? '', formatTime(ms === undefined ? ZERO_SECONDS : ms / 1000)];
  },
};

const GROUP = 'meta.k8s.io';

export interface TableOptions {
  readonly printer: TablePrinter | undefined;
  /** `v1` or `v1beta1`. */
  readonly version: string;
  readonly include: IncludeObject;
  readonly nowMs: number;
  /** Who prints these rows where they are a part of those that are made together, and in their order. */
  readonly rows?: RowPrinter | undefined;
  /** Without it the columns are left out: they were told in an event before. */
  readonly columns?: boolean;
}

/** A table of these objects. */
export function tableOf(
  objects: readonly KubeObject[],
  listMeta: ListMeta,
  { printer = DEFAULT_PRINTER, version, include, nowMs, rows: known, columns = true }: TableOptions,
): KubeObject {
  // A list's metadata knows neither names nor labels, which is all right: an object's may lack them too.
  const metadata: KubeObject['metadata'] & ListMeta = listMeta;
  const together = known === undefined ? printer.together?.(objects) : undefined;
  const rows = known ?? together ?? printer;
  return {
    kind: 'Table',
    apiVersion: `${GROUP}/${version}`,
    metadata,
    columnDefinitions: columns ? printer.columns.map(definitionOf) : null,
    rows: (together?.objects ?? objects).map((object) => {
      const conditions = printer.conditions?.(object) ?? [];
      return {
        cells: rows.cells(object, nowMs),
        ...(conditions.length === 0 ? {} : { conditions }),
        ...rowObject(object, version, include),
      };
    }),
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
