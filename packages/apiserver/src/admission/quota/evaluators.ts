/**
 * How much of a quota an object uses, kind by kind: pods, services, claims of storage and of devices by what they
 * ask for, everything else by number. Says as well which writes change that, and which scopes of a quota an object
 * falls under. Pure.
 *
 * Modelled on Kubernetes' pkg/quota/v1/evaluator/core and apiserver's quota/v1/generic.
 */

import type { JsonObject } from '../../api/json.ts';
import { describeResource, type GroupResource, type KubeObject } from '../../api/meta.ts';
import { Quantity } from '../../api/quantity.ts';
import { matchesLabels, requirementsOf } from '../../api/selectors.ts';
import { parseTime } from '../../codec/times.ts';
import { count, countOf, has, part, parts, partOf, text, texts } from '../../validation/value.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { amountsOf, largest, NOTHING, ONE, sum, type Amounts } from '../amounts.ts';
import {
  isBestEffort,
  isExtendedResource,
  isNativeResource,
  podLimits,
  podRequests,
  storageClassOf,
} from '../pod-amounts.ts';
import { isPodsResource, specOf } from '../pod-parts.ts';

/** spec.scopeSelector's requirement, and what stands for a name in spec.scopes. */
export interface ScopeSelector {
  readonly scopeName: string;
  readonly operator: string;
  readonly values: readonly string[];
}

export interface QuotaEvaluator {
  /** Whether the write may change what is used. */
  handles(attributes: AdmissionAttributes): boolean;
  /** Which of a quota's names this kind counts under. */
  matching(names: readonly string[]): string[];
  /** What the object lacks that these names demand of it. */
  missing?(names: readonly string[], object: KubeObject): string | undefined;
  inScope(selector: ScopeSelector, object: KubeObject): boolean;
  usage(object: KubeObject, nowMs: number): Amounts;
}

/** `count/deployments.apps`. */
function countName(resource: GroupResource): string {
  return `count/${describeResource(resource)}`;
}

/** Kinds that were counted under their bare name before all were. */
const OLDER_NAMES: ReadonlySet<string> = new Set([
  'configmaps',
  'resourcequotas',
  'replicationcontrollers',
  'secrets',
]);

/** The evaluator of a resource; undefined for what no quota counts. */
export function evaluatorOf(resource: GroupResource): QuotaEvaluator | undefined {
  const { group } = resource;
  switch (describeResource(resource)) {
    case 'events':
    case 'events.events.k8s.io':
      return undefined;
    case 'pods':
      return PODS;
    case 'services':
      return SERVICES;
    case 'persistentvolumeclaims':
      return CLAIMS;
    case 'resourceclaims.resource.k8s.io':
      return DEVICE_CLAIMS;
    default:
      return byNumber(resource, group === '' && OLDER_NAMES.has(resource.resource));
  }
}

function byNumber(resource: GroupResource, older: boolean): QuotaEvaluator {
  const names = older ? [countName(resource), resource.resource] : [countName(resource)];
  return {
    handles: ({ operation, subresource }) => operation === 'CREATE' && subresource === '',
    matching: (wanted) => wanted.filter((name) => names.includes(name)),
    inScope: () => false,
    usage: () => new Map(names.map((name) => [name, ONE])),
  };
}

// --- Pods ----------------------------------------------------------------------------------------------------

const POD_NAMES: ReadonlySet<string> = new Set(
  [
    'count/pods pods cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage',
    'limits.cpu limits.memory limits.ephemeral-storage',
  ].flatMap((names) => names.split(' ')),
);
/** Under a quota of one of these each container must say its amount. No others: that was a mistake to keep. */
const DEMANDED: readonly string[] = [
  'cpu',
  'limits.cpu',
  'limits.memory',
  'memory',
  'requests.cpu',
  'requests.memory',
];

