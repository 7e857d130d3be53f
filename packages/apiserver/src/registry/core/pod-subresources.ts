/**
 * Two ways to change a pod that runs: ephemeralcontainers adds containers to look at it with, resize gives its
 * containers more or less. Whatever else a request says is left aside.
 *
 * Modelled on the strategies of kubernetes' pkg/registry/core/pod and ValidatePodResize; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkPodAnnotations, MIRROR } from '../../validation/pod-annotations.ts';
import { checkPodAlone, checkPodSpec } from '../../validation/pod-spec.ts';
import { has, part, partOf, parts, same, text, withField, without } from '../../validation/value.ts';
import { nextGeneration } from '../generation.ts';
import { METADATA, SPEC } from '../kinds/kind.ts';
import { UPDATE_VERBS, type SubresourceDefinition } from '../resource.ts';
import { qosClass } from './pod-qos.ts';

const WHOLE = FieldPath.of('');

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
        let resized = part(old, 'spec');
        for (const list of ['containers', 'initContainers']) {
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

/** Containers with the resources and policies others of their name have. */
function withResources(
  containers: readonly JsonObject[],
  wanted: readonly JsonObject[],
): readonly JsonObject[] {
  return containers.map((container) => {
    const other = wanted.find((each) => text(each, 'name') === text(container, 'name'));
    if (other === undefined) return container;
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
  const sidecar = (container: JsonObject): boolean => text(container, 'restartPolicy') === 'Always';
  checkNothingRemoved(errors, 'initContainers', spec, before, sidecar);
  checkNothingRemoved(errors, 'containers', spec, before, () => true);
  for (const [index, container] of parts(spec, 'containers').entries()) {
    if (same(besideSizes(container), besideSizes(parts(before, 'containers')[index]))) continue;
    errors.forbidden(SPEC, 'only cpu and memory resources are mutable');
  }
  for (const [index, container] of parts(spec, 'initContainers').entries()) {
    const had = parts(before, 'initContainers')[index];
    if (!sidecar(container)) {
      if (!same(without(container, 'resizePolicy'), without(had, 'resizePolicy')))
        errors.forbidden(SPEC, 'resources for non-sidecar init containers are immutable');
    } else if (!same(besideSizes(container), besideSizes(had))) {
      errors.forbidden(SPEC, 'only cpu and memory resources for sidecar containers are mutable');
    }
  }
}

function checkNothingRemoved(
  errors: FieldErrors,
  list: string,
  spec: JsonObject,
  before: JsonObject,
  counts: (container: JsonObject) => boolean,
): void {
  for (const [index, had] of parts(before, list).entries()) {
    if (!counts(had)) continue;
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
