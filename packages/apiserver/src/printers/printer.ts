/**
 * What a kind shows as a table: its columns and, for one object, their cells. Rendering (which columns, the
 * object behind a row) is table.ts; what each built-in kind shows stands in built-in-printers.ts.
 *
 * Modelled on metav1.Table and kubernetes' pkg/printers. Columns and cells are the original's, so that scripts
 * that read `kubectl get` find what they know; the descriptions are ours.
 */

import type { Json } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';

/** One column, metav1.TableColumnDefinition. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  /** `name` marks the column that holds the object's name; else mostly empty. */
  readonly format: string;
  readonly description: string;
  /** 0: shown always; 1: only where there is room (kubectl get -o wide). */
  readonly priority: number;
}

/** metav1.TableRowCondition: kubectl leaves out rows that have ended where nobody asked for them. */
export interface RowCondition {
  readonly type: 'Completed';
  readonly status: 'True';
  readonly reason: string;
  readonly message: string;
}

/** The cells of one object, as many as there are columns, those for `-o wide` too. */
export interface RowPrinter {
  /** @param nowMs wall clock, for ages */
  cells(object: KubeObject, nowMs: number): readonly Json[];
}

export interface TablePrinter extends RowPrinter {
  readonly columns: readonly PrinterColumn[];
  conditions?(object: KubeObject): readonly RowCondition[];
  /**
   * For kinds whose rows depend on each other: the objects of one table in the order of its rows, and who prints
   * them. Absent: in the order they are listed in, each by itself.
   */
  together?(objects: readonly KubeObject[]): RowPrinter & { readonly objects: readonly KubeObject[] };
}

type ColumnSettings = Partial<Pick<PrinterColumn, 'type' | 'format' | 'priority'>>;

/** A column with the usual settings: text, shown always. */
export function column(name: string, description: string, settings: ColumnSettings = {}): PrinterColumn {
  return { name, type: 'string', format: '', description, priority: 0, ...settings };
}

/** A column of whole numbers. */
export function counted(name: string, description: string): PrinterColumn {
  return column(name, description, { type: 'integer' });
}

/** A column that only `-o wide` shows. */
export function wide(name: string, description: string, settings: ColumnSettings = {}): PrinterColumn {
  return column(name, description, { priority: 1, ...settings });
}

/** The first column of almost every kind. */
export const NAME_COLUMN: PrinterColumn = column(
  'Name',
  'What the object is called, once in its namespace.',
  {
    format: 'name',
  },
);

/** How long ago the object was made, the last column of most kinds. */
export const AGE_COLUMN: PrinterColumn = column('Age', 'Time since the server made the object.');

/** When the object was made, for kinds that have no columns of their own. */
export const CREATED_COLUMN: PrinterColumn = column('Created At', 'When the server made the object.', {
  type: 'date',
});

/** A printer for objects in another version than the one it reads; for kinds whose rows stand alone. */
export function printedAs(
  { columns, cells }: Pick<TablePrinter, 'columns' | 'cells'>,
  convert: (object: KubeObject) => KubeObject,
): TablePrinter {
  return { columns, cells: (object, nowMs) => cells(convert(object), nowMs) };
}
