/**
 * DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or cannot be reached, unless they say
 * otherwise.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/defaulttolerationseconds.
 */

import type { JsonObject } from '../../api/json.ts';
import { parts, text } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';

const SECONDS = 300;

export function defaultTolerationSeconds({ settings }: PluginContext): MutatingPlugin {
  const wanted: readonly (readonly [key: string, seconds: number])[] = [
    ['node.kubernetes.io/not-ready', settings.notReadyTolerationSeconds ?? SECONDS],
    ['node.kubernetes.io/unreachable', settings.unreachableTolerationSeconds ?? SECONDS],
  ];
  return {
    name: 'DefaultTolerationSeconds',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    admit(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || !isPod(attributes)) return Promise.resolve(pod);
      const own = parts(specOf(pod), 'tolerations');
      const added: JsonObject[] = wanted
        .filter(([key]) => !own.some((toleration) => tolerates(toleration, key)))
        .map(([key, seconds]) => ({
          key,
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: seconds,
        }));
      return Promise.resolve(added.length === 0 ? pod : withSpec(pod, 'tolerations', [...own, ...added]));
    },
  };
}

function tolerates(toleration: JsonObject, taint: string): boolean {
  const key = text(toleration, 'key');
  const effect = text(toleration, 'effect');
  return (key === taint || key === '') && (effect === 'NoExecute' || effect === '');
}
