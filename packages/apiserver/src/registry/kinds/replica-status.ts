/** What a controller may say of replicas: no negative numbers, no part above the whole. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count, has } from '../../validation/value.ts';

export function checkReplicaStatus(errors: FieldErrors, path: FieldPath, status: JsonObject): void {
  const names = [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
    'terminatingReplicas',
  ];
  for (const name of names) checkNotNegative(errors, path.child(name), count(status, name));
  checkParts(errors, path, status, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']);
  checkAvailable(errors, path, status, 'readyReplicas');
}

/**
 * What is available is ready.
 *
 * @param limit how the kind's message names what is ready: with or without `status.`
 */
export function checkAvailable(
  errors: FieldErrors,
  path: FieldPath,
  status: JsonObject,
  limit: 'readyReplicas' | 'status.readyReplicas',
): void {
  if (count(status, 'availableReplicas') > count(status, 'readyReplicas')) {
    errors.invalid(
      path.child('availableReplicas'),
      count(status, 'availableReplicas'),
      `cannot be greater than ${limit}`,
    );
  }
}

/** The count of hash collisions only grows. */
export function checkCollisions(
  errors: FieldErrors,
  path: FieldPath,
  status: JsonObject,
  old: JsonObject,
): void {
  if (!has(old, 'collisionCount')) return;
  if (!has(status, 'collisionCount') || count(status, 'collisionCount') < count(old, 'collisionCount')) {
    errors.invalid(path.child('collisionCount'), count(status, 'collisionCount'), 'cannot be decremented');
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
