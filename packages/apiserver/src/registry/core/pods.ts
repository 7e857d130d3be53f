/** Pod: containers that run together. Its checks serve every template; here what only pods have. */

import type { KubeObject } from '../../api/meta.ts';
import {
  checkPodAnnotations,
  checkPodAnnotationsUpdate,
  checkProfilesAgree,
} from '../../validation/pod-annotations.ts';
import { checkPodAlone, checkPodSpec } from '../../validation/pod-spec.ts';
import { formatTime } from '../../codec/times.ts';
import { checkPodStatusUpdate } from '../../validation/pod-status.ts';
import { checkPodSpecUpdate } from '../../validation/pod-update.ts';
import { podNameWarnings, podWarnings } from '../../validation/pod-warnings.ts';
import { countOf, has, part, parts, text, withField, withFieldAt, without } from '../../validation/value.ts';
import { keepField } from '../generation.ts';
import { defineKind, METADATA, selectableAt, SPEC } from '../kinds/kind.ts';
import { bindingOf, evictionOf } from './pod-actions.ts';
import { gatedConditions, madePod } from './pod-creation.ts';
import { qosClass } from './pod-qos.ts';
import { ephemeralContainers, resize } from './pod-subresources.ts';

const CLAIM_STATUSES = 'nodeAllocatableResourceClaimStatuses';

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
    podSpecAt: ['spec'],
    prepareForUpdate: withGrace,
    prepareForCreate: (object, { nowMs }) => {
      const spec = part(object, 'spec');
      const gated = gatedConditions(spec, formatTime(Math.floor(nowMs / 1000)));
      const status = { phase: 'Pending', ...gated, qosClass: qosClass(spec) };
      return withGrace(madePod({ ...object, status }));
    },
    check(errors, object) {
      const spec = part(object, 'spec');
      const annotations = object.metadata.annotations ?? {};
      checkPodAnnotations(errors, METADATA.child('annotations'), annotations, spec);
      checkPodSpec(errors, SPEC, spec, { podName: object.metadata.name ?? '', isPod: true });
      checkPodAlone(errors, SPEC, spec);
    },
    checkCreate(errors, object) {
      const spec = part(object, 'spec');
      if (parts(spec, 'ephemeralContainers').length > 0) {
        errors.forbidden(SPEC.child('ephemeralContainers'), 'cannot be set on create');
      }
      if (text(spec, 'nodeName') !== '' && parts(spec, 'schedulingGates').length > 0) {
        errors.forbidden(SPEC.child('nodeName'), 'cannot be set until all schedulingGates have been cleared');
      }
      checkProfilesAgree(errors, SPEC, object.metadata.annotations ?? {}, spec);
    },
    checkUpdate(errors, object, old) {
      checkPodAnnotationsUpdate(
        errors,
        METADATA.child('annotations'),
        object.metadata.annotations ?? {},
        old.metadata.annotations ?? {},
      );
      checkPodSpecUpdate(errors, SPEC, part(object, 'spec'), part(old, 'spec'));
    },
    // On an update nobody is told: those who change a pod are programs.
    warnings: (object, old) =>
      old === undefined
        ? [...podNameWarnings(object), ...podWarnings(undefined, part({ object }, 'object'))]
        : [],
    checkGracefulDelete,
    status: {
      keepsMetadata: ['ownerReferences'],
      check(errors, object, old) {
        checkPodAnnotationsUpdate(
          errors,
          METADATA.child('annotations'),
          object.metadata.annotations ?? {},
          old.metadata.annotations ?? {},
        );
        checkPodStatusUpdate(errors, object, old);
      },
      prepare(object, old) {
        const status = part(object, 'status');
        // Kubelets of old left it out where they refused a pod; it never changes.
        const qos = text(status, 'qosClass') === '' ? part(old, 'status')['qosClass'] : status['qosClass'];
        // DRANodeAllocatableResources is off.
        const known = has(part(old, 'status'), CLAIM_STATUSES) ? status : without(status, CLAIM_STATUSES);
        return keepField(withField(object, 'status', withField(known, 'qosClass', qos)), old, 'spec');
      },
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

/** A grace below zero is a second. */
function withGrace(object: KubeObject): KubeObject {
  const seconds = countOf(part(object, 'spec'), 'terminationGracePeriodSeconds') ?? 0;
  return seconds < 0 ? withFieldAt(object, ['spec', 'terminationGracePeriodSeconds'], 1) : object;
}

/** Seconds a pod has to end; none where nothing runs of it. */
function checkGracefulDelete(object: KubeObject, requestedSeconds: number | undefined): number {
  const spec = part(object, 'spec');
  const phase = text(part(object, 'status'), 'phase');
  if (text(spec, 'nodeName') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  const seconds = requestedSeconds ?? countOf(spec, 'terminationGracePeriodSeconds') ?? 30;
  return seconds < 0 ? 1 : seconds;
}
