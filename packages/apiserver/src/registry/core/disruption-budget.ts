/**
 * What an eviction takes from a pod's disruption budget: one disruption, noted with the pod's name until the
 * controller has counted it. Pure; a budget that has none left refuses.
 *
 * Modelled on checkAndDecrement of kubernetes' pkg/registry/core/pod/storage/eviction.go; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { ApiError, forbidden } from '../../api/status.ts';
import { count, part, partOf, parts, text, withField } from '../../validation/value.ts';

/** Evictions the controller has not counted yet; above, something is wrong with it. */
const DISRUPTED_MAX = 2000;
/** When to ask again about a budget the controller has not looked at. */
const RETRY_SECONDS = 10;
const BUDGETS = { group: 'policy', resource: 'poddisruptionbudget' };
const ALLOWED = 'DisruptionAllowed';

/**
 * The budget with one disruption less.
 *
 * @param time of the eviction, RFC 3339
 * @throws ApiError TooManyRequests where none is left, Forbidden where the status is not one to count with
 */
export function spent(budget: KubeObject, pod: string, time: string): KubeObject {
  const name = budget.metadata.name ?? '';
  const status = part(budget, 'status');
  if (count(status, 'observedGeneration') < (budget.metadata.generation ?? 0))
    throw refusal(`The disruption budget ${name} is still being processed by the server.`, RETRY_SECONDS);
  const left = count(status, 'disruptionsAllowed');
  if (left < 0) throw forbidden(BUDGETS, name, 'pdb disruptions allowed is negative');
  const disrupted = part(status, 'disruptedPods');
  if (Object.keys(disrupted).length > DISRUPTED_MAX) {
    throw forbidden(
      BUDGETS,
      name,
      'DisruptedPods map too big - too many evictions not confirmed by PDB controller',
    );
  }
  if (left === 0) throw refusal(cause(name, status), 0);
  const now = { ...status, disruptionsAllowed: left - 1, disruptedPods: { ...disrupted, [pod]: time } };
  return withField(budget, 'status', left === 1 ? withoutMore(now, time) : now);
}

function cause(name: string, status: JsonObject): string {
  const healthy = count(status, 'currentHealthy');
  const desired = count(status, 'desiredHealthy');
  if (healthy <= desired)
    return `The disruption budget ${name} needs ${desired} healthy pods and has ${healthy} currently`;
  const said = parts(status, 'conditions').find((each) => text(each, 'type') === ALLOWED);
  const no = `The disruption budget ${name} does not allow evicting pods currently`;
  return text(said ?? {}, 'reason') === 'SyncFailed'
    ? `${no} because it failed sync: ${text(said ?? {}, 'message')}`
    : no;
}

/** The status whose last disruption is gone, which its condition says. */
function withoutMore(status: JsonObject, time: string): JsonObject {
  const all = parts(status, 'conditions');
  const had = all.find((each) => text(each, 'type') === ALLOWED);
  const same = text(had ?? {}, 'status') === 'False';
  const since = same ? partOf({ had }, 'had')?.['lastTransitionTime'] : time;
  const condition = {
    type: ALLOWED,
    status: 'False',
    observedGeneration: count(status, 'observedGeneration'),
    lastTransitionTime: since ?? time,
    reason: 'InsufficientPods',
    message: '',
  };
  const conditions =
    had === undefined ? [...all, condition] : all.map((each) => (each === had ? condition : each));
  return { ...status, conditions };
}

function refusal(message: string, retryAfterSeconds: number): ApiError {
  return new ApiError({
    code: 429,
    reason: 'TooManyRequests',
    message: "Cannot evict pod as it would violate the pod's disruption budget.",
    details: {
      causes: [{ reason: 'DisruptionBudget', message }],
      ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
    },
  });
}
