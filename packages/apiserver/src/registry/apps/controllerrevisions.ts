/** ControllerRevision: what a template was, kept by the controllers. Its data never change. */

import { FieldPath } from '../../validation/field-path.ts';
import { checkImmutable, checkNotNegative } from '../../validation/scalars.ts';
import { count, has } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

export const controllerRevisions = defineKind({
  group: 'apps',
  types: 'apps',
  resource: 'controllerrevisions',
  kind: 'ControllerRevision',
  scope: 'Namespaced',
  checks: {
    check(errors, object) {
      checkNotNegative(errors, FieldPath.of('revision'), count(object, 'revision'));
    },
    checkCreate(errors, object) {
      if (!has(object, 'data')) errors.required(FieldPath.of('data'), 'data is mandatory');
    },
    checkUpdate(errors, object, old) {
      checkImmutable(errors, FieldPath.of('data'), object['data'] ?? null, old['data'] ?? null);
    },
  },
});
