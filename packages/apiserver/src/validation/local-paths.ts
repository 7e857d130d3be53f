/** Paths in objects: below a directory, never upwards. Texts as upstream's core validation. */

import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';

/** A relative path without steps upwards. */
export function checkDescendingPath(errors: FieldErrors, path: FieldPath, value: string): void {
  if (value.startsWith('/')) errors.invalid(path, value, 'must be a relative path');
  checkNoBacksteps(errors, path, value);
}

/** A relative path that does not begin with two dots either: such names are the kubelet's own. */
export function checkUnreservedPath(errors: FieldErrors, path: FieldPath, value: string): void {
  checkDescendingPath(errors, path, value);
  if (value.startsWith('..') && !value.startsWith('../')) {
    errors.invalid(path, value, "must not start with '..'");
  }
}

export function hasBacksteps(value: string): boolean {
  return value.split('/').includes('..');
}

export function checkNoBacksteps(errors: FieldErrors, path: FieldPath, value: string): void {
  if (hasBacksteps(value)) errors.invalid(path, value, "must not contain '..'");
}
