/**
 * What is right in a pod and yet worth a word: fields and labels that are deprecated, definitions that hide each
 * other, selectors that find nothing. Gives texts for Warning headers, refuses nothing.
 *
 * Modelled on GetWarningsForPod and GetWarningsForPodTemplate of kubernetes' pkg/api/pod; texts are its own.
 */

import type { JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { FieldPath } from './field-path.ts';
import { dnsLabelErrors } from './names.ts';
import { APP_ARMOR, appArmorProfileOf } from './pod-annotations.ts';
import { quantity } from './scalars.ts';
import { count, countOf, has, part, partOf, parts, same, text, textMap } from './value.ts';

/** Labels of nodes that are called otherwise by now. */
const NODE_LABELS: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type':
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const ANNOTATIONS: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod':
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

/** Sources of volumes that are on their way out, or gone. */
export const VOLUME_WARNINGS: readonly (readonly [name: string, text: string])[] = [
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
];
/** Upstream's paths name one of them as Go does. */
const VOLUME_PATHS: Readonly<Record<string, string>> = { storageos: 'storageOS' };

const SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead';
const NO_SELECTOR = 'a null labelSelector results in matching no pod';

/** Why a node's label should not be used; undefined for others. */
export function nodeLabelWarning(key: string): string | undefined {
  return Object.hasOwn(NODE_LABELS, key) ? NODE_LABELS[key] : undefined;
}

/** A pod's name is its hostname. */
export function podNameWarnings({ metadata }: KubeObject): string[] {
  const wrong = dnsLabelErrors(metadata.name ?? '');
  return wrong.length === 0
    ? []
    : [
        `metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`,
      ];
}

/** A workload's name becomes part of its pods' names. */
export function hostnameWarnings({ metadata }: KubeObject): string[] {
  const wrong = dnsLabelErrors(metadata.name ?? '');
  return wrong.length === 0
    ? []
    : [
        `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`,
      ];
}

/**
 * Of the template at a path of the object; on an update, when the object's generation changed alone.
 *
 * @param path below the object's top, `spec.template`
 */
export function templateWarnings(path: FieldPath, object: KubeObject, old: KubeObject | undefined): string[] {
  if (old !== undefined && old.metadata.generation === object.metadata.generation) return [];
  let template: JsonObject = part({ object }, 'object');
  for (const step of path.toString().split('.')) template = part(template, step);
  return podWarnings(path, template);
}

/** @param path of the pod or template; undefined for a pod itself */
export function podWarnings(path: FieldPath | undefined, pod: JsonObject): string[] {
  const below = (...names: readonly [string, ...string[]]): FieldPath =>
    path === undefined ? FieldPath.of(...names) : path.child(...names);
  const spec = part(pod, 'spec');
  const annotations = textMap(part(pod, 'metadata'), 'annotations');
  const warnings: string[] = [];
  const warn = (at: FieldPath, said: string): void => {
    warnings.push(`${at.toString()}: ${said}`);
  };
  placementWarnings(below('spec'), spec, warn);
  for (const [key, said] of Object.entries(ANNOTATIONS)) {
    if (Object.hasOwn(annotations, key)) warn(below('metadata', 'annotations').key(key), said);
  }
  for (const [index, volume] of parts(spec, 'volumes').entries()) {
    const at = below('spec', 'volumes').index(index);
    for (const [name, said] of VOLUME_WARNINGS) {
      if (has(volume, name)) warn(at.child(VOLUME_PATHS[name] ?? name), said);
    }
    const claim = part(part(part(volume, 'ephemeral'), 'volumeClaimTemplate'), 'spec');
    if (has(claim, 'resources')) {
      warnings.push(...claimSpecWarnings(at.child('ephemeral', 'volumeClaimTemplate', 'spec'), claim));
    }
  }
  duplicateWarnings(below('spec'), spec, warn);
  for (const name of ['memory', 'ephemeral-storage']) {
    const amount = part(spec, 'overhead')[name];
    if (isFraction(amount)) warn(below('spec', 'overhead').key(name), fractionOf(amount));
  }
  if (
    Object.hasOwn(annotations, 'seccomp.security.alpha.kubernetes.io/pod') &&
    !has(part(spec, 'securityContext'), 'seccompProfile')
  ) {
    warn(below('metadata', 'annotations').key('seccomp.security.alpha.kubernetes.io/pod'), SECCOMP);
  }
  for (const [container, at] of containersOf(below('spec'), spec)) {
    const key = `container.seccomp.security.alpha.kubernetes.io/${text(container, 'name')}`;
    if (Object.hasOwn(annotations, key) && !has(part(container, 'securityContext'), 'seccompProfile'))
      warn(below('metadata', 'annotations').key(key), SECCOMP);
    // Of a pod the annotation has become a field by now.
    const profile = `${APP_ARMOR}${text(container, 'name')}`;
    const said = annotations[profile];
    if (
      path !== undefined &&
      said !== undefined &&
      !has(part(container, 'securityContext'), 'appArmorProfile') &&
      !same(appArmorProfileOf(said), partOf(part(spec, 'securityContext'), 'appArmorProfile'))
    ) {
      warn(
        below('metadata', 'annotations').key(profile),
        'deprecated since v1.30; use the "appArmorProfile" field instead',
      );
    }
    for (const name of ['memory', 'ephemeral-storage']) {
      for (const kind of ['limits', 'requests']) {
        const amount = part(part(container, 'resources'), kind)[name];
        if (isFraction(amount)) warn(at.child('resources', kind).key(name), fractionOf(amount));
      }
    }
    environmentWarnings(at.child('env'), parts(container, 'env'), warn);
  }
  portWarnings(below('spec'), spec, warn);
  if ((countOf(spec, 'terminationGracePeriodSeconds') ?? 0) < 0) {
    warn(
      below('spec', 'terminationGracePeriodSeconds'),
      'must be >= 0; negative values are invalid and will be treated as 1',
    );
  }
  affinityWarnings(below('spec', 'affinity'), part(spec, 'affinity'), warn);
  return warnings;
}

/** A claim for part of a byte. */
export function claimSpecWarnings(path: FieldPath, spec: JsonObject): string[] {
  const warnings: string[] = [];
  for (const kind of ['requests', 'limits']) {
    const amount = part(part(spec, 'resources'), kind)['storage'];
    if (!isFraction(amount)) continue;
    warnings.push(`${path.child('resources', kind).key('storage').toString()}: ${fractionOf(amount)}`);
  }
  return warnings;
}

type Warn = (at: FieldPath, said: string) => void;

function isFraction(amount: unknown): boolean {
  return amount !== undefined && quantity(amount).nanos % 1_000_000_000n !== 0n;
}

function fractionOf(amount: unknown): string {
  return `fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`;
}

function containersOf(path: FieldPath, spec: JsonObject): (readonly [JsonObject, FieldPath])[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    parts(spec, list).map((container, index) => [container, path.child(list).index(index)] as const),
  );
}

