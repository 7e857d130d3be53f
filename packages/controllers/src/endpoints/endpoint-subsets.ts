/**
 * The subsets of an Endpoints object: which addresses stand behind which ports. Ports with the same addresses make one
 * subset. At most a thousand addresses, ready ones first. Pure.
 *
 * Modelled on kubernetes' endpoints controller and pkg/api/v1/endpoints.
 */

import type { KubeObject } from '@keelson/kube-client';

import {
  addressesOf,
  familiesOf,
  fieldsOf,
  fingerprint,
  hasPart,
  hostnameIn,
  isHeadless,
  isReady,
  listOf,
  nodeNameOf,
  portsAt,
  referenceTo,
  type BackendPort,
} from './backends.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface Subset {
  readonly addresses?: readonly Fields[];
  readonly notReadyAddresses?: readonly Fields[];
  readonly ports?: readonly Fields[];
}

export const ADDRESSES_MAX = 1_000;

interface Behind {
  readonly port: BackendPort | undefined;
  readonly addresses: Map<string, { readonly address: Fields; readonly ready: boolean }>;
}

export function subsetsOf(service: KubeObject, pods: readonly KubeObject[]): Subset[] {
  const anyway = fieldsOf(service['spec'])['publishNotReadyAddresses'] === true;
  const portless = listOf(fieldsOf(service['spec'])['ports']).length === 0;
  const [family = 'IPv4'] = familiesOf(service);
  const byPort = new Map<string, Behind>();
  for (const pod of pods) {
    const [ip] = addressesOf(pod, family);
    if (ip === undefined || !hasPart(pod, anyway)) continue;
    const hostname = hostnameIn(service, pod);
    const nodeName = nodeNameOf(pod);
    const address: Fields = {
      ip,
      ...(hostname === undefined ? {} : { hostname }),
      ...(nodeName === undefined ? {} : { nodeName }),
      targetRef: referenceTo(pod),
    };
    const ports = portless && isHeadless(service) ? [undefined] : portsAt(service, pod);
    for (const port of ports) {
      const key = port === undefined ? '' : fingerprint(port);
      const behind = byPort.get(key) ?? { port, addresses: new Map() };
      byPort.set(key, behind);
      behind.addresses.set(fingerprint(address), { address, ready: anyway || isReady(pod) });
    }
  }
  return merged([...byPort.values()]);
}

function merged(all: readonly Behind[]): Subset[] {
  const byAddresses = new Map<string, { readonly behind: Behind; readonly ports: BackendPort[] }>();
  for (const behind of all) {
    const key = [...behind.addresses]
      .map(([address, { ready }]) => `${ready} ${address}`)
      .toSorted((a, b) => (a < b ? -1 : 1))
      .join();
    const found = byAddresses.get(key) ?? { behind, ports: [] };
    byAddresses.set(key, found);
    if (behind.port !== undefined) found.ports.push(behind.port);
  }
  return [...byAddresses.values()].map(({ behind, ports }) => {
    const sorted = [...behind.addresses].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    const addresses = sorted.filter(({ ready }) => ready).map(({ address }) => address);
    const notReadyAddresses = sorted.filter(({ ready }) => !ready).map(({ address }) => address);
    return {
      ...(addresses.length === 0 ? {} : { addresses }),
      ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
      ...(ports.length === 0
        ? {}
        : { ports: ports.map(({ name, ...port }) => ({ ...(name === '' ? {} : { name }), ...port })) }),
    };
  });
}

/** @returns as many as an Endpoints object may hold, and whether that was not all */
export function capped(subsets: readonly Subset[]): {
  readonly subsets: readonly Subset[];
  readonly over: boolean;
} {
  const count = (name: 'addresses' | 'notReadyAddresses'): number =>
    subsets.reduce((sum, subset) => sum + (subset[name]?.length ?? 0), 0);
  const ready = count('addresses');
  if (ready + count('notReadyAddresses') <= ADDRESSES_MAX) return { subsets, over: false };
  const name = ready > ADDRESSES_MAX ? 'addresses' : 'notReadyAddresses';
  const room = ready > ADDRESSES_MAX ? ADDRESSES_MAX : ADDRESSES_MAX - ready;
  const total = count(name);
  let left = room;
  const cut = subsets.flatMap((subset): Subset[] => {
    const list = subset[name] ?? [];
    const share = Math.min(left, Math.ceil((list.length / total) * room));
    left -= share;
    const { addresses = [], notReadyAddresses = [], ...rest } = subset;
    const kept = {
      addresses: name === 'addresses' ? list.slice(0, share) : addresses,
      notReadyAddresses: name === 'addresses' ? [] : notReadyAddresses.slice(0, share),
    };
    return [
      {
        ...(kept.addresses.length === 0 ? {} : { addresses: kept.addresses }),
        ...(kept.notReadyAddresses.length === 0 ? {} : { notReadyAddresses: kept.notReadyAddresses }),
        ...rest,
      },
    ];
  });
  return { subsets: cut, over: true };
}
