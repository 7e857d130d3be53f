/**
 * The subresources that connect a client to what runs: log, exec, attach, portforward and proxy of pods, proxy of nodes
 * and of services. Finds the objects, says where to go, and leaves the going to who is given (a Connector).
 *
 * Modelled on kubernetes' registry/core/pod/rest, node/rest and service.
 */

import { goQuote } from '@keelson/base';

import type { ApiResponse } from '../../api/exchange.ts';
import type { GroupVersionKind, KubeObject } from '../../api/meta.ts';
import { badRequest, hasReason, internalError, serviceUnavailable } from '../../api/status.ts';
import { flag, part, text } from '../../validation/value.ts';
import type {
  ObjectStore,
  ResourceCall,
  ResourceDefinition,
  SubresourceBacking,
  SubresourceDefinition,
  Verb,
} from '../resource.ts';
import {
  podCommandOptions,
  podLogOptions,
  podPortForwardOptions,
  proxyOptions,
} from './connection-options.ts';
import {
  commandPath,
  containerOf,
  endpointPortName,
  kubeletAddress,
  logPath,
  nodeFeatures,
  nodeOf,
  podHasAddress,
  podTarget,
  portForwardPath,
  schemeNamePort,
  serviceCandidates,
  type KubeletPath,
  type KubeletSettings,
  type Target,
} from './connection-targets.ts';

/** Where to go, and as what. */
export type Connection =
  /** A GET to the kubelet whose answer is text. */
  | { readonly kind: 'log'; readonly target: Target; readonly verified: boolean; readonly follow: boolean }
  /** Exec or attach at the kubelet. */
  | {
      readonly kind: 'command';
      readonly target: Target;
      readonly streams: {
        readonly stdin: boolean;
        readonly stdout: boolean;
        readonly stderr: boolean;
        readonly tty: boolean;
      };
      readonly features: readonly string[];
    }
  | { readonly kind: 'ports'; readonly target: Target; readonly features: readonly string[] }
  /** Any request, handed on. */
  | {
      readonly kind: 'proxy';
      readonly target: Target;
      /** The kubelet is shown our certificate and must show its own; anybody else need not, nor is anything shown. */
      readonly kubelet: boolean;
    };

/** Who reaches nodes, pods and services. */
export interface Connector {
  readonly kubelets: KubeletSettings;
  connect(connection: Connection, call: ResourceCall): Promise<ApiResponse>;
  /**
   * Asks whether the request's user may do this with the subresource as well.
   *
   * @throws ApiError Forbidden
   */
  mayAlso(verb: 'create', call: ResourceCall): Promise<void>;
}

/** A server that has no way to nodes: what it serves says so. */
export const NO_CONNECTOR: Connector = {
  kubelets: { addressTypes: [], port: 0 },
  connect: () => Promise.reject(serviceUnavailable('this server does not reach nodes')),
  mayAlso: () => Promise.resolve(),
};

const PODS = { group: '', resource: 'pods' };
const NODES = { group: '', resource: 'nodes' };
const SERVICES = { group: '', resource: 'services' };
const ENDPOINTS = { group: '', resource: 'endpoints' };
const STREAM_VERBS: readonly Verb[] = ['create', 'get'];
const PROXY_VERBS: readonly Verb[] = ['create', 'delete', 'get', 'patch', 'update'];

/** The definitions with their connections; those of other resources as they are. */
export function withConnections(
  definitions: readonly ResourceDefinition[],
  connector: Connector,
): ResourceDefinition[] {
  const connections = new Map([
    ['pods', podConnections(connector)],
    ['nodes', [proxyOf('NodeProxyOptions', (call) => nodeProxy(connector, call))]],
    ['services', [proxyOf('ServiceProxyOptions', (call) => serviceProxy(connector, call))]],
  ]);
  return definitions.map((definition) => {
    const more = definition.group === '' ? connections.get(definition.resource) : undefined;
    if (more === undefined) return definition;
    const subresources = [...definition.subresources, ...more];
    return { ...definition, subresources: subresources.toSorted((a, b) => (a.name < b.name ? -1 : 1)) };
  });
}

