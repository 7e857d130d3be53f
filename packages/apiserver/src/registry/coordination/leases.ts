/** Lease: who leads, and that a node lives. */

import { checkNotNegative, POSITIVE } from '../../validation/scalars.ts';
import { count, countOf, has, part, text } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

export const leases = defineKind({
  group: 'coordination.k8s.io',
  types: 'coordination',
  resource: 'leases',
  kind: 'Lease',
  scope: 'Namespaced',
  checks: {
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    check(errors, object) {
      const spec = part(object, 'spec');
      const seconds = countOf(spec, 'leaseDurationSeconds');
      if (seconds !== undefined && seconds <= 0)
        errors.invalid(SPEC.child('leaseDurationSeconds'), seconds, POSITIVE);
      checkNotNegative(errors, SPEC.child('leaseTransitions'), count(spec, 'leaseTransitions'));
      if (has(spec, 'strategy')) {
        const strategy = text(spec, 'strategy');
        if (strategy === '') errors.invalid(SPEC.child('strategy'), strategy, 'must not be empty');
      }
      if (
        has(spec, 'preferredHolder') &&
        text(spec, 'preferredHolder') !== '' &&
        text(spec, 'strategy') === ''
      ) {
        errors.forbidden(SPEC.child('preferredHolder'), 'may only be specified when strategy is defined');
      }
    },
  },
});
