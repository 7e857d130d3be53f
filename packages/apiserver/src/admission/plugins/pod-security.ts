/**
 * PodSecurity: pods keep to the level of the Pod Security Standards that their namespace enforces; what it audits is
 * noted, what it warns of is told, for the templates of controllers as well. A namespace that begins to enforce a
 * stricter level hears which of its pods would not be let in.
 *
 * Modelled on Kubernetes' pod-security-admission/admission and plugin/pkg/admission/security/podsecurity.
 */

import type { JsonObject } from '../../api/json.ts';
import { describeResource, type KubeObject } from '../../api/meta.ts';
import { internalError, invalid } from '../../api/status.ts';
import { parts, part, partAt, partOf, text, textMap } from '../../validation/value.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import { specOf } from '../pod-parts.ts';
import { detailText, findingsOf, reasonText } from '../pod-security/evaluate.ts';
import type { PodView } from '../pod-security/finding.ts';
import {
  compareLevels,
  defaultPolicy,
  isPrivileged,
  levelText,
  modesSaid,
  policyOf,
  sameLevel,
  type LevelVersion,
  type Policy,
} from '../pod-security/level.ts';
import type { PluginContext } from '../plugin-context.ts';
import { aggregateText, refusal, textOf } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';
import { NAMESPACES } from './namespace-lifecycle.ts';

const PODS = { group: '', resource: 'pods' };
const ANNOTATION = 'pod-security.kubernetes.io/';
/** Endpoints of pods that cannot change what they may do. */
const IGNORED: ReadonlySet<string> = new Set([
  'exec',
  'attach',
  'binding',
  'eviction',
  'log',
  'portforward',
  'proxy',
  'status',
]);
/** Of a namespace that becomes stricter so many pods are looked at, for so long. */
const PODS_MAX = 3_000;
const TIME_MAX_MS = 1_000;

/** Where kinds that make pods keep their template. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  replicationcontrollers: ['spec', 'template'],
  podtemplates: ['template'],
  'replicasets.apps': ['spec', 'template'],
  'deployments.apps': ['spec', 'template'],
  'statefulsets.apps': ['spec', 'template'],
  'daemonsets.apps': ['spec', 'template'],
  'jobs.batch': ['spec', 'template'],
  'cronjobs.batch': ['spec', 'jobTemplate', 'spec', 'template'],
};

const PRIVILEGED: LevelVersion = { level: 'privileged', minor: undefined };

/** Of a namespace. */
interface FoundPolicy extends Policy {
  /** It says something that is no policy. */
  readonly malformed: boolean;
}

type Exemption = 'namespace' | 'user' | 'runtimeClass';

