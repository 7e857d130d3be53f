/** What a controller may say of replicas: no negative numbers, no part above the whole. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count } from '../../validation/value.ts';

export function checkReplicaStatus(errors: FieldErrors, path: FieldPath, status: JsonObject): void {
  const names = [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ];
  for (const name of names) checkNotNegative(errors, path.child(name), count(status, name));
  checkParts(errors, path, status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']);
  if (count(status, 'availableReplicas') > count(status, 'readyReplicas')) {
    errors.invalid(
      path.child('availableReplicas'),
      count(status, 'availableReplicas'),
      'cannot be greater than readyReplicas',
    );
  }
}

/** None of these is above status.replicas. */
export function checkParts(
  errors: FieldErrors,
  path: FieldPath,
  status: JsonObject,
  names: readonly string[],
): void {
  for (const name of names) {
    if (count(status, name) > count(status, 'replicas')) {
      errors.invalid(path.child(name), count(status, name), 'cannot be greater than status.replicas');
    }
  }
}
