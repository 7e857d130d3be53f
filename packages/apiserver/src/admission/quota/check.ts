/**
 * One write held against the quotas of its namespace: which of them apply, whether it still fits, and what they come
 * to when it does. Pure: nothing is written, nothing is read.
 *
 * Modelled on apiserver's admission/plugin/resourcequota CheckRequest.
 */

import type { KubeObject } from '../../api/meta.ts';
import { part, parts, text, texts } from '../../validation/value.ts';
import type { AdmissionAttributes } from '../admission.ts';
import {
  amountsOf,
  amountsText,
  exceeding,
  excess,
  only,
  sum,
  withoutZeros,
  type Amounts,
} from '../amounts.ts';
import type { LimitedResource } from '../plugin-context.ts';
import type { QuotaEvaluator, ScopeSelector } from './evaluators.ts';
import { plainError, refusal } from '../refusals.ts';

/** A quota with what is used of it, a write more or less. */
export interface RunningQuota {
  /** As it was read. */
  readonly quota: KubeObject;
  readonly hard: Amounts;
  readonly used: Amounts;
}

export function runningQuota(quota: KubeObject): RunningQuota {
  const status = part(quota, 'status');
  return { quota, hard: amountsOf(part(status, 'hard')), used: amountsOf(part(status, 'used')) };
}

export interface QuotaCheck {
  readonly attributes: AdmissionAttributes;
  readonly evaluator: QuotaEvaluator;
  readonly nowMs: number;
  /** What may only be used where a quota covers it. */
  readonly limited: readonly LimitedResource[];
}

/**
 * The quotas after the write, in the same order; the same ones where nothing changes.
 *
 * @throws ApiError Forbidden: it does not fit, it does not say what a quota demands, nothing covers it
 */
export function checkQuotas(quotas: readonly RunningQuota[], check: QuotaCheck): readonly RunningQuota[] {
  const { attributes, evaluator, nowMs } = check;
  const { object, operation, oldObject } = attributes;
  if (object === undefined || !evaluator.handles(attributes)) return quotas;

  const applying = quotas.filter((running) => applies(running, evaluator, object));
  for (const running of applying) checkDemands(running, check, object);

  const usage = evaluator.usage(object, nowMs);
  const negative = [...usage].filter(([, amount]) => amount.nanos < 0n).map(([name]) => name);
  if (negative.length > 0) {
    throw refusal(attributes, `quota usage is negative for resource(s): ${negative.toSorted().join(',')}`);
  }
  const grown =
    operation === 'UPDATE' && oldObject !== undefined
      ? withoutZeros(excess(usage, evaluator.usage(oldObject, nowMs)))
      : withoutZeros(usage);
  const changes = new Map<RunningQuota, Amounts>();
  for (const running of applying) {
    // What falls under a quota only now is new to it as a whole.
    const before =
      operation === 'UPDATE' && oldObject !== undefined && applies(running, evaluator, oldObject);
    const change = before ? grown : withoutZeros(usage);
    if (change.size > 0) changes.set(running, change);
  }
  if (applying.length === 0 ? grown.size === 0 : changes.size === 0) return quotas;
  checkCovered(quotas, applying, check, usage);
  return quotas.map((running) => {
    const change = changes.get(running);
    return change === undefined ? running : after(running, change, attributes);
  });
}

function applies(running: RunningQuota, evaluator: QuotaEvaluator, object: KubeObject): boolean {
  if (evaluator.matching([...running.hard.keys()]).length === 0) return false;
  return scopesOf(running.quota).every((selector) => evaluator.inScope(selector, object));
}

export function scopesOf(quota: KubeObject): readonly ScopeSelector[] {
  const spec = part(quota, 'spec');
  return [
    ...texts(spec, 'scopes').map((scopeName) => ({ scopeName, operator: 'Exists', values: [] })),
    ...parts(part(spec, 'scopeSelector'), 'matchExpressions').map((each) => ({
      scopeName: text(each, 'scopeName'),
      operator: text(each, 'operator'),
      values: texts(each, 'values'),
    })),
  ];
}

/** What a quota of the name demands, and that somebody has counted already. */
function checkDemands({ quota, hard, used }: RunningQuota, check: QuotaCheck, object: KubeObject): void {
  const { attributes, evaluator } = check;
  const name = quota.metadata.name ?? '';
  const names = evaluator.matching([...hard.keys()]);
  const missing = evaluator.missing?.(names, object);
  if (missing !== undefined) throw refusal(attributes, `failed quota: ${name}: ${missing}`);
  if (names.some((each) => !used.has(each))) {
    throw refusal(attributes, `status unknown for quota: ${name}, resources: ${names.toSorted().join(',')}`);
  }
}

function after(
  { quota, hard, used }: RunningQuota,
  change: Amounts,
  attributes: AdmissionAttributes,
): RunningQuota {
  const requested = only(change, hard.keys());
  const next = sum(used, requested);
  // What has been allocated already is counted, not refused.
  if (attributes.subresource !== 'status') {
    const exceeded = exceeding(only(next, requested.keys()), hard);
    if (exceeded.length > 0) {
      throw refusal(
        attributes,
        `exceeded quota: ${quota.metadata.name ?? ''}, requested: ${amountsText(only(requested, exceeded))}, used: ${amountsText(only(used, exceeded))}, limited: ${amountsText(only(hard, exceeded))}`,
      );
    }
  }
  return { quota, hard, used: next };
}

/** What the configuration limits must be covered by a quota. */
function checkCovered(
  quotas: readonly RunningQuota[],
  applying: readonly RunningQuota[],
  { attributes, evaluator, limited }: QuotaCheck,
  usage: Amounts,
): void {
  const { object, resource } = attributes;
  if (limited.length === 0 || object === undefined) return;
  const covered = new Set(applying.flatMap(({ hard }) => evaluator.matching([...hard.keys()])));
  const names = limited
    .filter((each) => (each.apiGroup ?? '') === resource.group && each.resource === resource.resource)
    .flatMap(({ matchContains = [] }) =>
      [...usage]
        .filter(([name, amount]) => amount.nanos > 0n && matchContains.some((part) => name.includes(part)))
        .map(([name]) => name),
    );
  const bare = [...new Set(names)].filter((name) => !covered.has(name)).toSorted();
  if (bare.length > 0) throw refusal(attributes, `insufficient quota to consume: ${bare.join(',')}`);

  const inScope = (selector: ScopeSelector): boolean => evaluator.inScope(selector, object);
  const scoped = new Set(
    quotas.flatMap(({ quota }) => scopesOf(quota).filter(inScope)).map(({ scopeName }) => scopeName),
  );
  const uncovered = limited
    .flatMap(({ matchScopes = [] }) => matchScopes)
    .map((each) => ({
      scopeName: text(each, 'scopeName'),
      operator: text(each, 'operator'),
      values: texts(each, 'values'),
    }))
    .filter((selector) => inScope(selector) && !scoped.has(selector.scopeName));
  if (uncovered.length > 0) {
    const list = uncovered.map((each) => `{${each.scopeName} ${each.operator} [${each.values.join(' ')}]}`);
    throw plainError(`insufficient quota to match these scopes: [${list.join(' ')}]`);
  }
}