function core(kind: string): GroupVersionKind {
  return { group: '', version: 'v1', kind };
}

function podConnections(connector: Connector): SubresourceDefinition[] {
  return [
    {
      name: 'log',
      verbs: ['get'],
      backing: {
        kind: 'connect',
        read: true,
        options: podLogOptions,
        connect: (call) => log(connector, call),
      },
    },
    streamOf('exec', 'PodExecOptions', podCommandOptions('PodExecOptions'), (call) =>
      command(connector, 'exec', call),
    ),
    streamOf('attach', 'PodAttachOptions', podCommandOptions('PodAttachOptions'), (call) =>
      command(connector, 'attach', call),
    ),
    streamOf('portforward', 'PodPortForwardOptions', podPortForwardOptions, (call) =>
      portForward(connector, call),
    ),
    proxyOf('PodProxyOptions', (call) => podProxy(connector, call)),
  ];
}

type ConnectBacking = Extract<SubresourceBacking, { kind: 'connect' }>;

function streamOf(
  name: string,
  kind: string,
  options: ConnectBacking['options'],
  connect: ConnectBacking['connect'],
): SubresourceDefinition {
  return {
    name,
    kind: core(kind),
    typeName: `core.v1.${kind}`,
    verbs: STREAM_VERBS,
    backing: { kind: 'connect', options, connect },
  };
}

function proxyOf(
  kind: Parameters<typeof proxyOptions>[0],
  connect: ConnectBacking['connect'],
): SubresourceDefinition {
  return {
    name: 'proxy',
    kind: core(kind),
    typeName: `core.v1.${kind}`,
    verbs: PROXY_VERBS,
    backing: { kind: 'connect', open: true, options: proxyOptions(kind), connect },
  };
}

// ---- the kubelet's ----

async function log(connector: Connector, call: ResourceCall): Promise<ApiResponse> {
  const options = optionsOf(call);
  const pod = await storeOf(call, PODS).get(call.namespace, call.name);
  const container = containerOf(pod, text(options, 'container'));
  // A pod that is nowhere yet has said nothing.
  if (text(part(pod, 'spec'), 'nodeName') === '') {
    return { kind: 'bytes', code: 204, contentType: '', body: Buffer.alloc(0) };
  }
  const { target } = await atKubelet(connector, call, nodeOf(pod), logPath(pod, container, options));
  const verified = !flag(options, 'insecureSkipTLSVerifyBackend');
  return await connector.connect({ kind: 'log', target, verified, follow: flag(options, 'follow') }, call);
}

async function command(
  connector: Connector,
  head: 'attach' | 'exec',
  call: ResourceCall,
): Promise<ApiResponse> {
  // Over WebSockets it is a GET; who may only read may not run anything all the same.
  await connector.mayAlso('create', call);
  const options = optionsOf(call);
  const pod = await storeOf(call, PODS).get(call.namespace, call.name);
  const container = containerOf(pod, text(options, 'container'));
  const path = commandPath(head, pod, container, options);
  const streams = {
    stdin: flag(options, 'stdin'),
    stdout: flag(options, 'stdout'),
    stderr: flag(options, 'stderr'),
    tty: flag(options, 'tty'),
  };
  const { target, features } = await atKubelet(connector, call, nodeOf(pod), path);
  return await connector.connect({ kind: 'command', target, streams, features }, call);
}

async function portForward(connector: Connector, call: ResourceCall): Promise<ApiResponse> {
  await connector.mayAlso('create', call);
  const pod = await storeOf(call, PODS).get(call.namespace, call.name);
  const path = portForwardPath(pod, optionsOf(call));
  const { target, features } = await atKubelet(connector, call, nodeOf(pod), path);
  return await connector.connect({ kind: 'ports', target, features }, call);
}

