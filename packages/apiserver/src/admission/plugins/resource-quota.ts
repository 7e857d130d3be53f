/**
 * ResourceQuota: what a namespace may hold, checked and charged at each write. Writes of a namespace that come
 * together are checked in one go, each against what the ones before it leave, and charged with one update of the
 * quota's status; an update that somebody else overtook is checked again on the new state. Nothing is let in before
 * the charge stands.
 *
 * A write that fails after it was charged stays charged until the quota controller counts anew, as in Kubernetes.
 *
 * Modelled on apiserver's admission/plugin/resourcequota.
 */

import { toError } from '@keelson/base';

import type { KubeObject } from '../../api/meta.ts';
import { conflict, hasReason, internalError, MODIFIED } from '../../api/status.ts';
import { same, withFieldAt } from '../../validation/value.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import { equalAmounts, jsonOf } from '../amounts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { checkQuotas, runningQuota, type RunningQuota } from '../quota/check.ts';
import { evaluatorOf, isCounted, type QuotaEvaluator } from '../quota/evaluators.ts';
import { Remembered } from '../remembered.ts';
import type { ObjectLookup } from '../resource-lookup.ts';

const QUOTAS = { group: '', resource: 'resourcequotas' };
/** How often a charge that was overtaken is tried again. */
const RETRIES = 3;
const TIMEOUT_MS = 10_000;
const LIVE_LOOKUP_MS = 30_000;
const REMEMBERED_MAX = 10_000;
/** A charge of ours reaches the cache sooner than that. */
const WRITTEN_MS = 60_000;

export function resourceQuota(context: PluginContext): ValidatingPlugin {
  const charging = new QuotaCharging(context);
  return {
    name: 'ResourceQuota',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      if (!isCounted(attributes)) return;
      const evaluator = evaluatorOf(attributes.resource);
      if (evaluator?.handles(attributes) === true) await charging.charge(attributes, evaluator);
    },
  };
}

/** A write that waits for its charge. */
interface Waiter {
  readonly attributes: AdmissionAttributes;
  readonly evaluator: QuotaEvaluator;
  settled: boolean;
  settle(error?: Error): void;
}

class QuotaCharging {
  private readonly context: PluginContext;
  private readonly waiting = new Map<string, Waiter[]>();
  private readonly running = new Set<string>();
  /** Namespaces without a quota, as the store had it. */
  private readonly lookedUp = new Remembered<readonly KubeObject[]>(REMEMBERED_MAX);
  /** Quotas as we wrote them, newer than the cache for a moment. */
  private readonly written = new Remembered<KubeObject>(REMEMBERED_MAX);

  constructor(context: PluginContext) {
    this.context = context;
  }

