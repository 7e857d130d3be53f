/** Conditions in the status of a definition: looked up, set, taken away. Pure. */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { part, parts, text, withFieldAt } from '../validation/value.ts';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export function conditionOf(object: KubeObject, type: string): JsonObject | undefined {
  return parts(part(object, 'status'), 'conditions').find((condition) => text(condition, 'type') === type);
}

export function isConditionTrue(object: KubeObject, type: string): boolean {
  const condition = conditionOf(object, type);
  return condition !== undefined && text(condition, 'status') === 'True';
}

/** The object with a condition; its time stays where the status did. @param now RFC 3339 */
export function withCondition(object: KubeObject, condition: Condition, now: string): KubeObject {
  const { type, status, reason, message } = condition;
  const all = parts(part(object, 'status'), 'conditions');
  const old = all.find((each) => text(each, 'type') === type);
  if (old !== undefined && text(old, 'status') === status) {
    if (text(old, 'reason') === reason && text(old, 'message') === message) return object;
    const kept = { ...old, reason, message };
    return withConditions(
      object,
      all.map((each) => (each === old ? kept : each)),
    );
  }
  const made: JsonObject = { type, status, lastTransitionTime: now, reason, message };
  return withConditions(
    object,
    old === undefined ? [...all, made] : all.map((each) => (each === old ? made : each)),
  );
}

export function withoutCondition(object: KubeObject, type: string): KubeObject {
  const all = parts(part(object, 'status'), 'conditions');
  const rest = all.filter((each) => text(each, 'type') !== type);
  return rest.length === all.length ? object : withConditions(object, rest);
}

function withConditions(object: KubeObject, conditions: readonly JsonObject[]): KubeObject {
  return withFieldAt(object, ['status', 'conditions'], conditions);
}
