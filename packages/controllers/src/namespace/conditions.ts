/**
 * What a namespace says of its own deletion: five conditions, each with the original's reason and text, and how they
 * come from what a sweep met. Pure.
 *
 * Modelled on kubernetes' pkg/controller/namespace/deletion.
 */

import { isRecord, type Resource } from '@keelson/kube-client';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** What a sweep over a namespace's content met. */
export interface Sweep {
  /** Why not all resources are known. */
  readonly discoveryFailure?: { readonly message: string; readonly groups: number };
  readonly failures: readonly string[];
  readonly remaining: readonly { readonly resource: Resource; readonly count: number }[];
  readonly finalizers: ReadonlyMap<string, number>;
}

/** Each type with what it says when all is well, in the order they are shown. */
const WELL: readonly Condition[] = [
  {
    type: 'NamespaceDeletionDiscoveryFailure',
    status: 'False',
    reason: 'ResourcesDiscovered',
    message: 'All resources successfully discovered',
  },
  {
    type: 'NamespaceDeletionGroupVersionParsingFailure',
    status: 'False',
    reason: 'ParsedGroupVersions',
    message: 'All legacy kube types successfully parsed',
  },
  {
    type: 'NamespaceDeletionContentFailure',
    status: 'False',
    reason: 'ContentDeleted',
    message: 'All content successfully deleted, may be waiting on finalization',
  },
  {
    type: 'NamespaceContentRemaining',
    status: 'False',
    reason: 'ContentRemoved',
    message: 'All content successfully removed',
  },
  {
    type: 'NamespaceFinalizersRemaining',
    status: 'False',
    reason: 'ContentHasNoFinalizers',
    message: 'All content-preserving finalizers finished',
  },
];

/** The conditions of a sweep, all five. */
export function conditionsOf(sweep: Sweep): Condition[] {
  const { discoveryFailure, failures, remaining, finalizers } = sweep;
  const ill = new Map<string, { readonly reason: string; readonly message: string }>();
  if (discoveryFailure !== undefined) {
    const { groups, message } = discoveryFailure;
    ill.set('NamespaceDeletionDiscoveryFailure', {
      reason: 'DiscoveryFailed',
      message: groups === 0 ? message : `Discovery failed for some groups, ${groups} failing: ${message}`,
    });
  }
  if (failures.length > 0) {
    ill.set('NamespaceDeletionContentFailure', {
      reason: 'ContentDeletionFailed',
      message: `Failed to delete all resource types, ${failures.length} remaining: ${failures.toSorted().join(', ')}`,
    });
  }
  if (remaining.length > 0) {
    const parts = remaining.map(
      ({ resource, count }) => `${resource.resource}.${resource.group} has ${count} resource instances`,
    );
    ill.set('NamespaceContentRemaining', {
      reason: 'SomeResourcesRemain',
      message: `Some resources are remaining: ${parts.toSorted().join(', ')}`,
    });
  }
  if (finalizers.size > 0) {
    const parts = [...finalizers].map(([name, count]) => `${name} in ${count} resource instances`);
    ill.set('NamespaceFinalizersRemaining', {
      reason: 'SomeFinalizersRemain',
      message: `Some content in the namespace has finalizers remaining: ${parts.toSorted().join(', ')}`,
    });
  }
  return WELL.map((well) => {
    const found = ill.get(well.type);
    return found === undefined ? well : { type: well.type, status: 'True', ...found };
  });
}

/**
 * The conditions of a status with these laid over them: others stay, a time changes only with the status it is of.
 *
 * @param now RFC 3339
 * @returns undefined when nothing is different
 */
export function laidOver(
  before: readonly unknown[],
  conditions: readonly Condition[],
  now: string,
): readonly unknown[] | undefined {
  const after = [...before];
  let changed = false;
  for (const condition of conditions) {
    const index = after.findIndex((one) => isRecord(one) && one['type'] === condition.type);
    const old = after[index];
    if (!isRecord(old)) {
      after.push({ ...condition, lastTransitionTime: now });
      changed = true;
    } else if (
      old['status'] !== condition.status ||
      old['reason'] !== condition.reason ||
      old['message'] !== condition.message
    ) {
      const time = old['status'] === condition.status ? old['lastTransitionTime'] : now;
      after[index] = { ...old, ...condition, lastTransitionTime: time };
      changed = true;
    }
  }
  return changed ? after : undefined;
}
