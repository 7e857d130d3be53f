/**
 * Everything a server sees to after its start, as one thing to start and to stop: default roles, namespaces, priority
 * classes and flow schemas, the service by which it is reached, and the records that say it runs. Made before the
 * server, so that its health checks are there; started with the server's scheme.
 */

import { assert, toError, type Clock, type Logger } from '@keelson/base';

import type { PortRange } from '../registry/core/port-allocation.ts';
import { DEFAULT_SERVICE_RANGES } from '../registry/core/service-hooks.ts';
import { ServiceRepair } from '../registry/core/service-repair.ts';
import type { Scheme } from '../registry/scheme.ts';
import type { StorageBackend } from '../storage/storage.ts';
import { apiServices, type RegistrationSources } from './api-services.ts';
import { authenticationConfigMap, type AuthenticationFacts } from './authentication-config-map.ts';
import { bootstrapRoles } from './bootstrap-roles.ts';
import { flowControlObjects } from './flow-control.ts';
import { identityLease, identityLeaseCollector } from './identity-lease.ts';
import { kubernetesService, leaveService, type KubernetesServiceOptions } from './kubernetes-service.ts';
import { MasterLeases } from './master-leases.ts';
import { atMost } from './at-most.ts';
import { PostStartHooks, type PostStartHook } from './post-start-hooks.ts';
import { systemPriorityClasses } from './priority-classes.ts';
import { defaultServiceCidr, legacyTokenTracking } from './small-objects.ts';
import { systemNamespaces } from './system-namespaces.ts';

export interface BootstrapOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** --service-cluster-ip-range: one network, or one of each family. */
  readonly serviceRanges: readonly string[];
  /** --advertise-address and --secure-port; undefined as long as the port is not open. */
  readonly advertised: KubernetesServiceOptions['advertised'];
  readonly hostname: string;
  /** A random UUID of this run. */
  readonly instance: string;
  readonly authentication: AuthenticationFacts;
  /** Default roles only where RBAC is a mode. True unless said. */
  readonly rbac?: boolean;
  /** Keeps an APIService for each version that is served; none are made without. */
  readonly apiServices?: RegistrationSources;
  /** --service-node-port-range; 30000-32767 unless said. */
  readonly nodePorts?: PortRange;
  /** Whether this server keeps the endpoints of the service `kubernetes`. True unless said. */
  readonly endpoints?: boolean;
}

/** What the store may take at a stop, twice: records of this server run out by themselves after 15 s. */
const STOP_MS = 1_000;
const REPAIR_MS = 60_000;

export class Bootstrap {
  private readonly options: BootstrapOptions;
  private readonly hooks: PostStartHooks;
  private readonly service: KubernetesServiceOptions;
  private world: { readonly stores: Scheme; readonly leases: MasterLeases } | undefined = undefined;

  constructor(options: BootstrapOptions) {
    this.options = options;
    this.service = {
      serviceRange: options.serviceRanges[0],
      advertised: options.advertised,
      endpoints: options.endpoints ?? true,
      leases: () => this.running().leases,
    };
    this.hooks = new PostStartHooks(this.hooksOf(options), options.clock, options.logger);
  }

  /** `poststarthook/…`, red until the step has succeeded. */
  get checks(): PostStartHooks['checks'] {
    return this.hooks.checks;
  }

  /** @param backend of the scheme's stores: the records of servers lie beside them */
  start(scheme: Scheme, backend: StorageBackend): void {
    this.world = { stores: scheme, leases: new MasterLeases(backend, scheme.types) };
    this.hooks.start(scheme);
  }

  /** Resolves when every step has succeeded once. */
  whenDone(): Promise<void> {
    return this.hooks.whenDone();
  }

  /** Takes the server out of the service `kubernetes`, and stops. */
  async stop(): Promise<void> {
    const { clock } = this.options;
    await atMost(clock, STOP_MS, this.hooks.stop());
    if (this.world === undefined) return;
    try {
      await atMost(clock, STOP_MS, leaveService(this.world.stores, this.service));
    } catch (error) {
      // The record runs out by itself within seconds.
      this.options.logger.warn('the record of this server stays until it runs out', {
        error: toError(error).message,
      });
    }
  }

  private hooksOf(options: BootstrapOptions): PostStartHook[] {
    const { clock, hostname, instance, authentication, serviceRanges, rbac = true } = options;
    const nowMs = (): number => clock.nowMs();
    return [
      systemNamespaces(),
      authenticationConfigMap(authentication, nowMs),
      identityLease(hostname, instance, clock),
      identityLeaseCollector(clock),
      legacyTokenTracking(nowMs),
      ...(rbac ? [bootstrapRoles()] : []),
      systemPriorityClasses(),
      flowControlObjects(),
      kubernetesService(this.service),
      defaultServiceCidr(serviceRanges, nowMs),
      serviceRepair(options.nodePorts ?? DEFAULT_SERVICE_RANGES.nodePorts, nowMs),
      ...(options.apiServices === undefined
        ? []
        : [apiServices(() => this.running().stores, options.apiServices)]),
    ];
  }

  private running(): { readonly stores: Scheme; readonly leases: MasterLeases } {
    assert(this.world !== undefined, 'hooks run after the start');
    return this.world;
  }
}

/** A server that died may have left addresses and ports taken that nobody has. */
function serviceRepair(nodePorts: PortRange, nowMs: () => number): PostStartHook {
  const repair = new ServiceRepair(nodePorts, nowMs);
  return {
    name: 'start-service-ip-repair-controllers',
    everyMs: REPAIR_MS,
    run: (stores) => repair.run(stores),
  };
}