  /** @throws ApiError the write does not fit */
  charge(attributes: AdmissionAttributes, evaluator: QuotaEvaluator): Promise<void> {
    const { namespace } = attributes;
    return new Promise((resolve, reject) => {
      const timer = this.context.clock.setTimer(TIMEOUT_MS, () =>
        waiter.settle(internalError('resource quota evaluation timed out')),
      );
      const waiter: Waiter = {
        attributes,
        evaluator,
        settled: false,
        settle(error) {
          if (waiter.settled) return;
          waiter.settled = true;
          timer.cancel();
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const queue = this.waiting.get(namespace);
      if (queue === undefined) this.waiting.set(namespace, [waiter]);
      else queue.push(waiter);
      if (!this.running.has(namespace)) void this.run(namespace);
    });
  }

  /** Takes all that wait in a namespace at a time, until nobody does. */
  private async run(namespace: string): Promise<void> {
    this.running.add(namespace);
    for (;;) {
      const batch = this.waiting.get(namespace);
      this.waiting.delete(namespace);
      if (batch === undefined) break;
      await this.chargeAll(namespace, batch);
    }
    this.running.delete(namespace);
  }

  private async chargeAll(namespace: string, batch: readonly Waiter[]): Promise<void> {
    try {
      const quotas = this.context.lookup.of(QUOTAS);
      if (quotas === undefined) throw internalError('resourcequotas are not served');
      const all = await this.quotasOf(quotas, namespace);
      // Nothing bounds what is asked for, and nothing has to.
      if (all.length === 0 && (this.context.settings.limitedResources ?? []).length === 0) {
        for (const waiter of batch) waiter.settle();
        return;
      }
      let found = all.map((quota) => runningQuota(quota));
      for (let left = RETRIES; ; left -= 1) {
        const overtaken = await this.chargeOnce(quotas, namespace, found, batch, left === RETRIES);
        if (overtaken.size === 0) break;
        if (left === 0) throw conflict(QUOTAS, [...overtaken].join(','), MODIFIED);
        const fresh = await quotas.liveList(namespace);
        found = fresh
          .filter(({ metadata }) => overtaken.has(metadata.name ?? ''))
          .map((quota) => runningQuota(quota));
      }
      for (const waiter of batch) waiter.settle();
    } catch (error) {
      for (const waiter of batch) waiter.settle(toError(error));
    }
  }

  /** @returns names of the quotas that somebody else wrote meanwhile */
  private async chargeOnce(
    quotas: ObjectLookup,
    namespace: string,
    before: readonly RunningQuota[],
    batch: readonly Waiter[],
    first: boolean,
  ): Promise<ReadonlySet<string>> {
    const { clock, settings } = this.context;
    const limited = first ? (settings.limitedResources ?? []) : [];
    let running = before;
    for (const waiter of batch) {
      if (waiter.settled) continue;
      const { attributes, evaluator } = waiter;
      try {
        const next = checkQuotas(running, { attributes, evaluator, nowMs: clock.nowMs(), limited });
        if (attributes.dryRun || next === running) waiter.settle();
        else running = next;
      } catch (error) {
        waiter.settle(toError(error));
      }
    }
    const overtaken = new Set<string>();
    for (const [index, quota] of running.entries()) {
      if (equalAmounts(quota.used, before[index].used)) continue;
      const { name = '' } = quota.quota.metadata;
      if (!(await this.write(quotas, namespace, name, quota))) overtaken.add(name);
    }
    return overtaken;
  }

  /** @returns false when the quota is not any more as it was read */
  private async write(
    quotas: ObjectLookup,
    namespace: string,
    name: string,
    { quota, used }: RunningQuota,
  ): Promise<boolean> {
    try {
      const stored = await quotas.changeStatus(namespace, name, (current) => {
        if (current.metadata.uid !== quota.metadata.uid || !same(current['status'], quota['status'])) {
          throw conflict(QUOTAS, name, MODIFIED);
        }
        return withFieldAt(current, ['status', 'used'], jsonOf(used));
      });
      this.written.set(`${namespace}/${name}`, stored, this.context.clock.monotonicMs(), WRITTEN_MS);
      return true;
    } catch (error) {
      if (hasReason(error, 'Conflict') || hasReason(error, 'NotFound')) {
        this.written.delete(`${namespace}/${name}`);
        return false;
      }
      throw error;
    }
  }

  private async quotasOf(quotas: ObjectLookup, namespace: string): Promise<readonly KubeObject[]> {
    const nowMs = this.context.clock.monotonicMs();
    const cached = await quotas.list(namespace);
    if (cached.length > 0) {
      return cached.map((quota) =>
        newer(quota, this.written.get(`${namespace}/${quota.metadata.name}`, nowMs)),
      );
    }
    const remembered = this.lookedUp.get(namespace, nowMs);
    if (remembered !== undefined) return remembered;
    const live = await quotas.liveList(namespace);
    // Only that there are none is worth remembering: what there is changes with each charge.
    if (live.length === 0) this.lookedUp.set(namespace, live, nowMs, LIVE_LOOKUP_MS);
    return live;
  }
}

function newer(cached: KubeObject, written: KubeObject | undefined): KubeObject {
  if (written === undefined || written.metadata.uid !== cached.metadata.uid) return cached;
  return revision(written) > revision(cached) ? written : cached;
}

function revision({ metadata }: KubeObject): number {
  return Number(metadata.resourceVersion ?? '0');
}
