/** ConfigMap: text and bytes by key, 1 MiB in all. */

import { base64Length, byteLength } from '../../validation/labels.ts';
import { configKeyErrors } from '../../validation/names.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { flag, same, textMap } from '../../validation/value.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { defineKind } from '../kinds/kind.ts';

export const DATA_BYTES_MAX = 1024 * 1024;

export const configMaps = defineKind({
  group: '',
  types: 'core',
  resource: 'configmaps',
  kind: 'ConfigMap',
  scope: 'Namespaced',
  shortNames: ['cm'],
  checks: {
    check(errors, object) {
      const data = textMap(object, 'data');
      const binary = textMap(object, 'binaryData');
      let bytes = 0;
      for (const [key, value] of Object.entries(data)) {
        const at = FieldPath.of('data').key(key);
        errors.invalids(at, key, configKeyErrors(key));
        if (Object.hasOwn(binary, key)) errors.invalid(at, key, 'duplicate of key present in binaryData');
        bytes += byteLength(value);
      }
      for (const [key, value] of Object.entries(binary)) {
        errors.invalids(FieldPath.of('binaryData').key(key), key, configKeyErrors(key));
        bytes += base64Length(value);
      }
      if (bytes > DATA_BYTES_MAX) errors.tooLong(FieldPath.of('[]'), DATA_BYTES_MAX);
    },
    checkUpdate(errors, object, old) {
      checkImmutableData(errors, object, old, ['data', 'binaryData']);
    },
  },
});

/** An object that was made immutable stays so and keeps its data. */
export function checkImmutableData(
  errors: FieldErrors,
  object: KubeObject,
  old: KubeObject,
  fields: readonly string[],
): void {
  if (!flag(old, 'immutable')) return;
  if (!flag(object, 'immutable')) {
    errors.forbidden(FieldPath.of('immutable'), 'field is immutable when `immutable` is set');
  }
  for (const field of fields) {
    if (!same(object[field], old[field])) {
      errors.forbidden(FieldPath.of(field), 'field is immutable when `immutable` is set');
    }
  }
}
