/**
 * LimitRanger: containers get the amounts their namespace gives to those who ask for none, and pods and claims stay
 * within its bounds.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/limitranger.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { Quantity } from '../../api/quantity.ts';
import { part, parts, text, withField, withFieldAt } from '../../validation/value.ts';
import type { AdmissionAttributes, MutatingPlugin, ValidatingPlugin } from '../admission.ts';
import { amountsOf, jsonOf, NOTHING, type Amounts } from '../amounts.ts';
import { podLimits, podRequests } from '../pod-amounts.ts';
import { isPodsResource, specOf, withContainers } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';
import { aggregateText, refusal } from '../refusals.ts';
import { Remembered } from '../remembered.ts';

const LIMIT_RANGES = { group: '', resource: 'limitranges' };
const ANNOTATION = 'kubernetes.io/limit-ranger';
/** For how long a namespace without limits is taken to be one: the cache may lag behind the first. */
const LIVE_LOOKUP_MS = 30_000;
const REMEMBERED_MAX = 10_000;

export function limitRanger({ lookup, clock }: PluginContext): MutatingPlugin & ValidatingPlugin {
  const lookedUp = new Remembered<readonly KubeObject[]>(REMEMBERED_MAX);

  const rangesOf = async (attributes: AdmissionAttributes): Promise<readonly KubeObject[]> => {
    const { namespace } = attributes;
    const ranges = lookup.of(LIMIT_RANGES);
    if (ranges === undefined) return [];
    const cached = await ranges.list(namespace);
    if (cached.length > 0) return cached;
    const remembered = lookedUp.get(namespace, clock.monotonicMs());
    if (remembered !== undefined) return remembered;
    const live = await ranges.liveList(namespace);
    lookedUp.set(namespace, live, clock.monotonicMs(), LIVE_LOOKUP_MS);
    return live;
  };

  return {
    name: 'LimitRanger',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      const { object } = attributes;
      if (object === undefined || !concerns(attributes) || !isPodsResource(attributes.resource))
        return object;
      let pod = object;
      for (const range of await rangesOf(attributes)) pod = withDefaults(pod, range);
      return pod;
    },
    async validate(attributes) {
      const { object } = attributes;
      if (object === undefined || !concerns(attributes)) return;
      for (const range of await rangesOf(attributes)) {
        const problems = isPodsResource(attributes.resource)
          ? podProblems(range, object)
          : claimProblems(range, object);
        if (problems.length > 0) throw refusal(attributes, aggregateText(problems));
      }
    },
  };
}

function concerns({ resource, subresource, operation, oldObject }: AdmissionAttributes): boolean {
  if (resource.group !== '') return false;
  const deleting = oldObject?.metadata.deletionTimestamp;
  if (deleting !== undefined && deleting !== null) return false;
  if (resource.resource === 'pods') {
    // The containers of a pod that exists change their amounts by a resize only.
    return operation === 'CREATE' ? subresource === '' : subresource === 'resize';
  }
  return resource.resource === 'persistentvolumeclaims' && subresource === '';
}

// --- What is filled in ---------------------------------------------------------------------------------------

function withDefaults(pod: KubeObject, range: KubeObject): KubeObject {
  let requests: Amounts = NOTHING;
  let limits: Amounts = NOTHING;
  for (const limit of limitsOf(range)) {
    if (text(limit, 'type') !== 'Container') continue;
    requests = new Map([...requests, ...amountsOf(part(limit, 'defaultRequest'))]);
    limits = new Map([...limits, ...amountsOf(part(limit, 'default'))]);
  }
  if (requests.size === 0 && limits.size === 0) return pod;
  const notes: string[] = [];
  let filled = pod;
  for (const [list, word] of [
    ['containers', 'container'],
    ['initContainers', 'init container'],
  ]) {
    filled = withContainers(filled, [list], (container) =>
      filledContainer(container, requests, limits, word, notes),
    );
  }
  if (notes.length === 0) return filled;
  return withFieldAt(
    filled,
    ['metadata', 'annotations', ANNOTATION],
    `LimitRanger plugin set: ${notes.join('; ')}`,
  );
}

function filledContainer(
  container: JsonObject,
  requests: Amounts,
  limits: Amounts,
  word: string,
  notes: string[],
): JsonObject {
  let resources = part(container, 'resources');
  const name = text(container, 'name');
  for (const [which, given] of [
    ['requests', requests],
    ['limits', limits],
  ] as const) {
    const own = part(resources, which);
    const missing = [...given.keys()].filter((resource) => !Object.hasOwn(own, resource)).toSorted();
    if (missing.length === 0) continue;
    const added = jsonOf(new Map([...given].filter(([resource]) => missing.includes(resource))));
    resources = withField(resources, which, { ...own, ...added });
    notes.push(`${missing.join(', ')} ${which === 'requests' ? 'request' : 'limit'} for ${word} ${name}`);
  }
  return resources === part(container, 'resources')
    ? container
    : withField(container, 'resources', resources);
}

