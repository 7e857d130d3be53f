/**
 * Whether aggregated servers answer: looks at each APIService's service, at what is behind it, and asks the server for
 * its version's document; says so in the condition Available. Again when any of them changes, every half minute, and
 * sooner after a failure. Writes only what is another condition than before.
 *
 * Modelled on kube-aggregator's controllers/status (remote and local).
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import { formatTime } from '../codec/times.ts';
import type { ObjectStore } from '../registry/resource.ts';
import { part, parts, same, text, withFieldAt } from '../validation/value.ts';
import { hostPort } from '../outbound/backend.ts';
import type { AvailabilityMetrics } from './availability-metrics.ts';
import type { RegisteredApis } from './registered-apis.ts';
import { isAvailable, pathOf, remoteApi, type RemoteApi } from './remote-api.ts';
import type { RemoteCaller } from './remote-caller.ts';
import { hasEndpoint, portNameOf, type ServiceResolver } from './service-resolver.ts';

export interface AvailabilityOptions {
  readonly apis: RegisteredApis;
  readonly caller: RemoteCaller;
  readonly resolver: ServiceResolver;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AvailabilityMetrics;
}

interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** As the original's resync. */
const RECHECK_MS = 30_000;
const RETRY_MS = 50;
const RETRY_MAX_MS = 30_000;
/** Between looks whether services are known. */
const UNKNOWN_MS = 1_000;
/** Until a server has answered, and the whole of one look. */
const ANSWER_MS = 5_000;
/** One that fails is asked so often more, together: a server that answers one of them is there. */
const SECOND_LOOKS = 4;
/** Nothing is read of the answer. */
const BYTES_MAX = 1024 * 1024;
/** Servers that are asked at a time. */
const WIDTH = 8;

const LOCAL: Verdict = {
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
};
const PASSED: Verdict = { status: 'True', reason: 'Passed', message: 'all checks passed' };

/** Checks nothing: the server writes what it knows. */
const UNCHECKED = { validateUpdate: () => [] };

export class Availability {
  private readonly options: AvailabilityOptions;
  private readonly timers = new Map<string, Timer>();
  private readonly failures = new Map<string, number>();
  private readonly waiting = new Set<string>();
  private readonly working = new Map<string, Promise<void>>();
  private readonly stopping = new AbortController();
  private store: ObjectStore | undefined = undefined;

  constructor(options: AvailabilityOptions) {
    this.options = options;
  }

  start(store: ObjectStore): void {
    this.store = store;
    this.next();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    for (const timer of this.timers.values()) timer.cancel();
    this.timers.clear();
    this.waiting.clear();
    await Promise.all(this.working.values());
  }

  /** Looks at an APIService, soon. */
  look(name: string): void {
    if (this.stopping.signal.aborted) return;
    this.timers.get(name)?.cancel();
    this.timers.delete(name);
    this.waiting.add(name);
    this.next();
  }

  /** Looks at all that lead to a service. */
  lookAtService(namespace: string, service: string): void {
    for (const api of this.options.apis.remotes()) {
      if (api.service.namespace === namespace && api.service.name === service) this.look(api.name);
    }
  }

  private next(): void {
    if (this.store === undefined) return;
    for (const name of this.waiting) {
      if (this.working.size >= WIDTH) return;
      // One look at a time; what changed meanwhile is looked at behind it.
      if (this.working.has(name)) continue;
      this.waiting.delete(name);
      const work = this.settle(name, this.store).finally(() => {
        this.working.delete(name);
        if (!this.stopping.signal.aborted) this.next();
      });
      this.working.set(name, work);
    }
  }

  private async settle(name: string, store: ObjectStore): Promise<void> {
    const { apis, metrics, logger } = this.options;
    const object = apis.object(name);
    if (object === undefined) {
      metrics.forget(name);
      this.failures.delete(name);
      return;
    }
    const api = remoteApi(object);
    if (api !== undefined && !this.options.resolver.synced) {
      // The store does not answer yet: what is not known is not missing.
      this.later(name, UNKNOWN_MS);
      return;
    }
    try {
      const verdict = api === undefined ? LOCAL : await this.judge(api);
      if (this.stopping.signal.aborted) return;
      await this.write(store, object, verdict);
      if (api === undefined) return;
      if (verdict.status === 'True') this.failures.delete(name);
      this.later(name, verdict.reason === 'FailedDiscoveryCheck' ? this.backoff(name) : RECHECK_MS);
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      logger.warn("an APIService's condition could not be written", {
        name,
        error: toError(error).message,
      });
      this.later(name, this.backoff(name));
    }
  }