async function atKubelet(
  { kubelets }: Connector,
  call: ResourceCall,
  nodeName: string,
  path: KubeletPath,
): Promise<{ readonly target: Target; readonly features: readonly string[] }> {
  const node = await storeOf(call, NODES).get('', nodeName);
  const { host, port } = kubeletAddress(node, kubelets);
  return { target: { scheme: 'https', host, port: String(port), ...path }, features: nodeFeatures(node) };
}

// ---- proxies ----

async function nodeProxy(connector: Connector, call: ResourceCall): Promise<ApiResponse> {
  const asked = schemeNamePort(call.name);
  if (asked === undefined) throw badRequest(`invalid node request ${goQuote(call.name)}`);
  const node = await storeOf(call, NODES).get('', asked.name);
  const { host, port } = kubeletAddress(node, connector.kubelets);
  const rest = restOf(call);
  const kubelet = asked.port === '' || asked.port === String(port);
  const target: Target = kubelet
    ? { scheme: 'https', host, port: String(port), ...rest }
    : { scheme: asked.scheme === '' ? 'http' : asked.scheme, host, port: asked.port, ...rest };
  return await connector.connect({ kind: 'proxy', target, kubelet }, call);
}

async function podProxy(connector: Connector, call: ResourceCall): Promise<ApiResponse> {
  const asked = schemeNamePort(call.name);
  if (asked === undefined) throw badRequest(`invalid pod request ${goQuote(call.name)}`);
  const pod = await storeOf(call, PODS).get(call.namespace, asked.name);
  const target = { ...podTarget(pod, asked), ...restOf(call) };
  return await connector.connect({ kind: 'proxy', target, kubelet: false }, call);
}

async function serviceProxy(connector: Connector, call: ResourceCall): Promise<ApiResponse> {
  const asked = schemeNamePort(call.name);
  if (asked === undefined) throw badRequest(`invalid service request ${goQuote(call.name)}`);
  const { namespace } = call;
  const { name } = asked;
  const portName = /^[-+]?\d+$/.test(asked.port)
    ? endpointPortName(await storeOf(call, SERVICES).get(namespace, name), String(Number(asked.port)))
    : asked.port;
  const endpoints = await storeOf(call, ENDPOINTS).get(namespace, name);
  for (const { host, port, pod } of serviceCandidates(endpoints, portName, (limit) =>
    call.context.random(limit),
  )) {
    if (!(await isOf(call, pod, host))) continue;
    const scheme = asked.scheme === '' ? 'http' : asked.scheme;
    return await connector.connect(
      { kind: 'proxy', target: { scheme, host, port, ...restOf(call) }, kubelet: false },
      call,
    );
  }
  throw serviceUnavailable(`no endpoints available for service ${goQuote(call.name)}`);
}

/** Whether the address is a pod's of the service's namespace: endpoints that anybody wrote lead nowhere else. */
async function isOf(
  call: ResourceCall,
  pod: { readonly namespace: string; readonly name: string },
  address: string,
): Promise<boolean> {
  if (pod.name === '' || pod.namespace !== call.namespace) return false;
  try {
    return podHasAddress(await storeOf(call, PODS).get(pod.namespace, pod.name), address);
  } catch (error) {
    if (hasReason(error, 'NotFound')) return false;
    throw error;
  }
}

/** Path and query of what is asked of the other server. */
function restOf(call: ResourceCall): KubeletPath {
  const target = call.request.context.target ?? '';
  const mark = target.indexOf('?');
  return { path: cleaned(text(optionsOf(call), 'path')), query: mark < 0 ? '' : target.slice(mark + 1) };
}

/** Without empty and dot segments; a slash at the end stays. */
function cleaned(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  if (path === '') return '';
  const joined = `/${kept.join('/')}`;
  return path.endsWith('/') && joined !== '/' ? `${joined}/` : joined;
}

// ---- what is found ----

function optionsOf({ body }: ResourceCall): KubeObject {
  if (body === undefined) throw internalError('a connection without options');
  return body;
}

function storeOf(
  call: ResourceCall,
  resource: { readonly group: string; readonly resource: string },
): ObjectStore {
  const store = call.stores.of(resource);
  if (store === undefined) throw internalError(`${resource.resource} are not served`);
  return store;
}
