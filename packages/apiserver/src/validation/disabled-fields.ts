/**
 * Fields of features that Kubernetes 1.36 has off: left out of what is written, unless the object had them before.
 * Otherwise a client would believe that what it asked for is done.
 *
 * After DropDisabledTemplateFields of kubernetes' pkg/api/pod, and the like of other kinds.
 */

import type { JsonObject } from '../api/json.ts';
import { has, part, parts, withField, without, type Fields } from './value.ts';

const LISTS: readonly string[] = ['initContainers', 'containers', 'ephemeralContainers'];

/** A pod's spec without stop signals (ContainerStopSignals) and groups (GenericWorkload). @param old the one before */
export function enabledPodSpec(spec: JsonObject, old: JsonObject | undefined): JsonObject {
  let kept = has(old ?? {}, 'schedulingGroup') ? spec : without(spec, 'schedulingGroup');
  if (old !== undefined && LISTS.some((list) => parts(old, list).some(hasStopSignal))) return kept;
  for (const list of LISTS) {
    const containers = parts(kept, list);
    if (containers.some(hasStopSignal)) kept = withField(kept, list, containers.map(withoutStopSignal));
  }
  return kept;
}

function hasStopSignal(container: JsonObject): boolean {
  return has(part(container, 'lifecycle'), 'stopSignal');
}

function withoutStopSignal(container: JsonObject): JsonObject {
  if (!hasStopSignal(container)) return container;
  const lifecycle = without(part(container, 'lifecycle'), 'stopSignal');
  return withField(container, 'lifecycle', Object.keys(lifecycle).length === 0 ? undefined : lifecycle);
}

/** Without these members, each of which stays where the old one has it. */
export function enabledFields<T extends Fields>(
  of: T,
  old: Fields | undefined,
  ...names: readonly string[]
): T {
  return without(of, ...names.filter((name) => !has(old ?? {}, name)));
}
