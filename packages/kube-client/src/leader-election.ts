/**
 * One of several leads: whoever holds the Lease, as long as it renews it. Others watch by asking; a leader that cannot
 * renew in time stops leading before anybody else may begin.
 *
 * Law: renewMs < leaseMs, so a leader's work has ended (its signal has fired) before its lease runs out, on clocks that
 * run at about the same rate. Only durations are compared, never wall time.
 *
 * Modelled on client-go's leaderelection with Lease locks.
 */

import { assert, pause, type Clock, type Logger, type Prng } from '@keelson/base';

import { hasReason, KubeError } from './kube-error.ts';
import type { MetricSet } from './metrics.ts';
import { isRecord, type KubeObject, type Resource } from './objects.ts';
import { jittered } from './backoff.ts';
import type { RestClient } from './rest-client.ts';

export interface LeaderElectionOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
  readonly metrics: MetricSet;
  /** Where the Lease lies. */
  readonly namespace: string;
  readonly name: string;
  /** Of this candidate, unlike any other's. */
  readonly identity: string;
  /** Others may begin after so long without a renewal; 15 s as the original. */
  readonly leaseMs?: number;
  /** A leader gives up after so long without a renewal; 10 s. */
  readonly renewMs?: number;
  /** Between attempts; 2 s. */
  readonly retryMs?: number;
}

const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
/** Candidates ask at different times. */
const JITTER = 1.2;

interface LeaseSpec {
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly leaseTransitions: number;
}

export class LeaderElection {
  private readonly options: LeaderElectionOptions;
  private readonly leaseMs: number;
  private readonly renewMs: number;
  private readonly retryMs: number;
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;
  /** The Lease as it was last seen, and when by our own clock. */
  private seen: KubeObject | undefined;
  private seenMs = 0;
  private leading = false;

  constructor(options: LeaderElectionOptions) {
    const { leaseMs = 15_000, renewMs = 10_000, retryMs = 2_000, metrics, name } = options;
    assert(
      renewMs < leaseMs && retryMs * JITTER < renewMs,
      'a lease outlasts its renewal, which outlasts a retry',
    );
    this.options = options;
    this.leaseMs = leaseMs;
    this.renewMs = renewMs;
    this.retryMs = retryMs;
    metrics.gauge(
      'leader_election_master_status',
      "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name.",
      { name },
      () => (this.leading ? 1 : 0),
    );
  }

  /** Whether this one leads now. */
  get isLeader(): boolean {
    return this.leading;
  }

  /** Who leads, as far as is known; empty for nobody. */
  get leader(): string {
    return this.seen === undefined ? '' : specOf(this.seen).holderIdentity;
  }

  /**
   * Campaigns until stop(), each time anew when leadership was lost.
   *
   * @param lead the leader's work: runs until its signal fires, and must end then; should it end by itself, leadership is
   *   given up and sought again
   */
  start(lead: (signal: AbortSignal) => Promise<void>): void {
    this.running ??= this.campaign(lead);
  }

  /** Ends the leader's work, then gives the Lease back. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async campaign(lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, prng, logger, identity, name } = this.options;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      if (!(await this.attempt(signal))) {
        await pause(clock, jittered(this.retryMs, JITTER, prng), signal);
        continue;
      }
      this.leading = true;
      logger.info('became leader', { lease: name, identity });
      const term = new AbortController();
      const work = lead(term.signal).finally(() => term.abort());
      await this.renew(term);
      term.abort();
      await work;
      this.leading = false;
      logger.info('stopped leading', { lease: name, identity });
      await this.release();
    }
  }

  /** Renews until the term ends, the election is stopped, or renewal has failed for too long. */
  private async renew(term: AbortController): Promise<void> {
    const { clock, logger, name } = this.options;
    const signal = AbortSignal.any([term.signal, this.stopping.signal]);
    let renewedMs = clock.monotonicMs();
    while (!signal.aborted) {
      const leftMs = renewedMs + this.renewMs - clock.monotonicMs();
      if (leftMs <= 0) {
        logger.warn('the lease could not be renewed in time', { lease: name });
        return;
      }
      await pause(clock, Math.min(this.retryMs, leftMs), signal);
      if (signal.aborted) return;
      const beganMs = clock.monotonicMs();
      // An attempt that takes longer than what is left is no renewal.
      const deadline = new AbortController();
      const timer = clock.setTimer(Math.max(0, renewedMs + this.renewMs - beganMs), () => deadline.abort());
      const renewed = await this.attempt(AbortSignal.any([signal, deadline.signal]));
      timer.cancel();
      if (renewed) renewedMs = beganMs;
      // Somebody else holds it: nothing is left to renew.
      else if (this.leader !== '' && this.leader !== this.options.identity) return;
    }
  }

