/**
 * Where a connection to a pod, a node or a service goes: the kubelet's address and path for log, exec, attach and
 * portforward, the object's own address for a proxy. Pure: objects in, addresses or the original's refusals out. Nothing
 * is looked up and nobody is connected to.
 *
 * Modelled on kubernetes' registry/core pod, node and service strategies (…Location) and kubelet/client.
 */

import { goQuote } from '@keelson/base';

import type { KubeObject } from '../../api/meta.ts';
import { ApiError, badRequest, serviceUnavailable } from '../../api/status.ts';
import { parseAddress } from '../../validation/addresses.ts';
import { count, flag, part, parts, text, texts, type Fields } from '../../validation/value.ts';

export interface Target {
  readonly scheme: 'http' | 'https';
  /** An address, or a name that is yet to be looked up. */
  readonly host: string;
  /** As it was given; empty: the scheme's own. */
  readonly port: string;
  /** Decoded. */
  readonly path: string;
  readonly query: string;
}

/** What the flags say of kubelets. */
export interface KubeletSettings {
  /** --kubelet-preferred-address-types. */
  readonly addressTypes: readonly string[];
  /** --kubelet-port: of nodes that tell none. */
  readonly port: number;
}

/** A refusal of the original's that has no reason: a plain error, code 500. */
export function plainError(message: string): ApiError {
  return new ApiError({ code: 500, reason: '', message });
}

/** `name`, `name:port` or `scheme:name:port`; undefined for anything else. */
export function schemeNamePort(
  id: string,
): { readonly scheme: '' | 'http' | 'https'; readonly name: string; readonly port: string } | undefined {
  const words = id.split(':');
  if (words.length > 3) return undefined;
  const [scheme, name, port] =
    words.length === 3 ? words : ['', words[0], words.length === 2 ? words[1] : ''];
  if (name === '' || (scheme !== '' && scheme !== 'http' && scheme !== 'https')) return undefined;
  return { scheme, name, port };
}

/** Whether an address is one that anybody may be sent to: no loopback, link-local, multicast or unspecified one. */
export function isGlobalUnicast(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  const { family, bits } = parsed;
  // An IPv4 address may come in IPv6's clothes.
  if (family === 'IPv4') return isGlobalUnicast4(Number(bits));
  if (bits >> 32n === 0xffffn) return isGlobalUnicast4(Number(bits & 0xffffffffn));
  return bits > 1n && bits >> 118n !== 0x3fan && bits >> 120n !== 0xffn;
}

function isGlobalUnicast4(bits: number): boolean {
  const first = bits >>> 24;
  const linkLocal = bits >>> 16 === 0xa9fe;
  const broadcast = bits === 0xffffffff;
  return bits !== 0 && first !== 127 && !linkLocal && (first < 224 || first > 239) && !broadcast;
}

export const NOT_ALLOWED = 'address not allowed';

/** Where the kubelet of a node listens. @throws ApiError where the node has no address of those types */
export function kubeletAddress(
  node: KubeObject,
  settings: KubeletSettings,
): { readonly host: string; readonly port: number } {
  const status = part(node, 'status');
  const addresses = parts(status, 'addresses');
  for (const type of settings.addressTypes) {
    const found = addresses.find((each) => text(each, 'type') === type);
    if (found === undefined) continue;
    const own = count(part(part(status, 'daemonEndpoints'), 'kubeletEndpoint'), 'Port');
    return { host: text(found, 'address'), port: own > 0 ? own : settings.port };
  }
  const known = addresses.map((each) => `{${text(each, 'type')} ${text(each, 'address')}}`).join(' ');
  throw plainError(`no preferred addresses found; known addresses: [${known}]`);
}

/** What the node says that its kubelet can do. */
export function nodeFeatures(node: KubeObject): readonly string[] {
  return texts(part(node, 'status'), 'declaredFeatures');
}

