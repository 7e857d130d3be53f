/**
 * Two ways to change a pod that runs: ephemeralcontainers adds containers to look at it with, resize gives its
 * containers more or less. Whatever else a request says is left aside.
 *
 * Modelled on the strategies of kubernetes' pkg/registry/core/pod and ValidatePodResize; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { enabledPodSpec } from '../../validation/disabled-fields.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkPodAnnotations, MIRROR } from '../../validation/pod-annotations.ts';
import { checkPodAlone, checkPodSpec } from '../../validation/pod-spec.ts';
import { has, part, partOf, parts, same, text, withField, without } from '../../validation/value.ts';
import { nextGeneration } from '../generation.ts';
import { METADATA, SPEC } from '../kinds/kind.ts';
import { UPDATE_VERBS, type SubresourceDefinition } from '../resource.ts';
import { qosClass } from './pod-qos.ts';

const LISTS = ['containers', 'initContainers'] as const;
/** A path without a name, which the original shows so. */
const WHOLE = FieldPath.of('[]');

/** The pod as it was, told apart by what a request must say of it. */
function kept(object: KubeObject, old: KubeObject): KubeObject {
  const { resourceVersion, uid, managedFields } = object.metadata;
  const metadata = {
    ...old.metadata,
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(uid === undefined ? {} : { uid }),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
  return { ...old, metadata };
}

/** The pod as any pod is checked. */
function checkWhole(errors: FieldErrors, object: KubeObject): void {
  const spec = part(object, 'spec');
  const annotations = object.metadata.annotations ?? {};
  checkPodAnnotations(errors, METADATA.child('annotations'), annotations, spec);
  checkPodSpec(errors, SPEC, spec, { podName: object.metadata.name ?? '', isPod: true });
  checkPodAlone(errors, SPEC, spec);
}

export const ephemeralContainers: SubresourceDefinition = {
  name: 'ephemeralcontainers',
  verbs: UPDATE_VERBS,
  backing: {
    kind: 'update',
    strategy: {
      prepareForUpdate(object, old) {
        const added = part(object, 'spec')['ephemeralContainers'];
        const spec = withField(part(old, 'spec'), 'ephemeralContainers', added);
        return nextGeneration(withField(kept(object, old), 'spec', spec), old);
      },
      validateUpdate(object, old) {
        const errors = new FieldErrors();
        const at = SPEC.child('ephemeralContainers');
        const now = parts(part(object, 'spec'), 'ephemeralContainers');
        if (old.metadata.annotations?.[MIRROR] !== undefined) {
          errors.forbidden(WHOLE, 'static pods do not support ephemeral containers');
          return errors.list;
        }
        checkWhole(errors, object);
        for (const before of parts(part(old, 'spec'), 'ephemeralContainers')) {
          const name = text(before, 'name');
          const stays = now.find((each) => text(each, 'name') === name);
          const said = `existing ephemeral containers ${JSON.stringify(name)} may not be`;
          if (stays === undefined) errors.forbidden(at, `${said} removed\n`);
          else if (!same(stays, before)) errors.forbidden(at, `${said} changed\n`);
        }
        return errors.list;
      },
    },
  },
};

export const resize: SubresourceDefinition = {
  name: 'resize',
  verbs: UPDATE_VERBS,
  backing: {
    kind: 'update',
    strategy: {
      prepareForUpdate(object, old) {
        const spec = part(object, 'spec');
        const before = part(old, 'spec');
        // Containers that come or go are refused, with all that was sent.
        if (LISTS.some((list) => parts(spec, list).length !== parts(before, list).length))
          return nextGeneration(withField(object, 'spec', enabledPodSpec(spec, before)), old);
        let resized = withField(before, 'resources', spec['resources']);
        for (const list of LISTS) {
          if (!has(resized, list)) continue;
          resized = { ...resized, [list]: withResources(parts(resized, list), parts(spec, list)) };
        }
        return nextGeneration(withField(kept(object, old), 'spec', resized), old);
      },
      validateUpdate(object, old) {
        const errors = new FieldErrors();
        checkResize(errors, object, old);
        return errors.list;
      },
    },
  },
};

/** Containers with the resources and policies those in their place have; other names are refused as they are. */
function withResources(
  containers: readonly JsonObject[],
  wanted: readonly JsonObject[],
): readonly JsonObject[] {
  const named = containers.every((each, index) => text(each, 'name') === text(wanted[index], 'name'));
  if (!named) return wanted;
  return containers.map((container, index) => {
    const other = wanted[index];
    const resources = withField(container, 'resources', other['resources']);
    return withField(resources, 'resizePolicy', other['resizePolicy']);
  });
}

function checkResize(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const spec = part(object, 'spec');
  const before = part(old, 'spec');
  if (old.metadata.annotations?.[MIRROR] !== undefined) {
    errors.forbidden(WHOLE, 'static pods cannot be resized');
    return;
  }
  if (text(part(before, 'os'), 'name') === 'windows') {
    errors.forbidden(WHOLE, 'windows pods cannot be resized');
    return;
  }
  checkWhole(errors, object);
  const qos = text(part(old, 'status'), 'qosClass');
  if ((qos === '' ? qosClass(before) : qos) !== qosClass(spec)) {
    const now = text(part(object, 'status'), 'qosClass');
    errors.invalid(SPEC, now, 'Pod QOS Class may not change as a result of resizing');
  }
  const running = parts(part(old, 'status'), 'containerStatuses').find(
    (each) => partOf(part(each, 'state'), 'running') !== undefined,
  );
  if (running !== undefined && !has(running, 'resources')) {
    errors.forbidden(SPEC, 'Pod running on node without support for resize');
  }
  checkPodSizes(errors, spec, before);
  if (!checkOrder(errors, spec, before)) return;
  for (const list of ['initContainers', 'containers']) checkNothingRemoved(errors, list, spec, before);
  for (const [index, container] of parts(spec, 'containers').entries()) {
    if (same(besideSizes(container), besideSizes(parts(before, 'containers')[index]))) continue;
    errors.forbidden(SPEC, 'only cpu and memory resources are mutable');
  }
  for (const [index, container] of parts(spec, 'initContainers').entries()) {
    const had = parts(before, 'initContainers')[index];
    const at = SPEC.child('initContainers').index(index);
    if (!same(besideSizes(container), besideSizes(had)))
      errors.forbidden(at, 'only cpu and memory resources for init or sidecar containers are mutable');
    if (same(container, had) || text(container, 'restartPolicy') === 'Always') continue;
    for (const policy of parts(container, 'resizePolicy')) {
      if (text(policy, 'restartPolicy') !== 'RestartContainer') continue;
      const why = 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized';
      errors.forbidden(at, why);
    }
  }
  if (errors.size > 0) return;
  const others = (of: JsonObject): JsonObject => without(of, 'resources', ...LISTS);
  if (!same(others(spec), others(before)))
    errors.forbidden(SPEC, 'only cpu and memory resources are mutable');
}

/** Resources of the pod as a whole. */
function checkPodSizes(errors: FieldErrors, spec: JsonObject, before: JsonObject): void {
  const now = partOf(spec, 'resources');
  const had = partOf(before, 'resources');
  const at = SPEC.child('resources');
  if (had !== undefined && now === undefined) errors.forbidden(at, 'pod-level resources cannot be removed');
  else if (now !== undefined) {
    for (const kind of had === undefined ? [] : ['requests', 'limits']) {
      const names = Object.keys(part(had ?? {}, kind));
      if (names.every((name) => has(part(now, kind), name))) continue;
      errors.forbidden(at.child(kind), `pod-level resource ${kind} cannot be removed`);
    }
    if (!same(besideSizes({ resources: now }), besideSizes({ resources: had ?? {} })))
      errors.forbidden(SPEC, 'only cpu and memory resources are mutable at pod-level');
  }
}

/** Whether the containers are those there were, in their order. */
function checkOrder(errors: FieldErrors, spec: JsonObject, before: JsonObject): boolean {
  const known = errors.size;
  for (const list of LISTS) {
    const now = parts(spec, list);
    const had = parts(before, list);
    if (now.length !== had.length) {
      errors.forbidden(SPEC.child(list), `${list} may not be added or removed on resize`);
      continue;
    }
    for (const [index, container] of had.entries()) {
      if (text(now[index], 'name') === text(container, 'name')) continue;
      const at = SPEC.child(list).index(index).child('name');
      errors.forbidden(at, `${list} may not be renamed or reordered on resize`);
    }
  }
  return errors.size === known;
}

function checkNothingRemoved(errors: FieldErrors, list: string, spec: JsonObject, before: JsonObject): void {
  for (const [index, had] of parts(before, list).entries()) {
    const at = SPEC.child(list).index(index).child('resources');
    const now = part(parts(spec, list)[index] ?? {}, 'resources');
    for (const kind of ['requests', 'limits']) {
      const names = Object.keys(part(part(had, 'resources'), kind));
      if (names.every((name) => has(part(now, kind), name))) continue;
      errors.forbidden(at.child(kind), `resource ${kind} cannot be removed`);
    }
  }
}

/** A container without what may change of it: cpu, memory, and how their change is done. */
function besideSizes(container: JsonObject): JsonObject {
  const resources = part(container, 'resources');
  const sizes = ['cpu', 'memory'];
  return {
    ...without(container, 'resizePolicy'),
    resources: {
      ...resources,
      requests: without(part(resources, 'requests'), ...sizes),
      limits: without(part(resources, 'limits'), ...sizes),
    },
  };
}
