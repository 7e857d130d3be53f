/**
 * Keeps the rules of cluster roles that gather others' (admin, edit, view) what their selectors make them. Looks
 * again whenever a cluster role changes; writes only what differs, so that several servers, or a controller manager
 * that does the same, settle on the same.
 *
 * Modelled on kubernetes' clusterrole-aggregation controller, which there is one of the controller manager's.
 */

import { pause, toError, type Clock, type Logger } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import { aggregatedRules, sameRules } from '../authz/aggregation.ts';
import { rulesOf } from '../authz/rbac-objects.ts';
import { ObjectCache } from '../informer/object-cache.ts';
import type { ObjectStore } from '../registry/resource.ts';

/** Changes come in waves: a role is looked at after the wave. */
const SETTLE_MS = 20;
/** After a write that failed. */
const RETRY_MS = 1_000;

export class RoleAggregation {
  /** Is told of all cluster roles. */
  readonly roles: ObjectCache;
  private readonly logger: Logger;
  private readonly stopping = new AbortController();
  private readonly clock: Clock;
  private store: ObjectStore | undefined = undefined;
  private dirty = false;
  private running: Promise<void> | undefined = undefined;

  constructor(clock: Clock, logger: Logger) {
    this.logger = logger;
    this.clock = clock;
    this.roles = new ObjectCache(() => this.changed());
  }

  /** @param store of cluster roles: where the rules are written */
  start(store: ObjectStore): void {
    this.store = store;
    this.changed();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private changed(): void {
    this.dirty = true;
    if (this.store === undefined || this.running !== undefined || this.stopping.signal.aborted) return;
    this.running = this.settle(this.store).finally(() => {
      this.running = undefined;
      // Something changed between the last look and the end.
      if (this.dirty) this.changed();
    });
  }

  private async settle(store: ObjectStore): Promise<void> {
    while (this.dirty && !this.stopping.signal.aborted) {
      await pause(this.clock, SETTLE_MS, this.stopping.signal);
      this.dirty = false;
      for (const role of this.roles.list()) {
        if (this.stopping.signal.aborted) return;
        if (!(await this.write(store, role))) {
          this.dirty = true;
          await pause(this.clock, RETRY_MS, this.stopping.signal);
        }
      }
    }
  }

  /** @returns whether the role needs no other look */
  private async write(store: ObjectStore, role: KubeObject): Promise<boolean> {
    const name = role.metadata.name ?? '';
    try {
      const rules = aggregatedRules(role, this.roles.list());
      if (rules === undefined || sameRules(rules, rulesOf(role))) return true;
      await store.change(
        '',
        name,
        (current) => {
          const wanted = aggregatedRules(current, this.roles.list());
          return wanted === undefined || sameRules(wanted, rulesOf(current))
            ? current
            : { ...current, rules: wanted.map(ruleObject) };
        },
        { dryRun: false },
      );
      return true;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return true;
      if (this.stopping.signal.aborted) return true;
      this.logger.warn('a cluster role could not be aggregated', {
        role: name,
        error: toError(error).message,
      });
      return false;
    }
  }
}

/** A rule without the lists that are empty. */
function ruleObject(rule: object): object {
  return Object.fromEntries(
    Object.entries(rule).filter(([, list]) => Array.isArray(list) && list.length > 0),
  );
}