function placementWarnings(path: FieldPath, spec: JsonObject, warn: Warn): void {
  for (const key of Object.keys(textMap(spec, 'nodeSelector'))) {
    const said = nodeLabelWarning(key);
    if (said !== undefined) warn(path.child('nodeSelector').key(key), said);
  }
  const affinity = part(part(spec, 'affinity'), 'nodeAffinity');
  const required = path.child('affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution');
  const terms = parts(part(affinity, 'requiredDuringSchedulingIgnoredDuringExecution'), 'nodeSelectorTerms');
  for (const [index, term] of terms.entries())
    termWarnings(required.child('nodeSelectorTerms').index(index), term, warn);
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  for (const [index, term] of parts(affinity, preferred).entries()) {
    const at = path.child('affinity', 'nodeAffinity', preferred).index(index).child('preference');
    termWarnings(at, part(term, 'preference'), warn);
  }
  for (const [index, constraint] of parts(spec, 'topologySpreadConstraints').entries()) {
    const at = path.child('topologySpreadConstraints').index(index);
    const key = text(constraint, 'topologyKey');
    const said = nodeLabelWarning(key);
    if (said !== undefined) warn(at.child('topologyKey'), `${key} is ${said}`);
    if (!has(constraint, 'labelSelector')) warn(at.child('labelSelector'), NO_SELECTOR);
  }
}

