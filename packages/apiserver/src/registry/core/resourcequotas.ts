/** ResourceQuota: how much a namespace may hold. Counting it is admission's. */

import { checkResourceAmount, checkResourceName } from '../../validation/pod-resources.ts';
import { part, parts, same, text, texts } from '../../validation/value.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import type { JsonObject } from '../../api/json.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

const SCOPES: readonly string[] = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

function checkAmounts(errors: FieldErrors, path: FieldPath, amounts: JsonObject): void {
  for (const [name, value] of Object.entries(amounts)) {
    checkResourceName(errors, path.key(name), name);
    checkResourceAmount(errors, path.key(name), name, value);
  }
}

export const resourceQuotas = defineKind({
  group: '',
  types: 'core',
  resource: 'resourcequotas',
  kind: 'ResourceQuota',
  scope: 'Namespaced',
  shortNames: ['quota'],
  checks: {
    check(errors, object) {
      const spec = part(object, 'spec');
      checkAmounts(errors, SPEC.child('hard'), part(spec, 'hard'));
      const scopes = texts(spec, 'scopes');
      for (const scope of scopes) {
        if (!SCOPES.includes(scope)) errors.invalid(SPEC.child('scopes'), scopes, 'unsupported scope');
      }
      for (const pair of [
        ['BestEffort', 'NotBestEffort'],
        ['Terminating', 'NotTerminating'],
      ]) {
        if (pair.every((scope) => scopes.includes(scope)))
          errors.invalid(SPEC.child('scopes'), scopes, 'conflicting scopes');
      }
      for (const requirement of parts(part(spec, 'scopeSelector'), 'matchExpressions')) {
        const at = SPEC.child('scopeSelector', 'matchExpressions');
        const name = text(requirement, 'scopeName');
        const operator = text(requirement, 'operator');
        const values = texts(requirement, 'values');
        if (!SCOPES.includes(name)) errors.invalid(at.child('scopeName'), name, 'unsupported scope');
        if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
          errors.required(
            at.child('values'),
            "must be atleast one value when `operator` is 'In' or 'NotIn' for scope selector",
          );
        }
        if ((operator === 'Exists' || operator === 'DoesNotExist') && values.length > 0) {
          errors.invalid(
            at.child('values'),
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
          );
        }
        if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator)) {
          errors.invalid(at.child('operator'), operator, 'not a valid selector operator');
        }
      }
    },
    checkUpdate(errors, object, old) {
      const now = texts(part(object, 'spec'), 'scopes');
      if (!same(now.toSorted(), texts(part(old, 'spec'), 'scopes').toSorted())) {
        errors.invalid(SPEC.child('scopes'), now, 'field is immutable');
      }
    },
    status: {
      check(errors, object) {
        checkAmounts(errors, STATUS.child('hard'), part(part(object, 'status'), 'hard'));
        checkAmounts(errors, STATUS.child('used'), part(part(object, 'status'), 'used'));
      },
    },
  },
  returnsDeletedObject: true,
});
