/**
 * Which node ports are taken, for all servers of a store: one RangeAllocation, changed by whoever gives a port or takes
 * one back, and only if nobody else changed it meanwhile. Where there is none yet, or one of another range, it is made
 * of the services; what a server that died left taken is freed by service-repair.ts.
 *
 * Modelled on kubernetes' pkg/registry/core/service/portallocator; key and form of the object are its own.
 */

import type { KubeObject } from '../../api/meta.ts';
import { count, part, text } from '../../validation/value.ts';
import type { Storage, StoredObject } from '../../storage/storage.ts';
import { RANGES_PREFIX } from '../../storage/keys.ts';
import type { Stores } from '../resource.ts';
import type { AllocationObserver } from './allocation-observer.ts';
import { nodePortsOf } from './service-fields.ts';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const KEY = `${RANGES_PREFIX}/servicenodeports`;
const BITS = 8;

export class PortAllocation {
  private readonly range: PortRange;
  private readonly stores: Stores;
  private readonly observer: AllocationObserver | undefined;

  constructor(range: PortRange, stores: Stores, observer?: AllocationObserver) {
    this.observer = observer;
    this.range = range;
    this.stores = stores;
  }

  /** Ports that are taken now. */
  async taken(): Promise<Set<number>> {
    const { objects } = await this.storage.list(RANGES_PREFIX);
    return this.takenBy(objects.find(({ key }) => key === KEY));
  }

  /**
   * Takes ports or gives some back, and writes what is taken then.
   *
   * @param change is called again, with what is taken then, when another server was faster
   * @throws what `change` throws, ApiError of the store
   */
  async change<T>(change: (taken: Set<number>) => T | Promise<T>): Promise<T> {
    let made: { readonly result: T; readonly taken: number } | undefined;
    await this.storage.guaranteedUpdate(
      KEY,
      async (current) => {
        const taken = await this.takenBy(current);
        const result = await change(taken);
        made = { result, taken: taken.size };
        return { value: this.record(current?.value, taken) };
      },
      { ignoreNotFound: true },
    );
    if (made === undefined) throw new Error('an update that asked nobody');
    this.observer?.portsTaken(made.taken, this.range.last - this.range.first + 1);
    return made.result;
  }

  /** These are free again. */
  async release(ports: Iterable<number>): Promise<void> {
    const free = [...ports];
    if (free.length === 0) return;
    await this.change((taken) => {
      for (const port of free) taken.delete(port);
    });
  }

  private get storage(): Storage {
    return this.stores.ranges();
  }

  private async takenBy(stored: StoredObject | undefined): Promise<Set<number>> {
    const value = stored?.value;
    if (value !== undefined && text(value, 'range') === describe(this.range))
      return this.decode(text(value, 'data'));
    const taken = new Set<number>();
    for (const service of (await this.stores.of({ group: '', resource: 'services' })?.list('')) ?? []) {
      for (const port of portsOf(service)) taken.add(port);
    }
    return taken;
  }

  /** The bit of the first port is the lowest of the last byte. */
  private decode(data: string): Set<number> {
    const bytes = Buffer.from(data, 'base64').toReversed();
    const taken = new Set<number>();
    for (const [at, byte] of bytes.entries()) {
      for (let bit = 0; bit < BITS; bit += 1) {
        if ((byte & (1 << bit)) !== 0) taken.add(this.range.first + at * BITS + bit);
      }
    }
    return taken;
  }

  private record(current: KubeObject | undefined, taken: ReadonlySet<number>): KubeObject {
    const { first, last } = this.range;
    const bytes: number[] = [];
    for (const port of [...taken].toSorted((a, b) => a - b)) {
      if (port < first || port > last) continue;
      const at = Math.floor((port - first) / BITS);
      while (bytes.length <= at) bytes.push(0);
      bytes[at] |= 1 << ((port - first) % BITS);
    }
    const { resourceVersion: _version, ...metadata } = current?.metadata ?? {};
    return {
      apiVersion: 'v1',
      kind: 'RangeAllocation',
      metadata,
      range: describe(this.range),
      data: Buffer.from(bytes.toReversed()).toString('base64'),
    };
  }
}

/** All that a service has of nodes' ports. */
export function portsOf(service: KubeObject): ReadonlySet<number> {
  const spec = part(service, 'spec');
  const check = count(spec, 'healthCheckNodePort');
  const ports = nodePortsOf(spec);
  return check === 0 ? ports : new Set([...ports, check]);
}

export function describe({ first, last }: PortRange): string {
  return `${first}-${last}`;
}
