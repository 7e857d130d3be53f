/**
 * Services and what leads to them, as tables.
 *
 * Modelled on kubernetes' pkg/printers/internalversion. The original cuts addresses of load balancers short where
 * a client prints without `-o wide`; a server prints wide always, so they are whole here.
 */

import type { JsonObject } from '../api/json.ts';
import { describeResource } from '../api/meta.ts';
import {
  count,
  countOf,
  items,
  part,
  partOf,
  parts,
  text,
  textMap,
  textOf,
  texts,
} from '../validation/value.ts';
import { labelsCell, listCell, nameOf, NONE, objectAge, orElse, selectorCell, UNSET } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, wide, type TablePrinter } from './printer.ts';

/** How many addresses, ports or hosts a cell names. */
const LISTED_MAX = 3;

export const servicePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Type', 'How the service is reached: inside the cluster, on nodes, or from outside.'),
    column('Cluster-IP', 'Its address inside the cluster.'),
    column('External-IP', 'Addresses it is reached at from outside.'),
    column('Port(s)', 'Its ports, with those on nodes behind a colon.'),
    AGE_COLUMN,
    wide('Selector', 'Labels of the pods behind it.'),
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      text(spec, 'type'),
      orElse(texts(spec, 'clusterIPs').at(0) ?? text(spec, 'clusterIP'), NONE),
      externalCell(spec, part(object, 'status')),
      orElse(parts(spec, 'ports').map(portCell).join(','), NONE),
      objectAge(object, nowMs),
      labelsCell(textMap(spec, 'selector')),
    ];
  },
};

function portCell(port: JsonObject): string {
  const node = count(port, 'nodePort');
  const numbers = node > 0 ? `${count(port, 'port')}:${node}` : `${count(port, 'port')}`;
  return `${numbers}/${text(port, 'protocol')}`;
}

function externalCell(spec: JsonObject, status: JsonObject): string {
  const external = texts(spec, 'externalIPs');
  switch (text(spec, 'type')) {
    case 'ClusterIP':
    case 'NodePort':
      return external.length > 0 ? external.join(',') : NONE;
    case 'LoadBalancer': {
      const balancer = ingressPoints(part(status, 'loadBalancer'));
      if (external.length > 0) return [...balancer, ...external].join(',');
      return balancer.length > 0 ? balancer.join(',') : '<pending>';
    }
    case 'ExternalName':
      return text(spec, 'externalName');
    default:
      return '<unknown>';
  }
}

/** Addresses and names of a load balancer, each once, sorted. */
function ingressPoints(balancer: JsonObject): string[] {
  const points = parts(balancer, 'ingress').map((each) => orElse(text(each, 'ip'), text(each, 'hostname')));
  return [...new Set(points)].filter((each) => each !== '').toSorted();
}

export const endpointsPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Endpoints', 'Addresses with ports that are ready.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    endpointsCell(parts(object, 'subsets')),
    objectAge(object, nowMs),
  ],
};

function endpointsCell(subsets: readonly JsonObject[]): string {
  if (subsets.length === 0) return NONE;
  const targets: string[] = [];
  for (const subset of subsets) {
    const addresses = parts(subset, 'addresses').map((each) => text(each, 'ip'));
    const ports = parts(subset, 'ports');
    // A service without ports has endpoints without them.
    if (ports.length === 0) targets.push(...addresses);
    for (const port of ports) targets.push(...addresses.map((each) => hostPort(each, count(port, 'port'))));
  }
  return listCell(targets, LISTED_MAX, '');
}

function hostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export const endpointSlicePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('AddressType', 'What kind of addresses it lists.'),
    column('Ports', 'Ports of every endpoint.'),
    column('Endpoints', 'Addresses of the endpoints.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const ports = parts(object, 'ports').map((port) => {
      const number = countOf(port, 'port');
      return number === undefined ? (textOf(port, 'name') ?? '*') : String(number);
    });
    const addresses = parts(object, 'endpoints').flatMap((each) => texts(each, 'addresses'));
    return [
      nameOf(object),
      text(object, 'addressType'),
      listCell(ports, LISTED_MAX, UNSET),
      listCell(addresses, LISTED_MAX, UNSET),
      objectAge(object, nowMs),
    ];
  },
};

export const ingressPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Class', 'The class that says who serves it.'),
    column('Hosts', 'Names in requests that it has rules for.'),
    column('Address', 'Where the load balancer is reached.'),
    column('Ports', 'Ports that are open: with TLS the second one too.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    return [
      nameOf(object),
      textOf(spec, 'ingressClassName') ?? NONE,
      hostsCell(parts(spec, 'rules')),
      ingressPoints(part(part(object, 'status'), 'loadBalancer')).join(','),
      items(spec, 'tls').length > 0 ? '80, 443' : '80',
      objectAge(object, nowMs),
    ];
  },
};

/** Rules count where hosts are cut short, those without a host too. */
function hostsCell(rules: readonly JsonObject[]): string {
  const hosts: string[] = [];
  for (const rule of rules) {
    if (hosts.length === LISTED_MAX) return `${hosts.join(',')} + ${rules.length - LISTED_MAX} more...`;
    if (text(rule, 'host') !== '') hosts.push(text(rule, 'host'));
  }
  return orElse(hosts.join(','), '*');
}

export const ingressClassPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Controller', 'Who serves ingresses of this class.'),
    column('Parameters', 'The object with more settings.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const spec = part(object, 'spec');
    const parameters = partOf(spec, 'parameters');
    let reference = NONE;
    if (parameters !== undefined) {
      const group = textOf(parameters, 'apiGroup');
      const kind = text(parameters, 'kind');
      reference = `${group === undefined ? kind : `${kind}.${group}`}/${text(parameters, 'name')}`;
    }
    return [nameOf(object), text(spec, 'controller'), reference, objectAge(object, nowMs)];
  },
};

export const networkPolicyPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Pod-Selector', 'Labels of the pods it is for.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    selectorCell(part(object, 'spec'), 'podSelector'),
    objectAge(object, nowMs),
  ],
};

export const serviceCidrPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('CIDRs', 'Ranges that addresses of services are taken from.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    texts(part(object, 'spec'), 'cidrs').join(','),
    objectAge(object, nowMs),
  ],
};

export const ipAddressPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('ParentRef', 'Who the address belongs to.')],
  cells(object) {
    const parent = partOf(part(object, 'spec'), 'parentRef');
    if (parent === undefined) return [nameOf(object), NONE];
    const resource = describeResource({ group: text(parent, 'group'), resource: text(parent, 'resource') });
    const namespace = text(parent, 'namespace');
    const name = namespace === '' ? text(parent, 'name') : `${namespace}/${text(parent, 'name')}`;
    return [nameOf(object), `${resource.toLowerCase()}/${name}`];
  },
};