/** The container meant. @throws ApiError BadRequest */
export function containerOf(pod: KubeObject, asked: string): string {
  const spec = part(pod, 'spec');
  const own = pod.metadata.name ?? '';
  const containers = parts(spec, 'containers').map((each) => text(each, 'name'));
  const all = [
    ...parts(spec, 'initContainers').map((each) => text(each, 'name')),
    ...containers,
    ...parts(spec, 'ephemeralContainers').map((each) => text(each, 'name')),
  ];
  if (asked !== '') {
    if (all.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${own}`);
  }
  if (containers.length === 1) return containers[0];
  const choose = containers.length === 0 ? '' : `, choose one of: [${all.join(' ')}]`;
  throw badRequest(`a container name must be specified for pod ${own}${choose}`);
}

/** The node a pod is on. @throws ApiError BadRequest where it is on none */
export function nodeOf(pod: KubeObject): string {
  const name = text(part(pod, 'spec'), 'nodeName');
  if (name === '') throw badRequest(`pod ${pod.metadata.name ?? ''} does not have a host assigned`);
  return name;
}

function podPath(head: string, pod: KubeObject, container = ''): string {
  const { namespace = '', name = '' } = pod.metadata;
  return `/${[head, namespace, name, ...(container === '' ? [] : [container])].join('/')}`;
}

/** Values in the order of Go's url.Values. */
function queryOf(values: readonly (readonly [string, string])[]): string {
  const sorted = values.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return new URLSearchParams(sorted.map(([name, value]): [string, string] => [name, value])).toString();
}

/** What is asked of a kubelet: path and query. */
export type KubeletPath = Pick<Target, 'path' | 'query'>;

export function logPath(pod: KubeObject, container: string, options: KubeObject): KubeletPath {
  const yes = (name: string): readonly (readonly [string, string])[] =>
    flag(options, name) ? [[name, 'true']] : [];
  const said = (name: string): readonly (readonly [string, string])[] => {
    const value = options[name];
    return typeof value === 'string' || typeof value === 'number' ? [[name, String(value)]] : [];
  };
  const query = queryOf([
    ...['follow', 'previous', 'timestamps'].flatMap(yes),
    ...['sinceSeconds', 'sinceTime', 'tailLines', 'limitBytes'].flatMap(said),
  ]);
  return { path: podPath('containerLogs', pod, container), query };
}

/** The names that kubelets know the streams by. */
const STREAM_PARAMETERS = [
  ['stdin', 'input'],
  ['stdout', 'output'],
  ['stderr', 'error'],
  ['tty', 'tty'],
] as const;

export function commandPath(
  head: 'attach' | 'exec',
  pod: KubeObject,
  container: string,
  options: KubeObject,
): KubeletPath {
  const query = queryOf([
    ...STREAM_PARAMETERS.flatMap(([name, parameter]) =>
      flag(options, name) ? [[parameter, '1'] as const] : [],
    ),
    ...texts(options, 'command').map((word) => ['command', word] as const),
  ]);
  return { path: podPath(head, pod, container), query };
}

export function portForwardPath(pod: KubeObject, options: Fields): KubeletPath {
  const { ports } = options;
  const list: readonly unknown[] = Array.isArray(ports) ? ports : [];
  const query = list.length === 0 ? '' : queryOf([['port', list.map(String).join(',')]]);
  return { path: podPath('portForward', pod), query };
}

/** Where a pod's own server listens. @throws ApiError BadRequest */
export function podTarget(
  pod: KubeObject,
  { scheme, port }: { readonly scheme: '' | 'http' | 'https'; readonly port: string },
): Pick<Target, 'scheme' | 'host' | 'port'> {
  const status = part(pod, 'status');
  const first = parts(status, 'podIPs').at(0);
  const host = first === undefined ? text(status, 'podIP') : text(first, 'ip');
  if (!isGlobalUnicast(host)) throw badRequest(NOT_ALLOWED);
  const declared = parts(part(pod, 'spec'), 'containers')
    .flatMap((container) => parts(container, 'ports').slice(0, 1))
    .map((each) => String(count(each, 'containerPort')));
  return { scheme: scheme === '' ? 'http' : scheme, host, port: port === '' ? (declared[0] ?? '') : port };
}

/**
 * The name of the port that a service's endpoints have it under.
 *
 * @param service undefined: the port is no number, so it need not be looked at
 * @throws ApiError ServiceUnavailable
 */
export function endpointPortName(service: KubeObject, port: string): string {
  const found = parts(part(service, 'spec'), 'ports').find((each) => String(count(each, 'port')) === port);
  if (found !== undefined) return text(found, 'name');
  throw serviceUnavailable(
    `no service port ${port} found for service ${goQuote(service.metadata.name ?? '')}`,
  );
}

/** One address of a service, with the pod that is said to have it. */
export interface Candidate {
  readonly host: string;
  readonly port: string;
  readonly pod: { readonly namespace: string; readonly name: string };
}

/**
 * All addresses of a service for a port, beginning anywhere: of a random subset, at a random place, as the original.
 *
 * @param random a random whole number, 0 ≤ n < limit
 */
export function* serviceCandidates(
  endpoints: KubeObject,
  portName: string,
  random: (limit: number) => number,
): Generator<Candidate, void> {
  const subsets = parts(endpoints, 'subsets');
  for (const subset of rotated(subsets, random)) {
    const addresses = parts(subset, 'addresses');
    if (addresses.length === 0) continue;
    for (const port of parts(subset, 'ports')) {
      if (text(port, 'name') !== portName) continue;
      for (const address of rotated(addresses, random)) {
        const reference = part(address, 'targetRef');
        yield {
          host: text(address, 'ip'),
          port: String(count(port, 'port')),
          pod: { namespace: text(reference, 'namespace'), name: text(reference, 'name') },
        };
      }
    }
  }
}

function rotated<T>(list: readonly T[], random: (limit: number) => number): T[] {
  if (list.length === 0) return [];
  const start = random(list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}

/** Whether a pod has an address. */
export function podHasAddress(pod: KubeObject, address: string): boolean {
  const status = part(pod, 'status');
  return (
    text(status, 'podIP') === address || parts(status, 'podIPs').some((each) => text(each, 'ip') === address)
  );
}
