/**
 * Nodes, namespaces, events and what holds data, as tables.
 *
 * Modelled on kubernetes' pkg/printers/internalversion.
 */

import type { JsonObject } from '../api/json.ts';
import { count, countOf, part, partOf, parts, text, textMap } from '../validation/value.ts';
import { ageOf, timeMs } from './ages.ts';
import { nameOf, NONE, objectAge, orElse, quantityCell, UNKNOWN } from './cells.ts';
import { AGE_COLUMN, column, NAME_COLUMN, wide, type TablePrinter } from './printer.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';
const ROLE_LABEL = 'kubernetes.io/role';

export const nodePrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether the node is ready, and whether pods may be put on it.'),
    column('Roles', 'What its labels say it is for.'),
    AGE_COLUMN,
    column('Version', 'Version of its kubelet.'),
    wide('Internal-IP', 'Its address inside the cluster.'),
    wide('External-IP', 'Its address seen from outside.'),
    wide('OS-Image', 'The system it runs.'),
    wide('Kernel-Version', 'The kernel it runs.'),
    wide('Container-Runtime', 'What runs its containers, with the version.'),
  ],
  cells(node, nowMs) {
    const status = part(node, 'status');
    const info = part(status, 'nodeInfo');
    // The last one of a type counts.
    const ready = parts(status, 'conditions').findLast((each) => text(each, 'type') === 'Ready');
    const words = [ready === undefined ? 'Unknown' : text(ready, 'status') === 'True' ? 'Ready' : 'NotReady'];
    if (part(node, 'spec')['unschedulable'] === true) words.push('SchedulingDisabled');
    return [
      nameOf(node),
      words.join(','),
      orElse(nodeRoles(node.metadata.labels ?? {}).join(','), NONE),
      objectAge(node, nowMs),
      text(info, 'kubeletVersion'),
      nodeAddress(status, 'InternalIP'),
      nodeAddress(status, 'ExternalIP'),
      orElse(text(info, 'osImage'), UNKNOWN),
      orElse(text(info, 'kernelVersion'), UNKNOWN),
      orElse(text(info, 'containerRuntimeVersion'), UNKNOWN),
    ];
  },
};

function nodeRoles(labels: Readonly<Record<string, string>>): string[] {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(labels)) {
    if (key.startsWith(ROLE_PREFIX)) {
      if (key.length > ROLE_PREFIX.length) roles.add(key.slice(ROLE_PREFIX.length));
    } else if (key === ROLE_LABEL && value !== '') roles.add(value);
  }
  return [...roles].toSorted();
}

function nodeAddress(status: JsonObject, type: string): string {
  const found = parts(status, 'addresses').find((each) => text(each, 'type') === type);
  return found === undefined ? NONE : text(found, 'address');
}

export const namespacePrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Status', 'Whether it is in use or being emptied.'), AGE_COLUMN],
  cells: (object, nowMs) => [nameOf(object), text(part(object, 'status'), 'phase'), objectAge(object, nowMs)],
};

export const secretPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Type', 'What kind of secret it is, which decides the keys it must have.'),
    column('Data', 'How many values it holds.'),
    AGE_COLUMN,
  ],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object, 'type'),
    Object.keys(part(object, 'data')).length,
    objectAge(object, nowMs),
  ],
};

export const configMapPrinter: TablePrinter = {
  columns: [NAME_COLUMN, column('Data', 'How many values it holds.'), AGE_COLUMN],
  cells: (object, nowMs) => [
    nameOf(object),
    Object.keys(part(object, 'data')).length + Object.keys(part(object, 'binaryData')).length,
    objectAge(object, nowMs),
  ],
};

export const serviceAccountPrinter: TablePrinter = {
  columns: [NAME_COLUMN, AGE_COLUMN],
  cells: (object, nowMs) => [nameOf(object), objectAge(object, nowMs)],
};

/** In the form of core/v1. */
export const eventPrinter: TablePrinter = {
  columns: [
    column('Last Seen', 'How long ago it happened last.'),
    column('Type', 'Whether it is normal or a warning.'),
    column('Reason', 'Why it happened, in a word for programs.'),
    column('Object', 'What it happened to.'),
    wide('Subobject', 'Which part of that object it happened to.'),
    wide('Source', 'Who tells of it.'),
    column('Message', 'What happened, for people.'),
    wide('First Seen', 'How long ago it happened first.'),
    wide('Count', 'How often it happened.'),
    wide('Name', 'What the event itself is called.', { format: 'name' }),
  ],
  cells(event, nowMs) {
    const age = (of: JsonObject | typeof event, name: string): string => ageOf(text(of, name), nowMs);
    const has = (name: string): boolean => timeMs(text(event, name)) !== undefined;
    const first = age(event, has('firstTimestamp') ? 'firstTimestamp' : 'eventTime');
    const last = has('lastTimestamp') ? age(event, 'lastTimestamp') : first;
    const series = partOf(event, 'series');
    const object = part(event, 'involvedObject');
    const kind = text(object, 'kind').toLowerCase();
    const name = text(object, 'name');
    return [
      series === undefined ? last : age(series, 'lastObservedTime'),
      text(event, 'type'),
      text(event, 'reason'),
      name === '' ? kind : `${kind}/${name}`,
      text(object, 'fieldPath'),
      sourceCell(event),
      text(event, 'message').trim(),
      first,
      // An event that happened once does not count itself.
      series === undefined ? orOne(countOf(event, 'count')) : count(series, 'count'),
      nameOf(event),
    ];
  },
};

function orOne(value: number | undefined): number {
  return value === undefined || value === 0 ? 1 : value;
}

function sourceCell(event: Parameters<typeof text>[0]): string {
  const source = part(event, 'source');
  const component = orElse(text(source, 'component'), text(event, 'reportingComponent'));
  const instance = orElse(text(source, 'host'), text(event, 'reportingInstance'));
  return instance === '' ? component : `${component}, ${instance}`;
}

export const resourceQuotaPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Request', 'Of each thing that is limited, what is used and what may be.'),
    column('Limit', 'The same of the limits that containers set themselves.'),
    AGE_COLUMN,
  ],
  cells(object, nowMs) {
    const status = part(object, 'status');
    const used = part(status, 'used');
    const hard = part(status, 'hard');
    const requests: string[] = [];
    const limits: string[] = [];
    for (const name of Object.keys(textMap(status, 'hard')).toSorted()) {
      const line = `${name}: ${quantityCell(used, name)}/${quantityCell(hard, name)}`;
      (name.startsWith('limits.') ? limits : requests).push(line);
    }
    return [nameOf(object), requests.join(', '), limits.join(', '), objectAge(object, nowMs)];
  },
};

export const componentStatusPrinter: TablePrinter = {
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether the component is well.'),
    column('Message', 'What it says of itself.'),
    column('Error', 'What is wrong with it.'),
  ],
  cells(object) {
    const healthy = parts(object, 'conditions').find((each) => text(each, 'type') === 'Healthy');
    if (healthy === undefined) return [nameOf(object), 'Unknown', '', ''];
    return [
      nameOf(object),
      text(healthy, 'status') === 'True' ? 'Healthy' : 'Unhealthy',
      text(healthy, 'message'),
      text(healthy, 'error'),
    ];
  },
};
