/** EndpointSlice: a part of the endpoints behind a service. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { labelValueErrors } from '../../api/selectors.ts';
import { parseAddress, specialAddressErrors } from '../../validation/addresses.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { dnsLabelErrors, dnsSubdomainErrors } from '../../validation/names.ts';
import { checkLabels as checkLabelsOf } from '../../validation/labels.ts';
import {
  checkAddress,
  checkDnsLabel,
  checkDnsSubdomain,
  checkImmutable,
  checkQualifiedName,
} from '../../validation/scalars.ts';
import { has, part, parts, text, textMap, texts, withField, without } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

const TYPES: readonly string[] = ['FQDN', 'IPv4', 'IPv6'];
const ADDRESSES_MAX = 100;
const ENDPOINTS_MAX = 1000;
const PORTS_MAX = 20_000;
const HINTS_MAX = 8;
const TOPOLOGY_MAX = 16;
const TOPOLOGY = 'deprecatedTopology';

export const endpointSlices = defineKind({
  group: 'discovery.k8s.io',
  types: 'discovery',
  resource: 'endpointslices',
  kind: 'EndpointSlice',
  scope: 'Namespaced',
  checks: {
    generation: ['endpoints', 'ports', 'addressType'],
    // What version 1 has no field for any more is kept where it was, and not taken.
    prepareForCreate: (object) => withoutTopology(object),
    prepareForUpdate: withoutTopology,
    warnings: (object, old) =>
      old === undefined && text(object, 'addressType') === 'FQDN'
        ? ['spec.addressType: FQDN endpoints are deprecated']
        : [],
    check(errors, object) {
      const type = text(object, 'addressType');
      if (type === '') errors.required(FieldPath.of('addressType'));
      else if (!TYPES.includes(type)) errors.notSupported(FieldPath.of('addressType'), type, TYPES);
      const list = parts(object, 'endpoints');
      const many = list.length > ENDPOINTS_MAX;
      if (many) errors.tooMany(FieldPath.of('endpoints'), list.length, ENDPOINTS_MAX);
      for (const [index, endpoint] of many ? [] : list.entries())
        checkEndpoint(errors, FieldPath.of('endpoints').index(index), endpoint, type);
      const ports = parts(object, 'ports');
      if (ports.length > PORTS_MAX) {
        errors.tooMany(FieldPath.of('ports'), ports.length, PORTS_MAX);
        return;
      }
      const names = new Set<string>();
      for (const [index, port] of ports.entries()) {
        const at = FieldPath.of('ports').index(index);
        const name = text(port, 'name');
        if (name !== '') checkDnsLabel(errors, at.child('name'), name);
        if (names.has(name)) errors.duplicate(at.child('name'), name);
        names.add(name);
        const protocol = text(port, 'protocol');
        if (!['SCTP', 'TCP', 'UDP'].includes(protocol))
          errors.notSupported(at.child('protocol'), protocol, ['SCTP', 'TCP', 'UDP']);
        if (has(port, 'appProtocol'))
          checkQualifiedName(errors, at.child('appProtocol'), text(port, 'appProtocol'));
      }
    },
    checkUpdate(errors, object, old) {
      checkImmutable(errors, FieldPath.of('addressType'), object['addressType'], old['addressType']);
    },
  },
});

function withoutTopology(object: KubeObject, old?: KubeObject): KubeObject {
  const had = (of: KubeObject): boolean => parts(of, 'endpoints').some((each) => has(each, TOPOLOGY));
  if ((old !== undefined && had(old)) || !had(object)) return object;
  const endpoints = parts(object, 'endpoints').map((each) => without(each, TOPOLOGY));
  return withField(object, 'endpoints', endpoints);
}

function checkEndpoint(errors: FieldErrors, path: FieldPath, endpoint: JsonObject, type: string): void {
  const addresses = texts(endpoint, 'addresses');
  const at = path.child('addresses');
  if (addresses.length === 0) errors.required(at, 'must contain at least 1 address');
  else if (addresses.length > ADDRESSES_MAX) errors.tooMany(at, addresses.length, ADDRESSES_MAX);
  for (const [index, address] of addresses.entries()) {
    if (type === 'FQDN') checkDomain(errors, at.index(index), address);
    else if (type === 'IPv4' || type === 'IPv6') {
      const before = errors.size;
      checkAddress(errors, at.index(index), address);
      if (errors.size === before && parseAddress(address)?.family !== type) {
        const why = type === 'IPv4' ? 'must be an IPv4 address' : 'must be an IPv6 address';
        errors.invalid(at, address, why);
        errors.invalids(at.index(index), address, specialAddressErrors(address));
      } else if (errors.size === before)
        errors.invalids(at.index(index), address, specialAddressErrors(address));
    }
  }
  if (has(endpoint, 'nodeName'))
    checkDnsSubdomain(errors, path.child('nodeName'), text(endpoint, 'nodeName'));
  const topology = textMap(endpoint, 'deprecatedTopology');
  const labels = Object.keys(topology).length;
  if (labels > TOPOLOGY_MAX) errors.tooMany(path.child('deprecatedTopology'), labels, TOPOLOGY_MAX);
  checkLabelsOf(errors, path.child('deprecatedTopology'), topology);
  if (has(endpoint, 'hostname')) checkDnsLabel(errors, path.child('hostname'), text(endpoint, 'hostname'));
  const hints = part(endpoint, 'hints');
  for (const name of ['forZones', 'forNodes']) {
    const list = parts(hints, name);
    if (list.length > HINTS_MAX) {
      errors.tooMany(path.child('hints', name), list.length, HINTS_MAX);
      return;
    }
    const names = new Set<string>();
    for (const [index, hint] of list.entries()) {
      const place = path.child('hints', name).index(index).child('name');
      const value = text(hint, 'name');
      if (names.has(value)) errors.duplicate(place, value);
      names.add(value);
      if (name === 'forZones') errors.invalids(place, value, labelValueErrors(value));
      else checkDnsSubdomain(errors, place, value);
    }
  }
}

/** A domain of two labels and more; a dot may stand behind it. */
function checkDomain(errors: FieldErrors, path: FieldPath, given: string): void {
  const name = given.endsWith('.') ? given.slice(0, -1) : given;
  const wrong = dnsSubdomainErrors(name);
  if (given === '') errors.required(path);
  else if (wrong.length > 0) errors.invalid(path, name, wrong.join(','));
  else if (!name.includes('.'))
    errors.invalid(path, name, 'should be a domain with at least two segments separated by dots');
  else {
    for (const label of name.split('.')) {
      const long = dnsLabelErrors(label);
      if (long.length > 0) errors.invalid(path, label, long.join(','));
    }
  }
}
