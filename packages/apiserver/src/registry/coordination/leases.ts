/** Lease: who leads, and that a node lives. */

import { qualifiedNameErrors } from '../../validation/names.ts';
import { checkNotNegative, POSITIVE } from '../../validation/scalars.ts';
import { count, countOf, has, part, text } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const STRATEGIES: readonly string[] = ['OldestEmulationVersion'];

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
        // The path is upstream's, which names the field twice.
        const at = SPEC.child('strategy', 'strategy');
        if (strategy.includes('/')) errors.invalids(at, strategy, qualifiedNameErrors(strategy));
        else if (!STRATEGIES.includes(strategy)) errors.notSupported(at, strategy, STRATEGIES);
      }
      if (
        has(spec, 'preferredHolder') &&
        text(spec, 'preferredHolder') !== '' &&
        text(spec, 'strategy') === ''
      ) {
        errors.forbidden(SPEC.child('preferredHolder'), 'may only be specified if `strategy` is defined');
      }
    },
  },
});
