/** ConfigMap: text and bytes by key, 1 MiB in all. */

import { base64Length, byteLength } from '../../validation/labels.ts';
import { configKeyErrors } from '../../validation/names.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { asObject, flag, same } from '../../validation/value.ts';
import type { JsonObject } from '../../api/json.ts';
import { namesOf } from '../../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../../api/sliced.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { defineKind } from '../kinds/kind.ts';

const NOTHING: JsonObject = {};

export const DATA_BYTES_MAX = 1024 * 1024;

export const configMaps = defineKind({
  group: '',
  types: 'core',
  resource: 'configmaps',
  kind: 'ConfigMap',
  scope: 'Namespaced',
  shortNames: ['cm'],
  checks: {
    check: (errors, object) => finish(checkData(errors, object, WITHOUT_PAUSE)),
    checkInSlices: checkData,
    checkUpdate(errors, object, old) {
      checkImmutableData(errors, object, old, ['data', 'binaryData']);
    },
  },
});

function textIn(map: JsonObject, key: string): string {
  const value = map[key];
  return typeof value === 'string' ? value : '';
}

/** Keys may be many: looked at with an eye on the pace. */
function* checkData(errors: FieldErrors, object: KubeObject, pace: Pace): Sliced<void> {
  const data = asObject(object['data']) ?? NOTHING;
  const binary = asObject(object['binaryData']) ?? NOTHING;
  let bytes = 0;
  let looked = 0;
  for (const key of namesOf(data)) {
    if ((looked += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const wrong = configKeyErrors(key);
    if (wrong.length > 0) errors.invalids(FieldPath.of('data').key(key), key, wrong);
    if (Object.hasOwn(binary, key)) {
      errors.invalid(FieldPath.of('data').key(key), key, 'duplicate of key present in binaryData');
    }
    bytes += byteLength(textIn(data, key));
  }
  for (const key of namesOf(binary)) {
    if ((looked += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const wrong = configKeyErrors(key);
    if (wrong.length > 0) errors.invalids(FieldPath.of('binaryData').key(key), key, wrong);
    bytes += base64Length(textIn(binary, key));
  }
  if (bytes > DATA_BYTES_MAX) errors.tooLong(FieldPath.of('[]'), DATA_BYTES_MAX);
}

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
