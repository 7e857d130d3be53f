/** resource.k8s.io: devices of nodes, classes of them, and claims for them. CEL is checked where it is compiled. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkAnnotations, checkLabelName, checkLabels } from '../../validation/labels.ts';
import { checkNodeSelector } from '../../validation/pod-placement.ts';
import { checkDriverName } from '../../validation/volume-sources.ts';
import { checkDnsLabel, checkDnsSubdomain } from '../../validation/scalars.ts';
import { count, flag, has, part, partOf, parts, same, text, textMap, texts } from '../../validation/value.ts';
import { deviceConversion } from './conversion.ts';
import { defineKind, selectableAt, SPEC, OTHERS_METADATA } from '../kinds/kind.ts';

const GROUP = { group: 'resource.k8s.io', types: 'resource' } as const;
const SELECTORS_MAX = 32;
const REQUESTS_MAX = 32;
const DEVICES_MAX = 128;

function checkSelectors(errors: FieldErrors, path: FieldPath, selectors: readonly JsonObject[]): void {
  if (selectors.length > SELECTORS_MAX) errors.tooMany(path, selectors.length, SELECTORS_MAX);
  for (const [index, selector] of selectors.entries()) {
    const cel = partOf(selector, 'cel');
    if (cel === undefined) errors.required(path.index(index).child('cel'));
    else if (text(cel, 'expression') === '') errors.required(path.index(index).child('cel', 'expression'));
  }
}

const EFFECTS: readonly string[] = ['NoExecute', 'NoSchedule', 'None'];

/** What keeps claims from a device. @param old what an update leaves as it was is not looked at */
export function checkTaint(
  errors: FieldErrors,
  path: FieldPath,
  taint: JsonObject,
  old: JsonObject | undefined,
): void {
  checkLabelName(errors, path.child('key'), text(taint, 'key'));
  const value = text(taint, 'value');
  if (value !== '') checkLabels(errors, path.child('value'), { value });
  const effect = text(taint, 'effect');
  if (old !== undefined && text(old, 'effect') === effect) return;
  if (effect === '') errors.required(path.child('effect'));
  else if (!EFFECTS.includes(effect)) errors.notSupported(path.child('effect'), effect, EFFECTS);
}

function checkClaim(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const devices = part(spec, 'devices');
  const at = path.child('devices');
  const requests = parts(devices, 'requests');
  if (requests.length > REQUESTS_MAX) errors.tooMany(at.child('requests'), requests.length, REQUESTS_MAX);
  const names = new Set<string>();
  for (const [index, request] of requests.entries()) {
    const place = at.child('requests').index(index);
    const name = text(request, 'name');
    if (name === '') errors.required(place.child('name'));
    else checkDnsLabel(errors, place.child('name'), name);
    if (names.has(name)) errors.duplicate(place.child('name'), name);
    names.add(name);
    const exactly = partOf(request, 'exactly');
    const first = parts(request, 'firstAvailable');
    if (exactly === undefined && first.length === 0) {
      errors.required(place, 'exactly one of `exactly` or `firstAvailable` is required');
    } else if (exactly !== undefined && first.length > 0) {
      errors.invalid(
        place,
        null,
        'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set',
      );
    }
    if (exactly !== undefined) checkRequest(errors, place.child('exactly'), exactly);
    for (const [number, sub] of first.entries()) {
      checkDnsLabel(errors, place.child('firstAvailable').index(number).child('name'), text(sub, 'name'));
      names.add(`${name}/${text(sub, 'name')}`);
      checkRequest(errors, place.child('firstAvailable').index(number), sub);
    }
  }
  for (const list of ['constraints', 'config']) {
    for (const [index, item] of parts(devices, list).entries()) {
      for (const [number, name] of texts(item, 'requests').entries()) {
        if (!names.has(name)) {
          errors.invalid(
            at.child(list).index(index).child('requests').index(number),
            name,
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
          );
        }
      }
      if (list === 'constraints' && !has(item, 'matchAttribute') && !has(item, 'distinctAttribute')) {
        errors.required(at.child(list).index(index).child('matchAttribute'));
      }
      if (list === 'config')
        checkDriverName(
          errors,
          at.child(list).index(index).child('opaque', 'driver'),
          text(part(item, 'opaque'), 'driver'),
        );
    }
  }
}

function checkRequest(errors: FieldErrors, path: FieldPath, request: JsonObject): void {
  const name = text(request, 'deviceClassName');
  if (name === '') errors.required(path.child('deviceClassName'));
  else checkDnsSubdomain(errors, path.child('deviceClassName'), name);
  checkSelectors(errors, path.child('selectors'), parts(request, 'selectors'));
  const mode = text(request, 'allocationMode');
  const number = count(request, 'count');
  if (mode === 'ExactCount') {
    if (number <= 0) errors.invalid(path.child('count'), number, 'must be greater than zero');
  } else if (mode === 'All') {
    if (number !== 0)
      errors.invalid(path.child('count'), number, "must not be specified when allocationMode is 'All'");
  } else errors.notSupported(path.child('allocationMode'), mode, ['All', 'ExactCount']);
}

