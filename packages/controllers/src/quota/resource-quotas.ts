/**
 * resourcequota-controller: keeps status.used of every ResourceQuota true. Admission adds what is created; this loop
 * counts anew when a quota is made or changed, when something it counts is deleted or ends, and every five minutes. It
 * watches only what some quota counts: a cluster without quotas has no watch for them.
 *
 * How much an object counts is the API server's to say (admission and this loop must agree), so it comes as an argument.
 *
 * Modelled on kubernetes' resource quota controller and its monitor.
 */

import type { Timer } from '@keelson/base';
import {
  hasReason,
  isRecord,
  keyOf,
  Reflector,
  splitKey,
  WorkQueue,
  type Informer,
  type KubeObject,
  type Outcome,
  type ServedResource,
} from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { PODS, RESOURCE_QUOTAS } from '../resources.ts';

type GroupResource = Pick<ServedResource, 'group' | 'resource'>;

/** How a quota is counted: the API server's own words. */
export interface QuotaAccounts {
  /** Whether objects of the resource count under one of the names. */
  counts(resource: GroupResource, names: readonly string[]): boolean;
  /** Whether an object's spec and status say how much it counts; its metadata is enough otherwise. */
  byContent(resource: GroupResource): boolean;
  /** The status a quota should have; undefined when it has it. */
  status(
    quota: KubeObject,
    contents: readonly { readonly resource: GroupResource; readonly objects: readonly KubeObject[] }[],
    nowMs: number,
  ): Readonly<Record<string, unknown>> | undefined;
}

/** --resource-quota-sync-period */
const PERIOD_MS = 300_000;
/** --concurrent-resource-quota-syncs */
const CONCURRENCY = 5;
/** Many deletions of one moment are counted once. */
const SETTLE_MS = 100;
const PAGE = 500;
/** Between the charge of a write and its object. */
const CHARGE_MS = 1_000;
const WAITS_MAX = 10;

export class ResourceQuotas implements Controller {
  private readonly parts: ControllerParts;
  private readonly accounts: QuotaAccounts;
  private readonly quotas: Informer;
  private readonly queue: WorkQueue<string>;
  private readonly watches = new Map<string, Reflector>();
  private readonly ending = new Set<Promise<void>>();
  /** When each quota was last seen to change, and how often it was waited for. */
  private readonly changedMs = new Map<string, number>();
  private readonly waits = new Map<string, number>();
  private readonly stopping = new AbortController();
  private timer: Timer | undefined;
  private choosing: Promise<void> | undefined;
  private chooseAgain = false;

  constructor(parts: ControllerParts, accounts: QuotaAccounts) {
    const { informers, clock, logger, metrics } = parts;
    this.parts = parts;
    this.accounts = accounts;
    this.quotas = informers.informer(RESOURCE_QUOTAS, {
      indexers: { namespace: ({ metadata }) => [metadata.namespace ?? ''] },
    });
    this.queue = new WorkQueue<string>({
      name: 'resourcequota_primary',
      clock,
      logger,
      metrics,
      concurrency: CONCURRENCY,
      work: (key, signal) => this.count(key, signal),
      refill: () => this.countAll(),
    });
    this.quotas.handle({
      added: (quota) => this.changed(quota),
      updated: (quota, old) => {
        this.changedMs.set(keyOf(quota), clock.monotonicMs());
        // Its own words and admission's charges change the status alone.
        if (JSON.stringify(quota['spec']) !== JSON.stringify(old['spec']) || !isCounted(quota))
          this.changed(quota);
      },
      deleted: (quota) => {
        this.changedMs.delete(keyOf(quota));
        this.waits.delete(keyOf(quota));
        this.choose();
      },
    });
  }

  start(): void {
    this.arm();
    void this.quotas.whenSynced().then(() => {
      this.queue.start();
      this.choose();
    });
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.timer?.cancel();
    await this.choosing;
    for (const watch of this.watches.values()) this.end(watch);
    await Promise.all([this.queue.stop(), ...this.ending]);
  }

  get synced(): boolean {
    return this.quotas.synced;
  }

  get quiet(): boolean {
    return this.queue.quiet && this.choosing === undefined;
  }

  private arm(): void {
    if (this.stopping.signal.aborted) return;
    this.timer = this.parts.clock.setTimer(PERIOD_MS, () => {
      this.countAll();
      // What is served may have changed.
      this.choose();
      this.arm();
    });
  }

  private countAll(): void {
    for (const quota of this.quotas.list()) this.queue.add(keyOf(quota));
  }

  private changed(quota: KubeObject): void {
    this.queue.add(keyOf(quota));
    this.choose();
  }

  private async count(key: string, signal: AbortSignal): Promise<Outcome> {
    const { client, clock } = this.parts;
    if (this.quotas.get(key) === undefined) return 'done';
    const { namespace, name } = splitKey(key);
    try {
      // What is charged while the contents are listed makes the write fail: the quota is read first.
      const quota = await client.get(RESOURCE_QUOTAS, namespace, name, { signal });
      const contents = [];
      for (const resource of await this.countedBy(namesOf(quota))) {
        contents.push({ resource, objects: await this.objects(resource, namespace, signal) });
      }
      const status = this.accounts.status(quota, contents, clock.nowMs());
      if (status !== undefined && this.mayBeCharged(key, quota)) return { afterMs: CHARGE_MS };
      this.waits.delete(key);
      if (status === undefined) return 'done';
      await client.update(
        RESOURCE_QUOTAS,
        namespace,
        { ...quota, status },
        { subresource: 'status', signal },
      );
    } catch (error) {
      if (hasReason(error, 'NotFound')) return 'done';
      if (hasReason(error, 'Conflict')) return { afterMs: SETTLE_MS };
      throw error;
    }
    return 'done';
  }

