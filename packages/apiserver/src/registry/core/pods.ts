/** Pod: containers that run together. Its checks serve every template; here what only pods have. */

import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { checkEphemeralContainers } from '../../validation/pod-containers.ts';
import { checkPodSpec } from '../../validation/pod-spec.ts';
import { checkPodSpecUpdate } from '../../validation/pod-update.ts';
import { checkResourceRequirements } from '../../validation/pod-resources.ts';
import { checkVolumes } from '../../validation/pod-volumes.ts';
import { quantity } from '../../validation/scalars.ts';
import { countOf, flag, part, parts, same, text, withField, without } from '../../validation/value.ts';
import { keepField, nextGeneration } from '../generation.ts';
import { UPDATE_VERBS, type SubresourceDefinition } from '../resource.ts';
import { defineKind, selectableAt, SPEC } from '../kinds/kind.ts';
import { bindingOf, evictionOf } from './pod-actions.ts';

/** What a pod asks for decides who is stopped first when a node has too little. */
export function qosClass(spec: object): 'BestEffort' | 'Burstable' | 'Guaranteed' {
  const pod = { ...spec };
  let any = false;
  let guaranteed = true;
  for (const container of [...parts(pod, 'containers'), ...parts(pod, 'initContainers')]) {
    const resources = part(container, 'resources');
    for (const name of ['cpu', 'memory']) {
      const request = quantity(part(resources, 'requests')[name]);
      const limit = quantity(part(resources, 'limits')[name]);
      if (request.nanos > 0n || limit.nanos > 0n) any = true;
      if (limit.nanos === 0n || request.compare(limit) !== 0) guaranteed = false;
    }
  }
  return !any ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}

const ephemeralContainers: SubresourceDefinition = {
  name: 'ephemeralcontainers',
  verbs: UPDATE_VERBS,
  backing: {
    kind: 'update',
    strategy: {
      prepareForUpdate(object, old) {
        const spec = withField(
          part(old, 'spec'),
          'ephemeralContainers',
          part(object, 'spec')['ephemeralContainers'],
        );
        return nextGeneration(withField(withField(old, 'metadata', object.metadata), 'spec', spec), old);
      },
      validateUpdate(object, old) {
        const errors = new FieldErrors();
        const spec = part(object, 'spec');
        const at = SPEC.child('ephemeralContainers');
        const now = parts(spec, 'ephemeralContainers');
        const scratch = new FieldErrors();
        checkEphemeralContainers(errors, at, now, spec, {
          volumes: checkVolumes(scratch, SPEC.child('volumes'), parts(spec, 'volumes')),
          claims: new Set(),
          graceSeconds: undefined,
          hostNetwork: flag(spec, 'hostNetwork'),
          hostUsers: spec['hostUsers'] !== false,
          osName: text(part(spec, 'os'), 'name'),
          restartPolicy: text(spec, 'restartPolicy'),
        });
        for (const [index, before] of parts(part(old, 'spec'), 'ephemeralContainers').entries()) {
          const name = text(before, 'name');
          const kept = now.find((each) => text(each, 'name') === name);
          if (kept === undefined)
            errors.forbidden(
              at,
              `existing ephemeral containers ${JSON.stringify(name)} may not be removed\n`,
            );
          else if (!same(kept, before))
            errors.forbidden(
              at.index(index),
              `existing ephemeral containers ${JSON.stringify(name)} may not be changed\n`,
            );
        }
        return errors.list;
      },
    },
  },
};

const resize: SubresourceDefinition = {
  name: 'resize',
  verbs: UPDATE_VERBS,
  backing: {
    kind: 'update',
    strategy: {
      prepareForUpdate: (object, old) => nextGeneration(keepField(object, old, 'status'), old),
      validateUpdate(object, old) {
        const errors = new FieldErrors();
        const spec = part(object, 'spec');
        const before = part(old, 'spec');
        if (qosClass(spec) !== qosClass(before)) {
          errors.invalid(SPEC, qosClass(spec), 'Pod QOS Class may not change as a result of resizing');
        }
        const bare = (of: typeof spec): typeof spec => ({
          ...without(of, 'resources'),
          containers: parts(of, 'containers').map((each) => without(each, 'resources')),
          initContainers: parts(of, 'initContainers').map((each) => without(each, 'resources')),
        });
        if (!same(bare(spec), bare(before)))
          errors.forbidden(SPEC, 'only cpu and memory resources are mutable');
        for (const [index, container] of parts(spec, 'containers').entries()) {
          const at = SPEC.child('containers').index(index).child('resources');
          checkResourceRequirements(errors, at, part(container, 'resources'));
        }
        return errors.list;
      },
    },
  },
};

const podFields = selectableAt(
  [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    // Taken, but a list has no value to compare with: it counts as empty, in the original too.
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  { 'spec.hostNetwork': 'false' },
);

/** podIP is what older kubelets write alone. */
function podAddress(object: KubeObject): string {
  const status = part(object, 'status');
  const alone = text(status, 'podIP');
  return alone === '' ? text(parts(status, 'podIPs').at(0) ?? {}, 'ip') : alone;
}

export const pods = defineKind({
  group: '',
  types: 'core',
  resource: 'pods',
  kind: 'Pod',
  scope: 'Namespaced',
  shortNames: ['po'],
  categories: ['all'],
  checks: {
    generation: ['spec'],
    prepareForCreate: (object) => ({
      ...object,
      status: { phase: 'Pending', qosClass: qosClass(part(object, 'spec')) },
    }),
    check: () => undefined,
    checkCreate(errors, object) {
      const spec = part(object, 'spec');
      checkPodSpec(errors, SPEC, spec);
      if (parts(spec, 'ephemeralContainers').length > 0) {
        errors.forbidden(SPEC.child('ephemeralContainers'), 'cannot be set on create');
      }
      if (text(spec, 'nodeName') !== '' && parts(spec, 'schedulingGates').length > 0) {
        errors.forbidden(SPEC.child('nodeName'), 'cannot be set until all schedulingGates have been cleared');
      }
    },
    checkUpdate(errors, object, old) {
      checkPodSpecUpdate(errors, SPEC, part(object, 'spec'), part(old, 'spec'));
    },
    checkGracefulDelete,
    status: {
      check: () => undefined,
      prepare: (object, old) => keepField(object, old, 'spec'),
    },
  },
  returnsDeletedObject: true,
  selectable: {
    names: podFields.names,
    values: (object) => ({ ...podFields.values(object), 'status.podIP': podAddress(object) }),
    // What it was called before there were versions.
    aliases: { 'spec.host': 'spec.nodeName' },
  },
  subresources: [ephemeralContainers, resize, bindingOf('pods'), evictionOf()],
});

/** Seconds a pod has to end; none where nothing runs of it. */
function checkGracefulDelete(object: KubeObject, requestedSeconds: number | undefined): number {
  const spec = part(object, 'spec');
  const phase = text(part(object, 'status'), 'phase');
  if (text(spec, 'nodeName') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  const seconds = requestedSeconds ?? countOf(spec, 'terminationGracePeriodSeconds') ?? 30;
  return seconds < 0 ? 1 : seconds;
}
