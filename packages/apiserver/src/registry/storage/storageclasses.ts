/** StorageClass and VolumeAttributesClass: what kinds of storage there are, and their settings. */

import { goMap } from '../../validation/go-values.ts';
import { FieldPath } from '../../validation/field-path.ts';
import type { JsonObject } from '../../api/json.ts';
import { nodeLabelWarning } from '../../validation/pod-warnings.ts';
import { checkImmutable, checkQualifiedName } from '../../validation/scalars.ts';
import { parts, same, text, textMap, texts } from '../../validation/value.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { KubeObject } from '../../api/meta.ts';
import { checkLabelName } from '../../validation/labels.ts';
import { defineKind } from '../kinds/kind.ts';

const PARAMETERS_MAX = 512;
const PARAMETERS_BYTES_MAX = 256 * 1024;

function checkParameters(errors: FieldErrors, object: KubeObject): void {
  const at = FieldPath.of('parameters');
  const parameters = Object.entries(textMap(object, 'parameters'));
  if (parameters.length > PARAMETERS_MAX) errors.tooLong(at, PARAMETERS_MAX);
  let bytes = 0;
  for (const [key, value] of parameters) {
    if (key === '') errors.invalid(at, key, 'field can not be empty.');
    bytes += key.length + value.length;
  }
  if (bytes > PARAMETERS_BYTES_MAX) errors.tooLong(at, PARAMETERS_BYTES_MAX);
}

/** Terms of topology: keys once each, with values that differ; no two terms say the same. */
function checkTopologies(errors: FieldErrors, terms: readonly JsonObject[]): void {
  const known: string[] = [];
  for (const [index, term] of terms.entries()) {
    const at = FieldPath.of('allowedTopologies').index(index).child('matchLabelExpressions');
    const expressions = parts(term, 'matchLabelExpressions');
    const pairs = new Map<string, readonly string[]>();
    for (const [number, expression] of expressions.entries()) {
      const place = at.index(number);
      const key = text(expression, 'key');
      const values = texts(expression, 'values');
      if (values.length === 0) errors.required(place.child('values'));
      for (const [which, value] of values.entries()) {
        if (values.indexOf(value) < which) errors.duplicate(place.child('values').index(which), value);
      }
      checkLabelName(errors, place.child('key'), key);
      if (pairs.has(key)) errors.duplicate(place.child('key'), key);
      pairs.set(key, [...new Set(values)].toSorted());
    }
    const whole = JSON.stringify([...pairs].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    if (known.includes(whole)) errors.duplicate(at, '');
    known.push(whole);
  }
}

function topologyWarnings(object: KubeObject): string[] {
  const warnings: string[] = [];
  for (const [index, term] of parts(object, 'allowedTopologies').entries()) {
    for (const [number, expression] of parts(term, 'matchLabelExpressions').entries()) {
      const key = text(expression, 'key');
      const said = nodeLabelWarning(key);
      if (said === undefined) continue;
      const at = FieldPath.of('allowedTopologies').index(index).child('matchLabelExpressions').index(number);
      warnings.push(`${at.child('key').toString()}: ${key} is ${said}`);
    }
  }
  return warnings;
}

export const storageClasses = defineKind({
  group: 'storage.k8s.io',
  types: 'storage',
  resource: 'storageclasses',
  kind: 'StorageClass',
  scope: 'Cluster',
  shortNames: ['sc'],
  returnsDeletedObject: true,
  checks: {
    check(errors, object) {
      const provisioner = text(object, 'provisioner');
      if (provisioner === '') errors.required(FieldPath.of('provisioner'));
      else checkQualifiedName(errors, FieldPath.of('provisioner'), provisioner.toLowerCase());
      checkParameters(errors, object);
      const policy = text(object, 'reclaimPolicy');
      if (policy !== '' && policy !== 'Delete' && policy !== 'Retain') {
        errors.notSupported(FieldPath.of('reclaimPolicy'), policy, ['Delete', 'Retain']);
      }
      const mode = text(object, 'volumeBindingMode');
      const modes = ['Immediate', 'WaitForFirstConsumer'];
      if (!modes.includes(mode)) errors.notSupported(FieldPath.of('volumeBindingMode'), mode, modes);
      checkTopologies(errors, parts(object, 'allowedTopologies'));
    },
    warnings: topologyWarnings,
    checkUpdate(errors, object, old) {
      const parameters = (of: typeof object): unknown => goMap(of['parameters']);
      checkImmutable(errors, FieldPath.of('parameters'), parameters(object), parameters(old));
      for (const name of ['provisioner', 'reclaimPolicy'])
        checkImmutable(errors, FieldPath.of(name), text(object, name), text(old, name));
      checkImmutable(
        errors,
        FieldPath.of('volumeBindingMode'),
        object['volumeBindingMode'],
        old['volumeBindingMode'],
      );
    },
  },
});

export const volumeAttributesClasses = defineKind({
  group: 'storage.k8s.io',
  types: 'storage',
  resource: 'volumeattributesclasses',
  kind: 'VolumeAttributesClass',
  scope: 'Cluster',
  shortNames: ['vac'],
  returnsDeletedObject: true,
  checks: {
    check(errors, object) {
      const driver = text(object, 'driverName');
      if (driver === '') errors.required(FieldPath.of('driverName'));
      else checkQualifiedName(errors, FieldPath.of('driverName'), driver.toLowerCase());
      checkParameters(errors, object);
      if (Object.keys(textMap(object, 'parameters')).length === 0)
        errors.required(FieldPath.of('parameters'), 'must contain at least one key/value pair');
    },
    checkUpdate(errors, object, old) {
      if (text(object, 'driverName') !== text(old, 'driverName')) {
        errors.forbidden(FieldPath.of('driverName'), 'updates to driverName are forbidden.');
      }
      if (!same(object['parameters'], old['parameters'])) {
        errors.forbidden(FieldPath.of('parameters'), 'updates to parameters are forbidden.');
      }
    },
  },
});
