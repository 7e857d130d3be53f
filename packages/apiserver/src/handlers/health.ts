/**
 * /healthz, /livez and /readyz with their checks: all of them, one of them, all but some. An answer to the public never
 * says why a check failed.
 *
 * Modelled on apiserver's server/healthz, texts included.
 */

import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';

export type HealthEndpoint = 'healthz' | 'livez' | 'readyz';

const HEALTH_ENDPOINTS: readonly HealthEndpoint[] = ['healthz', 'livez', 'readyz'];

export interface HealthCheck {
  /** `ping`, `etcd`, `poststarthook/rbac/bootstrap-roles`. */
  readonly name: string;
  /** Where it counts; everywhere unless said. */
  readonly endpoints?: readonly HealthEndpoint[];
  /**
   * Whether all is well now.
   *
   * @returns what is wrong, undefined when nothing is
   */
  check(signal: AbortSignal): Promise<string | undefined>;
}

/** Always well: the server answers. */
export const PING: HealthCheck = { name: 'ping', check: () => Promise.resolve(undefined) };

/** The original's looks whether its log was written in the last half minute; ours is written as it comes. */
export const LOG: HealthCheck = { name: 'log', check: () => Promise.resolve(undefined) };

export interface HealthObserver {
  /** Told a failure with its reason, which clients do not learn. */
  failed?(endpoint: HealthEndpoint, check: string, reason: string): void;
  /** Told what each check that was asked said. */
  checked?(endpoint: HealthEndpoint, check: string, well: boolean): void;
}

export class Health {
  private readonly checks: readonly HealthCheck[];
  private readonly observer: HealthObserver;

  constructor(checks: readonly HealthCheck[], observer: HealthObserver = {}) {
    this.checks = checks;
    this.observer = observer;
  }

  /** `/livez` … and `/livez/NAME` of each check, sorted. */
  paths(): string[] {
    return HEALTH_ENDPOINTS.flatMap((endpoint) => [
      `/${endpoint}`,
      ...this.at(endpoint).map(({ name }) => `/${endpoint}/${name}`),
    ]).toSorted();
  }

  /** The handler of one of paths(); undefined for another path. */
  handlerOf(path: string): Handler | undefined {
    for (const endpoint of HEALTH_ENDPOINTS) {
      if (path === `/${endpoint}`) return (request) => this.all(endpoint, request);
      if (!path.startsWith(`/${endpoint}/`)) continue;
      const name = path.slice(endpoint.length + 2);
      const check = this.at(endpoint).find((candidate) => candidate.name === name);
      if (check !== undefined) return (request) => this.one(endpoint, check, request);
    }
    return undefined;
  }

  private at(endpoint: HealthEndpoint): readonly HealthCheck[] {
    return this.checks.filter(({ endpoints }) => endpoints?.includes(endpoint) ?? true);
  }

  private async all(endpoint: HealthEndpoint, request: ApiRequest): Promise<ApiResponse> {
    const excluded = new Set(request.query.getAll('exclude').flatMap((text) => text.split(',')));
    excluded.delete('');
    const lines: string[] = [];
    let failures = 0;
    for (const check of this.at(endpoint)) {
      if (excluded.delete(check.name)) {
        lines.push(`[+]${check.name} excluded: ok`);
        continue;
      }
      const reason = await resultOf(check, request.signal);
      this.observer.checked?.(endpoint, check.name, reason === undefined);
      if (reason === undefined) {
        lines.push(`[+]${check.name} ok`);
      } else {
        failures += 1;
        lines.push(`[-]${check.name} failed: reason withheld`);
        this.observer.failed?.(endpoint, check.name, reason);
      }
    }
    if (excluded.size > 0) {
      const names = [...excluded].toSorted().map((name) => JSON.stringify(name));
      lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(',')}`);
    }
    const report = lines.map((line) => `${line}\n`).join('');
    if (failures > 0) return plainText(500, `${report}${endpoint} check failed\n`);
    if (!request.query.has('verbose')) return plainText(200, 'ok');
    return plainText(200, `${report}${endpoint} check passed\n`);
  }

  private async one(endpoint: HealthEndpoint, check: HealthCheck, request: ApiRequest): Promise<ApiResponse> {
    const reason = await resultOf(check, request.signal);
    this.observer.checked?.(endpoint, check.name, reason === undefined);
    return reason === undefined ? plainText(200, 'ok') : plainText(500, `internal server error: ${reason}\n`);
  }
}

async function resultOf(check: HealthCheck, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await check.check(signal);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