  private backoff(name: string): number {
    const failures = (this.failures.get(name) ?? 0) + 1;
    this.failures.set(name, failures);
    return Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS);
  }

  private later(name: string, delayMs: number): void {
    if (this.stopping.signal.aborted || this.waiting.has(name)) return;
    this.timers.get(name)?.cancel();
    this.timers.set(
      name,
      this.options.clock.setTimer(delayMs, () => this.look(name)),
    );
  }

  private async judge(api: RemoteApi): Promise<Verdict> {
    return this.serviceVerdict(api) ?? (await this.answerVerdict(api));
  }

  /** What is wrong with the service; undefined: nothing that can be seen. */
  private serviceVerdict({ service: reference }: RemoteApi): Verdict | undefined {
    const { resolver } = this.options;
    const { namespace, name, port } = reference;
    const where = `service/${name} in ${JSON.stringify(namespace)}`;
    const service = resolver.service(reference);
    if (service === undefined) {
      return { status: 'False', reason: 'ServiceNotFound', message: `${where} is not present` };
    }
    if (text(part(service, 'spec'), 'type') !== 'ClusterIP') return undefined;
    const portName = portNameOf(service, port);
    if (portName === undefined) {
      return {
        status: 'False',
        reason: 'ServicePortError',
        message: `${where} is not listening on port ${port}`,
      };
    }
    const slices = resolver.slicesOf(reference);
    if (slices.length === 0) {
      return {
        status: 'False',
        reason: 'EndpointsNotFound',
        message: `cannot find endpointslices for ${where}`,
      };
    }
    if (hasEndpoint(slices, portName)) return undefined;
    return {
      status: 'False',
      reason: 'MissingEndpoints',
      message: `endpointslices for ${where} have no addresses with port name ${JSON.stringify(portName)}`,
    };
  }

  private async answerVerdict(api: RemoteApi): Promise<Verdict> {
    const first = await this.ask(api);
    if (first === undefined) return PASSED;
    const more = await Promise.all(Array.from({ length: SECOND_LOOKS }, () => this.ask(api)));
    if (more.includes(undefined)) return PASSED;
    return { status: 'False', reason: 'FailedDiscoveryCheck', message: more.at(-1) ?? first };
  }

  /** @returns why it did not answer; undefined: it did */
  private async ask(api: RemoteApi): Promise<string | undefined> {
    const { caller } = this.options;
    try {
      const place = caller.place(api);
      const url = `https://${hostPort(place.host, place.port)}${pathOf(api)}`;
      try {
        const { code } = await caller.ask(api, place, {
          path: pathOf(api),
          timeoutMs: ANSWER_MS,
          unverified: true,
          bytesMax: BYTES_MAX,
          signal: this.stopping.signal,
        });
        if (code >= 200 && code < 300) return undefined;
        return `failing or missing response from ${url}: bad status from ${url}: ${code}`;
      } catch (error) {
        return `failing or missing response from ${url}: Get ${JSON.stringify(url)}: ${toError(error).message}`;
      }
    } catch (error) {
      return toError(error).message;
    }
  }

  private async write(store: ObjectStore, seen: KubeObject, verdict: Verdict): Promise<void> {
    const { clock, metrics } = this.options;
    const name = seen.metadata.name ?? '';
    metrics.set(name, verdict.status === 'True');
    const now = formatTime(Math.floor(clock.nowMs() / 1000));
    if (withVerdict(seen, verdict, now) === seen) return;
    let wasAvailable = false;
    try {
      await store.change(
        '',
        name,
        (live) => {
          // Another one by now: it is looked at by itself.
          if (!same(part(live, 'spec')['service'], part(seen, 'spec')['service'])) return live;
          wasAvailable = isAvailable(live);
          return withVerdict(live, verdict, now);
        },
        { dryRun: false, strategy: UNCHECKED },
      );
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      throw error;
    }
    if (wasAvailable && verdict.status !== 'True') metrics.became(name, verdict.reason);
  }
}

/** The APIService with that condition; the same one where it has it. */
function withVerdict(object: KubeObject, { status, reason, message }: Verdict, now: string): KubeObject {
  const conditions = parts(part(object, 'status'), 'conditions');
  const before = conditions.find((condition) => text(condition, 'type') === 'Available');
  const kept = before !== undefined && text(before, 'status') === status;
  const next = {
    type: 'Available',
    status,
    lastTransitionTime: kept ? (before['lastTransitionTime'] ?? now) : now,
    reason,
    message,
  };
  if (before !== undefined && same(before, next)) return object;
  const others = conditions.filter((condition) => condition !== before);
  return withFieldAt(object, ['status', 'conditions'], [...others, next]);
}