const PODS: QuotaEvaluator = {
  handles({ operation, subresource, object, oldObject }) {
    if (subresource === 'resize') return operation === 'UPDATE';
    if (subresource !== '' || operation !== 'UPDATE') return subresource === '' && operation === 'CREATE';
    // A deadline that comes or goes moves the pod from one quota's scope into another's.
    return (
      object !== undefined &&
      oldObject !== undefined &&
      isTerminating(specOf(object)) !== isTerminating(specOf(oldObject))
    );
  },
  matching: (names) =>
    names.filter(
      (name) =>
        POD_NAMES.has(name) ||
        name.startsWith('hugepages-') ||
        name.startsWith('requests.hugepages-') ||
        (!isNativeResource(name) && name.startsWith('requests.')),
    ),
  missing(names, pod) {
    const demanded = DEMANDED.filter((name) => names.includes(name));
    const spec = specOf(pod);
    const lacking = demanded.flatMap((name) => {
      const containers = [...parts(spec, 'containers'), ...parts(spec, 'initContainers')]
        .filter((container) => !podNames(container).has(name))
        .map((container) => text(container, 'name'));
      return containers.length === 0 ? [] : [`${name} for: ${[...new Set(containers)].toSorted().join(',')}`];
    });
    return lacking.length === 0 ? undefined : `must specify ${lacking.join('; ')}`;
  },
  inScope(selector, pod) {
    const spec = specOf(pod);
    switch (selector.scopeName) {
      case 'Terminating':
        return isTerminating(spec);
      case 'NotTerminating':
        return !isTerminating(spec);
      case 'BestEffort':
        return isBestEffort(pod);
      case 'NotBestEffort':
        return !isBestEffort(pod);
      case 'PriorityClass':
        return matchesName(selector, [text(spec, 'priorityClassName')]);
      case 'CrossNamespacePodAffinity':
        return looksIntoNamespaces(spec);
      default:
        return false;
    }
  },
  usage(pod, nowMs) {
    const number = new Map([['count/pods', ONE]]);
    // The dead are counted as objects only.
    if (hasEnded(pod, nowMs)) return number;
    return sum(number, named(podRequests(pod), podLimits(pod)));
  },
};

/** The names a container's amounts count under. */
function podNames(container: JsonObject): Amounts {
  const resources = part(container, 'resources');
  return named(amountsOf(part(resources, 'requests')), amountsOf(part(resources, 'limits')));
}

function named(requests: Amounts, limits: Amounts): Amounts {
  const found = new Map([['pods', ONE]]);
  for (const name of ['cpu', 'memory', 'ephemeral-storage']) {
    const request = requests.get(name);
    const limit = limits.get(name);
    if (request !== undefined) found.set(name, request).set(`requests.${name}`, request);
    if (limit !== undefined) found.set(`limits.${name}`, limit);
  }
  for (const [name, amount] of requests) {
    if (name.startsWith('hugepages-')) found.set(name, amount).set(`requests.${name}`, amount);
    else if (isExtendedResource(name)) found.set(`requests.${name}`, amount);
  }
  return found;
}

function isTerminating(spec: JsonObject): boolean {
  return (countOf(spec, 'activeDeadlineSeconds') ?? -1) >= 0;
}

function hasEnded(pod: KubeObject, nowMs: number): boolean {
  const phase = text(part(pod, 'status'), 'phase');
  if (phase === 'Failed' || phase === 'Succeeded') return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  if (typeof deletionTimestamp !== 'string' || typeof deletionGracePeriodSeconds !== 'number') return false;
  const seconds = parseTime(deletionTimestamp)?.seconds;
  return seconds !== undefined && nowMs > (seconds + deletionGracePeriodSeconds) * 1_000;
}

function looksIntoNamespaces(spec: JsonObject): boolean {
  const affinity = part(spec, 'affinity');
  return ['podAffinity', 'podAntiAffinity'].some((kind) => {
    const rules = part(affinity, kind);
    const terms = [
      ...parts(rules, 'requiredDuringSchedulingIgnoredDuringExecution'),
      ...parts(rules, 'preferredDuringSchedulingIgnoredDuringExecution').map((each) =>
        part(each, 'podAffinityTerm'),
      ),
    ];
    return terms.some((term) => texts(term, 'namespaces').length > 0 || has(term, 'namespaceSelector'));
  });
}

/** Whether one of the names meets the requirement; having none is a case of its own. */
function matchesName({ scopeName, operator, values }: ScopeSelector, names: readonly string[]): boolean {
  const given = names.filter((name) => name !== '');
  const requirements = requirementsOf({ matchExpressions: [{ key: scopeName, operator, values }] });
  if (given.length === 0) return matchesLabels(requirements, {});
  return given.some((name) => matchesLabels(requirements, { [scopeName]: name }));
}

// --- Services ------------------------------------------------------------------------------------------------

const SERVICE_NAMES: readonly string[] = [
  'count/services',
  'services',
  'services.nodeports',
  'services.loadbalancers',
];

const SERVICES: QuotaEvaluator = {
  handles: ({ operation, subresource }) =>
    subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
  matching: (names) => names.filter((name) => SERVICE_NAMES.includes(name)),
  inScope: () => false,
  usage(service) {
    const spec = part(service, 'spec');
    const type = text(spec, 'type');
    const ports = parts(spec, 'ports');
    const balanced = type === 'LoadBalancer';
    // Ports are not allocated yet: what counts is what will be.
    const chosen = balanced && spec['allocateLoadBalancerNodePorts'] === false;
    const nodePorts = chosen
      ? ports.filter((port) => count(port, 'nodePort') !== 0).length
      : balanced || type === 'NodePort'
        ? ports.length
        : 0;
    return new Map([
      ['count/services', ONE],
      ['services', ONE],
      ['services.loadbalancers', Quantity.of(balanced ? 1 : 0)],
      ['services.nodeports', Quantity.of(nodePorts)],
    ]);
  },
};

