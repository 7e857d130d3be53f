/**
 * What happens around the write of a service: families are settled, addresses and ports are handed out, and given
 * back when the write fails or the service has no more use for them.
 *
 * Modelled on Allocators of kubernetes' pkg/registry/core/service/storage.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { internalError, invalid } from '../../api/status.ts';
import { parseNetwork, type Family, type Network } from '../../validation/addresses.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { part, text, texts, withField } from '../../validation/value.ts';
import type { Reservation, ResourceHooks, Stores } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';
import { SPEC } from '../kinds/kind.ts';
import type { AllocationObserver } from './allocation-observer.ts';
import { AddressBook, AddressRefused } from './service-addresses.ts';
import { SERVICE_KIND, withFamilies } from './service-families.ts';
import { isHeadless, needsClusterIP } from './service-fields.ts';
import { PortAllocation, portsOf, type PortRange } from './port-allocation.ts';
import { grantPorts } from './service-ports.ts';

/** What a cluster has for services. */
export interface ServiceRanges {
  /** One network, or one of each family; the first one's family is what services have that do not say. */
  readonly networks: readonly string[];
  readonly nodePorts: PortRange;
  /** Told what is given. */
  readonly observer?: AllocationObserver;
}

/** As kube-apiserver without --service-cluster-ip-range and --service-node-port-range. */
export const DEFAULT_SERVICE_RANGES: ServiceRanges = {
  networks: ['10.0.0.0/24'],
  nodePorts: { first: 30_000, last: 32_767 },
};

/** Hooks of one server's services. What is taken stands in the store, where other servers see it as well. */
export function serviceHooks(ranges: ServiceRanges): ResourceHooks {
  const networks = ranges.networks.map(networkOf);
  const { observer } = ranges;
  const families = networks.map(({ address }) => address.family);
  const begin = async (
    object: KubeObject,
    old: KubeObject | undefined,
    context: StrategyContext,
    stores: Stores,
  ): Promise<Reservation> => {
    const before = old === undefined ? undefined : part(old, 'spec');
    const book = new AddressBook(stores, context, object, networks, observer);
    const allocation = new PortAllocation(ranges.nodePorts, stores, observer);
    const name = object.metadata.name ?? '';
    const settled = withFamilies(part(object, 'spec'), before, families, name);
    try {
      const addressed = await withAddresses(settled, before, book, name);
      const request = {
        service: object,
        spec: addressed,
        before,
        dryRun: context.dryRun,
        random: (limit: number) => context.random(limit),
        ...(observer === undefined ? {} : { observer }),
      };
      const { spec, fresh } = await grantPorts(request, ranges.nodePorts, allocation);
      const written = withField(object, 'spec', spec);
      return {
        object: written,
        async finish(success) {
          const useless = success ? portsLeft(written, old) : fresh;
          if (!context.dryRun) await allocation.release(useless);
          if (!success) await book.undo();
          else for (const ip of releasedBy(spec, before)) await book.release(ip);
        },
      };
    } catch (error) {
      await book.undo();
      throw error;
    }
  };
  return {
    beginCreate: (object, context, stores) => begin(object, undefined, context, stores),
    beginUpdate: (object, old, context, stores) => begin(object, old, context, stores),
    async afterDelete(object, context, stores) {
      const book = new AddressBook(stores, context, object, networks);
      for (const ip of texts(part(object, 'spec'), 'clusterIPs')) await book.release(ip);
      if (!context.dryRun)
        await new PortAllocation(ranges.nodePorts, stores, observer).release(portsOf(object));
    },
  };
}

/** Ports it had and has no more. */
function portsLeft(service: KubeObject, old: KubeObject | undefined): number[] {
  if (old === undefined) return [];
  const kept = portsOf(service);
  return [...portsOf(old)].filter((port) => !kept.has(port));
}

function networkOf(range: string): Network {
  const network = parseNetwork(range);
  if (network === undefined) throw new Error(`invalid CIDR address: ${range}`);
  return network;
}

/** An address for each family that lacks one. */
async function withAddresses(
  spec: JsonObject,
  before: JsonObject | undefined,
  book: AddressBook,
  name: string,
): Promise<JsonObject> {
  if (!needsClusterIP(spec) || isHeadless(spec)) return spec;
  const families = texts(spec, 'ipFamilies');
  const fresh = before === undefined || !needsClusterIP(before);
  // Whoever has one address and gets a second family needs the second address alone.
  const grown =
    !fresh && !isHeadless(before) && texts(before, 'ipFamilies').length === 1 && families.length === 2;
  if (!fresh && !grown) return spec;
  const all = [...texts(spec, 'clusterIPs')];
  for (const [index, family] of families.entries()) {
    if (grown && index === 0) continue;
    const asked = all.at(index) ?? '';
    all[index] = await takenOr(asked, family === 'IPv6' ? 'IPv6' : 'IPv4', [...all], book, name);
  }
  return { ...spec, clusterIP: all[0] ?? text(spec, 'clusterIP'), clusterIPs: all };
}

async function takenOr(
  asked: string,
  family: Family,
  all: readonly string[],
  book: AddressBook,
  name: string,
): Promise<string> {
  try {
    if (asked === '') return await book.takeAny(family);
    await book.take(asked);
    return asked;
  } catch (error) {
    if (!(error instanceof AddressRefused)) throw error;
    if (asked === '') throw internalError(`failed to allocate a serviceIP: ${error.message}`);
    const errors = new FieldErrors();
    errors.invalid(SPEC.child('clusterIPs'), all, `failed to allocate IP ${asked}: ${error.message}`);
    throw invalid(SERVICE_KIND, name, errors.list);
  }
}

/** Addresses it had and has no more. */
function releasedBy(spec: JsonObject, before: JsonObject | undefined): string[] {
  if (before === undefined) return [];
  const kept = texts(spec, 'clusterIPs');
  return texts(before, 'clusterIPs').filter((ip) => ip !== 'None' && !kept.includes(ip));
}