function limitsOf(range: KubeObject): readonly JsonObject[] {
  return parts(part(range, 'spec'), 'limits');
}

// --- What is refused -----------------------------------------------------------------------------------------

function podProblems(range: KubeObject, pod: KubeObject): string[] {
  const spec = specOf(pod);
  const problems: string[] = [];
  for (const limit of limitsOf(range)) {
    const type = text(limit, 'type');
    if (type === 'Container') {
      for (const container of [...parts(spec, 'containers'), ...parts(spec, 'initContainers')]) {
        const resources = part(container, 'resources');
        const requests = amountsOf(part(resources, 'requests'));
        problems.push(...bounds(limit, type, requests, amountsOf(part(resources, 'limits'))));
      }
    } else if (type === 'Pod') {
      const bare = { overhead: false };
      problems.push(...bounds(limit, type, podRequests(pod, bare), podLimits(pod, bare)));
    }
  }
  return problems;
}

/** A claim says what it wants, no more: its upper bound is one of requests. */
function claimProblems(range: KubeObject, claim: KubeObject): string[] {
  const requests = amountsOf(part(part(part(claim, 'spec'), 'resources'), 'requests'));
  const problems: string[] = [];
  for (const limit of limitsOf(range)) {
    const type = text(limit, 'type');
    if (type !== 'PersistentVolumeClaim') continue;
    for (const [name, bound] of inOrder(part(limit, 'min'))) {
      problems.push(...belowMinimum(type, name, bound, requests, NOTHING));
    }
    for (const [name, bound] of inOrder(part(limit, 'max'))) {
      const asked = requests.get(name);
      const about = `maximum ${name} usage per ${type} is ${bound.toString()}`;
      if (asked === undefined) problems.push(`${about}.  No request is specified`);
      else if (asked.compare(bound) > 0) problems.push(`${about}, but request is ${asked.toString()}`);
    }
  }
  return problems;
}

function bounds(limit: JsonObject, type: string, requests: Amounts, limits: Amounts): string[] {
  return [
    ...inOrder(part(limit, 'min')).flatMap(([name, bound]) =>
      belowMinimum(type, name, bound, requests, limits),
    ),
    ...inOrder(part(limit, 'max')).flatMap(([name, bound]) =>
      aboveMaximum(type, name, bound, requests, limits),
    ),
    ...inOrder(part(limit, 'maxLimitRequestRatio')).flatMap(([name, bound]) =>
      aboveRatio(type, name, bound, requests, limits),
    ),
  ];
}

function inOrder(amounts: JsonObject): [string, Quantity][] {
  return [...amountsOf(amounts)].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function belowMinimum(
  type: string,
  name: string,
  bound: Quantity,
  requests: Amounts,
  limits: Amounts,
): string[] {
  const asked = requests.get(name);
  const limit = limits.get(name);
  const about = `minimum ${name} usage per ${type} is ${bound.toString()}`;
  if (asked === undefined) return [`${about}.  No request is specified`];
  if (asked.compare(bound) < 0) return [`${about}, but request is ${asked.toString()}`];
  if (limit !== undefined && limit.compare(bound) < 0) return [`${about}, but limit is ${limit.toString()}`];
  return [];
}

function aboveMaximum(
  type: string,
  name: string,
  bound: Quantity,
  requests: Amounts,
  limits: Amounts,
): string[] {
  const asked = requests.get(name);
  const limit = limits.get(name);
  const about = `maximum ${name} usage per ${type} is ${bound.toString()}`;
  if (limit === undefined) return [`${about}.  No limit is specified`];
  if (limit.compare(bound) > 0) return [`${about}, but limit is ${limit.toString()}`];
  if (asked !== undefined && asked.compare(bound) > 0)
    return [`${about}, but request is ${asked.toString()}`];
  return [];
}

function aboveRatio(
  type: string,
  name: string,
  bound: Quantity,
  requests: Amounts,
  limits: Amounts,
): string[] {
  const asked = requests.get(name);
  const limit = limits.get(name);
  const about = `${name} max limit to request ratio per ${type} is ${bound.toString()}`;
  if (asked === undefined || asked.nanos === 0n) {
    return [`${about}, but no request is specified or request is 0`];
  }
  if (limit === undefined || limit.nanos === 0n) return [`${about}, but no limit is specified or limit is 0`];
  const ratio = Number(limit.millis()) / Number(asked.millis());
  return ratio * 1000 > Number(bound.millis()) ? [`${about}, but provided ratio is ${ratio.toFixed(6)}`] : [];
}
