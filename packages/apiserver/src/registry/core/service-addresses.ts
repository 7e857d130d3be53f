/**
 * Addresses and ports that services get: cluster IPs from the service range, node ports from theirs, one each,
 * chosen at random among the free ones and freed with the service. What is taken is read from the services
 * themselves; two creations at once that meet are told apart by the server, whose hooks run one at a time
 * within one process. Does not keep IPAddress objects.
 *
 * Modelled on the allocators of kube-apiserver; refusals carry its texts.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { internalError, invalid } from '../../api/status.ts';
import {
  formatAddress,
  networkBase,
  networkContains,
  parseAddress,
  parseNetwork,
  widthOf,
  type Network,
} from '../../validation/addresses.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { count, part, parts, text, texts, withField } from '../../validation/value.ts';
import type { Reservation, ResourceHooks, Stores } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';
import { SPEC } from '../kinds/kind.ts';

/** As kube-apiserver without --service-cluster-ip-range and --service-node-port-range. */
const SERVICE_RANGE = '10.0.0.0/24';
const NODE_PORT_FIRST = 30_000;
const NODE_PORT_LAST = 32_767;
const KIND = { group: '', kind: 'Service' };

interface Taken {
  readonly addresses: ReadonlySet<string>;
  readonly ports: ReadonlySet<number>;
}

export const serviceHooks: ResourceHooks = {
  beginCreate: (object, context, stores) => reserve(object, undefined, context, stores),
  beginUpdate: (object, old, context, stores) => reserve(object, old, context, stores),
};

async function reserve(
  object: KubeObject,
  old: KubeObject | undefined,
  context: StrategyContext,
  stores: Stores,
): Promise<Reservation> {
  const spec = part(object, 'spec');
  const before = old === undefined ? {} : part(old, 'spec');
  const kept = carriedOver(spec, before);
  const taken = needsNothing(kept, before) ? NOTHING : await takenBy(object, stores);
  const name = object.metadata.name ?? '';
  const addressed = withAddress(kept, taken, context, name);
  const ported = withNodePorts(addressed, taken, context, name);
  return { object: withField(object, 'spec', ported), finish: () => Promise.resolve() };
}

const NOTHING: Taken = { addresses: new Set(), ports: new Set() };

/** What an update leaves out and the service had: clients that know only some fields send those. */
function carriedOver(spec: JsonObject, before: JsonObject): JsonObject {
  const type = text(spec, 'type');
  if (type === 'ExternalName') return spec;
  let kept = spec;
  if (text(before, 'type') !== 'ExternalName' && text(before, 'clusterIP') !== '') {
    if (text(kept, 'clusterIP') === '' && texts(kept, 'clusterIPs').length === 0) {
      kept = { ...kept, clusterIP: before['clusterIP'], clusterIPs: [...texts(before, 'clusterIPs')] };
    }
    for (const name of ['ipFamilies', 'ipFamilyPolicy']) {
      if (kept[name] === undefined && before[name] !== undefined) kept = { ...kept, [name]: before[name] };
    }
  }
  const exposed = (of: JsonObject): boolean => ['NodePort', 'LoadBalancer'].includes(text(of, 'type'));
  if (exposed(spec) && exposed(before)) {
    const had = parts(before, 'ports');
    const used = new Set(parts(kept, 'ports').map((port) => count(port, 'nodePort')));
    kept = {
      ...kept,
      ports: parts(kept, 'ports').map((port) => {
        if (count(port, 'nodePort') !== 0) return port;
        const same = had.find(
          (each) =>
            count(each, 'port') === count(port, 'port') && text(each, 'protocol') === text(port, 'protocol'),
        );
        const nodePort = same === undefined ? 0 : count(same, 'nodePort');
        return nodePort === 0 || used.has(nodePort) ? port : { ...port, nodePort };
      }),
    };
  }
  return kept;
}

function needsNothing(spec: JsonObject, before: JsonObject): boolean {
  const type = text(spec, 'type');
  if (type === 'ExternalName') return true;
  const addressed = text(spec, 'clusterIP') !== '' && text(spec, 'clusterIP') === text(before, 'clusterIP');
  return addressed && type === 'ClusterIP';
}

async function takenBy(own: KubeObject, stores: Stores): Promise<Taken> {
  const store = stores.of({ group: '', resource: 'services' });
  if (store === undefined) return NOTHING;
  const addresses = new Set<string>();
  const ports = new Set<number>();
  for (const service of await store.list('')) {
    const { name, namespace } = service.metadata;
    if (name === own.metadata.name && namespace === own.metadata.namespace) continue;
    const spec = part(service, 'spec');
    for (const address of texts(spec, 'clusterIPs')) addresses.add(address);
    for (const port of parts(spec, 'ports')) ports.add(count(port, 'nodePort'));
    ports.add(count(spec, 'healthCheckNodePort'));
  }
  return { addresses, ports };
}

