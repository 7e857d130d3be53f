/**
 * What a server's health is made of: the steps of its start, each a check under the original's name, the store, and
 * whether it goes down. Knows how far the start and the stop have come, and tells the log of a failure once.
 *
 * Modelled on the checks that kube-apiserver and the servers it is made of add to /healthz, /livez and /readyz.
 */

import type { Clock, Logger } from '@keelson/base';

import type { HealthCheck, HealthEndpoint } from '../handlers/health.ts';
import type { StorageBackend } from '../storage/storage.ts';

export interface HealthParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** --livez-grace-period; 0: none. */
  readonly livezGraceMs: number;
  readonly storeTimeoutMs: number;
}

/** Whose steps are checks, in the order in which they are told. */
export interface CheckedParts {
  readonly started: readonly HealthCheck[];
  readonly encryption: readonly HealthCheck[];
  readonly backend: StorageBackend;
  readonly customResources: () => { readonly settled: boolean } | undefined;
}

export class ServerHealth {
  private readonly parts: HealthParts;
  /** Every step of the start has succeeded once. */
  private established = false;
  private shuttingDown = false;
  /** What each check said last, so that a probe every second does not fill the log. */
  private readonly complaints = new Map<string, string>();

  constructor(parts: HealthParts) {
    this.parts = parts;
  }

  /** The start is through. */
  establish(): void {
    this.established = true;
  }

  /** From now on the server is not ready. */
  shutDown(): void {
    this.shuttingDown = true;
  }

  checks(parts: CheckedParts): HealthCheck[] {
    return this.allChecks(parts).flatMap((check) => this.withGrace(check));
  }

  /** A server that starts or stops is not ready: that is no news. */
  failed(endpoint: HealthEndpoint, check: string, reason: string): void {
    const level = this.established && !this.shuttingDown ? 'warn' : 'debug';
    const name = `${endpoint}/${check}`;
    if (level === 'warn' && this.complaints.get(name) === reason) return;
    if (level === 'warn') this.complaints.set(name, reason);
    this.parts.logger.log(level, 'a health check failed', { endpoint, check, reason });
  }

  /** Nobody restarts a server for steps of its start that may still be under way. */
  private withGrace(check: HealthCheck): HealthCheck[] {
    const { clock, livezGraceMs } = this.parts;
    const { endpoints = ['healthz', 'livez', 'readyz'] } = check;
    const isStep = check.name.startsWith('poststarthook/');
    if (livezGraceMs === 0 || !isStep || !endpoints.includes('livez')) return [check];
    const endMs = clock.monotonicMs() + livezGraceMs;
    return [
      { ...check, endpoints: endpoints.filter((endpoint) => endpoint !== 'livez') },
      {
        ...check,
        endpoints: ['livez'],
        check: (signal) => (clock.monotonicMs() < endMs ? Promise.resolve(undefined) : check.check(signal)),
      },
    ];
  }

  private allChecks({ started, encryption, backend, customResources }: CheckedParts): HealthCheck[] {
    return [
      ...started,
      {
        name: 'autoregister-completion',
        check: () => Promise.resolve(this.established ? undefined : 'not finished'),
      },
      ...encryption,
      {
        name: 'poststarthook/crd-informer-synced',
        check: () => Promise.resolve(customResources()?.settled === false ? 'not finished' : undefined),
      },
      {
        name: 'etcd-readiness',
        endpoints: ['readyz'],
        check: async (signal) => {
          await backend.ready({ signal, timeoutMs: this.parts.storeTimeoutMs });
          return undefined;
        },
      },
      {
        name: 'shutdown',
        endpoints: ['readyz'],
        check: () => Promise.resolve(this.shuttingDown ? 'process is shutting down' : undefined),
      },
    ];
  }
}
