/** The values that more than one check shows in its texts, under the names of their types (go-values.ts). */

import { goValue } from './go-values.ts';
import { flag, has, part, type Fields } from './value.ts';

const shown =
  (type: string) =>
  (of: Fields): unknown =>
    goValue(type, of);

export const shownTaint = shown('core.Taint');
export const shownPodClaim = shown('core.PodResourceClaim');
/** Seccomp's and AppArmor's are alike. */
export const shownProfile = shown('core.SeccompProfile');
export const shownTrustBundle = shown('core.ClusterTrustBundleProjection');
/** A container's. */
export const shownSecurityContext = shown('core.SecurityContext');
export const shownNodeTerm = shown('core.NodeSelectorTerm');
export const shownVolumeAffinity = shown('core.VolumeNodeAffinity');

/** Whether a container or its pod says that it runs as the host's process on Windows; undefined: it does not say. */
export function hostProcessOf(of: Fields): boolean | undefined {
  const options = part(part(of, 'securityContext'), 'windowsOptions');
  return has(options, 'hostProcess') ? flag(options, 'hostProcess') : undefined;
}
