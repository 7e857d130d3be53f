/**
 * Event: something that happened to an object, kept for an hour. The core form and the one of events.k8s.io are
 * one resource in the store, kept as core/v1.
 */

import { goValue } from '../../validation/go-values.ts';
import type { GroupVersion, KubeObject } from '../../api/meta.ts';
import { parseTime, ZERO_SECONDS } from '../../codec/times.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { byteLength } from '../../validation/labels.ts';
import {
  dnsSubdomainErrors,
  forName,
  pathSegmentErrors,
  qualifiedNameErrors,
} from '../../validation/names.ts';
import { checkImmutable } from '../../validation/scalars.ts';
import { count, part, partOf, same, text, type Fields } from '../../validation/value.ts';
import { defineKind, selectableAt, type KindChecks, type KindFile } from '../kinds/kind.ts';

const HOUR_SECONDS = 3600;
const WORD_BYTES_MAX = 128;
const NOTE_BYTES_MAX = 1024;
/** A series begins with the second time. */
const SERIES_MIN = 2;

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

/** Holds in both versions: old events agree with their object's namespace, those with an instant say who tells. */
function checkEvent(errors: FieldErrors, object: KubeObject, reporter: string): void {
  const namespace = text(part(object, 'involvedObject'), 'namespace');
  const own = object.metadata.namespace ?? '';
  const elsewhere = (): void => {
    errors.invalid(FieldPath.of('involvedObject', 'namespace'), namespace, 'does not match event.namespace');
  };
  if (timeOf(object, 'eventTime') === '') {
    if (namespace === '' ? own !== '' && own !== 'default' : namespace !== own) elsewhere();
  } else {
    if (namespace === '' && own !== 'default' && own !== 'kube-system') elsewhere();
    checkReporter(errors, object, reporter);
  }
  errors.invalids(FieldPath.of('namespace'), own, dnsSubdomainErrors(own));
}

function checkReporter(errors: FieldErrors, object: KubeObject, reporter: string): void {
  const controller = text(object, 'reportingComponent');
  if (controller === '') errors.required(FieldPath.of(reporter));
  errors.invalids(FieldPath.of(reporter), controller, qualifiedNameErrors(controller));
  for (const field of ['reportingInstance', 'action', 'reason']) {
    const value = text(object, field);
    if (value === '') errors.required(FieldPath.of(field));
    checkLength(errors, field, value, WORD_BYTES_MAX);
  }
  checkLength(errors, 'message', text(object, 'message'), NOTE_BYTES_MAX);
}

function checkLength(errors: FieldErrors, field: string, value: string, max: number): void {
  if (byteLength(value) > max) errors.invalid(FieldPath.of(field), '', `can have at most ${max} characters`);
}

/** The member as a time, empty for none or the zero of Go's. */
function timeOf(object: Fields, name: string): string {
  const time = text(object, name);
  return parseTime(time)?.seconds === ZERO_SECONDS ? '' : time;
}

/** What events.k8s.io/v1 asks of a new event beyond that. Paths are core's, as the original's. */
function checkStrict(errors: FieldErrors, object: KubeObject): void {
  checkSeries(errors, object);
  if (timeOf(object, 'eventTime') === '') errors.required(FieldPath.of('eventTime'));
  const type = text(object, 'type');
  if (type !== 'Normal' && type !== 'Warning') {
    errors.invalid(FieldPath.of('type'), '', `has invalid value: ${type}`);
  }
  const unset = (field: string, empty: boolean): void => {
    if (!empty) errors.invalid(FieldPath.of(field), '', 'needs to be unset');
  };
  unset('firstTimestamp', timeOf(object, 'firstTimestamp') === '');
  unset('lastTimestamp', timeOf(object, 'lastTimestamp') === '');
  unset('count', count(object, 'count') === 0);
  const source = part(object, 'source');
  unset('source', text(source, 'component') === '' && text(source, 'host') === '');
}

function checkSeries(errors: FieldErrors, object: KubeObject): void {
  const series = partOf(object, 'series');
  if (series === undefined) return;
  const at = FieldPath.of('series.count');
  if (count(series, 'count') < SERIES_MIN) errors.invalid(at, '', 'should be at least 2');
  if (timeOf(series, 'lastObservedTime') === '') errors.required(FieldPath.of('series.lastObservedTime'));
}

/** What stays once an event is told, by core's names; one that recurs counts in its series. */
const KEPT: readonly (readonly [field: string, path: string])[] = [
  ...[
    'involvedObject reason message source firstTimestamp lastTimestamp count reason type eventTime action related',
  ].flatMap((names) => names.split(' ').map((name) => [name, name] as const)),
  ['reportingComponent', 'reportingController'],
  ['reportingInstance', 'reportingInstance'],
];

/** Members that are no text. */
const SHOWN: Readonly<Record<string, string>> = {
  involvedObject: 'core.ObjectReference',
  related: 'core.ObjectReference',
  source: 'core.EventSource',
};

function shownAs(field: string, event: KubeObject): unknown {
  const type = SHOWN[field];
  const value = event[field];
  // An event may have none that is related; the others are never absent in Go.
  if (type !== undefined) return goValue(type, field === 'related' ? value : (value ?? {}));
  if (field === 'count') return count(event, field);
  return value ?? (field.endsWith('Time') || field.endsWith('Timestamp') ? null : '');
}

const coreChecks: KindChecks = {
  nameErrors: pathSegmentErrors,
  metadataLast: true,
  allowCreateOnUpdate: true,
  check: (errors, object) => checkEvent(errors, object, 'reportingComponent'),
};

const strictChecks: KindChecks = {
  allowCreateOnUpdate: true,
  nameErrors: forName(dnsSubdomainErrors),
  check: (errors, object) => checkEvent(errors, object, 'reportingController'),
  checkCreate: checkStrict,
  checkUpdate(errors, object, old) {
    if (!same(object['series'], old['series'])) checkSeries(errors, object);
    for (const [field, path] of KEPT) {
      checkImmutable(errors, FieldPath.of(path), shownAs(field, object), shownAs(field, old));
    }
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
const shared: Omit<KindFile, 'group' | 'types' | 'checks'> = {
  resource: 'events',
  kind: 'Event',
  scope: 'Namespaced',
  shortNames: ['ev'],
  keyPrefix: 'events',
  storage: { group: '', version: 'v1' },
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

export const coreEvents = defineKind({
  ...shared,
  group: '',
  types: 'core',
  checks: coreChecks,
  selectable,
});

export const events = defineKind({
  ...shared,
  group: 'events.k8s.io',
  types: 'events',
  checks: strictChecks,
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