  /** One attempt to get or keep the Lease. */
  private async attempt(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, name, identity, logger } = this.options;
    try {
      if (this.leading && this.seen !== undefined && (await this.renewSeen(this.seen, signal))) return true;
      let lease: KubeObject;
      try {
        lease = await client.get(LEASES, namespace, name, { signal });
      } catch (error) {
        if (!hasReason(error, 'NotFound')) throw error;
        this.see(await client.create(LEASES, namespace, this.leaseObject(undefined), { signal }));
        return true;
      }
      this.see(lease);
      const { holderIdentity, leaseDurationSeconds } = specOf(lease);
      const ownMs = this.options.clock.monotonicMs() - this.seenMs;
      if (holderIdentity !== '' && holderIdentity !== identity && ownMs < leaseDurationSeconds * 1_000)
        return false;
      this.see(await client.update(LEASES, namespace, this.leaseObject(lease), { signal }));
      return true;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (!signal.aborted && !hasReason(error, 'Conflict', 'AlreadyExists')) {
        logger.warn('a lease could not be had', { lease: name, error: error.message });
      }
      return false;
    }
  }

  /** Renews what was seen last, without asking what is there; false: it is another one now. */
  private async renewSeen(lease: KubeObject, signal: AbortSignal): Promise<boolean> {
    const { client, namespace } = this.options;
    try {
      this.see(await client.update(LEASES, namespace, this.leaseObject(lease), { signal }));
      return true;
    } catch (error) {
      if (hasReason(error, 'Conflict', 'NotFound')) return false;
      throw error;
    }
  }

  /** A record that changed is valid for its duration from now on, by our own clock. */
  private see(lease: KubeObject): void {
    if (this.seen !== undefined && JSON.stringify(this.seen['spec']) === JSON.stringify(lease['spec'])) {
      this.seen = lease;
      return;
    }
    this.seen = lease;
    this.seenMs = this.options.clock.monotonicMs();
  }

  private leaseObject(before: KubeObject | undefined): KubeObject {
    const { namespace, name, identity, clock } = this.options;
    const now = microTime(clock.nowMs());
    const old = before === undefined ? undefined : specOf(before);
    const kept = old?.holderIdentity === identity;
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.leaseMs / 1_000),
      acquireTime: kept ? old.acquireTime : now,
      renewTime: now,
      leaseTransitions: (old?.leaseTransitions ?? 0) + (old === undefined || kept ? 0 : 1),
    };
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? { name, namespace },
      spec: { ...(isRecord(before?.['spec']) ? before['spec'] : {}), ...spec },
    };
  }

  private async release(): Promise<void> {
    const { client, namespace, identity, clock, name, logger } = this.options;
    const lease = this.seen;
    if (lease === undefined || specOf(lease).holderIdentity !== identity) return;
    const now = microTime(clock.nowMs());
    const spec = {
      ...specOf(lease),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
    };
    try {
      this.see(await client.update(LEASES, namespace, { ...lease, spec }, { timeoutMs: this.renewMs }));
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      logger.warn('a lease could not be given back', { lease: name, error: error.message });
    }
  }
}

function specOf(lease: KubeObject): LeaseSpec {
  const spec = isRecord(lease['spec']) ? lease['spec'] : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
  return {
    holderIdentity: text(spec['holderIdentity']),
    leaseDurationSeconds: number(spec['leaseDurationSeconds']),
    acquireTime: text(spec['acquireTime']),
    renewTime: text(spec['renewTime']),
    leaseTransitions: number(spec['leaseTransitions']),
  };
}

/** As a MicroTime is written. */
function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}
