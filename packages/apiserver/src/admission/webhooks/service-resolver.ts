/**
 * Where a service of the cluster is reached from outside of it: at one of its ready endpoints, since nobody routes
 * cluster addresses on the server's own machine; at the name it stands for, where it stands for one.
 *
 * Modelled on kube-aggregator's endpoint resolver.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { count, countOf, part, parts, text, texts } from '../../validation/value.ts';
import { getOrLive, type ResourceLookup } from '../resource-lookup.ts';
import type { ServiceResolver } from './webhook-context.ts';

const SERVICES = { group: '', resource: 'services' };
const SLICES = { group: 'discovery.k8s.io', resource: 'endpointslices' };
const SERVICE_LABEL = 'kubernetes.io/service-name';

export function endpointResolver(lookup: ResourceLookup, random: (limit: number) => number): ServiceResolver {
  return async (namespace, name, port) => {
    const service = await getOrLive(lookup.of(SERVICES), namespace, name);
    if (service === undefined) throw new Error(`service ${JSON.stringify(name)} not found`);
    const spec = part(service, 'spec');
    if (text(spec, 'type') === 'ExternalName') return { host: text(spec, 'externalName'), port };
    const wanted = parts(spec, 'ports').find((each) => count(each, 'port') === port);
    if (wanted === undefined) {
      throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
    }
    const slices = ((await lookup.of(SLICES)?.list(namespace)) ?? []).filter(
      ({ metadata }) => metadata.labels?.[SERVICE_LABEL] === name,
    );
    const found = slices.flatMap((slice) => addressesIn(slice, text(wanted, 'name')));
    if (found.length === 0) {
      throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
    }
    return found[random(found.length)];
  };
}

function addressesIn(slice: KubeObject, portName: string): { host: string; port: number }[] {
  const ports = parts(slice, 'ports').filter((each) => text(each, 'name') === portName);
  return ports.flatMap((each) => {
    const port = countOf(each, 'port');
    if (port === undefined) return [];
    return parts(slice, 'endpoints')
      .filter(isReady)
      .flatMap((endpoint) => texts(endpoint, 'addresses').map((host) => ({ host, port })));
  });
}

/** Ready unless somebody says it is not. */
function isReady(endpoint: JsonObject): boolean {
  return part(endpoint, 'conditions')['ready'] !== false;
}
