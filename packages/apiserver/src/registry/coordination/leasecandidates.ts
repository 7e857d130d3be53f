/** LeaseCandidate: who would lead, and in which version. */

import { compareSemver, parseSemver, type Semver } from '../../cel/semver.ts';
import { CelError } from '../../cel/values.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { configKeyErrors, qualifiedNameErrors } from '../../validation/names.ts';
import { checkImmutable } from '../../validation/scalars.ts';
import { part, text } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const OLDEST = 'OldestEmulationVersion';
const NO_VERSION = 'must be a valid semantic version';

export const leaseCandidates = defineKind({
  group: 'coordination.k8s.io',
  types: 'coordination',
  resource: 'leasecandidates',
  kind: 'LeaseCandidate',
  scope: 'Namespaced',
  versions: ['v1beta1', 'v1alpha2'],
  checks: {
    nameErrors: configKeyErrors,
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    check(errors, object) {
      const spec = part(object, 'spec');
      if (text(spec, 'leaseName') === '') errors.required(SPEC.child('leaseName'));
      const emulated = text(spec, 'emulationVersion');
      const emulation = emulated === '' ? undefined : versionOf(emulated);
      if (emulated !== '' && emulation === undefined) {
        errors.invalid(SPEC.child('emulationVersion'), emulated, NO_VERSION);
      }
      const at = SPEC.child('binaryVersion');
      const built = text(spec, 'binaryVersion');
      const binary = built === '' ? undefined : versionOf(built);
      if (built === '') errors.required(at);
      else if (binary === undefined) errors.invalid(at, built, NO_VERSION);
      if (built !== '' && emulated !== '' && compared(binary, emulation) < 0) {
        errors.invalid(at, built, 'must be greater than or equal to `emulationVersion`');
      }
      const strategy = text(spec, 'strategy');
      if (strategy === '') {
        errors.required(SPEC.child('strategy'));
        return;
      }
      if (strategy === OLDEST && compared(emulation, ZERO) === 0) {
        errors.required(SPEC.child('emulationVersion'), `must be specified when \`strategy\` is '${OLDEST}'`);
      }
      checkStrategy(errors, SPEC.child('strategy'), strategy);
    },
    checkUpdate(errors, object, old) {
      const now = text(part(object, 'spec'), 'leaseName');
      checkImmutable(errors, SPEC.child('leaseName'), now, text(part(old, 'spec'), 'leaseName'));
    },
  },
});

const ZERO = versionOf('0.0.0');

/** Undefined for what is no version. */
function versionOf(text: string): Semver | undefined {
  const version = parseSemver(text);
  return version instanceof CelError ? undefined : version;
}

/** What is no version counts as 0.0.0. */
function compared(a: Semver | undefined, b: Semver | undefined): number {
  const [one, other] = [a ?? ZERO, b ?? ZERO];
  return one === undefined || other === undefined ? 0 : compareSemver(one, other);
}

/** One of ours, or a name of somebody's domain; the field says its name twice, as the original does. */
function checkStrategy(errors: FieldErrors, path: FieldPath, strategy: string): void {
  const at = path.child('strategy');
  if (strategy.includes('/')) errors.invalids(at, strategy, qualifiedNameErrors(strategy));
  else if (strategy !== OLDEST) errors.notSupported(at, strategy, [OLDEST]);
}
