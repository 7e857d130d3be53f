/** StorageClass and VolumeAttributesClass: what kinds of storage there are, and their settings. */

import { FieldPath } from '../../validation/field-path.ts';
import { checkQualifiedName } from '../../validation/scalars.ts';
import { has, parts, same, text, textMap, texts } from '../../validation/value.ts';
import { checkDriverName } from '../../validation/pod-volumes.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { KubeObject } from '../../api/meta.ts';
import { checkLabelName } from '../../validation/labels.ts';
import { defineKind } from '../kinds/kind.ts';

const PARAMETERS_MAX = 512;
const PARAMETERS_BYTES_MAX = 256 * 1024;

function checkParameters(errors: FieldErrors, object: KubeObject): void {
  const at = FieldPath.of('parameters');
  const parameters = Object.entries(textMap(object, 'parameters'));
  if (parameters.length > PARAMETERS_MAX)
    errors.tooLong(FieldPath.of('Provisioner Parameters Length'), PARAMETERS_MAX);
  let bytes = 0;
  for (const [key, value] of parameters) {
    if (key === '') errors.invalid(at, key, 'field can not be empty.');
    bytes += key.length + value.length;
  }
  if (bytes > PARAMETERS_BYTES_MAX) errors.tooLong(at, PARAMETERS_BYTES_MAX);
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
      if (mode === '') errors.required(FieldPath.of('volumeBindingMode'));
      else if (!modes.includes(mode)) errors.notSupported(FieldPath.of('volumeBindingMode'), mode, modes);
      for (const [index, term] of parts(object, 'allowedTopologies').entries()) {
        for (const [number, expression] of parts(term, 'matchLabelExpressions').entries()) {
          const at = FieldPath.of('allowedTopologies')
            .index(index)
            .child('matchLabelExpressions')
            .index(number);
          if (texts(expression, 'values').length === 0) errors.required(at.child('values'));
          checkLabelName(errors, at.child('key'), text(expression, 'key'));
        }
      }
    },
    checkUpdate(errors, object, old) {
      if (!same(object['parameters'], old['parameters'])) {
        errors.forbidden(FieldPath.of('parameters'), 'updates to parameters are forbidden.');
      }
      if (text(object, 'provisioner') !== text(old, 'provisioner')) {
        errors.forbidden(FieldPath.of('provisioner'), 'updates to provisioner are forbidden.');
      }
      for (const name of ['reclaimPolicy', 'volumeBindingMode']) {
        if (text(object, name) !== text(old, name))
          errors.invalid(FieldPath.of(name), object[name], 'field is immutable');
      }
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
      checkDriverName(errors, FieldPath.of('driverName'), text(object, 'driverName'));
      if (!has(object, 'parameters') || Object.keys(textMap(object, 'parameters')).length === 0) {
        errors.required(FieldPath.of('parameters'), 'must contain at least one key/value pair');
      }
      checkParameters(errors, object);
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