export function podSecurity({
  lookup,
  clock,
  settings,
  podSecurity: observer,
}: PluginContext): ValidatingPlugin {
  const { defaults = {}, exemptions = {} } = settings.podSecurity ?? {};
  const policyByDefault = defaultPolicy(defaults);

  const exemption = ({ namespace, user }: AdmissionAttributes): Exemption | undefined => {
    if (exemptions.namespaces?.includes(namespace) === true && namespace !== '') return 'namespace';
    return user !== undefined && exemptions.usernames?.includes(user.name) === true ? 'user' : undefined;
  };
  const isExemptClass = (spec: JsonObject): boolean => {
    const name = text(spec, 'runtimeClassName');
    return name !== '' && exemptions.runtimeClasses?.includes(name) === true;
  };

  // --- Namespaces --------------------------------------------------------------------------------------------

  const checkNamespace = async (attributes: AdmissionAttributes, namespace: KubeObject): Promise<void> => {
    const { operation, oldObject } = attributes;
    const name = namespace.metadata.name ?? '';
    const { labels } = namespace.metadata;
    const now = policyOf(labels, policyByDefault);
    const isExempt = exemptions.namespaces?.includes(name) === true;
    if (operation === 'CREATE' || oldObject === undefined) {
      if (now.errors.length > 0) throw invalid({ group: '', kind: 'Namespace' }, name, now.errors);
      if (isExempt) warnExempt(attributes, name, now.policy);
      return;
    }
    const before = policyOf(oldObject.metadata.labels, policyByDefault);
    const same =
      now.errors.length === before.errors.length &&
      now.errors.every((error, index) => error.body === before.errors[index].body);
    if (now.errors.length > 0 && !same) throw invalid({ group: '', kind: 'Namespace' }, name, now.errors);
    if (isExempt) return warnExempt(attributes, name, now.policy);
    const { enforce } = now.policy;
    const old = before.policy.enforce;
    if (sameLevel(enforce, old) || enforce.level === 'privileged') return;
    if (enforce.minor === old.minor && compareLevels(enforce.level, old.level) < 1) return;
    for (const warning of await warningsOf(name, enforce)) attributes.warn(warning);
  };

  const warnExempt = (attributes: AdmissionAttributes, name: string, policy: Policy): void => {
    const defaultsHold = (['enforce', 'audit', 'warn'] as const).every((mode) =>
      sameLevel(policy[mode], policyByDefault[mode]),
    );
    if (isPrivileged(policy) || defaultsHold) return;
    const said = modesSaid(policy, attributes.object?.metadata.labels);
    attributes.warn(
      `namespace ${JSON.stringify(name)} is exempt from Pod Security, and the policy (${said}) will be ignored`,
    );
  };

  /** What a namespace's pods have against its new level. */
  const warningsOf = async (namespace: string, enforce: LevelVersion): Promise<readonly string[]> => {
    let all: readonly KubeObject[];
    try {
      all = (await lookup.of(PODS)?.list(namespace)) ?? [];
    } catch {
      return ['failed to list pods while checking new PodSecurity enforce level'];
    }
    const pods = byUrgency(all.filter((pod) => !isExemptClass(specOf(pod))));
    const until = clock.monotonicMs() + TIME_MAX_MS;
    const found = new Map<string, string[]>();
    let checked = 0;
    for (const pod of pods.slice(0, PODS_MAX)) {
      checked += 1;
      const reasons = reasonText(findingsOf(enforce, podView(pod)));
      if (reasons !== '') found.set(reasons, [...(found.get(reasons) ?? []), pod.metadata.name ?? '']);
      if (clock.monotonicMs() > until) break;
    }
    const warnings: string[] = [];
    if (checked < pods.length) {
      warnings.push(
        `new PodSecurity enforce level only checked against the first ${checked} of ${pods.length} existing pods`,
      );
    }
    if (found.size > 0) {
      warnings.push(
        `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(levelText(enforce))}`,
      );
    }
    return [...warnings, ...[...found].map(([reasons, names]) => grouped(reasons, names)).toSorted()];
  };

  // --- Pods and what makes them ------------------------------------------------------------------------------

  /** The namespace's policy; undefined where there is nothing to be looked at. */
  const policyFor = async (
    attributes: AdmissionAttributes,
    modes: readonly (keyof Policy)[],
  ): Promise<FoundPolicy | undefined> => {
    const found = await getOrLive(lookup.of(NAMESPACES), '', attributes.namespace);
    if (found === undefined) {
      throw new Error(`namespaces ${JSON.stringify(attributes.namespace)} not found`);
    }
    const { policy, errors } = policyOf(found.metadata.labels, policyByDefault);
    if (errors.length > 0) {
      const texts = errors.map(({ field, body }) => `${field}: ${body}`);
      attributes.annotate(`${ANNOTATION}error`, `Failed to parse policy: ${aggregateText(texts)}`);
    }
    return errors.length === 0 && modes.every((mode) => policy[mode].level === 'privileged')
      ? undefined
      : { ...policy, malformed: errors.length > 0 };
  };

  const evaluate = (
    attributes: AdmissionAttributes,
    policy: FoundPolicy,
    pod: PodView,
    enforces: boolean,
  ): void => {
    if (isExemptClass(pod.spec)) {
      observer?.exempted(attributes);
      attributes.annotate(`${ANNOTATION}exempt`, 'runtimeClass');
      return;
    }
    if (policy.malformed) observer?.failed(attributes, false);
    const audited = findingsOf(policy.audit, pod);
    if (audited.length > 0) {
      observer?.evaluated(attributes, 'audit', policy.audit, 'deny');
      attributes.annotate(`${ANNOTATION}audit-violations`, would(policy.audit, detailText(audited)));
    }
    if (enforces) {
      attributes.annotate(`${ANNOTATION}enforce-policy`, levelText(policy.enforce));
      const findings = findingsOf(policy.enforce, pod);
      observer?.evaluated(attributes, 'enforce', policy.enforce, findings.length > 0 ? 'deny' : 'allow');
      if (findings.length > 0) {
        const level = JSON.stringify(levelText(policy.enforce));
        throw refusal(attributes, `violates PodSecurity ${level}: ${detailText(findings)}`);
      }
    }
    const warned = findingsOf(policy.warn, pod);
    if (warned.length === 0) return;
    observer?.evaluated(attributes, 'warn', policy.warn, 'deny');
    attributes.warn(would(policy.warn, detailText(warned)));
  };

  const checkPod = async (attributes: AdmissionAttributes, pod: KubeObject): Promise<void> => {
    let policy: FoundPolicy | undefined;
    try {
      policy = await policyFor(attributes, ['enforce', 'audit', 'warn']);
    } catch (error) {
      observer?.failed(attributes, true);
      throw internalError(
        `failed to lookup namespace ${JSON.stringify(attributes.namespace)}: ${textOf(error)}`,
      );
    }
    if (policy === undefined) {
      observer?.evaluated(attributes, 'enforce', PRIVILEGED, 'allow');
      attributes.annotate(`${ANNOTATION}enforce-policy`, 'privileged:latest');
      return;
    }
    const { operation, oldObject } = attributes;
    if (operation === 'UPDATE' && oldObject !== undefined && !isSignificant(pod, oldObject)) return;
    evaluate(attributes, policy, podView(pod), true);
  };

  const checkTemplate = async (attributes: AdmissionAttributes, template: JsonObject): Promise<void> => {
    let policy: FoundPolicy | undefined;
    try {
      policy = await policyFor(attributes, ['audit', 'warn']);
    } catch (error) {
      // A template is never refused: the pods made of it will be.
      observer?.failed(attributes, true);
      attributes.annotate(
        `${ANNOTATION}error`,
        `failed to lookup namespace ${JSON.stringify(attributes.namespace)}: ${textOf(error)}`,
      );
      return;
    }
    if (policy !== undefined) evaluate(attributes, policy, podView(template), false);
  };

  return {
    name: 'PodSecurity',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { object, resource, subresource } = attributes;
      if (object === undefined) return;
      const name = describeResource(resource);
      if (name === 'namespaces') {
        if (subresource === '') await checkNamespace(attributes, object);
        return;
      }
      const isPod = name === 'pods' && !IGNORED.has(subresource);
      const makesPods = Object.hasOwn(TEMPLATES, name) && subresource === '';
      if (!isPod && !makesPods) return;
      const exempt = exemption(attributes);
      if (exempt !== undefined) {
        observer?.exempted(attributes);
        attributes.annotate(`${ANNOTATION}exempt`, exempt);
        return;
      }
      if (isPod) return await checkPod(attributes, object);
      const template = templateOf(object, TEMPLATES[name]);
      if (template !== undefined) await checkTemplate(attributes, template);
    },
  };
}

