/** PersistentVolumeClaim: what a pod asks of storage; bound, it only grows. */

import { checkClaimSpec } from '../../validation/volume-claims.ts';
import { checkResourceAmount } from '../../validation/pod-resources.ts';
import { quantity } from '../../validation/scalars.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { claimSpecWarnings } from '../../validation/pod-warnings.ts';
import type { KubeObject } from '../../api/meta.ts';
import { has, part, same, text, withField, withFieldAt } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

const CLASS = 'volumeAttributesClassName';
const BETA_CLASS = 'volume.beta.kubernetes.io/storage-class';

function claimWarnings(object: KubeObject): string[] {
  const old = object.metadata.annotations?.[BETA_CLASS] !== undefined;
  return [
    ...(old
      ? [
          `metadata.annotations[${BETA_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead`,
        ]
      : []),
    ...claimSpecWarnings(SPEC, part(object, 'spec')),
  ];
}

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
      // A class may be named later, once: where no annotation of old names another.
      const beta = (of: typeof object): string | undefined => of.metadata.annotations?.[BETA_CLASS];
      const open = beta(old) === undefined || beta(old) === text(spec, 'storageClassName');
      if (has(spec, 'storageClassName') && !has(before, 'storageClassName') && open)
        allowed = withField(allowed, 'storageClassName', undefined);
      else if (beta(object) !== beta(old)) {
        errors.invalid(
          FieldPath.of('metadata', 'annotations').key(BETA_CLASS),
          beta(object) ?? '',
          'field is immutable',
        );
      }
      allowed = withField(allowed, CLASS, before[CLASS]);
      if (!same(allowed, before)) {
        errors.forbidden(
          SPEC,
          'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
        );
      }
      if (quantity(size(spec)).compare(quantity(size(before))) < 0) {
        const held = part(part(old, 'status'), 'capacity')['storage'];
        if (quantity(size(spec)).compare(quantity(held)) <= 0) {
          errors.forbidden(
            SPEC.child('resources', 'requests', 'storage'),
            'field can not be less than status.capacity',
          );
        }
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(FieldPath.of('volumeMode'), spec['volumeMode'], 'field is immutable');
      if (has(before, CLASS) && !same(spec[CLASS], before[CLASS])) {
        if (!has(spec, CLASS))
          errors.forbidden(SPEC.child(CLASS), 'update from non-nil value to nil is forbidden');
        else if (text(spec, CLASS) === '')
          errors.forbidden(SPEC.child(CLASS), 'update from non-nil value to an empty string is forbidden');
      }
    },
    warnings: claimWarnings,
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
