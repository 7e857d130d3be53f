/**
 * LimitPodHardAntiAffinityTopology: pods may demand to stand apart on other nodes, not in other zones.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/antiaffinity.
 */

import { partAt, parts, text } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import { isPod } from '../pod-parts.ts';
import { refusal } from '../refusals.ts';

const HOSTNAME = 'kubernetes.io/hostname';

export function limitPodHardAntiAffinityTopology(): ValidatingPlugin {
  return {
    name: 'LimitPodHardAntiAffinityTopology',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    validate(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || !isPod(attributes)) return Promise.resolve();
      const rules = partAt(pod, 'spec', 'affinity', 'podAntiAffinity');
      for (const term of parts(rules, 'requiredDuringSchedulingIgnoredDuringExecution')) {
        const key = text(term, 'topologyKey');
        if (key === HOSTNAME) continue;
        return Promise.reject(
          refusal(
            attributes,
            `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${key} but only key ${HOSTNAME} is allowed`,
          ),
        );
      }
      return Promise.resolve();
    },
  };
}
