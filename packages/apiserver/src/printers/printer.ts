/**
 * What a kind shows as a table: its columns and, for one object, their cells. Rendering (which columns, the
 * object behind a row) is table.ts; each kind's printer stands with its strategy.
 *
 * Modelled on metav1.Table and kubernetes' pkg/printers.
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

export interface TablePrinter {
  readonly columns: readonly PrinterColumn[];
  /**
   * The cells of one object, as many as there are columns.
   *
   * @param nowMs wall clock, for ages
   */
  cells(object: KubeObject, nowMs: number): readonly Json[];
}

/** A column with the usual settings: text, shown always, no description. */
export function column(name: string, settings: Partial<Omit<PrinterColumn, 'name'>> = {}): PrinterColumn {
  return { name, type: 'string', format: '', description: '', priority: 0, ...settings };
}

/** A column that only `-o wide` shows. */
export function wide(name: string, settings: Partial<Omit<PrinterColumn, 'name'>> = {}): PrinterColumn {
  return column(name, { priority: 1, ...settings });
}

/** The first column of almost every kind. */
export const NAME_COLUMN: PrinterColumn = column('Name', {
  format: 'name',
  description:
    'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically.',
});

/** How long ago the object was made, the last column of most kinds. */
export const AGE_COLUMN: PrinterColumn = column('Age', {
  description: 'CreationTimestamp is a timestamp representing the server time when this object was created.',
});
