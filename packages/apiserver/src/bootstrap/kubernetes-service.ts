/**
 * The service `kubernetes` in the namespace `default`, by which pods reach the API servers, and what lies behind it:
 * Endpoints and an EndpointSlice with the addresses of all servers that run (bootstrap-controller).
 *
 * Modelled on kubernetes' kubernetesservice controller with the lease reconciler. A server whose address nobody else
 * can reach (loopback) keeps the service and leaves endpoints alone.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import {
  formatAddress,
  networkBase,
  parseAddress,
  parseNetwork,
  specialAddressErrors,
} from '../validation/addresses.ts';
import { part, parts, same, text, texts } from '../validation/value.ts';
import { withMetadata } from '../registry/generation.ts';
import type { Stores } from '../registry/resource.ts';
import { ensure, lookUp, storeOf } from './ensure.ts';
import type { MasterLeases } from './master-leases.ts';
import type { PostStartHook } from './post-start-hooks.ts';
import { SYSTEM_NAMESPACES } from './system-namespaces.ts';

const NAMESPACE = 'default';
const NAME = 'kubernetes';
const PORT = 443;
/** As the original's reconciler; records of servers live one and a half times as long. */
const EVERY_MS = 10_000;

export interface KubernetesServiceOptions {
  /** --service-cluster-ip-range, its first network: the service gets the first address. */
  readonly serviceRange: string;
  /** Where other machines reach this server; undefined while the port is not open yet. */
  advertised(): { readonly address: string; readonly port: number } | undefined;
  /** False: somebody else keeps the endpoints (--endpoint-reconciler-type=none). */
  readonly endpoints: boolean;
  /** Where servers say that they run. */
  leases(): MasterLeases;
}

export function kubernetesService(options: KubernetesServiceOptions): PostStartHook {
  return {
    name: 'bootstrap-controller',
    everyMs: EVERY_MS,
    async run(stores, signal) {
      const at = options.advertised();
      if (at === undefined) throw new Error('the server has no address yet');
      await ensure(storeOf(stores, { group: '', resource: 'namespaces' }), {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: SYSTEM_NAMESPACES[3] },
      });
      await ensureService(stores, options.serviceRange, at.port);
      const hidden = specialAddressErrors(at.address).some((error) => !error.startsWith('must be'));
      if (hidden || !options.endpoints) return;
      const leases = options.leases();
      await leases.renew(at.address, signal);
      const addresses = await leases.addresses(signal);
      // A list without this server is not to be believed: nothing is taken away on its word.
      if (!addresses.includes(at.address)) throw new Error('the record of this server is not there');
      await ensureEndpoints(stores, addresses, at.port);
      await ensureSlice(stores, addresses, at.port);
    },
  };
}

/** Takes this server out of what clients are told; the others go on. */
export async function leaveService(stores: Stores, options: KubernetesServiceOptions): Promise<void> {
  const at = options.advertised();
  if (at === undefined || !options.endpoints) return;
  const leases = options.leases();
  await leases.remove(at.address);
  const addresses = await leases.addresses(new AbortController().signal);
  // The last one leaves its address: an Endpoints object without any would be taken for a broken one.
  if (addresses.length === 0) return;
  await ensureEndpoints(stores, addresses, at.port);
  await ensureSlice(stores, addresses, at.port);
}

/** The first address of a network after its own. @throws Error for a text that is no network */
export function firstAddress(range: string): string {
  const network = parseNetwork(range);
  if (network === undefined) throw new Error(`invalid CIDR address: ${range}`);
  const { family, bits } = networkBase(network);
  return formatAddress({ family, bits: bits + 1n });
}

async function ensureService(stores: Stores, range: string, targetPort: number): Promise<void> {
  const clusterIP = firstAddress(range);
  const ports = [{ name: 'https', protocol: 'TCP', port: PORT, targetPort }];
  const service: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      ports,
      clusterIP,
      clusterIPs: [clusterIP],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ipFamilies: [parseAddress(clusterIP)?.family ?? 'IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
    },
  };
  await ensure(storeOf(stores, { group: '', resource: 'services' }), service, (stored) =>
    same(part(stored, 'spec')['ports'], ports)
      ? stored
      : { ...stored, spec: { ...part(stored, 'spec'), ports } },
  );
}

async function ensureEndpoints(stores: Stores, addresses: readonly string[], port: number): Promise<void> {
  const subsets = [
    {
      addresses: addresses.map((ip) => ({ ip })),
      ports: [{ name: 'https', port, protocol: 'TCP' }],
    },
  ];
  const label = 'endpointslice.kubernetes.io/skip-mirror';
  await ensure(
    storeOf(stores, { group: '', resource: 'endpoints' }),
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: NAME, namespace: NAMESPACE, labels: { [label]: 'true' } },
      subsets,
    },
    (stored) => {
      const labelled = stored.metadata.labels?.[label] === 'true';
      if (labelled && same(stored['subsets'], subsets)) return stored;
      const labels = { ...stored.metadata.labels, [label]: 'true' };
      return { ...withMetadata(stored, { labels }), subsets };
    },
  );
}

async function ensureSlice(stores: Stores, addresses: readonly string[], port: number): Promise<void> {
  const store = storeOf(stores, { group: 'discovery.k8s.io', resource: 'endpointslices' });
  const addressType = parseAddress(addresses[0])?.family ?? 'IPv4';
  const endpoints: JsonObject[] = addresses.map((address) => ({
    addresses: [address],
    conditions: { ready: true },
  }));
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  const label = 'kubernetes.io/service-name';
  const slice: KubeObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: NAME, namespace: NAMESPACE, labels: { [label]: NAME } },
    addressType,
    endpoints,
    ports,
  };
  const stored = await lookUp(store, NAMESPACE, NAME);
  // The kind of address never changes: a slice of the other kind makes room.
  if (stored !== undefined && text(stored, 'addressType') !== addressType) {
    await store.delete(NAMESPACE, NAME, { dryRun: false });
  }
  await ensure(store, slice, (current) => {
    const labelled = current.metadata.labels?.[label] === NAME;
    const right = sameEndpoints(current, addresses) && same(current['ports'], ports);
    if (labelled && right) return current;
    const labels = { ...current.metadata.labels, [label]: NAME };
    return { ...withMetadata(current, { labels }), ...(right ? {} : { endpoints, ports }) };
  });
}

function sameEndpoints(slice: KubeObject, addresses: readonly string[]): boolean {
  const list = parts(slice, 'endpoints');
  return (
    list.length === addresses.length &&
    list.every((endpoint, index) => same(texts(endpoint, 'addresses'), [addresses[index]]))
  );
}