function termWarnings(path: FieldPath, term: JsonObject, warn: Warn): void {
  for (const [index, expression] of parts(term, 'matchExpressions').entries()) {
    const key = text(expression, 'key');
    const said = nodeLabelWarning(key);
    if (said !== undefined)
      warn(path.child('matchExpressions').index(index).child('key'), `${key} is ${said}`);
  }
}

function duplicateWarnings(path: FieldPath, spec: JsonObject, warn: Warn): void {
  for (const [list, name] of [
    ['hostAliases', 'ip'],
    ['imagePullSecrets', 'name'],
  ] as const) {
    const seen = new Set<string>();
    for (const [index, item] of parts(spec, list).entries()) {
      const value = text(item, name);
      if (seen.has(value))
        warn(path.child(list).index(index).child(name), `duplicate ${name} ${JSON.stringify(value)}`);
      seen.add(value);
    }
  }
  for (const [index, secret] of parts(spec, 'imagePullSecrets').entries()) {
    if (text(secret, 'name') === '')
      warn(path.child('imagePullSecrets').index(index).child('name'), 'invalid empty name ""');
  }
}

/** A variable that stands twice is right where the second is made of the first. */
function environmentWarnings(path: FieldPath, variables: readonly JsonObject[], warn: Warn): void {
  const seen = new Set<string>();
  for (const [index, variable] of variables.entries()) {
    const name = text(variable, 'name');
    const value = text(variable, 'value');
    const reference = `$(${name})`;
    const hides = has(variable, 'valueFrom') || value === reference || !value.includes(reference);
    if (seen.has(name) && hides)
      warn(
        path.index(index),
        `hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
      );
    seen.add(name);
  }
}

function portWarnings(path: FieldPath, spec: JsonObject, warn: Warn): void {
  const known = new Map<string, { readonly at: FieldPath; readonly port: JsonObject }[]>();
  for (const [container, place] of containersOf(path, spec)) {
    for (const [index, port] of parts(container, 'ports').entries()) {
      const at = place.child('ports').index(index);
      const id = `${count(port, 'containerPort')}/${text(port, 'protocol')}`;
      const others = known.get(id) ?? [];
      for (const other of others) {
        const said = portConflict(port, other.port);
        if (said !== undefined) warn(at, `${said} port definition with ${other.at.toString()}`);
      }
      known.set(id, [...others, { at, port }]);
    }
  }
}

function portConflict(a: JsonObject, b: JsonObject): string | undefined {
  const port = count(a, 'hostPort');
  const ip = text(a, 'hostIP');
  const otherIp = text(b, 'hostIP');
  if (port === count(b, 'hostPort') && ip === otherIp) return 'duplicate';
  if (port === 0 || count(b, 'hostPort') === 0) return 'overlapping';
  const oneOpen = (ip === '') !== (otherIp === '');
  return port === count(b, 'hostPort') && oneOpen ? 'dangerously ambiguous' : undefined;
}

function affinityWarnings(path: FieldPath, affinity: JsonObject, warn: Warn): void {
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const rules = partOf(affinity, kind);
    if (rules === undefined) continue;
    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    for (const [index, term] of parts(rules, required).entries()) {
      if (!has(term, 'labelSelector'))
        warn(path.child(kind, required).index(index).child('labelSelector'), NO_SELECTOR);
    }
    const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
    for (const [index, term] of parts(rules, preferred).entries()) {
      if (!has(part(term, 'podAffinityTerm'), 'labelSelector'))
        warn(path.child(kind, preferred).index(index).child('podAffinityTerm', 'labelSelector'), NO_SELECTOR);
    }
  }
}
