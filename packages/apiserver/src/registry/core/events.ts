/**
 * Event: something that happened to an object, kept for an hour. The core form and the one of events.k8s.io are
 * one resource in the store, kept as core/v1.
 */

import type { GroupVersion, KubeObject } from '../../api/meta.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkQualifiedName } from '../../validation/scalars.ts';
import { byteLength } from '../../validation/labels.ts';
import { has, part, text } from '../../validation/value.ts';
import { defineKind, selectableAt, type KindChecks, type KindFile } from '../kinds/kind.ts';

const HOUR_SECONDS = 3600;
const NOTE_BYTES_MAX = 1024;

/** Names of core/v1 with the ones of events.k8s.io/v1. */
const RENAMED: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function convert(object: KubeObject, to: GroupVersion): KubeObject {
  const toCore = to.group === '';
  const apiVersion = toCore ? 'v1' : `${to.group}/${to.version}`;
  if (object.apiVersion === apiVersion) return object;
  const names = new Map(RENAMED.map(([core, events]) => (toCore ? [events, core] : [core, events])));
  const converted: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) converted[names.get(name) ?? name] = value;
  // Go writes these two of core/v1 even when nothing was said.
  if (toCore) {
    converted['reportingComponent'] ??= '';
    converted['reportingInstance'] ??= '';
  }
  return { ...converted, apiVersion, kind: object.kind, metadata: object.metadata };
}

const checks: KindChecks = {
  allowCreateOnUpdate: true,
  check(errors, object) {
    const involved = part(object, 'involvedObject');
    const at = FieldPath.of('involvedObject', 'namespace');
    const namespace = text(involved, 'namespace');
    const own = object.metadata.namespace ?? '';
    if (namespace === '' ? own !== 'default' && own !== '' : namespace !== own) {
      if (namespace === '') errors.invalid(at, namespace, 'does not match event.namespace');
      else errors.invalid(at, namespace, 'does not match event.namespace');
    }
    if (!has(object, 'eventTime')) return;
    // Whoever says a time of events.k8s.io says the rest of it as well.
    const controller = text(object, 'reportingComponent');
    if (controller === '') errors.required(FieldPath.of('reportingController'));
    else checkQualifiedName(errors, FieldPath.of('reportingController'), controller);
    const instance = text(object, 'reportingInstance');
    if (instance === '') errors.required(FieldPath.of('reportingInstance'));
    if (byteLength(instance) > 128)
      errors.invalid(FieldPath.of('reportingInstance'), '', 'can have at most 128 characters');
    for (const field of ['action', 'reason']) {
      const value = text(object, field);
      if (value === '') errors.required(FieldPath.of(field));
      if (byteLength(value) > 128) errors.invalid(FieldPath.of(field), '', 'can have at most 128 characters');
    }
    if (byteLength(text(object, 'message')) > NOTE_BYTES_MAX) {
      errors.invalid(FieldPath.of('message'), '', `can have at most ${NOTE_BYTES_MAX} characters`);
    }
    const type = text(object, 'type');
    if (type !== 'Normal' && type !== 'Warning')
      errors.invalid(FieldPath.of('type'), '', `has invalid value: ${type}`);
  },
};

const FIELDS: readonly string[] = [
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'involvedObject.apiVersion',
  'involvedObject.resourceVersion',
  'involvedObject.fieldPath',
  'reason',
  'reportingComponent',
  'source',
  'type',
];

const fields = selectableAt(FIELDS);
const shared: Omit<KindFile, 'group' | 'types'> = {
  resource: 'events',
  kind: 'Event',
  scope: 'Namespaced',
  shortNames: ['ev'],
  keyPrefix: 'events',
  storage: { group: '', version: 'v1' },
  checks,
  convert,
  ttlSeconds: () => HOUR_SECONDS,
};

const selectable = {
  names: fields.names,
  values(object: KubeObject): Readonly<Record<string, string>> {
    const source = text(part(object, 'source'), 'component');
    const reporter = text(object, 'reportingComponent');
    return { ...fields.values(object), source: source === '' ? reporter : source };
  },
};

export const coreEvents = defineKind({ ...shared, group: '', types: 'core', selectable });

export const events = defineKind({
  ...shared,
  group: 'events.k8s.io',
  types: 'events',
  selectable: {
    ...selectable,
    hidden: FIELDS.filter((name) => name.startsWith('involvedObject.') || name === 'reportingComponent'),
    aliases: Object.fromEntries([
      ...FIELDS.filter((name) => name.startsWith('involvedObject.')).map((name) => [
        name.replace('involvedObject', 'regarding'),
        name,
      ]),
      ['reportingController', 'reportingComponent'],
    ]),
  },
});
