/** PersistentVolumeClaim: what a pod asks of storage; bound, it only grows. */

import { checkClaimSpec } from '../../validation/volume-claims.ts';
import { checkResourceAmount } from '../../validation/pod-resources.ts';
import { quantity } from '../../validation/scalars.ts';
import { part, same, text, withField, withFieldAt } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

export const persistentVolumeClaims = defineKind({
  group: '',
  types: 'core',
  resource: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
  scope: 'Namespaced',
  shortNames: ['pvc'],
  checks: {
    prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
    check(errors, object) {
      checkClaimSpec(errors, SPEC, part(object, 'spec'));
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      let allowed =
        text(before, 'volumeName') === '' ? withField(spec, 'volumeName', before['volumeName']) : spec;
      const bound = text(part(old, 'status'), 'phase') === 'Bound';
      const size = (of: typeof spec): unknown => part(part(of, 'resources'), 'requests')['storage'];
      if (bound) allowed = withFieldAt(allowed, ['resources', 'requests', 'storage'], size(before));
      allowed = withField(allowed, 'volumeAttributesClassName', before['volumeAttributesClassName']);
      if (!same(allowed, before)) {
        errors.forbidden(
          SPEC,
          'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
        );
      } else if (bound && quantity(size(spec)).compare(quantity(size(before))) < 0) {
        const held = part(part(old, 'status'), 'capacity')['storage'];
        if (quantity(size(spec)).compare(quantity(held)) <= 0) {
          errors.forbidden(
            SPEC.child('resources', 'requests', 'storage'),
            'field can not be less than status.capacity',
          );
        }
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(SPEC.child('volumeMode'), spec['volumeMode'], 'field is immutable');
    },
    status: {
      check(errors, object) {
        for (const [name, value] of Object.entries(part(part(object, 'status'), 'capacity'))) {
          checkResourceAmount(errors, STATUS.child('capacity').key(name), name, value);
        }
      },
    },
  },
  returnsDeletedObject: true,
});