function withAddress(spec: JsonObject, taken: Taken, context: StrategyContext, name: string): JsonObject {
  if (text(spec, 'type') === 'ExternalName') return spec;
  const range = serviceRange();
  const given = text(spec, 'clusterIP') || (texts(spec, 'clusterIPs')[0] ?? '');
  let address = given;
  if (given === '') address = freeAddress(range, taken, context);
  else if (given !== 'None') {
    const parsed = parseAddress(given);
    const refuse = (why: string): never => {
      const errors = new FieldErrors();
      errors.invalid(SPEC.child('clusterIPs'), [given], why);
      throw invalid(KIND, name, errors.list);
    };
    // What is no address at all is refused by the checks, which run after this.
    if (parsed !== undefined) {
      if (!networkContains(range, parsed)) {
        refuse(
          `failed to allocate IP ${given}: the provided IP (${given}) is not in the valid range. The range of valid IPs is ${SERVICE_RANGE}`,
        );
      }
      if (taken.addresses.has(given))
        refuse(`failed to allocate IP ${given}: provided IP is already allocated`);
    }
  }
  const family = parseAddress(address)?.family ?? 'IPv4';
  return {
    ...spec,
    clusterIP: address,
    clusterIPs: [address],
    ipFamilies: texts(spec, 'ipFamilies').length === 0 ? [family] : [...texts(spec, 'ipFamilies')],
    ipFamilyPolicy: text(spec, 'ipFamilyPolicy') || 'SingleStack',
  };
}

function serviceRange(): Network {
  const range = parseNetwork(SERVICE_RANGE);
  if (range === undefined) throw internalError('the service range is no network');
  return range;
}

/** The first address is the service kubernetes' own; network and broadcast are nobody's. */
function freeAddress(range: Network, taken: Taken, context: StrategyContext): string {
  const base = networkBase(range);
  const size = 2 ** (widthOf(base.family) - range.prefixLength);
  const usable = size - 3;
  const start = context.random(usable);
  for (let step = 0; step < usable; step += 1) {
    const offset = 2 + ((start + step) % usable);
    const address = formatAddress({ family: base.family, bits: base.bits + BigInt(offset) });
    if (!taken.addresses.has(address)) return address;
  }
  throw internalError('failed to allocate a serviceIP: range is full');
}

function withNodePorts(spec: JsonObject, taken: Taken, context: StrategyContext, name: string): JsonObject {
  const type = text(spec, 'type');
  const wants =
    type === 'NodePort' || (type === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false);
  const used = new Set(taken.ports);
  const errors = new FieldErrors();
  if (type !== 'NodePort' && type !== 'LoadBalancer') return spec;
  const own = new Map<number, string>();
  for (const [index, port] of parts(spec, 'ports').entries()) {
    const nodePort = count(port, 'nodePort');
    if (nodePort === 0) continue;
    const at = SPEC.child('ports').index(index).child('nodePort');
    if (nodePort < NODE_PORT_FIRST || nodePort > NODE_PORT_LAST) {
      errors.invalid(
        at,
        nodePort,
        `provided port is not in the valid range. The range of valid ports is ${NODE_PORT_FIRST}-${NODE_PORT_LAST}`,
      );
    } else if (taken.ports.has(nodePort)) errors.invalid(at, nodePort, 'provided port is already allocated');
    own.set(nodePort, text(port, 'protocol'));
    used.add(nodePort);
  }
  if (errors.size > 0) throw invalid(KIND, name, errors.list);
  if (!wants) return spec;
  const next = (): number => {
    const size = NODE_PORT_LAST - NODE_PORT_FIRST + 1;
    const start = context.random(size);
    for (let step = 0; step < size; step += 1) {
      const port = NODE_PORT_FIRST + ((start + step) % size);
      if (!used.has(port)) {
        used.add(port);
        return port;
      }
    }
    throw internalError('failed to allocate a nodePort: range is full');
  };
  let ported: JsonObject = {
    ...spec,
    ports: parts(spec, 'ports').map((port) =>
      count(port, 'nodePort') === 0 ? { ...port, nodePort: next() } : port,
    ),
  };
  const local = type === 'LoadBalancer' && text(spec, 'externalTrafficPolicy') === 'Local';
  if (local && count(spec, 'healthCheckNodePort') === 0) ported = { ...ported, healthCheckNodePort: next() };
  return ported;
}
