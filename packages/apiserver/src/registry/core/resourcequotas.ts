/** ResourceQuota: how much a namespace may hold. Counting it is admission's. */

import { goValue } from '../../validation/go-values.ts';
import {
  checkQuotaResourceName,
  checkResourceAmount,
  isStandardQuotaResource,
} from '../../validation/pod-resources.ts';
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

const CONFLICTS: readonly (readonly string[])[] = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];
/** Scopes a pod is in or not, whatever value. */
const PRESENT: readonly string[] = [
  'BestEffort',
  'NotBestEffort',
  'Terminating',
  'NotTerminating',
  'CrossNamespacePodAffinity',
];
const OF_PODS: readonly string[] = [
  'pods',
  'cpu',
  'memory',
  'limits.cpu',
  'limits.memory',
  'requests.cpu',
  'requests.memory',
];
const OF_CLAIMS: readonly string[] = ['persistentvolumeclaims', 'requests.storage'];

const UNFIT = 'unsupported scope applied to resource';

/** How many of the counted resources the scope says nothing of. */
function unfitCount(scope: string, hard: JsonObject): number {
  if (!SCOPES.includes(scope)) return 0;
  const known = scope === 'BestEffort' ? ['pods'] : scope === 'VolumeAttributesClass' ? OF_CLAIMS : OF_PODS;
  return Object.keys(hard).filter((name) => isStandardQuotaResource(name) && !known.includes(name)).length;
}

function checkAmounts(errors: FieldErrors, path: FieldPath, amounts: JsonObject): void {
  for (const [name, value] of Object.entries(amounts)) {
    checkQuotaResourceName(errors, path.key(name), name);
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
        for (let left = unfitCount(scope, part(spec, 'hard')); left > 0; left -= 1)
          errors.invalid(SPEC.child('scopes'), scopes, UNFIT);
      }
      for (const pair of CONFLICTS) {
        if (pair.every((scope) => scopes.includes(scope)))
          errors.invalid(SPEC.child('scopes'), scopes, 'conflicting scopes');
      }
      for (const requirement of parts(part(spec, 'scopeSelector'), 'matchExpressions')) {
        const at = SPEC.child('scopeSelector', 'matchExpressions');
        const name = text(requirement, 'scopeName');
        const operator = text(requirement, 'operator');
        const values = texts(requirement, 'values');
        if (!SCOPES.includes(name)) errors.invalid(at.child('scopeName'), name, 'unsupported scope');
        for (let left = unfitCount(name, part(spec, 'hard')); left > 0; left -= 1)
          errors.invalid(at, goValue('core.ScopeSelector', spec['scopeSelector']), UNFIT);
        if (PRESENT.includes(name) && operator !== 'Exists') {
          errors.invalid(
            at.child('operator'),
            operator,
            "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
          );
        }
        if ((operator === 'In' || operator === 'NotIn') && values.length === 0) {
          errors.required(
            at.child('values'),
            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
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
      const selected = parts(part(spec, 'scopeSelector'), 'matchExpressions').map((each) =>
        text(each, 'scopeName'),
      );
      for (const pair of CONFLICTS) {
        if (pair.every((scope) => selected.includes(scope)))
          errors.invalid(
            SPEC.child('scopeSelector', 'matchExpressions'),
            scopes.length === 0 ? null : scopes,
            'conflicting scopes',
          );
      }
    },
    checkUpdate(errors, object, old) {
      const now = texts(part(object, 'spec'), 'scopes');
      if (!same(now.toSorted(), texts(part(old, 'spec'), 'scopes').toSorted())) {
        errors.invalid(SPEC.child('scopes'), now.length === 0 ? null : now, 'field is immutable');
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