function templateOf(object: KubeObject, path: readonly string[]): JsonObject | undefined {
  const [last] = path.slice(-1);
  return partOf(partAt(object, ...path.slice(0, -1)), last);
}

function podView(pod: object): PodView {
  const fields = { ...pod };
  return { annotations: textMap(part(fields, 'metadata'), 'annotations'), spec: part(fields, 'spec') };
}

function would(level: LevelVersion, detail: string): string {
  return `would violate PodSecurity ${JSON.stringify(levelText(level))}: ${detail}`;
}

/** Of the pods of one controller, which are all alike, one is looked at before the rest. */
function byUrgency(pods: readonly KubeObject[]): readonly KubeObject[] {
  const seen = new Set<string>();
  const first: KubeObject[] = [];
  const rest: KubeObject[] = [];
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find((each) => each.controller === true)?.uid;
    if (owner !== undefined && seen.has(owner)) {
      rest.push(pod);
      continue;
    }
    if (owner !== undefined) seen.add(owner);
    first.push(pod);
  }
  return [...first, ...rest];
}

/** `a (and 2 other pods): privileged`, `a` being the first by name. */
function grouped(reasons: string, names: readonly string[]): string {
  const [first] = names.toSorted();
  const others = names.length - 1;
  if (others === 0) return `${first}: ${reasons}`;
  return `${first} (and ${others} other ${others === 1 ? 'pod' : 'pods'}): ${reasons}`;
}

/** Whether an update changes what a control could look at: the rest of a pod's spec cannot change. */
function isSignificant(pod: KubeObject, old: KubeObject): boolean {
  const [now, before] = [specOf(pod), specOf(old)];
  const key = 'container.seccomp.security.alpha.kubernetes.io/';
  const differs = (container: JsonObject, other: JsonObject | undefined): boolean => {
    if (other === undefined || text(container, 'image') !== text(other, 'image')) return true;
    const annotation = `${key}${text(container, 'name')}`;
    return pod.metadata.annotations?.[annotation] !== old.metadata.annotations?.[annotation];
  };
  for (const list of ['containers', 'initContainers']) {
    const [mine, theirs] = [parts(now, list), parts(before, list)];
    if (mine.length !== theirs.length) return true;
    if (mine.some((container, index) => differs(container, theirs[index]))) return true;
  }
  const ephemeral = parts(before, 'ephemeralContainers');
  return parts(now, 'ephemeralContainers').some((container) =>
    differs(
      container,
      ephemeral.find((other) => text(other, 'name') === text(container, 'name')),
    ),
  );
}
