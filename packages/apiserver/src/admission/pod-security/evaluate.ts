/** A pod held against a level of the Pod Security Standards in one of its versions. Pure. */

import type { LevelVersion } from './level.ts';
import { BASELINE_CONTROLS } from './baseline.ts';
import { checkOf, type Finding, type PodView } from './finding.ts';
import { RESTRICTED_CONTROLS } from './restricted.ts';

/** All that the level finds wrong with a pod, the baseline's first. */
export function findingsOf({ level, minor = Infinity }: LevelVersion, pod: PodView): readonly Finding[] {
  if (level === 'privileged') return [];
  const restricted =
    level === 'restricted'
      ? RESTRICTED_CONTROLS.flatMap((control) => {
          const check = checkOf(control, minor);
          return check === undefined ? [] : [{ check, overrides: control.overrides }];
        })
      : [];
  const overridden = new Set(restricted.map(({ overrides }) => overrides));
  const baseline = BASELINE_CONTROLS.filter(({ name }) => !overridden.has(name)).flatMap(
    (control) => checkOf(control, minor) ?? [],
  );
  const checks = [...baseline, ...restricted.map(({ check }) => check)];
  return checks.flatMap((check) => check(pod) ?? []);
}

/** `privileged (container "a" must not …), hostPort (…)`. */
export function detailText(findings: readonly Finding[]): string {
  return findings.map(({ reason, detail }) => (detail === '' ? reason : `${reason} (${detail})`)).join(', ');
}

export function reasonText(findings: readonly Finding[]): string {
  return findings.map(({ reason }) => reason).join(', ');
}