export const deviceClasses = defineKind({
  ...GROUP,
  resource: 'deviceclasses',
  kind: 'DeviceClass',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkSelectors(errors, SPEC.child('selectors'), parts(spec, 'selectors'));
      for (const [index, config] of parts(spec, 'config').entries()) {
        const opaque = partOf(config, 'opaque');
        const at = SPEC.child('config').index(index);
        if (opaque === undefined) errors.required(at.child('opaque'));
        else checkDriverName(errors, at.child('opaque', 'driver'), text(opaque, 'driver'));
      }
    },
  },
});

export const resourceClaims = defineKind({
  ...GROUP,
  resource: 'resourceclaims',
  kind: 'ResourceClaim',
  convert: deviceConversion('ResourceClaim'),
  scope: 'Namespaced',
  returnsDeletedObject: true,
  checks: {
    prepareForCreate: (object) => ({ ...object, status: {} }),
    check(errors, object) {
      checkClaim(errors, SPEC, part(object, 'spec'));
    },
    checkUpdate(errors, object, old) {
      if (!same(object['spec'], old['spec'])) errors.invalid(SPEC, object['spec'], 'field is immutable');
    },
    status: { keepsMetadata: OTHERS_METADATA },
  },
});

export const resourceClaimTemplates = defineKind({
  ...GROUP,
  resource: 'resourceclaimtemplates',
  kind: 'ResourceClaimTemplate',
  convert: deviceConversion('ResourceClaimTemplate'),
  scope: 'Namespaced',
  returnsDeletedObject: true,
  checks: {
    check(errors, object) {
      const spec = part(object, 'spec');
      const metadata = part(spec, 'metadata');
      checkLabels(errors, SPEC.child('metadata', 'labels'), textMap(metadata, 'labels'));
      checkAnnotations(errors, SPEC.child('metadata', 'annotations'), textMap(metadata, 'annotations'));
      checkClaim(errors, SPEC.child('spec'), part(spec, 'spec'));
    },
    checkUpdate(errors, object, old) {
      if (!same(object['spec'], old['spec'])) errors.invalid(SPEC, object['spec'], 'field is immutable');
    },
  },
});

export const resourceSlices = defineKind({
  ...GROUP,
  resource: 'resourceslices',
  kind: 'ResourceSlice',
  convert: deviceConversion('ResourceSlice'),
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkDriverName(errors, SPEC.child('driver'), text(spec, 'driver'));
      const pool = part(spec, 'pool');
      if (text(pool, 'name') === '') errors.required(SPEC.child('pool', 'name'));
      for (const [index, each] of text(pool, 'name').split('/').entries()) {
        if (index >= 0 && each !== '') checkDnsSubdomain(errors, SPEC.child('pool', 'name'), each);
      }
      if (count(pool, 'resourceSliceCount') <= 0)
        errors.invalid(
          SPEC.child('pool', 'resourceSliceCount'),
          count(pool, 'resourceSliceCount'),
          'must be greater than zero',
        );
      if (count(pool, 'generation') < 0)
        errors.invalid(
          SPEC.child('pool', 'generation'),
          count(pool, 'generation'),
          'must be greater than or equal to zero',
        );
      const places = [
        has(spec, 'nodeName'),
        has(spec, 'nodeSelector'),
        flag(spec, 'allNodes'),
        flag(spec, 'perDeviceNodeSelection'),
      ].filter(Boolean).length;
      if (places === 0)
        errors.required(
          SPEC,
          'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
        );
      if (places > 1)
        errors.invalid(
          SPEC,
          null,
          'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set',
        );
      const selector = partOf(spec, 'nodeSelector');
      if (selector !== undefined) checkNodeSelector(errors, SPEC.child('nodeSelector'), selector);
      if (has(spec, 'nodeName')) checkDnsSubdomain(errors, SPEC.child('nodeName'), text(spec, 'nodeName'));
      const devices = parts(spec, 'devices');
      if (devices.length > DEVICES_MAX) errors.tooMany(SPEC.child('devices'), devices.length, DEVICES_MAX);
      const names = new Set<string>();
      for (const [index, device] of devices.entries()) {
        const at = SPEC.child('devices').index(index).child('name');
        const name = text(device, 'name');
        if (name === '') errors.required(at);
        else checkDnsLabel(errors, at, name);
        if (names.has(name)) errors.duplicate(at, name);
        names.add(name);
      }
    },
    checkUpdate(errors, object, old) {
      const now = part(object, 'spec');
      const before = part(old, 'spec');
      for (const name of ['driver', 'nodeName']) {
        if (!same(now[name], before[name])) errors.invalid(SPEC.child(name), now[name], 'field is immutable');
      }
      if (text(part(now, 'pool'), 'name') !== text(part(before, 'pool'), 'name')) {
        errors.invalid(SPEC.child('pool', 'name'), text(part(now, 'pool'), 'name'), 'field is immutable');
      }
    },
  },
  selectable: {
    ...selectableAt(['spec.driver', 'spec.nodeName']),
    refusal: (field) => `field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: ${field}`,
  },
});
