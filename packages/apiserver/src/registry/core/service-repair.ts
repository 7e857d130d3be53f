/**
 * Addresses and ports of services, and what stands in the store as taken, brought together again: a server that died
 * between the two writes leaves what nobody has, and a store that was restored may lack what services have. What nobody has
 * is freed only when no write can be under way that took it.
 *
 * Modelled on kubernetes' pkg/registry/core/service/ipallocator/controller and portallocator/controller; events carry
 * their texts.
 */

import type { KubeObject } from '../../api/meta.ts';
import { ApiError } from '../../api/status.ts';
import { formatAddress, parseAddress } from '../../validation/addresses.ts';
import { part, texts } from '../../validation/value.ts';
import type { ObjectStore, Stores } from '../resource.ts';
import { describe, PortAllocation, portsOf, type PortRange } from './port-allocation.ts';
import { addressFor, IP_ADDRESSES, isFor, isManaged, SERVICES } from './service-addresses.ts';

/** No creation takes as long: an address without a service is nobody's then. */
const GRACE_MS = 60_000;
/** A port is seen as nobody's so often before it is free. */
const ROUNDS = 3;

/** What is told of a service. */
interface Finding {
  readonly service: KubeObject;
  readonly reporter: 'ipallocator-repair-controller' | 'portallocator-repair-controller';
  readonly action: 'ClusterIPAllocation' | 'PortAllocation';
  readonly reason: string;
  readonly message: string;
}

interface PortsFound {
  readonly findings: readonly Finding[];
  readonly leaks: ReadonlyMap<number, number>;
}

export class ServiceRepair {
  private readonly nodePorts: PortRange;
  private readonly nowMs: () => number;
  /** Ports that are taken and nobody's, and how often they were seen. */
  private leaks: ReadonlyMap<number, number> = new Map();
  private told = 0;

  constructor(nodePorts: PortRange, nowMs: () => number) {
    this.nodePorts = nodePorts;
    this.nowMs = nowMs;
  }

  /** One round. @throws ApiError of the store */
  async run(stores: Stores): Promise<void> {
    const services = stores.of(SERVICES);
    if (services === undefined) return;
    const findings = await this.repairAddresses(stores, services);
    // The services are read after what is taken: a port given meanwhile fails the write, and all is read again.
    const { findings: ofPorts, leaks } = await new PortAllocation(this.nodePorts, stores).change(
      async (taken) => this.repairPorts(taken, await services.list('')),
    );
    this.leaks = leaks;
    for (const finding of [...findings, ...ofPorts]) await this.tell(stores, finding);
  }

  /** @param taken is set right */
  private repairPorts(taken: Set<number>, services: readonly KubeObject[]): PortsFound {
    const findings: Finding[] = [];
    const used = new Set<number>();
    const { first, last } = this.nodePorts;
    for (const service of services) {
      const say = (reason: string, message: string): void => {
        findings.push({
          service,
          reporter: 'portallocator-repair-controller',
          action: 'PortAllocation',
          reason,
          message,
        });
      };
      for (const port of portsOf(service)) {
        if (port < first || port > last) {
          const range = describe(this.nodePorts);
          say(
            'PortOutOfRange',
            `Port ${port} is not within the port range ${range}; please recreate service`,
          );
        } else if (used.has(port)) {
          const said = `Port ${port} was assigned to multiple services; please recreate service`;
          say('PortAlreadyAllocated', said);
        } else {
          if (!taken.has(port)) say('PortNotAllocated', `Port ${port} is not allocated; repairing`);
          used.add(port);
        }
      }
    }
    const leaks = new Map<number, number>();
    for (const port of taken) {
      if (used.has(port)) continue;
      const seen = (this.leaks.get(port) ?? 0) + 1;
      if (seen > ROUNDS) taken.delete(port);
      else leaks.set(port, seen);
    }
    for (const port of used) taken.add(port);
    return { findings, leaks };
  }

  private async repairAddresses(stores: Stores, services: ObjectStore): Promise<Finding[]> {
    const store = stores.of(IP_ADDRESSES);
    if (store === undefined) return [];
    const addresses = new Map((await store.list('')).map((each) => [each.metadata.name ?? '', each]));
    const owned = new Set<string>();
    const findings: Finding[] = [];
    for (const service of await services.list('')) {
      for (const ip of texts(part(service, 'spec'), 'clusterIPs')) {
        const address = parseAddress(ip);
        if (address === undefined) continue;
        const name = formatAddress(address);
        const found = addresses.get(name);
        const finding = (reason: string, message: string): Finding => ({
          service,
          reporter: 'ipallocator-repair-controller',
          action: 'ClusterIPAllocation',
          reason,
          message,
        });
        if (found !== undefined && isFor(service, found)) {
          owned.add(name);
        } else if (found !== undefined) {
          const said = `Cluster IP [${address.family}]: ${ip} was assigned to multiple services; please recreate service`;
          findings.push(finding('ClusterIPAlreadyAllocated', said));
        } else if (await made(store, addressFor(service, address))) {
          const said = `Cluster IP [${address.family}]: ${ip} is not allocated; repairing`;
          findings.push(finding('ClusterIPNotAllocated', said));
        }
      }
    }
    for (const [name, address] of addresses) {
      if (owned.has(name) || !isManaged(address)) continue;
      const age = this.nowMs() - Date.parse(address.metadata.creationTimestamp ?? '');
      if (age >= GRACE_MS) await removed(store, address);
    }
    return findings;
  }

  private async tell(stores: Stores, finding: Finding): Promise<void> {
    const { service, reporter, action, reason, message } = finding;
    const { name = '', namespace = '', uid = '', resourceVersion = '' } = service.metadata;
    const nowMs = this.nowMs();
    this.told += 1;
    await stores.of({ group: '', resource: 'events' })?.create(
      namespace,
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${name}.${nowMs.toString(16)}${this.told.toString(16)}`, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Service', name, namespace, uid, resourceVersion },
        reason,
        message,
        action,
        type: 'Warning',
        eventTime: new Date(nowMs).toISOString().replace('Z', '000Z'),
        reportingComponent: reporter,
        reportingInstance: reporter,
        source: {},
        firstTimestamp: null,
        lastTimestamp: null,
      },
      { dryRun: false },
    );
  }
}

/** Whether this server made it; not where another one was faster. */
async function made(store: ObjectStore, address: KubeObject): Promise<boolean> {
  try {
    await store.create('', address, { dryRun: false });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return false;
    throw error;
  }
}

async function removed(store: ObjectStore, { metadata }: KubeObject): Promise<void> {
  const { name = '', uid = '', resourceVersion = '' } = metadata;
  try {
    await store.delete('', name, { dryRun: false, preconditions: { uid, resourceVersion } });
  } catch (error) {
    // Changed or gone meanwhile: looked at again in the next round.
    if (!(error instanceof ApiError) || !['NotFound', 'Conflict'].includes(error.reason)) throw error;
  }
}
