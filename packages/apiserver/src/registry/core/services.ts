/**
 * Service: one address for many pods. Checks and canonical form; addresses and node ports are handed out by the
 * hook in service-addresses.ts.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { parseAddress, parseNetwork, specialAddressErrors } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabels } from '../../validation/labels.ts';
import { dnsLabelErrors, forName, portNumberErrors, rangeErrors } from '../../validation/names.ts';
import {
  checkAddress,
  checkDnsLabel,
  checkDnsSubdomain,
  checkEnum,
  checkPort,
  checkQualifiedName,
} from '../../validation/scalars.ts';
import {
  count,
  countOf,
  flag,
  has,
  part,
  partOf,
  parts,
  same,
  text,
  textMap,
  texts,
} from '../../validation/value.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';
import { serviceHooks } from './service-addresses.ts';

const TYPES: readonly string[] = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS: readonly string[] = ['SCTP', 'TCP', 'UDP'];
const AFFINITY_SECONDS_MAX = 86_400;
const KUBELET_PORT = 10_250;

export const services = defineKind({
  group: '',
  types: 'core',
  resource: 'services',
  kind: 'Service',
  scope: 'Namespaced',
  shortNames: ['svc'],
  categories: ['all'],
  keyPrefix: 'services/specs',
  checks: {
    // Relaxed from DNS-1035 in 1.34: a digit may come first.
    nameErrors: forName(dnsLabelErrors),
    prepareForCreate: (object) => ({ ...object, status: { loadBalancer: {} } }),
    check: checkService,
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      const changed = (name: string): boolean => !same(spec[name], before[name]);
      const stays = (name: string): boolean =>
        text(spec, 'type') !== 'ExternalName' && text(before, 'type') !== 'ExternalName' && changed(name);
      const clusterIP = text(before, 'clusterIP');
      if (clusterIP !== '' && stays('clusterIP')) {
        errors.invalid(
          SPEC.child('clusterIPs').index(0),
          texts(spec, 'clusterIPs'),
          'may not change once set',
        );
      }
      if (
        text(spec, 'type') === 'LoadBalancer' &&
        text(before, 'type') === 'LoadBalancer' &&
        changed('loadBalancerClass')
      ) {
        errors.invalid(SPEC.child('loadBalancerClass'), spec['loadBalancerClass'], 'may not change once set');
      }
    },
    status: {
      check(errors, object) {
        const list = parts(part(part(object, 'status'), 'loadBalancer'), 'ingress');
        for (const [index, ingress] of list.entries()) {
          const at = STATUS.child('loadBalancer', 'ingress').index(index);
          const ip = text(ingress, 'ip');
          if (ip !== '') checkAddress(errors, at.child('ip'), ip);
          const mode = text(ingress, 'ipMode');
          if (ip === '' && mode !== '') {
            errors.forbidden(at.child('ipMode'), 'may not be specified when `ip` is not set');
          } else if (mode !== '' && mode !== 'VIP' && mode !== 'Proxy') {
            errors.notSupported(at.child('ipMode'), mode, ['Proxy', 'VIP']);
          }
          const host = text(ingress, 'hostname');
          if (host !== '') {
            checkDnsSubdomain(errors, at.child('hostname'), host);
            if (parseAddress(host) !== undefined) {
              errors.invalid(at.child('hostname'), host, 'must be a DNS name, not an IP address');
            }
          }
        }
      },
    },
  },
  selectable: selectableAt(['spec.clusterIP', 'spec.type']),
  hooks: serviceHooks,
  returnsDeletedObject: true,
});

function checkService(errors: FieldErrors, object: KubeObject): void {
  const spec = part(object, 'spec');
  const type = text(spec, 'type');
  const headless = text(spec, 'clusterIP') === 'None';
  const ports = parts(spec, 'ports');
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.required(SPEC.child('ports'));
  if (type === 'LoadBalancer') {
    for (const [index, port] of ports.entries()) {
      if (count(port, 'port') === KUBELET_PORT) {
        errors.invalid(
          SPEC.child('ports').index(index),
          count(port, 'port'),
          `may not expose port ${KUBELET_PORT} externally since it is used by kubelet`,
        );
      }
    }
  }
  if ((type === 'LoadBalancer' || type === 'NodePort') && headless) {
    errors.invalid(
      SPEC.child('clusterIPs').index(0),
      'None',
      `may not be set to 'None' for ${type} services`,
    );
  }
  if (type === 'ExternalName') {
    if (text(spec, 'clusterIP') !== '') {
      errors.forbidden(SPEC.child('clusterIPs'), 'may not be set for ExternalName services');
    }
    const name = text(spec, 'externalName').replace(/\.$/, '');
    if (name === '') errors.required(SPEC.child('externalName'));
    else checkDnsSubdomain(errors, SPEC.child('externalName'), name);
  }
  checkPorts(errors, ports);
  checkLabels(errors, SPEC.child('selector'), textMap(spec, 'selector'));
  checkEnum(errors, SPEC.child('sessionAffinity'), text(spec, 'sessionAffinity'), ['ClientIP', 'None']);
  checkAffinity(errors, spec);
  checkClusterIPs(errors, spec, type);
  for (const [index, ip] of texts(spec, 'externalIPs').entries()) {
    const at = SPEC.child('externalIPs').index(index);
    const before = errors.size;
    checkAddress(errors, at, ip);
    if (errors.size === before) errors.invalids(at, ip, specialAddressErrors(ip));
  }
  checkEnum(errors, SPEC.child('type'), type, TYPES);
  if (type === 'ClusterIP') {
    for (const [index, port] of ports.entries()) {
      if (count(port, 'nodePort') !== 0) {
        errors.forbidden(
          SPEC.child('ports').index(index).child('nodePort'),
          "may not be used when `type` is 'ClusterIP'",
        );
      }
    }
  }
  checkRepetitions(errors, ports);
  const ranges = texts(spec, 'loadBalancerSourceRanges');
  if (ranges.length > 0) {
    if (type !== 'LoadBalancer') {
      errors.forbidden(
        SPEC.child('LoadBalancerSourceRanges'),
        "may only be used when `type` is 'LoadBalancer'",
      );
    }
    for (const [index, range] of ranges.entries()) {
      if (parseNetwork(range.trim()) === undefined) {
        errors.invalid(
          SPEC.child('LoadBalancerSourceRanges').index(index),
          range,
          'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        );
      }
    }
  }
  if (has(spec, 'allocateLoadBalancerNodePorts') && type !== 'LoadBalancer') {
    errors.forbidden(
      SPEC.child('allocateLoadBalancerNodePorts'),
      "may only be used when `type` is 'LoadBalancer'",
    );
  }
  if (has(spec, 'loadBalancerClass')) {
    if (type !== 'LoadBalancer')
      errors.forbidden(SPEC.child('loadBalancerClass'), "may only be used when `type` is 'LoadBalancer'");
    checkQualifiedName(errors, SPEC.child('loadBalancerClass'), text(spec, 'loadBalancerClass'));
  }
  checkTraffic(errors, spec, type);
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
    if (numbers.has(`${protocol} ${number}`)) errors.duplicate(at, { protocol, port: number });
    numbers.add(`${protocol} ${number}`);
  }
}

function checkAffinity(errors: FieldErrors, spec: JsonObject): void {
  const at = SPEC.child('sessionAffinityConfig');
  const affinity = text(spec, 'sessionAffinity');
  const config = partOf(spec, 'sessionAffinityConfig');
  if (affinity === 'None' && config !== undefined) {
    errors.forbidden(at, 'must not be set when session affinity is None');
  }
  if (affinity !== 'ClientIP') return;
  const clientIP = config === undefined ? undefined : partOf(config, 'clientIP');
  if (config === undefined) errors.required(at, 'when session affinity type is ClientIP');
  else if (clientIP === undefined)
    errors.required(at.child('clientIP'), 'when session affinity type is ClientIP');
  else {
    const seconds = countOf(clientIP, 'timeoutSeconds');
    const place = at.child('clientIP', 'timeoutSeconds');
    if (seconds === undefined) errors.required(place, 'when session affinity type is ClientIP');
    else if (rangeErrors(seconds, 1, AFFINITY_SECONDS_MAX).length > 0) {
      errors.invalid(place, seconds, `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`);
    }
  }
}

function checkClusterIPs(errors: FieldErrors, spec: JsonObject, type: string): void {
  const policy = text(spec, 'ipFamilyPolicy');
  const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
  if (policy !== '' && !policies.includes(policy)) {
    errors.notSupported(SPEC.child('ipFamilyPolicy'), policy, [
      'SingleStack',
      'PreferDualStack',
      'RequireDualStack',
    ]);
  }
  const families = texts(spec, 'ipFamilies');
  for (const [index, family] of families.entries()) {
    const at = SPEC.child('ipFamilies').index(index);
    if (family !== 'IPv4' && family !== 'IPv6') errors.notSupported(at, family, ['IPv4', 'IPv6']);
    if (families.indexOf(family) < index) errors.duplicate(at, family);
  }
  if (type === 'ExternalName') return;
  const primary = text(spec, 'clusterIP');
  const all = texts(spec, 'clusterIPs');
  if (all.length === 0 && primary !== '') {
    errors.required(SPEC.child('clusterIPs'));
  } else if (all.length > 0 && primary !== all[0]) {
    errors.invalid(SPEC.child('clusterIPs'), all, 'first value must match `clusterIP`');
  }
  if (all.length > 2) errors.invalid(SPEC.child('clusterIPs'), all, 'may only hold up to 2 values');
  for (const [index, ip] of all.entries()) {
    const at = SPEC.child('clusterIPs').index(index);
    if (ip === 'None') {
      if (all.length > 1)
        errors.invalid(SPEC.child('clusterIPs'), all, "'None' must be the first and only value");
    } else if (parseAddress(ip) === undefined)
      errors.invalid(at, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)');
    else if (families[index] !== undefined && parseAddress(ip)?.family !== families[index]) {
      errors.invalid(at, ip, `expected an ${families[index]} value as indicated by \`ipFamilies[${index}]\``);
    }
  }
}

function checkTraffic(errors: FieldErrors, spec: JsonObject, type: string): void {
  const external = text(spec, 'externalTrafficPolicy');
  const exposed = type === 'LoadBalancer' || type === 'NodePort';
  const facesOut = exposed || (type === 'ClusterIP' && texts(spec, 'externalIPs').length > 0);
  const policies = ['Cluster', 'Local'];
  if (external !== '' && !policies.includes(external)) {
    errors.notSupported(SPEC.child('externalTrafficPolicy'), external, policies);
  } else if (external !== '' && !facesOut) {
    errors.invalid(
      SPEC.child('externalTrafficPolicy'),
      external,
      'may only be set for externally-accessible services',
    );
  } else if (external === '' && exposed) {
    errors.required(SPEC.child('externalTrafficPolicy'), 'must be Cluster or Local');
  }
  const check = count(spec, 'healthCheckNodePort');
  if (check < 0) errors.invalid(SPEC.child('healthCheckNodePort'), check, 'must be between 0-65535');
  if (check !== 0 && !(type === 'LoadBalancer' && external === 'Local')) {
    errors.invalid(
      SPEC.child('healthCheckNodePort'),
      check,
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    );
  }
  const internal = text(spec, 'internalTrafficPolicy');
  if (internal !== '' && !policies.includes(internal)) {
    errors.notSupported(SPEC.child('internalTrafficPolicy'), internal, policies);
  } else if (internal === '' && type !== 'ExternalName' && !flag(spec, 'external')) {
    errors.required(SPEC.child('internalTrafficPolicy'));
  }
  const distribution = spec['trafficDistribution'];
  const distributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
  if (typeof distribution === 'string' && !distributions.includes(distribution)) {
    errors.notSupported(SPEC.child('trafficDistribution'), distribution, distributions);
  }
}
