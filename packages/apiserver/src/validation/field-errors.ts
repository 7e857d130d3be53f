/**
 * What is wrong with an object, gathered while validators walk it: one method per kind of error, with the texts
 * of apimachinery's field errors, which people and tools match on. Does not decide what is wrong.
 */

import { goQuote } from '@keelson/base';

import type { FieldError, FieldErrorType } from '../api/status.ts';
import type { FieldPath } from './field-path.ts';
import { goJson } from './go-json.ts';

export class FieldErrors {
  readonly list: FieldError[] = [];

  get size(): number {
    return this.list.length;
  }

  required(path: FieldPath, detail = ''): void {
    this.add('FieldValueRequired', path, 'Required value', detail);
  }

  invalid(path: FieldPath, value: unknown, detail: string): void {
    this.add('FieldValueInvalid', path, `Invalid value: ${describeValue(value)}`, detail);
  }

  /** Invalid as a whole: what it is would say nothing, and is left out of the message. */
  refused(path: FieldPath, detail: string): void {
    this.add('FieldValueInvalid', path, 'Invalid value', detail);
  }

  /** One Invalid for each text. */
  invalids(path: FieldPath, value: unknown, details: readonly string[]): void {
    for (const detail of details) this.invalid(path, value, detail);
  }

  /** @param supported in the order they are shown; upstream's are sorted */
  notSupported(path: FieldPath, value: unknown, supported: readonly string[]): void {
    const detail =
      supported.length === 0 ? '' : `supported values: ${supported.map((each) => goQuote(each)).join(', ')}`;
    this.add('FieldValueNotSupported', path, `Unsupported value: ${describeValue(value)}`, detail);
  }

  forbidden(path: FieldPath, detail: string): void {
    this.add('FieldValueForbidden', path, 'Forbidden', detail);
  }

  duplicate(path: FieldPath, value: unknown, detail = ''): void {
    this.add('FieldValueDuplicate', path, `Duplicate value: ${describeValue(value)}`, detail);
  }

  notFound(path: FieldPath, value: unknown, detail = ''): void {
    this.add('FieldValueNotFound', path, `Not found: ${describeValue(value)}`, detail);
  }

  tooLong(path: FieldPath, bytesMax: number): void {
    const unit = bytesMax === 1 ? 'byte' : 'bytes';
    this.add('FieldValueTooLong', path, 'Too long', `may not be more than ${bytesMax} ${unit}`);
  }

  tooMany(path: FieldPath, count: number, countMax: number): void {
    this.add(
      'FieldValueTooMany',
      path,
      `Too many: ${count}`,
      `must have at most ${countMax} ${countMax === 1 ? 'item' : 'items'}`,
    );
  }

  typeInvalid(path: FieldPath, value: unknown, detail: string): void {
    this.add('FieldValueTypeInvalid', path, `Invalid value: ${describeValue(value)}`, detail);
  }

  private add(type: FieldErrorType, path: FieldPath, head: string, detail: string): void {
    this.list.push({ type, field: path.toString(), body: detail === '' ? head : `${head}: ${detail}` });
  }
}

/** A value as messages show it: text in quotes, numbers plain, anything else as JSON. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value);
  }
  if (typeof value === 'string') return goQuote(value);
  return goJson(value);
}
