/**
 * What a service is refused for: ports, addresses and families that do not fit its type or each other, and what may
 * not change once it has it. Which addresses and ports are free is service-addresses.ts'.
 *
 * Modelled on ValidateService and its kin of kubernetes' pkg/apis/core/validation; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import {
  addressErrors,
  parseAddress,
  networkErrors,
  specialAddressErrors,
} from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabels } from '../../validation/labels.ts';
import { portNumberErrors, rangeErrors } from '../../validation/names.ts';
import {
  checkAddress,
  checkDnsLabel,
  checkDnsSubdomain,
  checkEnum,
  checkPort,
  checkQualifiedName,
} from '../../validation/scalars.ts';
import { count, has, part, partOf, parts, same, text, textMap, texts } from '../../validation/value.ts';
import { METADATA, SPEC, STATUS } from '../kinds/kind.ts';
import { exposedOnNodes, facesOut, isHeadless, needsClusterIP, needsHealthCheck } from './service-fields.ts';

const TYPES: readonly string[] = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const FAMILIES: readonly string[] = ['IPv4', 'IPv6'];
const FAMILY_POLICIES: readonly string[] = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const TRAFFIC_POLICIES: readonly string[] = ['Cluster', 'Local'];
const DISTRIBUTIONS: readonly string[] = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
const AFFINITY_SECONDS_MAX = 86_400;
export const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode';
export const TOPOLOGY_HINTS = 'service.kubernetes.io/topology-aware-hints';
const SOURCE_RANGES = 'service.beta.kubernetes.io/load-balancer-source-ranges';
const ONLY_BALANCED = "may only be used when `type` is 'LoadBalancer'";

export function checkService(errors: FieldErrors, object: KubeObject): void {
  const spec = part(object, 'spec');
  const type = text(spec, 'type');
  const ports = parts(spec, 'ports');
  checkTopologyAnnotations(errors, object);
  if (ports.length === 0 && !isHeadless(spec) && needsClusterIP(spec)) errors.required(SPEC.child('ports'));
  if (exposedOnNodes(spec) && isHeadless(spec)) {
    const at = SPEC.child('clusterIPs').index(0);
    errors.invalid(at, 'None', `may not be set to 'None' for ${type} services`);
  }
  if (type === 'ExternalName') checkExternalName(errors, spec);
  checkPorts(errors, ports);
  checkLabels(errors, SPEC.child('selector'), textMap(spec, 'selector'));
  checkEnum(errors, SPEC.child('sessionAffinity'), text(spec, 'sessionAffinity'), ['ClientIP', 'None']);
  checkAffinity(errors, spec);
  checkClusterIPs(errors, spec);
  for (const [index, ip] of texts(spec, 'externalIPs').entries()) {
    const at = SPEC.child('externalIPs').index(index);
    const before = errors.size;
    checkAddress(errors, at, ip);
    if (errors.size === before) errors.invalids(at, ip, specialAddressErrors(ip));
  }
  checkEnum(errors, SPEC.child('type'), type, TYPES);
  if (type === 'ClusterIP') {
    for (const [index, port] of ports.entries()) {
      const at = SPEC.child('ports').index(index).child('nodePort');
      if (count(port, 'nodePort') !== 0) errors.forbidden(at, "may not be used when `type` is 'ClusterIP'");
    }
  }
  checkRepetitions(errors, ports);
  checkSourceRanges(errors, object, spec);
  if (has(spec, 'allocateLoadBalancerNodePorts') && type !== 'LoadBalancer') {
    errors.forbidden(SPEC.child('allocateLoadBalancerNodePorts'), ONLY_BALANCED);
  }
  if (has(spec, 'loadBalancerClass')) {
    const at = SPEC.child('loadBalancerClass');
    if (type === 'LoadBalancer') checkQualifiedName(errors, at, text(spec, 'loadBalancerClass'));
    else errors.forbidden(at, ONLY_BALANCED);
  }
  checkTraffic(errors, spec);
}

function checkTopologyAnnotations(errors: FieldErrors, { metadata }: KubeObject): void {
  const mode = metadata.annotations?.[TOPOLOGY_MODE];
  const hints = metadata.annotations?.[TOPOLOGY_HINTS];
  if (mode === undefined || hints === undefined || mode === hints) return;
  errors.invalid(
    METADATA.child('annotations').key(TOPOLOGY_MODE),
    mode,
    `must match annotations[${TOPOLOGY_HINTS}] when both are specified`,
  );
}

function checkExternalName(errors: FieldErrors, spec: JsonObject): void {
  const none = 'may not be set for ExternalName services';
  if (texts(spec, 'clusterIPs').length > 0) errors.forbidden(SPEC.child('clusterIPs'), none);
  if (texts(spec, 'ipFamilies').length > 0) errors.forbidden(SPEC.child('ipFamilies'), none);
  if (has(spec, 'ipFamilyPolicy')) errors.forbidden(SPEC.child('ipFamilyPolicy'), none);
  const name = text(spec, 'externalName').replace(/\.$/, '');
  if (name === '') errors.required(SPEC.child('externalName'));
  else checkDnsSubdomain(errors, SPEC.child('externalName'), name);
}

function checkPorts(errors: FieldErrors, ports: readonly JsonObject[]): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = SPEC.child('ports').index(index);
    const name = text(port, 'name');
    if (ports.length > 1 && name === '') errors.required(at.child('name'));
    else if (name !== '') {
      checkDnsLabel(errors, at.child('name'), name);
      if (names.has(name)) errors.duplicate(at.child('name'), name);
      names.add(name);
    }
    errors.invalids(at.child('port'), count(port, 'port'), portNumberErrors(count(port, 'port')));
    checkEnum(errors, at.child('protocol'), text(port, 'protocol'), PROTOCOLS);
    checkPort(errors, at.child('targetPort'), port['targetPort']);
    if (has(port, 'appProtocol'))
      checkQualifiedName(errors, at.child('appProtocol'), text(port, 'appProtocol'));
  }
}

function checkRepetitions(errors: FieldErrors, ports: readonly JsonObject[]): void {
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = SPEC.child('ports').index(index);
    const protocol = text(port, 'protocol');
    const nodePort = count(port, 'nodePort');
    if (nodePort !== 0) {
      if (nodePorts.has(`${protocol} ${nodePort}`)) errors.duplicate(at.child('nodePort'), nodePort);
      nodePorts.add(`${protocol} ${nodePort}`);
    }
    const number = count(port, 'port');
    if (numbers.has(`${protocol} ${number}`)) errors.duplicate(at, shownPort(protocol, number));
    numbers.add(`${protocol} ${number}`);
  }
}

/** What is compared, as Go prints it. */
function shownPort(protocol: string, port: number): JsonObject {
  return { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
}

function checkAffinity(errors: FieldErrors, spec: JsonObject): void {
  const at = SPEC.child('sessionAffinityConfig');
  const affinity = text(spec, 'sessionAffinity');
  const config = partOf(spec, 'sessionAffinityConfig');
  if (affinity !== 'ClientIP' || config === undefined) return;
  const seconds = count(part(config, 'clientIP'), 'timeoutSeconds');
  if (rangeErrors(seconds, 1, AFFINITY_SECONDS_MAX).length === 0) return;
  const why = `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`;
  errors.invalid(at.child('clientIP', 'timeoutSeconds'), seconds, why);
}

/** Cluster IPs, families and policy, each for itself and together; asked before addresses are handed out as well. */
export function checkClusterIPs(errors: FieldErrors, spec: JsonObject): void {
  if (!needsClusterIP(spec)) return;
  const at = SPEC.child('clusterIPs');
  const first = text(spec, 'clusterIP');
  const all = texts(spec, 'clusterIPs');
  if (first === '') {
    if (all.length > 0) errors.invalid(at, all, 'must be empty when `clusterIP` is not specified');
  } else if (all.length === 0) errors.required(at);
  else if (all[0] !== first) errors.invalid(at, all, 'first value must match `clusterIP`');

  const families = texts(spec, 'ipFamilies');
  for (const [index, family] of families.entries()) {
    const place = SPEC.child('ipFamilies').index(index);
    if (!FAMILIES.includes(family)) errors.notSupported(place, family, FAMILIES);
    if (families.indexOf(family) < index) errors.duplicate(place, family);
  }
  const policy = text(spec, 'ipFamilyPolicy');
  if (has(spec, 'ipFamilyPolicy') && !FAMILY_POLICIES.includes(policy)) {
    errors.notSupported(SPEC.child('ipFamilyPolicy'), policy, FAMILY_POLICIES);
  }
  if (!checkEachClusterIP(errors, all)) return;
  if (all.length > 1 && !differInFamily(all)) {
    errors.invalid(at, all, 'may specify no more than one IP for each IP family');
  }
  if (isHeadless(spec)) return;
  for (const [index, ip] of all.entries()) {
    const family = families.at(index);
    if (family === undefined || !FAMILIES.includes(family) || parseAddress(ip)?.family === family) continue;
    errors.invalid(
      at.index(index),
      ip,
      `expected an ${family} value as indicated by \`ipFamilies[${index}]\``,
    );
  }
}

/** Whether each is an address, so that they can be compared with others. */
function checkEachClusterIP(errors: FieldErrors, all: readonly string[]): boolean {
  const at = SPEC.child('clusterIPs');
  let sound = true;
  for (const [index, ip] of all.entries()) {
    if (index === 0 && ip === 'None') {
      if (all.length === 1) continue;
      errors.invalid(at, all, "'None' must be the first and only value");
      sound = false;
      continue;
    }
    const wrong = addressErrors(ip);
    if (wrong.length > 0) sound = false;
    errors.invalids(at.index(index), ip, wrong);
  }
  if (all.length > 2) errors.invalid(at, all, 'may only hold up to 2 values');
  return sound;
}

function differInFamily(all: readonly string[]): boolean {
  return new Set(all.map((ip) => parseAddress(ip)?.family)).size > 1;
}

function checkSourceRanges(errors: FieldErrors, object: KubeObject, spec: JsonObject): void {
  const ranges = texts(spec, 'loadBalancerSourceRanges');
  const annotation = object.metadata.annotations?.[SOURCE_RANGES];
  if (ranges.length === 0 && annotation === undefined) return;
  const inSpec = ranges.length > 0;
  const at = inSpec
    ? SPEC.child('LoadBalancerSourceRanges')
    : METADATA.child('annotations').key(SOURCE_RANGES);
  if (text(spec, 'type') !== 'LoadBalancer') errors.forbidden(at, ONLY_BALANCED);
  // Spaces around them are taken, as they ever were in the annotation.
  const list = inSpec ? ranges : (annotation ?? '').trim() === '' ? [] : (annotation ?? '').split(',');
  for (const [index, range] of list.entries()) {
    errors.invalids(inSpec ? at.index(index) : at, range.trim(), networkErrors(range.trim()));
  }
}

function checkTraffic(errors: FieldErrors, spec: JsonObject): void {
  const external = text(spec, 'externalTrafficPolicy');
  const at = SPEC.child('externalTrafficPolicy');
  if (!facesOut(spec)) {
    if (external !== '') errors.invalid(at, external, 'may only be set for externally-accessible services');
  } else checkEnum(errors, at, external, TRAFFIC_POLICIES);

  const check = count(spec, 'healthCheckNodePort');
  const checkAt = SPEC.child('healthCheckNodePort');
  if (!needsHealthCheck(spec)) {
    if (check !== 0) {
      errors.invalid(
        checkAt,
        check,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      );
    }
  } else if (check === 0) errors.required(checkAt);
  else errors.invalids(checkAt, check, portNumberErrors(check));

  const internal = text(spec, 'internalTrafficPolicy');
  const inside = SPEC.child('internalTrafficPolicy');
  if (has(spec, 'internalTrafficPolicy') && !TRAFFIC_POLICIES.includes(internal)) {
    errors.notSupported(inside, internal, TRAFFIC_POLICIES);
  }

  const distribution = spec['trafficDistribution'];
  if (typeof distribution === 'string' && !DISTRIBUTIONS.includes(distribution)) {
    errors.notSupported(SPEC.child('trafficDistribution'), distribution, DISTRIBUTIONS);
  }
}

/** Addresses and families stay, but for a second one that comes or goes; a class of load balancer stays. */
export function checkServiceUpdate(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const spec = part(object, 'spec');
  const before = part(old, 'spec');
  if (needsClusterIP(spec) && needsClusterIP(before)) {
    checkAddressesKept(errors, spec, before);
    checkFamiliesKept(errors, spec, before);
  }
  const balanced = text(spec, 'type') === 'LoadBalancer' && text(before, 'type') === 'LoadBalancer';
  if (balanced && !same(spec['loadBalancerClass'], before['loadBalancerClass'])) {
    const now = spec['loadBalancerClass'] ?? null;
    errors.invalid(SPEC.child('loadBalancerClass'), now, 'may not change once set');
  }
  if (needsHealthCheck(spec) && needsHealthCheck(before)) {
    if (count(spec, 'healthCheckNodePort') !== count(before, 'healthCheckNodePort')) {
      errors.forbidden(SPEC.child('healthCheckNodePort'), 'field is immutable');
    }
  }
}

function checkAddressesKept(errors: FieldErrors, spec: JsonObject, before: JsonObject): void {
  if (isHeadless(spec) && isHeadless(before)) return;
  const now = texts(spec, 'clusterIPs');
  const had = texts(before, 'clusterIPs');
  const at = SPEC.child('clusterIPs');
  if (had.length === now.length) {
    for (const [index, ip] of had.entries()) {
      if (ip !== now[index]) errors.invalid(at.index(index), now, 'may not change once set');
    }
    return;
  }
  if (now.length === 0) errors.invalid(at.index(0), now, 'primary clusterIP can not be unset');
  else if (had.length > 0 && now[0] !== had[0]) errors.invalid(at.index(0), now, 'may not change once set');
  if (had.length > now.length && now.length === 1) checkReleased(errors, spec, 'clusterIP');
}

function checkFamiliesKept(errors: FieldErrors, spec: JsonObject, before: JsonObject): void {
  // Who becomes headless or was may choose anew.
  if (isHeadless(spec) || isHeadless(before)) return;
  const now = texts(spec, 'ipFamilies');
  const had = texts(before, 'ipFamilies');
  const at = SPEC.child('ipFamilies').index(0);
  if (had.length === now.length) {
    for (const [index, family] of had.entries()) {
      if (family !== now[index]) errors.invalid(at, now, 'may not change once set');
    }
    return;
  }
  const released = had.length > now.length;
  if (released && texts(spec, 'clusterIPs').length === 0) {
    errors.invalid(at, now, 'primary ipFamily can not be unset');
  }
  if (now.length > 0 && had.length > 0 && now[0] !== had[0]) {
    errors.invalid(at, texts(spec, 'clusterIPs'), 'may not change once set');
  }
  if (released && now.length === 1) checkReleased(errors, spec, 'ipFamily');
}

function checkReleased(errors: FieldErrors, spec: JsonObject, what: string): void {
  const policy = spec['ipFamilyPolicy'] ?? null;
  if (policy === 'SingleStack') return;
  const why = `must be set to 'SingleStack' when releasing the secondary ${what}`;
  errors.invalid(SPEC.child('ipFamilyPolicy'), policy, why);
}

/** What load balancers report of themselves. */
export function checkLoadBalancerStatus(errors: FieldErrors, object: KubeObject): void {
  const list = parts(part(part(object, 'status'), 'loadBalancer'), 'ingress');
  const at = STATUS.child('loadBalancer', 'ingress');
  if (list.length > 0 && text(part(object, 'spec'), 'type') !== 'LoadBalancer') {
    errors.forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'");
    return;
  }
  for (const [index, ingress] of list.entries()) {
    const place = at.index(index);
    const ip = text(ingress, 'ip');
    if (ip !== '') checkAddress(errors, place.child('ip'), ip);
    const mode = text(ingress, 'ipMode');
    if (ip === '' && has(ingress, 'ipMode')) {
      errors.forbidden(place.child('ipMode'), 'may not be specified when `ip` is not set');
    } else if (ip !== '' && mode !== 'VIP' && mode !== 'Proxy') {
      errors.notSupported(place.child('ipMode'), mode, ['Proxy', 'VIP']);
    }
    const host = text(ingress, 'hostname');
    if (host === '') continue;
    checkDnsSubdomain(errors, place.child('hostname'), host);
    if (parseAddress(host) !== undefined) {
      errors.invalid(place.child('hostname'), host, 'must be a DNS name, not an IP address');
    }
  }
}
