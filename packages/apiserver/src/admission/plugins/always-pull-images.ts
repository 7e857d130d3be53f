/**
 * AlwaysPullImages: an image is pulled anew with the pod's own credentials each time, so that nobody runs what
 * another one's secrets brought to the node.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/alwayspullimages.
 */

import type { KubeObject } from '../../api/meta.ts';
import { has, part, parts, text, withField } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { CONTAINER_LISTS, containersOf, isPod, specOf, withContainers, withSpec } from '../pod-parts.ts';
import { aggregateText, refusal } from '../refusals.ts';

const ALWAYS = 'Always';

export function alwaysPullImages(): MutatingPlugin & ValidatingPlugin {
  return {
    name: 'AlwaysPullImages',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    admit(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || ignores(attributes, pod)) return Promise.resolve(pod);
      const pulled = withContainers(pod, CONTAINER_LISTS, (container) =>
        withField(container, 'imagePullPolicy', ALWAYS),
      );
      const volumes = parts(specOf(pulled), 'volumes');
      if (!volumes.some((volume) => has(volume, 'image'))) return Promise.resolve(pulled);
      return Promise.resolve(
        withSpec(
          pulled,
          'volumes',
          volumes.map((volume) =>
            has(volume, 'image')
              ? withField(volume, 'image', withField(part(volume, 'image'), 'pullPolicy', ALWAYS))
              : volume,
          ),
        ),
      );
    },
    validate(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || ignores(attributes, pod)) return Promise.resolve();
      const problems = CONTAINER_LISTS.flatMap((list) =>
        parts(specOf(pod), list).flatMap((container, index) => {
          const policy = text(container, 'imagePullPolicy');
          return policy === ALWAYS ? [] : [`spec.${list}[${index}].imagePullPolicy: ${unsupported(policy)}`];
        }),
      );
      return problems.length === 0
        ? Promise.resolve()
        : Promise.reject(refusal(attributes, aggregateText(problems)));
    },
  };
}

function unsupported(policy: string): string {
  return `Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`;
}

/** Other endpoints, and updates that bring no image that was not there. */
function ignores(attributes: AdmissionAttributes, pod: KubeObject): boolean {
  if (!isPod(attributes) && !isPod(attributes, 'ephemeralcontainers')) return true;
  const { operation, oldObject } = attributes;
  if (operation !== 'UPDATE' || oldObject === undefined) return false;
  const before = imagesOf(oldObject);
  return [...imagesOf(pod)].every((image) => before.has(image));
}

function imagesOf(pod: KubeObject): ReadonlySet<string> {
  return new Set(containersOf(specOf(pod)).map((container) => text(container, 'image')));
}
