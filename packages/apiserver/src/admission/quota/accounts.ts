/**
 * A quota counted anew: which resources its names are about, and what its status should be once they have been listed.
 * For the loop that keeps quotas right after deletions; admission charges what is added. Pure.
 *
 * Modelled on Kubernetes' pkg/quota/v1 CalculateUsage and the resource quota controller's sync.
 */

import type { JsonObject } from '../../api/json.ts';
import type { GroupResource, KubeObject } from '../../api/meta.ts';
import { Quantity } from '../../api/quantity.ts';
import { describeResource } from '../../api/meta.ts';
import { part } from '../../validation/value.ts';
import { amountsOf, equalAmounts, jsonOf, only, sum, type Amounts } from '../amounts.ts';
import { scopesOf } from './check.ts';
import { evaluatorOf } from './evaluators.ts';

/** The objects of a resource that lie in the quota's namespace. */
export interface QuotaContents {
  readonly resource: GroupResource;
  readonly objects: readonly KubeObject[];
}

/** Kinds that are measured by what they say; of all others metadata is enough. */
const BY_CONTENT: ReadonlySet<string> = new Set([
  'persistentvolumeclaims',
  'pods',
  'resourceclaims.resource.k8s.io',
  'services',
]);

export const quotaAccounts = {
  /** Whether objects of the resource count under one of the names. */
  counts(resource: GroupResource, names: readonly string[]): boolean {
    return (evaluatorOf(resource)?.matching(names) ?? []).length > 0;
  },

  /** Whether the objects' spec and status say how much they count. */
  byContent(resource: GroupResource): boolean {
    return BY_CONTENT.has(describeResource(resource));
  },

  /**
   * The status the quota should have; what no resource counts keeps the amount it had.
   *
   * @param contents all resources that count under its names
   * @returns undefined when it has that status
   */
  status(quota: KubeObject, contents: readonly QuotaContents[], nowMs: number): JsonObject | undefined {
    const hard = part(part(quota, 'spec'), 'hard');
    const status = part(quota, 'status');
    const names = Object.keys(hard);
    const before = amountsOf(part(status, 'used'));
    const used = only(new Map([...before, ...counted(quota, names, contents, nowMs)]), names);
    const right =
      equalAmounts(used, before) && equalAmounts(amountsOf(hard), amountsOf(part(status, 'hard')));
    return right ? undefined : { hard, used: jsonOf(used) };
  },
};

function counted(
  quota: KubeObject,
  names: readonly string[],
  contents: readonly QuotaContents[],
  nowMs: number,
): Amounts {
  const scopes = scopesOf(quota);
  let used: Amounts = new Map();
  for (const { resource, objects } of contents) {
    const evaluator = evaluatorOf(resource);
    if (evaluator === undefined) continue;
    const matching = evaluator.matching(names);
    used = sum(used, new Map(matching.map((name) => [name, Quantity.of(0)])));
    for (const object of objects) {
      if (!scopes.every((selector) => evaluator.inScope(selector, object))) continue;
      used = sum(used, only(evaluator.usage(object, nowMs), matching));
    }
  }
  return used;
}
