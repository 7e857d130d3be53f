/** Lease: who leads, and that a node lives. */

import { enabledFields } from '../../validation/disabled-fields.ts';
import { checkNotNegative, POSITIVE } from '../../validation/scalars.ts';
import { count, countOf, part, withField, without } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const COORDINATED: readonly string[] = ['strategy', 'preferredHolder'];

export const leases = defineKind({
  group: 'coordination.k8s.io',
  types: 'coordination',
  resource: 'leases',
  kind: 'Lease',
  scope: 'Namespaced',
  checks: {
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    // Coordinated leader election is off.
    prepareForCreate: (object) => withField(object, 'spec', without(part(object, 'spec'), ...COORDINATED)),
    prepareForUpdate: (object, old) =>
      withField(object, 'spec', enabledFields(part(object, 'spec'), part(old, 'spec'), ...COORDINATED)),
    check(errors, object) {
      const spec = part(object, 'spec');
      const seconds = countOf(spec, 'leaseDurationSeconds');
      if (seconds !== undefined && seconds <= 0)
        errors.invalid(SPEC.child('leaseDurationSeconds'), seconds, POSITIVE);
      checkNotNegative(errors, SPEC.child('leaseTransitions'), count(spec, 'leaseTransitions'));
    },
  },
});
