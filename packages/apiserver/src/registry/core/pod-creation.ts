/**
 * What the server writes into a pod that is made: label keys become part of the selectors they stand beside, a pod
 * whose scheduling is held back says so, profiles of AppArmor that annotations of old name become fields.
 *
 * Modelled on PrepareForCreate of kubernetes' pkg/registry/core/pod.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { APP_ARMOR, appArmorProfileOf } from '../../validation/pod-annotations.ts';
import { has, part, partOf, parts, same, text, texts, withField } from '../../validation/value.ts';

type Labels = Readonly<Record<string, string>>;

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const CONTAINERS: readonly string[] = ['initContainers', 'containers'];

export function madePod(object: KubeObject): KubeObject {
  const labels = object.metadata.labels ?? {};
  const annotations = object.metadata.annotations ?? {};
  let spec = withAffinity(part(object, 'spec'), labels);
  if (has(spec, 'topologySpreadConstraints')) {
    const constraints = parts(spec, 'topologySpreadConstraints');
    spec = withField(
      spec,
      'topologySpreadConstraints',
      constraints.map((each) => withKeys(each, labels)),
    );
  }
  if (text(part(spec, 'os'), 'name') !== 'windows') spec = withAppArmor(spec, annotations);
  return withField(object, 'spec', spec);
}

/** The condition of a pod that waits for its gates. @param now in RFC 3339 */
export function gatedConditions(spec: JsonObject, now: string): JsonObject {
  if (parts(spec, 'schedulingGates').length === 0) return {};
  return {
    conditions: [
      {
        type: 'PodScheduled',
        status: 'False',
        lastProbeTime: null,
        lastTransitionTime: now,
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
      },
    ],
  };
}

function withAffinity(spec: JsonObject, labels: Labels): JsonObject {
  let affinity = partOf(spec, 'affinity');
  if (affinity === undefined) return spec;
  for (const name of ['podAffinity', 'podAntiAffinity']) {
    let terms = partOf(affinity, name);
    if (terms === undefined) continue;
    if (has(terms, REQUIRED)) {
      const required = parts(terms, REQUIRED);
      terms = withField(
        terms,
        REQUIRED,
        required.map((each) => withKeys(each, labels)),
      );
    }
    if (has(terms, PREFERRED)) {
      const preferred = parts(terms, PREFERRED);
      terms = withField(
        terms,
        PREFERRED,
        preferred.map((each) =>
          withField(each, 'podAffinityTerm', withKeys(part(each, 'podAffinityTerm'), labels)),
        ),
      );
    }
    affinity = withField(affinity, name, terms);
  }
  return withField(spec, 'affinity', affinity);
}

/** A term whose selector asks for the pod's own values of its keys. A selector that is not there finds nothing. */
function withKeys(term: JsonObject, labels: Labels): JsonObject {
  const selector = partOf(term, 'labelSelector');
  if (selector === undefined) return term;
  const asked = [
    ...texts(term, 'matchLabelKeys').map((key) => [key, 'In'] as const),
    ...texts(term, 'mismatchLabelKeys').map((key) => [key, 'NotIn'] as const),
  ].filter(([key]) => Object.hasOwn(labels, key));
  if (asked.length === 0) return term;
  const added = asked.map(([key, operator]) => ({ key, operator, values: [labels[key]] }));
  const matchExpressions = [...parts(selector, 'matchExpressions'), ...added];
  return withField(term, 'labelSelector', { ...selector, matchExpressions });
}

/** Profiles by annotation, where a container has none and its pod has another. */
function withAppArmor(spec: JsonObject, annotations: Labels): JsonObject {
  const ofPod = partOf(part(spec, 'securityContext'), 'appArmorProfile');
  let filled = spec;
  for (const list of CONTAINERS) {
    if (!has(spec, list)) continue;
    const containers = parts(spec, list).map((container) => {
      const said = annotations[APP_ARMOR + text(container, 'name')];
      const context = part(container, 'securityContext');
      if (said === undefined || has(context, 'appArmorProfile')) return container;
      const profile = appArmorProfileOf(said);
      if (profile === undefined || same(profile, ofPod)) return container;
      return withField(container, 'securityContext', { ...context, appArmorProfile: profile });
    });
    filled = withField(filled, list, containers);
  }
  return filled;
}
