/**
 * ImagePolicyWebhook: another server says whether a pod's images may run. Its answers are remembered for a while.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/imagepolicy.
 */

import { fieldsOf, textOf } from '../../api/fields.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { text } from '../../validation/value.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import { containersOf, isPod, specOf } from '../pod-parts.ts';
import type { ImagePolicySettings, PluginContext } from '../plugin-context.ts';
import { refusal, textOf as messageOf } from '../refusals.ts';
import { Remembered } from '../remembered.ts';

const REMEMBERED_MAX = 1_024;
const ANNOTATION = '.image-policy.k8s.io/';
const FAILED_OPEN = 'alpha.image-policy.k8s.io/failed-open';

export function imagePolicyWebhook({ clock, settings }: PluginContext): ValidatingPlugin {
  const answers = new Remembered<JsonObject>(REMEMBERED_MAX);
  return {
    name: 'ImagePolicyWebhook',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { object: pod } = attributes;
      const { imagePolicy } = settings;
      const concerned = isPod(attributes) || isPod(attributes, 'ephemeralcontainers');
      if (pod === undefined || imagePolicy === undefined || !concerned) return;
      const spec = reviewSpec(attributes, pod);
      const key = JSON.stringify(spec);
      const nowMs = clock.monotonicMs();
      let status = answers.get(key, nowMs);
      if (status === undefined) {
        status = await ask(imagePolicy, spec, attributes);
        if (status === undefined) return;
        const seconds = status['allowed'] === true ? imagePolicy.allowTtlSeconds : imagePolicy.denyTtlSeconds;
        answers.set(key, status, nowMs, seconds * 1_000);
      }
      for (const [name, value] of Object.entries(fieldsOf(status['auditAnnotations']))) {
        attributes.annotate(`imagepolicywebhook.image-policy.k8s.io/${name}`, textOf(value));
      }
      if (status['allowed'] === true) return;
      const reason = textOf(status['reason']);
      throw refusal(
        attributes,
        reason === ''
          ? 'one or more images rejected by webhook backend'
          : `image policy webhook backend denied one or more images: ${reason}`,
      );
    },
  };
}

function reviewSpec({ namespace }: AdmissionAttributes, pod: KubeObject): JsonObject {
  const annotations = Object.fromEntries(
    Object.entries(pod.metadata.annotations ?? {}).filter(([name]) => name.includes(ANNOTATION)),
  );
  return {
    containers: containersOf(specOf(pod)).map((container) => ({ image: text(container, 'image') })),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    namespace,
  };
}

/** The status of the review; undefined where nobody answered and that is to be let through. */
async function ask(
  policy: ImagePolicySettings,
  spec: JsonObject,
  attributes: AdmissionAttributes,
): Promise<JsonObject | undefined> {
  const review = { apiVersion: 'imagepolicy.k8s.io/v1alpha1', kind: 'ImageReview', spec };
  try {
    const answer = fieldsOf(await policy.review(review, attributes.signal));
    const { allowed, reason, auditAnnotations } = fieldsOf(answer['status']);
    return {
      allowed: allowed === true,
      reason: textOf(reason),
      auditAnnotations: Object.fromEntries(
        Object.entries(fieldsOf(auditAnnotations)).map(([name, value]) => [name, textOf(value)]),
      ),
    };
  } catch (error) {
    attributes.signal.throwIfAborted();
    if (!policy.defaultAllow) throw refusal(attributes, messageOf(error));
    attributes.annotate(FAILED_OPEN, 'true');
    return undefined;
  }
}