// --- Claims of storage ---------------------------------------------------------------------------------------

const CLASS_SUFFIX = '.storageclass.storage.k8s.io/';
const CLAIM_NAMES: readonly string[] = ['persistentvolumeclaims', 'requests.storage'];

const CLAIMS: QuotaEvaluator = {
  handles({ operation, subresource, object, oldObject }) {
    if (subresource === '') return operation === 'CREATE' || operation === 'UPDATE';
    return subresource === 'status' && object !== undefined && oldObject !== undefined;
  },
  matching: (names) =>
    names.filter(
      (name) =>
        name === 'count/persistentvolumeclaims' ||
        CLAIM_NAMES.includes(name) ||
        CLAIM_NAMES.some((suffix) => name.endsWith(`${CLASS_SUFFIX}${suffix}`)),
    ),
  inScope: (selector, claim) =>
    selector.scopeName === 'VolumeAttributesClass' && matchesName(selector, attributesClasses(claim)),
  usage(claim) {
    const used = new Map([
      ['persistentvolumeclaims', ONE],
      ['count/persistentvolumeclaims', ONE],
    ]);
    const storageClass = storageClassOf(claim) ?? '';
    if (storageClass !== '') used.set(`${storageClass}${CLASS_SUFFIX}persistentvolumeclaims`, ONE);
    const storage = storageOf(claim);
    if (storage !== undefined) {
      used.set('requests.storage', storage);
      if (storageClass !== '') used.set(`${storageClass}${CLASS_SUFFIX}requests.storage`, storage);
    }
    return used;
  },
};

/** What is asked for, or what was allocated when that is more; whole bytes. */
function storageOf(claim: KubeObject): Quantity | undefined {
  const asked = amountsOf(part(part(part(claim, 'spec'), 'resources'), 'requests')).get('storage');
  const allocated = amountsOf(part(part(claim, 'status'), 'allocatedResources')).get('storage');
  if (asked === undefined) return undefined;
  const more = allocated !== undefined && allocated.compare(asked) > 0 ? allocated : asked;
  return Quantity.of(more.units(), more.format);
}

function attributesClasses(claim: KubeObject): string[] {
  const status = part(claim, 'status');
  return [
    text(part(claim, 'spec'), 'volumeAttributesClassName'),
    text(status, 'currentVolumeAttributesClassName'),
    text(part(status, 'modifyVolumeStatus'), 'targetVolumeAttributesClassName'),
  ];
}

// --- Claims of devices ---------------------------------------------------------------------------------------

const DEVICE_SUFFIX = '.deviceclass.resource.k8s.io/devices';
const DEVICE_COUNT = 'count/resourceclaims.resource.k8s.io';
/** As many as a claim may get at all: what `All` may come to. */
const DEVICES_MAX = Quantity.of(32);

const DEVICE_CLAIMS: QuotaEvaluator = {
  handles: ({ operation, subresource }) =>
    subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
  matching: (names) => names.filter((name) => name === DEVICE_COUNT || name.endsWith(DEVICE_SUFFIX)),
  inScope: () => false,
  usage(claim) {
    let used: Amounts = new Map([[DEVICE_COUNT, ONE]]);
    for (const request of parts(part(part(claim, 'spec'), 'devices'), 'requests')) {
      const exactly = partOf(request, 'exactly');
      if (exactly !== undefined) used = sum(used, devicesOf(exactly));
      let alternatives: Amounts = NOTHING;
      for (const each of parts(request, 'firstAvailable')) {
        alternatives = largest(alternatives, devicesOf(each));
      }
      used = sum(used, alternatives);
    }
    return used;
  },
};

function devicesOf(request: JsonObject): Amounts {
  const number =
    text(request, 'allocationMode') === 'All' ? DEVICES_MAX : Quantity.of(count(request, 'count') || 1);
  return new Map([[`${text(request, 'deviceClassName')}${DEVICE_SUFFIX}`, number]]);
}

/** Whether a write is one of what lies in a namespace; pods under their own endpoints too. */
export function isCounted({ namespace, resource, subresource, kind }: AdmissionAttributes): boolean {
  if (namespace === '' || (kind.group === '' && kind.kind === 'Namespace')) return false;
  if (subresource === '') return true;
  if (isPodsResource(resource)) return subresource === 'resize';
  return resource.group === '' && resource.resource === 'persistentvolumeclaims' && subresource === 'status';
}
