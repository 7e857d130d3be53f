/**
 * Cluster IPs of services: an IPAddress object each, whose name is the address, so that whoever makes it first has
 * it, in this server or another. Ranges are the server's own and those of ServiceCIDR objects. An address that was
 * not asked for is taken at random above a band that is left to those who ask. An address is given back with the
 * service, or when its creation fails; one that a server which died left taken is service-repair.ts's to find.
 *
 * Modelled on kubernetes' pkg/registry/core/service/ipallocator; refusals carry its texts.
 */

import type { KubeObject } from '../../api/meta.ts';
import { ApiError, internalError } from '../../api/status.ts';
import {
  formatAddress,
  networkBase,
  networkContains,
  parseAddress,
  parseNetwork,
  widthOf,
  type Address,
  type Family,
  type Network,
} from '../../validation/addresses.ts';
import { part, parts, text, texts } from '../../validation/value.ts';
import type { Stores } from '../resource.ts';
import type { AllocationObserver, AllocationScope } from './allocation-observer.ts';
import type { StrategyContext } from '../strategy.ts';

export const IP_ADDRESSES = { group: 'networking.k8s.io', resource: 'ipaddresses' };
const SERVICE_CIDRS = { group: 'networking.k8s.io', resource: 'servicecidrs' };
export const SERVICES = { group: '', resource: 'services' };
const LABELS = {
  family: 'ipaddress.kubernetes.io/ip-family',
  manager: 'ipaddress.kubernetes.io/managed-by',
} as const;
const MANAGER = 'ipallocator.k8s.io';

/** The band at a range's start that is left to those who ask for an address: a sixteenth of it, within these. */
const BAND_MIN = 16n;
const BAND_MAX = 256n;
const BAND_SHARE = 16n;
/** So many addresses are tried one by one before all that are taken are read: ranges are mostly empty. */
const TRIES_BLIND = 4;
/** Numbers beyond this are not drawn: an IPv6 range has more addresses than anybody tries. */
const DRAW_MAX = 2 ** 31;

/** Why an address was not given; the text is for the field that asked. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';
}

/** Addresses of one service that are being changed: what was taken is given back unless the write stands. */
export class AddressBook {
  private readonly stores: Stores;
  private readonly context: StrategyContext;
  private readonly service: KubeObject;
  private readonly networks: readonly Network[];
  private readonly observer: AllocationObserver | undefined;
  private readonly taken: string[] = [];

  /** @param networks the server's own */
  constructor(
    stores: Stores,
    context: StrategyContext,
    service: KubeObject,
    networks: readonly Network[],
    observer?: AllocationObserver,
  ) {
    // What is only tried is not counted.
    this.observer = context.dryRun ? undefined : observer;
    this.stores = stores;
    this.context = context;
    this.service = service;
    this.networks = networks;
  }

  /** Takes this address. @throws AddressRefused, ApiError of the store */
  async take(ip: string): Promise<void> {
    const address = parseAddress(ip);
    if (address === undefined) throw internalError(`failed to parse service IP ${JSON.stringify(ip)}`);
    const networks = await this.ranges(address.family);
    const network = networks.find((each) => networkContains(each, address));
    if (network === undefined) {
      throw new AddressRefused('the provided network does not match the current range');
    }
    const { first, last } = usable(network);
    if (address.bits < first || address.bits > last) {
      this.observer?.addressRefused(describe(network), 'static');
      throw new AddressRefused(
        `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${describe(network)}`,
      );
    }
    const given = this.measured(network, 'static');
    if (!(await this.claim(address))) {
      this.observer?.addressRefused(describe(network), 'static');
      throw new AddressRefused('provided IP is already allocated');
    }
    given?.();
  }

  /** Takes one that is free. @throws AddressRefused where none is, ApiError of the store */
  async takeAny(family: Family): Promise<string> {
    for (const network of await this.ranges(family)) {
      const given = this.measured(network, 'dynamic');
      const found = await this.takeOf(network);
      if (found !== undefined) {
        given?.();
        return found;
      }
      this.observer?.addressRefused(describe(network), 'dynamic');
    }
    throw new AddressRefused('range is full');
  }

  /** What was taken is free again: the service was not written. */
  async undo(): Promise<void> {
    for (const ip of this.taken.splice(0)) await this.release(ip);
  }

  /** The service has this address no more. */
  async release(ip: string): Promise<void> {
    const store = this.stores.of(IP_ADDRESSES);
    const address = parseAddress(ip);
    if (store === undefined || address === undefined || this.context.dryRun) return;
    const name = formatAddress(address);
    try {
      const found = await store.get('', name);
      if (!isFor(this.service, found)) return;
      const { uid = '' } = found.metadata;
      await store.delete('', name, { dryRun: false, preconditions: { uid } });
    } catch (error) {
      // Given back already, and perhaps taken by another since.
      if (!(error instanceof ApiError) || !['NotFound', 'Conflict'].includes(error.reason)) throw error;
    }
  }

