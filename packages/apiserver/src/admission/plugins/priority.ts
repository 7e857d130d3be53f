/**
 * Priority: a pod's class becomes a number and a policy, and one class at most is the default.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/priority.
 */

import type { KubeObject } from '../../api/meta.ts';
import { count, countOf, flag, has, text } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { isPod, specOf, withSpec } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';

const PRIORITY_CLASSES = { group: 'scheduling.k8s.io', resource: 'priorityclasses' };
/** Of pods without a class, where no class is the default. */
const NO_CLASS = { name: '', value: 0, policy: 'PreemptLowerPriority' };

interface Resolved {
  readonly name: string;
  readonly value: number;
  /** Empty where the class says nothing. */
  readonly policy: string;
}

export function priority({ lookup }: PluginContext): MutatingPlugin & ValidatingPlugin {
  /** Of several defaults, which a race can make, the lowest. */
  const defaultClass = async (): Promise<KubeObject | undefined> => {
    let found: KubeObject | undefined;
    for (const each of (await lookup.of(PRIORITY_CLASSES)?.list('')) ?? []) {
      if (
        flag(each, 'globalDefault') &&
        (found === undefined || count(found, 'value') > count(each, 'value'))
      )
        found = each;
    }
    return found;
  };

  const resolve = async (attributes: AdmissionAttributes, name: string): Promise<Resolved> => {
    const found = name === '' ? await defaultClass() : await getOrLive(lookup.of(PRIORITY_CLASSES), '', name);
    if (found !== undefined) return resolved(found);
    if (name === '') return NO_CLASS;
    throw refusal(attributes, `no PriorityClass with name ${name} was found`);
  };

  return {
    name: 'Priority',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { object: pod, oldObject, operation } = attributes;
      if (pod === undefined || !isPod(attributes)) return pod;
      if (operation === 'UPDATE' && oldObject !== undefined) return kept(pod, oldObject);
      if (operation !== 'CREATE') return pod;
      const spec = specOf(pod);
      const { name, value, policy } = await resolve(attributes, text(spec, 'priorityClassName'));
      const own = countOf(spec, 'priority');
      if (own !== undefined && own !== value) {
        throw refusal(
          attributes,
          `the integer value of priority (${own}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
        );
      }
      const ownPolicy = text(spec, 'preemptionPolicy');
      if (policy !== '' && ownPolicy !== '' && ownPolicy !== policy) {
        throw refusal(
          attributes,
          `the string value of PreemptionPolicy (${ownPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
        );
      }
      let admitted = withSpec(pod, 'priority', value);
      if (name !== '') admitted = withSpec(admitted, 'priorityClassName', name);
      return policy === '' ? admitted : withSpec(admitted, 'preemptionPolicy', policy);
    },
    async validate(attributes) {
      const { object, operation, resource, subresource } = attributes;
      const isClass =
        resource.group === PRIORITY_CLASSES.group && resource.resource === PRIORITY_CLASSES.resource;
      if (object === undefined || !isClass || subresource !== '' || !flag(object, 'globalDefault')) return;
      const other = await defaultClass();
      if (other === undefined) return;
      const { name } = other.metadata;
      if (operation === 'CREATE' || (operation === 'UPDATE' && name !== object.metadata.name)) {
        throw refusal(
          attributes,
          `PriorityClass ${name ?? ''} is already marked as default. Only one default can exist`,
        );
      }
    },
  };
}

function resolved(found: KubeObject): Resolved {
  return {
    name: found.metadata.name ?? '',
    value: count(found, 'value'),
    policy: text(found, 'preemptionPolicy'),
  };
}

/** An update that leaves the number out keeps it. */
function kept(pod: KubeObject, old: KubeObject): KubeObject {
  let next = pod;
  for (const name of ['priority', 'preemptionPolicy']) {
    const before = specOf(old);
    if (!has(specOf(next), name) && has(before, name)) next = withSpec(next, name, before[name]);
  }
  return next;
}
