/**
 * Fields of a service that hang together: a type says which of them it has, clients that know one of two send only
 * that, and what the server chose is left out by those who send what they once wrote. All of it pure.
 *
 * Modelled on the storage and strategy of kubernetes' pkg/registry/core/service (normalizeClusterIPs,
 * patchAllocatedValues, dropTypeDependentFields).
 */

import type { JsonObject } from '../../api/json.ts';
import { count, has, parts, same, text, texts, withField, without } from '../../validation/value.ts';

export function needsClusterIP(spec: JsonObject): boolean {
  return text(spec, 'type') !== 'ExternalName';
}

export function isHeadless(spec: JsonObject): boolean {
  const all = texts(spec, 'clusterIPs');
  return all.length === 1 && all[0] === 'None';
}

/** Whether nodes open ports for it. */
export function exposedOnNodes(spec: JsonObject): boolean {
  const type = text(spec, 'type');
  return type === 'NodePort' || type === 'LoadBalancer';
}

/** Whether anybody outside the cluster reaches it. */
export function facesOut(spec: JsonObject): boolean {
  return (
    exposedOnNodes(spec) || (text(spec, 'type') === 'ClusterIP' && texts(spec, 'externalIPs').length > 0)
  );
}

/** Whether load balancers ask nodes if they have its pods. */
export function needsHealthCheck(spec: JsonObject): boolean {
  return text(spec, 'type') === 'LoadBalancer' && text(spec, 'externalTrafficPolicy') === 'Local';
}

export function sameClusterIPs(spec: JsonObject, before: JsonObject): boolean {
  return (
    text(spec, 'clusterIP') === text(before, 'clusterIP') &&
    same(texts(spec, 'clusterIPs'), texts(before, 'clusterIPs'))
  );
}

export function sameFamilies(spec: JsonObject, before: JsonObject): boolean {
  return same(texts(spec, 'ipFamilies'), texts(before, 'ipFamilies'));
}

/** A new service's list of addresses, for clients that know of one alone. */
export function listedOnCreate(spec: JsonObject): JsonObject {
  const one = text(spec, 'clusterIP');
  return one === '' || texts(spec, 'clusterIPs').length > 0 ? spec : { ...spec, clusterIPs: [one] };
}

/** What an update left out and the service had, the list of addresses brought in line, what its type has no use for gone. */
export function preparedForUpdate(spec: JsonObject, before: JsonObject): JsonObject {
  return withoutUseless(listedOnUpdate(carriedOver(spec, before), before), before);
}

function carriedOver(spec: JsonObject, before: JsonObject): JsonObject {
  let kept = spec;
  if (needsClusterIP(spec) && needsClusterIP(before)) {
    if (text(kept, 'clusterIP') === '' && has(before, 'clusterIP')) {
      kept = withField(kept, 'clusterIP', before['clusterIP']);
    }
    if (texts(kept, 'clusterIPs').length === 0 && texts(before, 'clusterIPs').length > 0) {
      kept = withField(kept, 'clusterIPs', before['clusterIPs']);
    }
  }
  if (exposedOnNodes(spec) && exposedOnNodes(before)) {
    kept = withField(kept, 'ports', portsCarriedOver(kept, before));
  }
  if (needsHealthCheck(spec) && needsHealthCheck(before) && count(kept, 'healthCheckNodePort') === 0) {
    kept = withField(kept, 'healthCheckNodePort', before['healthCheckNodePort']);
  }
  return kept;
}

/** Node ports go by the name of the port; whatever else of it changed is not looked at. */
function portsCarriedOver(spec: JsonObject, before: JsonObject): readonly JsonObject[] {
  const had = new Map(parts(before, 'ports').map((port) => [text(port, 'name'), count(port, 'nodePort')]));
  const old = nodePortsOf(before);
  const taken = new Set([...nodePortsOf(spec)].filter((port) => old.has(port)));
  return parts(spec, 'ports').map((port) => {
    if (count(port, 'nodePort') !== 0) return port;
    const nodePort = had.get(text(port, 'name')) ?? 0;
    return nodePort === 0 || taken.has(nodePort) ? port : { ...port, nodePort };
  });
}

export function nodePortsOf(spec: JsonObject): ReadonlySet<number> {
  const ports = parts(spec, 'ports').map((port) => count(port, 'nodePort'));
  return new Set(ports.filter((port) => port !== 0));
}

function listedOnUpdate(spec: JsonObject, before: JsonObject): JsonObject {
  const one = text(spec, 'clusterIP');
  const had = text(before, 'clusterIP');
  const sameList = same(texts(spec, 'clusterIPs'), texts(before, 'clusterIPs'));
  if (one === had || !sameList) return spec;
  // The client changed the one it knows and sent the list as it was.
  return one === '' ? without(spec, 'clusterIPs') : { ...spec, clusterIPs: [one] };
}

/** Whoever changes the type means the fields of the other type to go, unless he changed them as well. */
function withoutUseless(spec: JsonObject, before: JsonObject): JsonObject {
  let kept = spec;
  const drop = (name: string, unchanged = same(spec[name], before[name])): void => {
    if (unchanged) kept = without(kept, name);
  };
  if (needsClusterIP(before) && !needsClusterIP(spec)) {
    const unchanged = sameClusterIPs(spec, before);
    drop('clusterIP', unchanged);
    drop('clusterIPs', unchanged);
    drop('ipFamilies');
    drop('ipFamilyPolicy');
  }
  if (exposedOnNodes(before) && !exposedOnNodes(spec)) {
    const had = nodePortsOf(before);
    if ([...nodePortsOf(spec)].every((port) => had.has(port))) {
      kept = withField(
        kept,
        'ports',
        has(kept, 'ports') ? parts(kept, 'ports').map((port) => without(port, 'nodePort')) : undefined,
      );
    }
    drop('externalTrafficPolicy');
  }
  if (needsHealthCheck(before) && !needsHealthCheck(spec)) drop('healthCheckNodePort');
  if (text(before, 'type') === 'LoadBalancer' && text(spec, 'type') !== 'LoadBalancer') {
    if (has(spec, 'allocateLoadBalancerNodePorts')) drop('allocateLoadBalancerNodePorts');
    drop('loadBalancerClass');
  }
  return kept;
}
