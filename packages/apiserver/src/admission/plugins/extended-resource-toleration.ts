/**
 * ExtendedResourceToleration: a pod that asks for a device tolerates the taint of the nodes that are kept for it.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/extendedresourcetoleration.
 */

import { part, parts, text } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { isExtendedResource } from '../pod-amounts.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';

export function extendedResourceToleration(): MutatingPlugin {
  return {
    name: 'ExtendedResourceToleration',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    admit(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || !isPod(attributes)) return Promise.resolve(pod);
      const spec = specOf(pod);
      const names = [...parts(spec, 'containers'), ...parts(spec, 'initContainers')]
        .flatMap((container) => Object.keys(part(part(container, 'resources'), 'requests')))
        .filter((name) => isExtendedResource(name));
      const tolerations = [...parts(spec, 'tolerations')];
      for (const key of [...new Set(names)].toSorted()) {
        const there = tolerations.some(
          (each) =>
            text(each, 'key') === key &&
            text(each, 'operator') === 'Exists' &&
            (text(each, 'effect') === 'NoSchedule' || text(each, 'effect') === ''),
        );
        if (!there) tolerations.push({ key, operator: 'Exists', effect: 'NoSchedule' });
      }
      return Promise.resolve(
        tolerations.length === parts(spec, 'tolerations').length
          ? pod
          : withSpec(pod, 'tolerations', tolerations),
      );
    },
  };
}
