/**
 * Which of two versions of a group is preferred. Pure. Modelled on apimachinery's pkg/version, kube-aware comparison.
 */

/**
 * Preferred first: stable before beta before alpha, then the higher number; what is no Kubernetes version comes last,
 * by its text.
 */
export function compareVersions(a: string, b: string): number {
  const left = versionRank(a);
  const right = versionRank(b);
  if (left === undefined || right === undefined) {
    return left === right ? (a < b ? -1 : a > b ? 1 : 0) : left === undefined ? 1 : -1;
  }
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return right[at] - left[at];
  return 0;
}

/** Stage, major, minor; undefined for what is no `v1`, `v2beta3`. */
function versionRank(version: string): readonly number[] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return undefined;
  const [, major, stage, minor] = match;
  return [stage === 'alpha' ? 0 : stage === 'beta' ? 1 : 2, Number(major), Number(minor ?? 0)];
}
