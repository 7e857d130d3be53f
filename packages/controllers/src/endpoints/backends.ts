/**
 * The Pods behind a Service, as far as its endpoints need to know them: which are in it, under which addresses and ports,
 * and in what state. Pure.
 *
 * Modelled on kubernetes' pkg/controller/util/endpoint and k8s.io/endpointslice; a Pod whose Node nobody has made counts
 * here, since a control plane may have Pods without nodes.
 */

import { isIP } from 'node:net';

import { isDeleting, isRecord, type KubeObject } from '@keelson/kube-client';

type Fields = Readonly<Record<string, unknown>>;

/** A port under which a Service's traffic arrives at a Pod. */
export interface BackendPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

export type Family = 'IPv4' | 'IPv6';

export function fieldsOf(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter((one: unknown) => isRecord(one)) : [];
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What is kept of a Pod. */
export function leanPod({ metadata, spec, status }: KubeObject): KubeObject {
  const { name = '', namespace = '', uid = '', labels = {}, deletionTimestamp } = metadata;
  const { nodeName, hostname, subdomain, containers, initContainers } = fieldsOf(spec);
  const { phase, podIP, podIPs, conditions } = fieldsOf(status);
  const sidecars = listOf(initContainers).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return {
    metadata: {
      name,
      namespace,
      uid,
      labels,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: {
      nodeName,
      hostname,
      subdomain,
      ports: [...listOf(containers), ...sidecars].flatMap(({ ports }) => listOf(ports)),
    },
    status: {
      phase,
      podIPs: podIPs ?? (textOf(podIP) === '' ? [] : [{ ip: podIP }]),
      ready: listOf(conditions).some(({ type, status: state }) => type === 'Ready' && state === 'True'),
    },
  };
}

export function isReady(pod: KubeObject): boolean {
  return fieldsOf(pod['status'])['ready'] === true;
}

/** Whether a Pod has or had a part in a Service: it has an address and has not ended. */
export function hasPart(pod: KubeObject, deletingToo: boolean): boolean {
  const { phase, podIPs } = fieldsOf(pod['status']);
  if (phase === 'Failed' || phase === 'Succeeded' || listOf(podIPs).length === 0) return false;
  return deletingToo || !isDeleting(pod);
}

/** The Pod's addresses of one family. */
export function addressesOf(pod: KubeObject, family: Family): string[] {
  const wanted = family === 'IPv4' ? 4 : 6;
  return listOf(fieldsOf(pod['status'])['podIPs'])
    .map(({ ip }) => textOf(ip))
    .filter((ip) => isIP(ip) === wanted);
}

/** Families of a Service's addresses, the first one first. */
export function familiesOf(service: KubeObject): readonly Family[] {
  const { ipFamilies, clusterIP } = fieldsOf(service['spec']);
  const named: readonly unknown[] = Array.isArray(ipFamilies) ? ipFamilies : [];
  const families = (['IPv4', 'IPv6'] as const).filter((family) => named.includes(family));
  if (families.length > 0) return named[0] === 'IPv6' ? families.toReversed() : families;
  const address = textOf(clusterIP);
  if (isIP(address) !== 0) return isIP(address) === 6 ? ['IPv6'] : ['IPv4'];
  return ['IPv4', 'IPv6'];
}

export function isHeadless(service: KubeObject): boolean {
  const { clusterIP } = fieldsOf(service['spec']);
  return clusterIP === 'None' || textOf(clusterIP) === '';
}

/** The selector of a Service whose endpoints are looked after; undefined for one whose endpoints are somebody else's. */
export function selectorOf(service: KubeObject): Readonly<Record<string, string>> | undefined {
  const { type, selector } = fieldsOf(service['spec']);
  if (type === 'ExternalName' || !isRecord(selector) || Object.keys(selector).length === 0) return undefined;
  return Object.fromEntries(Object.entries(selector).map(([name, value]) => [name, textOf(value)]));
}

export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  { metadata: { labels = {} } }: KubeObject,
): boolean {
  return selector !== undefined && Object.entries(selector).every(([name, value]) => labels[name] === value);
}

/** Where a Service's ports lead at a Pod; those that it has no port for are left out. */
export function portsAt(service: KubeObject, pod: KubeObject): BackendPort[] {
  const found: BackendPort[] = [];
  for (const { name, port, targetPort, protocol, appProtocol } of listOf(
    fieldsOf(service['spec'])['ports'],
  )) {
    const number = portAt(pod, targetPort ?? port, textOf(protocol) || 'TCP');
    if (number === undefined) continue;
    found.push({
      name: textOf(name),
      port: number,
      protocol: textOf(protocol) || 'TCP',
      ...(textOf(appProtocol) === '' ? {} : { appProtocol: textOf(appProtocol) }),
    });
  }
  return found;
}

function portAt(pod: KubeObject, target: unknown, protocol: string): number | undefined {
  if (typeof target === 'number') return target;
  const named = listOf(fieldsOf(pod['spec'])['ports']).find(
    (one) => one['name'] === target && (textOf(one['protocol']) || 'TCP') === protocol,
  );
  const number = named?.['containerPort'];
  return typeof number === 'number' ? number : undefined;
}

/** The name of the Pod within the Service's domain; undefined without one. */
export function hostnameIn(service: KubeObject, pod: KubeObject): string | undefined {
  const { hostname, subdomain } = fieldsOf(pod['spec']);
  const { name, namespace } = service.metadata;
  const has = textOf(hostname) !== '' && subdomain === name && pod.metadata.namespace === namespace;
  return has ? textOf(hostname) : undefined;
}

export function nodeNameOf(pod: KubeObject): string | undefined {
  return textOf(fieldsOf(pod['spec'])['nodeName']) || undefined;
}

export function referenceTo({ metadata }: KubeObject): Fields {
  const { namespace, name, uid } = metadata;
  return { kind: 'Pod', namespace, name, uid };
}

/** A value as text that equal values share, whatever order their fields have; what is undefined is not there. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) =>
    isRecord(one)
      ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : one,
  );
}
