/** PriorityClass: a name for a number. Which is the default is admission's. */

import { forbidden } from '../../api/status.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkImmutable } from '../../validation/scalars.ts';
import { count, has, text } from '../../validation/value.ts';
import { defineKind, METADATA } from '../kinds/kind.ts';

const RESOURCE = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };
const USER_MAX = 1_000_000_000;
const SYSTEM: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

export const priorityClasses = defineKind({
  group: 'scheduling.k8s.io',
  types: 'scheduling',
  resource: 'priorityclasses',
  kind: 'PriorityClass',
  scope: 'Cluster',
  shortNames: ['pc'],
  checks: {
    generation: ['value'],
    validateDelete({ metadata: { name = '' } }, { info }) {
      // As in the original, a deletion by name alone asks whether it is one of the system's.
      if (!Object.hasOwn(SYSTEM, name) || info?.verb === 'deletecollection') return [];
      throw forbidden(RESOURCE, name, 'this is a system priority class and cannot be deleted');
    },
    check: () => undefined,
    checkCreate(errors, object) {
      const name = object.metadata.name ?? '';
      const value = count(object, 'value');
      if (name.startsWith('system-')) {
        if (SYSTEM[name] !== value) {
          errors.forbidden(
            METADATA.child('name'),
            "priority class names with 'system-' prefix are reserved for system use only. error: " +
              (name in SYSTEM
                ? `value of ${name} PriorityClass must be ${SYSTEM[name]}`
                : `${name} is not a known system priority class`),
          );
        }
      } else if (value > USER_MAX) {
        errors.forbidden(
          FieldPath.of('value'),
          `maximum allowed value of a user defined priority is ${USER_MAX}`,
        );
      }
      const policy = text(object, 'preemptionPolicy');
      if (!has(object, 'preemptionPolicy')) return;
      if (policy === '') errors.required(FieldPath.of('preemptionPolicy'));
      else if (policy !== 'Never' && policy !== 'PreemptLowerPriority') {
        errors.notSupported(FieldPath.of('preemptionPolicy'), policy, ['PreemptLowerPriority', 'Never']);
      }
    },
    checkUpdate(errors, object, old) {
      if (count(object, 'value') !== count(old, 'value')) {
        errors.forbidden(FieldPath.of('value'), 'may not be changed in an update.');
      }
      checkImmutable(
        errors,
        FieldPath.of('preemptionPolicy'),
        object['preemptionPolicy'],
        old['preemptionPolicy'],
      );
    },
  },
});