  private async ranges(family: Family): Promise<readonly Network[]> {
    const listed: Network[] = [];
    for (const cidr of (await this.stores.of(SERVICE_CIDRS)?.list('')) ?? []) {
      const going = (cidr.metadata.deletionTimestamp ?? undefined) !== undefined;
      const conditions = parts(part(cidr, 'status'), 'conditions');
      const ready = conditions.some(
        (each) => text(each, 'type') === 'Ready' && text(each, 'status') === 'True',
      );
      if (going || !ready) continue;
      for (const range of texts(part(cidr, 'spec'), 'cidrs')) {
        const network = parseNetwork(range);
        if (network !== undefined) listed.push(network);
      }
    }
    const known = new Set(this.networks.map(describe));
    return [...this.networks, ...listed.filter((each) => !known.has(describe(each)))].filter(
      ({ address }) => address.family === family,
    );
  }

  /** First above the band, then in it; from a place that is drawn on. */
  private async takeOf(network: Network): Promise<string | undefined> {
    const { first, last } = usable(network);
    const size = last - first + 1n;
    if (size < 1n) return undefined;
    // The first one belongs to the service kubernetes, which may not have asked for it yet.
    const own = this.networks.some((each) => describe(each) === describe(network));
    const start = own ? first + 1n : first;
    const band = bandOf(network);
    const above = first + band > start ? first + band : start;
    const known = this.context.dryRun ? await this.all() : undefined;
    const found = await this.takeBetween(network, above, last, known);
    return found ?? (await this.takeBetween(network, start, above - 1n, known));
  }

  /** @returns to be called when an address was given */
  private measured(network: Network, scope: AllocationScope): (() => void) | undefined {
    const { observer } = this;
    if (observer === undefined) return undefined;
    const startMs = observer.monotonicMs();
    return () => observer.address(describe(network), scope, (observer.monotonicMs() - startMs) / 1_000);
  }

  private async takeBetween(
    network: Network,
    first: bigint,
    last: bigint,
    all: ReadonlySet<string> | undefined,
  ): Promise<string | undefined> {
    if (last < first) return undefined;
    const { family } = network.address;
    const size = last - first + 1n;
    const tries = size > BigInt(DRAW_MAX) ? DRAW_MAX : Number(size);
    const start = this.context.random(tries);
    let known = all;
    for (let step = 0; step < tries; step += 1) {
      if (step === TRIES_BLIND) known ??= await this.all();
      const address: Address = { family, bits: first + BigInt((start + step) % tries) };
      const ip = formatAddress(address);
      if (known?.has(ip) === true) continue;
      if (await this.claim(address)) return ip;
      this.observer?.addressRefused(describe(network), 'dynamic');
    }
    return undefined;
  }

  /** Whether the address is the service's now. */
  private async claim(address: Address): Promise<boolean> {
    const ip = formatAddress(address);
    const store = this.stores.of(IP_ADDRESSES);
    if (store === undefined || this.context.dryRun) return !(await this.all()).has(ip);
    try {
      await store.create('', addressFor(this.service, address), { dryRun: false });
    } catch (error) {
      // Not even where it is for a service of this name: another server may be about to give it back.
      if (error instanceof ApiError && error.reason === 'AlreadyExists') return false;
      throw error;
    }
    this.taken.push(ip);
    return true;
  }

  /** All addresses that are taken; those of other services, where addresses are no objects. */
  private async all(): Promise<ReadonlySet<string>> {
    const store = this.stores.of(IP_ADDRESSES);
    if (store !== undefined) {
      return new Set((await store.list('')).map(({ metadata }) => metadata.name ?? ''));
    }
    const { name, namespace } = this.service.metadata;
    const services = (await this.stores.of(SERVICES)?.list('')) ?? [];
    const others = services.filter(
      ({ metadata: { name: other, namespace: place } }) => other !== name || place !== namespace,
    );
    return new Set(others.flatMap((each) => texts(part(each, 'spec'), 'clusterIPs')));
  }
}

/** The object that says whose an address is. */
export function addressFor({ metadata }: KubeObject, address: Address): KubeObject {
  const { name = '', namespace = '' } = metadata;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name: formatAddress(address),
      labels: { [LABELS.family]: address.family, [LABELS.manager]: MANAGER },
    },
    spec: { parentRef: { resource: 'services', namespace, name } },
  };
}

/** Whether it was made here, and not by somebody who keeps an address for himself. */
export function isManaged({ metadata }: KubeObject): boolean {
  return metadata.labels?.[LABELS.manager] === MANAGER;
}

/** Whether an IPAddress is a service's. */
export function isFor({ metadata }: KubeObject, address: KubeObject): boolean {
  const parent = part(part(address, 'spec'), 'parentRef');
  return (
    text(parent, 'group') === '' &&
    text(parent, 'resource') === 'services' &&
    text(parent, 'name') === metadata.name &&
    text(parent, 'namespace') === metadata.namespace
  );
}

/** First and last address that may be given: not the network's own, and of IPv4 not the one for all. */
function usable(network: Network): { readonly first: bigint; readonly last: bigint } {
  const base = networkBase(network);
  const size = 1n << BigInt(widthOf(base.family) - network.prefixLength);
  return { first: base.bits + 1n, last: base.bits + size - (base.family === 'IPv4' ? 2n : 1n) };
}

function bandOf(network: Network): bigint {
  const size = 1n << BigInt(widthOf(network.address.family) - network.prefixLength);
  if (size <= BAND_MIN) return 0n;
  const share = size / BAND_SHARE;
  return share < BAND_MIN ? BAND_MIN : share > BAND_MAX ? BAND_MAX : share;
}

function describe(network: Network): string {
  return `${formatAddress(networkBase(network))}/${network.prefixLength}`;
}
