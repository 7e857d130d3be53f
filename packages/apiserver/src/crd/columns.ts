/**
 * The table of a custom resource: its name, then the columns of its definition, each the first thing its path finds;
 * the age where the definition names none.
 *
 * Modelled on apiextensions-apiserver's tableconvertor.
 */

import { JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { asJson } from '../codec/object-codec.ts';
import { parseTime } from '../codec/times.ts';
import { ageOf } from '../printers/ages.ts';
import { NAME_COLUMN, type PrinterColumn, type TablePrinter } from '../printers/printer.ts';
import { count, text } from '../validation/value.ts';
import { JsonPath } from './json-path.ts';
import { textOf } from './correlated.ts';

const AGE: JsonObject = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since the server made the object.',
};

interface Column {
  readonly shown: PrinterColumn;
  readonly path: JsonPath;
}

/** @param columns additionalPrinterColumns of a version */
export function customPrinter(columns: readonly JsonObject[]): TablePrinter {
  const made: Column[] = [];
  for (const column of columns.length === 0 ? [AGE] : columns) {
    const path = JsonPath.parse(text(column, 'jsonPath'));
    // The original stops at a path it cannot read as well.
    if (path === undefined) break;
    made.push({ shown: columnOf(column), path });
  }
  return {
    columns: [NAME_COLUMN, ...made.map(({ shown }) => shown)],
    cells(object, nowMs) {
      const value = asJson(object);
      const cells: Json[] = [object.metadata.name ?? ''];
      for (const { shown, path } of made) cells.push(cellOf(shown.type, path.find(value).at(0), nowMs));
      return cells;
    },
  };
}

function columnOf(column: JsonObject): PrinterColumn {
  const described = text(column, 'description');
  return {
    name: text(column, 'name'),
    type: typeOf(text(column, 'type')),
    format: text(column, 'format'),
    description:
      described === ''
        ? `Custom resource definition column (in JSONPath format): ${text(column, 'jsonPath')}`
        : described,
    priority: count(column, 'priority'),
  };
}

function typeOf(type: string): PrinterColumn['type'] {
  switch (type) {
    case 'integer':
    case 'number':
    case 'boolean':
    case 'date':
      return type;
    default:
      return 'string';
  }
}

function cellOf(type: PrinterColumn['type'], value: Json | undefined, nowMs: number): Json {
  if (value === undefined) return null;
  switch (type) {
    case 'string':
      return printed(value);
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'integer':
    case 'number': {
      const number = value instanceof JsonFloat ? value.value : value;
      if (typeof number !== 'number') return typeof number === 'bigint' ? number : null;
      return type === 'integer' ? Math.trunc(number) : number;
    }
    case 'date':
      if (typeof value !== 'string') return null;
      return parseTime(value) === undefined ? '<invalid>' : ageOf(value, nowMs);
  }
}

/** As kubectl's JSONPath prints: text as it is, the rest as JSON. */
function printed(value: Json): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return textOf(value);
}
