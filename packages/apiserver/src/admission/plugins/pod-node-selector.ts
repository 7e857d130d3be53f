/**
 * PodNodeSelector: pods of a namespace run on the nodes the namespace, or the cluster, chose for it.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/podnodeselector.
 */

import type { KubeObject } from '../../api/meta.ts';
import { forbidden, notFound } from '../../api/status.ts';
import { textMap } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { plainError } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';
import { NAMESPACES } from './namespace-lifecycle.ts';

const ANNOTATION = 'scheduler.alpha.kubernetes.io/node-selector';
const CLUSTER_DEFAULT = 'clusterDefaultNodeSelector';
const PODS = { group: '', resource: 'pods' };

type Labels = Readonly<Record<string, string>>;

export function podNodeSelector({ lookup, settings }: PluginContext): MutatingPlugin & ValidatingPlugin {
  const configured = settings.nodeSelectors ?? {};

  const selectorOf = async ({ namespace }: AdmissionAttributes): Promise<Labels> => {
    const found = await getOrLive(lookup.of(NAMESPACES), '', namespace);
    if (found === undefined) throw notFound(NAMESPACES, namespace);
    return labelsOf(found.metadata.annotations?.[ANNOTATION] ?? configured[CLUSTER_DEFAULT] ?? '');
  };

  const check = async (attributes: AdmissionAttributes, pod: KubeObject): Promise<Labels> => {
    const name = pod.metadata.name ?? '';
    const wanted = await selectorOf(attributes);
    const own = textMap(specOf(pod), 'nodeSelector');
    if (Object.entries(wanted).some(([key, value]) => Object.hasOwn(own, key) && own[key] !== value)) {
      throw forbidden(PODS, name, 'pod node label selector conflicts with its namespace node label selector');
    }
    return { ...wanted, ...own };
  };

  const checkAllowed = ({ namespace }: AdmissionAttributes, pod: KubeObject): void => {
    const allowed = labelsOf(configured[namespace] ?? '');
    if (Object.keys(allowed).length === 0) return;
    const own = Object.entries(textMap(specOf(pod), 'nodeSelector'));
    if (own.every(([key, value]) => allowed[key] === value)) return;
    throw forbidden(
      PODS,
      pod.metadata.name ?? '',
      'pod node label selector labels conflict with its namespace whitelist',
    );
  };

  return {
    name: 'PodNodeSelector',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      const { object } = attributes;
      if (object === undefined || !isPod(attributes)) return object;
      const selector = await check(attributes, object);
      const pod = Object.keys(selector).length === 0 ? object : withSpec(object, 'nodeSelector', selector);
      checkAllowed(attributes, pod);
      return pod;
    },
    async validate(attributes) {
      const { object } = attributes;
      if (object === undefined || !isPod(attributes)) return;
      await check(attributes, object);
      checkAllowed(attributes, object);
    },
  };
}

/** `a=b,c=d` as labels. @throws ApiError without a reason, as the original lets it through */
function labelsOf(selector: string): Labels {
  const labels: Record<string, string> = {};
  for (const item of selector.split(',')) {
    if (selector === '') break;
    const [key, value, ...more] = item.split('=');
    if (value === undefined || more.length > 0) throw plainError(`invalid selector: ${item}`);
    labels[key.trim()] = value.trim();
  }
  return labels;
}
