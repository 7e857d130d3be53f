/**
 * RuntimeClass: a pod's class must exist; what the runtime itself needs and where it runs come from the class.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/runtimeclass.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { has, part, partOf, parts, text, textMap } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { amountsOf, equalAmounts } from '../amounts.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';
import { mergeTolerations } from '../tolerations.ts';

const RUNTIME_CLASSES = { group: 'node.k8s.io', resource: 'runtimeclasses' };
const MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

export function runtimeClass({ lookup }: PluginContext): MutatingPlugin & ValidatingPlugin {
  /** The class the pod names; undefined where it names none. */
  const classOf = async (
    attributes: AdmissionAttributes,
    pod: KubeObject,
  ): Promise<KubeObject | undefined> => {
    const spec = specOf(pod);
    if (!has(spec, 'runtimeClassName')) return undefined;
    const name = text(spec, 'runtimeClassName');
    const found = await getOrLive(lookup.of(RUNTIME_CLASSES), '', name);
    if (found !== undefined) return found;
    throw refusal(attributes, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`);
  };
  return {
    name: 'RuntimeClass',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || !isPod(attributes)) return pod;
      const found = await classOf(attributes, pod);
      return found === undefined ? pod : scheduled(attributes, withOverhead(attributes, pod, found), found);
    },
    async validate(attributes) {
      const { object: pod } = attributes;
      if (pod === undefined || !isPod(attributes)) return;
      const overhead = overheadOf(await classOf(attributes, pod));
      const own = partOf(specOf(pod), 'overhead');
      if (overhead === undefined) {
        if (own === undefined) return;
        throw refusal(
          attributes,
          'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
        );
      }
      if (!equalAmounts(amountsOf(overhead), amountsOf(own ?? {}))) throw refusal(attributes, MISMATCH);
    },
  };
}

/** overhead.podFixed of the class; undefined where the class has no overhead. */
function overheadOf(found: KubeObject | undefined): JsonObject | undefined {
  const overhead = found && partOf(found, 'overhead');
  return overhead && part(overhead, 'podFixed');
}

function withOverhead(attributes: AdmissionAttributes, pod: KubeObject, found: KubeObject): KubeObject {
  const overhead = overheadOf(found);
  if (overhead === undefined) return pod;
  const own = partOf(specOf(pod), 'overhead');
  if (own !== undefined && !equalAmounts(amountsOf(own), amountsOf(overhead))) {
    throw refusal(attributes, MISMATCH);
  }
  return withSpec(pod, 'overhead', overhead);
}

function scheduled(attributes: AdmissionAttributes, pod: KubeObject, found: KubeObject): KubeObject {
  const scheduling = partOf(found, 'scheduling');
  if (scheduling === undefined) return pod;
  const wanted = textMap(scheduling, 'nodeSelector');
  const own = textMap(specOf(pod), 'nodeSelector');
  for (const [key, value] of Object.entries(wanted)) {
    if (Object.hasOwn(own, key) && own[key] !== value) {
      throw refusal(
        attributes,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own[key]}`,
      );
    }
  }
  const selector = { ...own, ...wanted };
  const tolerations = mergeTolerations(parts(specOf(pod), 'tolerations'), parts(scheduling, 'tolerations'));
  const placed = Object.keys(selector).length === 0 ? pod : withSpec(pod, 'nodeSelector', selector);
  return tolerations.length === 0 ? placed : withSpec(placed, 'tolerations', tolerations);
}
