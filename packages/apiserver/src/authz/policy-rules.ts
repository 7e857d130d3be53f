/**
 * How the default roles are written down: verbs, groups and resources as words in one text each, lists sorted
 * as the original's are. Types and a few shorthands; the roles stand in bootstrap-policy and controller-policy.
 */

import type { PolicyRule } from './rules.ts';

export const READ = 'get list watch';
export const WRITE = 'create update patch delete deletecollection';
export const READ_WRITE = `${READ} ${WRITE}`;
export const READ_UPDATE = `${READ} update patch`;

/**
 * A rule over resources.
 *
 * @param groups by name; `core` stands for the group whose name is empty
 */
export function on(verbs: string, groups: string, resources: string, names = ''): PolicyRule {
  const rule = {
    verbs: words(verbs),
    apiGroups: words(groups)
      .map((group) => (group === 'core' ? '' : group))
      .toSorted(),
    resources: words(resources),
  };
  return names === '' ? rule : { ...rule, resourceNames: words(names) };
}

/** A rule over paths that are no resources. */
export function urls(verbs: string, paths: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(paths) };
}

/** Events are written by nearly everyone. */
export const EVENTS = on('create update patch', 'core events.k8s.io', 'events');

/** A default role: its labels and selectors beside those that all have. */
export interface PolicyRole {
  readonly name: string;
  readonly rules: readonly PolicyRule[];
  /** `admin`, `edit`, `view`: the role whose rules these join. */
  readonly aggregateTo?: string;
  /** The roles that are gathered into this one. */
  readonly aggregates?: string;
}

function words(text: string): string[] {
  return text.split(' ').toSorted();
}