  /**
   * Whether something was charged a moment ago, so that its object may not have been there to be listed: to count it away
   * would let in more than the quota allows. Not for ever: a quota that is charged all the time is counted as it is.
   */
  private mayBeCharged(key: string, quota: KubeObject): boolean {
    if (!isCounted(quota)) return false;
    const waits = this.waits.get(key) ?? 0;
    const sinceMs = this.parts.clock.monotonicMs() - (this.changedMs.get(key) ?? -Infinity);
    const current = this.quotas.get(key)?.metadata.resourceVersion === quota.metadata.resourceVersion;
    if ((current && sinceMs >= CHARGE_MS) || waits >= WAITS_MAX) return false;
    this.waits.set(key, waits + 1);
    return true;
  }

  private async objects(
    resource: ServedResource,
    namespace: string,
    signal: AbortSignal,
  ): Promise<readonly KubeObject[]> {
    const { client } = this.parts;
    const objects: KubeObject[] = [];
    let token = '';
    do {
      const page = await client.list(resource, namespace, {
        metadataOnly: !this.accounts.byContent(resource),
        limit: PAGE,
        continue: token,
        signal,
      });
      objects.push(...page.items);
      token = page.metadata.continue ?? '';
    } while (token !== '');
    return objects;
  }

  private async countedBy(names: readonly string[]): Promise<ServedResource[]> {
    const { preferred } = await this.parts.discovery.served();
    return preferred.filter(
      (resource) =>
        resource.namespaced &&
        ['create', 'list', 'watch', 'delete'].every((verb) => resource.verbs.includes(verb)) &&
        this.accounts.counts(resource, names),
    );
  }

  /** Watches what some quota counts, and nothing else. */
  private choose(): void {
    if (this.stopping.signal.aborted || !this.quotas.synced) return;
    if (this.choosing !== undefined) {
      this.chooseAgain = true;
      return;
    }
    this.choosing = this.chooseOnce()
      .catch((error: unknown) => this.parts.logger.warn('what quotas count could not be learned', { error }))
      .finally(() => {
        this.choosing = undefined;
        if (!this.chooseAgain) return;
        this.chooseAgain = false;
        this.choose();
      });
  }

  private async chooseOnce(): Promise<void> {
    const names = new Set<string>();
    for (const quota of this.quotas.list()) for (const name of namesOf(quota)) names.add(name);
    const wanted = new Map<string, ServedResource>();
    if (names.size > 0) {
      for (const resource of await this.countedBy([...names])) {
        wanted.set(`${resource.group}/${resource.version}/${resource.resource}`, resource);
      }
    }
    for (const [key, watch] of this.watches) {
      if (wanted.has(key)) continue;
      this.watches.delete(key);
      this.end(watch);
    }
    if (this.stopping.signal.aborted) return;
    for (const [key, resource] of wanted) {
      if (!this.watches.has(key)) this.watches.set(key, this.watch(resource));
    }
  }

  /** Nothing is kept of what is watched: only that something went is of interest, and where. */
  private watch(resource: ServedResource): Reflector {
    const { client, clock, prng, logger } = this.parts;
    const pods = resource.group === PODS.group && resource.resource === PODS.resource;
    const byContent = this.accounts.byContent(resource);
    const recount = ({ metadata }: KubeObject): void => {
      for (const quota of this.quotas.byIndex('namespace', metadata.namespace ?? '')) {
        if (this.accounts.counts(resource, namesOf(quota))) this.queue.addAfter(keyOf(quota), SETTLE_MS);
      }
    };
    const reflector = new Reflector({
      client,
      clock,
      prng,
      logger,
      resource,
      metadataOnly: !byContent,
      target: {
        replace: () => {
          for (const quota of this.quotas.list()) {
            if (this.accounts.counts(resource, namesOf(quota))) this.queue.addAfter(keyOf(quota), SETTLE_MS);
          }
        },
        change: (type, object) => {
          const less =
            type === 'DELETED' ||
            (type === 'MODIFIED' && byContent && (!pods || hasEnded(object) || wasChanged(object)));
          if (less) recount(object);
        },
      },
    });
    reflector.start();
    return reflector;
  }

  private end(watch: Reflector): void {
    const ended = watch.stop().finally(() => this.ending.delete(ended));
    this.ending.add(ended);
  }
}

function namesOf(quota: KubeObject): readonly string[] {
  const hard = isRecord(quota['spec']) ? quota['spec']['hard'] : undefined;
  return isRecord(hard) ? Object.keys(hard) : [];
}

/** Whether its status knows all the names of its spec. */
function isCounted(quota: KubeObject): boolean {
  const used = isRecord(quota['status']) ? quota['status']['used'] : undefined;
  return isRecord(used) && namesOf(quota).every((name) => Object.hasOwn(used, name));
}

/** Resized, or given a deadline, which moves it from one quota's scope into another's. */
function wasChanged({ metadata }: KubeObject): boolean {
  return (metadata.generation ?? 1) > 1;
}

function hasEnded(pod: KubeObject): boolean {
  const phase = isRecord(pod['status']) ? pod['status']['phase'] : undefined;
  return phase === 'Succeeded' || phase === 'Failed';
}
