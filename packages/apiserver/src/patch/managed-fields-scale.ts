/**
 * managedFields of the scale subresource: who owns `spec.replicas` of a Scale is who owns the replicas of its
 * parent, under the parent's own path. Writes to the one show in the other.
 *
 * Modelled on apimachinery's ScaleHandler.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { PathElement, type FieldPath } from './field-path.ts';
import { FieldSet } from './field-set.ts';
import {
  decodeManagedFields,
  encodeManagedFields,
  managerIdentifier,
  type Manager,
} from './managed-fields.ts';

/** Where the replicas lie in each version of the parent; undefined for a custom resource's version without scale. */
export type ReplicasPaths = ReadonlyMap<string, FieldPath | undefined>;

const SCALE_VERSION = 'autoscaling/v1';
const SCALE_PATH: readonly PathElement[] = [PathElement.field('spec'), PathElement.field('replicas')];

/**
 * The parent's entries as a Scale shows them: those that own the replicas, and only that.
 *
 * @throws ManagedFieldsError
 */
export function scaleManagedFields(
  parent: readonly Json[],
  paths: ReplicasPaths,
): readonly JsonObject[] | undefined {
  const shown = new Map<string, Manager>();
  for (const [identifier, manager] of decodeManagedFields(parent)) {
    const path = paths.get(manager.apiVersion);
    if (path === undefined || !manager.fields.has(path)) continue;
    const fields = FieldSet.of(SCALE_PATH);
    shown.set(identifier, { ...manager, apiVersion: SCALE_VERSION, fields });
  }
  return encodeManagedFields(shown);
}

/**
 * The parent's entries after a write to its Scale.
 *
 * @param scale entries of the Scale as it was written
 * @param apiVersion the parent's version in which a new owner is entered
 * @throws ManagedFieldsError
 */
export function parentManagedFields(
  parent: readonly Json[],
  scale: readonly Json[],
  apiVersion: string,
  paths: ReplicasPaths,
): readonly JsonObject[] | undefined {
  const managers = decodeManagedFields(parent);
  const owners = scaleOwners(scale);
  const after = new Map<string, Manager>();
  for (const [identifier, manager] of managers) {
    if (!paths.has(manager.apiVersion)) continue;
    const path = paths.get(manager.apiVersion);
    const seen = scaleIdentifier(manager);
    if (path === undefined || !manager.fields.has(path)) {
      after.set(identifier, manager);
    } else if (owners.has(seen)) {
      after.set(identifier, manager);
      owners.delete(seen);
    } else {
      const fields = manager.fields.difference(FieldSet.of(path));
      if (!fields.isEmpty) after.set(identifier, { ...manager, fields });
    }
  }
  const path = paths.get(apiVersion);
  if (path !== undefined) {
    for (const owner of owners.values()) {
      const manager = { ...owner, apiVersion, fields: FieldSet.of(path) };
      after.set(managerIdentifier(manager), manager);
    }
  }
  return encodeManagedFields(after);
}

/** The Scale's entries that own its replicas, by identifier. The original enters new owners without a time. */
function scaleOwners(scale: readonly Json[]): Map<string, Manager> {
  const owners = new Map<string, Manager>();
  for (const [identifier, manager] of decodeManagedFields(scale))
    if (manager.fields.has(SCALE_PATH)) owners.set(identifier, { ...manager, time: undefined });
  return owners;
}

/** What a manager of the parent is called in the entries of the Scale. */
function scaleIdentifier(manager: Manager): string {
  return managerIdentifier({ ...manager, apiVersion: SCALE_VERSION });
}
