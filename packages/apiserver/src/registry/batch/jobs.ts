/** Job: pods that run until so many have succeeded. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabelSelector, selectorFits } from '../../validation/labels.ts';
import { goMap, goValue } from '../../validation/go-values.ts';
import { dnsLabelErrors } from '../../validation/names.ts';
import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import {
  count,
  countOf,
  flag,
  has,
  part,
  partAt,
  partOf,
  parts,
  same,
  text,
  textMap,
  withField,
  withFieldAt,
  without,
} from '../../validation/value.ts';
import { withMetadata } from '../generation.ts';
import { defineKind, METADATA, SPEC } from '../kinds/kind.ts';
import { checkJobSpec } from './job-spec.ts';
import { checkJobStatus, isTrue } from './job-status.ts';

const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const NAME_LABEL = 'batch.kubernetes.io/job-name';
/** The labels of a job's pods: those without a prefix are what they were called first. */
const LABELS: readonly string[] = ['controller-uid', 'job-name', UID_LABEL, NAME_LABEL];

const PODS_STAY =
  'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning';

export const jobs = defineKind({
  group: 'batch',
  types: 'batch',
  resource: 'jobs',
  kind: 'Job',
  scope: 'Namespaced',
  categories: ['all'],
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'template', 'spec'],
    defaultPropagationPolicy: () => 'Orphan',
    warningsOnDelete: (_object, _context, { propagationPolicy, orphanDependents }) =>
      propagationPolicy === undefined && orphanDependents === undefined ? [PODS_STAY] : [],
    prepareForCreate: (object) => ({ ...withSelector(object), status: {} }),
    check(errors, object, old) {
      const spec = part(object, 'spec');
      checkGenerated(errors, object, old);
      checkJobSpec(errors, SPEC, spec);
      const selector = partOf(spec, 'selector');
      if (selector === undefined) errors.required(SPEC.child('selector'));
      else checkLabelSelector(errors, SPEC.child('selector'), selector);
      const metadata = part(part(spec, 'template'), 'metadata');
      if (!selectorFits(selector, textMap(metadata, 'labels'))) {
        errors.invalid(
          SPEC.child('template', 'metadata', 'labels'),
          goMap(metadata['labels']),
          '`selector` does not match template `labels`',
        );
      }
    },
    checkCreate(errors, object) {
      const completions = count(part(object, 'spec'), 'completions');
      if (text(part(object, 'spec'), 'completionMode') !== 'Indexed' || completions <= 0) return;
      const name = object.metadata.name ?? '';
      const hostname = `${name}-${completions - 1}`;
      if (dnsLabelErrors(hostname).length > 0) {
        errors.invalid(
          METADATA.child('name'),
          name,
          `will not able to create pod with invalid DNS label: ${hostname}`,
        );
      }
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      checkCompletions(errors, spec, before);
      const kept = (name: string): void => {
        if (!same(spec[name], before[name]))
          errors.invalid(SPEC.child(name), shownAs(name, spec[name]), 'field is immutable');
      };
      kept('selector');
      checkTemplateKept(errors, spec, before, part(old, 'status'));
      for (const name of [
        'completionMode',
        'podFailurePolicy',
        'backoffLimitPerIndex',
        'managedBy',
        'successPolicy',
      ]) {
        kept(name);
      }
    },
    warnings(object, old) {
      const warnings = old === undefined ? hostnameWarnings(object) : [];
      const spec = part(object, 'spec');
      const indexed = text(spec, 'completionMode') === 'Indexed';
      if (indexed && count(spec, 'completions') > 100_000 && count(spec, 'parallelism') > 10_000) {
        warnings.push(
          'spec.completions: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
        );
      }
      return [...warnings, ...templateWarnings(SPEC.child('template'), object, old)];
    },
    status: { check: checkJobStatus },
  },
  selectable: {
    names: ['status.successful'],
    values: (object) => ({ 'status.successful': String(count(part(object, 'status'), 'succeeded')) }),
    refusal: (field) => `field label ${JSON.stringify(field)} not supported for Job`,
  },
});

/** A member as messages show it. */
function shownAs(name: string, value: unknown): unknown {
  if (name === 'podFailurePolicy') return goValue('batch.PodFailurePolicy', value);
  if (name === 'successPolicy') return goValue('batch.SuccessPolicy', value);
  return name === 'selector' ? goValue('v1.LabelSelector', value) : value;
}

/**
 * The labels the server gave stand as it gave them, and the selector finds them.
 *
 * @param old a job of a time without prefixed labels need not get them
 */
function checkGenerated(errors: FieldErrors, object: KubeObject, old: KubeObject | undefined): void {
  const spec = part(object, 'spec');
  const selector = partOf(spec, 'selector');
  if (flag(spec, 'manualSelector') || selector === undefined) return;
  const labels = labelsOf(object);
  const had = old === undefined ? undefined : labelsOf(old);
  const prefixed = had === undefined || (had[NAME_LABEL] !== undefined && had[UID_LABEL] !== undefined);
  const expected = Object.fromEntries(
    Object.entries(expectedLabels(object)).filter(([key]) => prefixed || !key.includes('/')),
  );
  for (const [key, value] of Object.entries(expected)) {
    const at = SPEC.child('template', 'metadata', 'labels').key(key);
    if (labels[key] === undefined) errors.required(at, `must be '${value}'`);
    else if (labels[key] !== value) errors.invalid(at, goMap(labels), `must be '${value}'`);
  }
  if (!selectorFits(selector, expected)) {
    const shown = goValue('v1.LabelSelector', selector);
    errors.invalid(SPEC.child('selector'), shown, '`selector` not auto-generated');
  }
}

function labelsOf(object: KubeObject): Readonly<Record<string, string>> {
  return textMap(partAt(object, 'spec', 'template', 'metadata'), 'labels');
}

function checkCompletions(errors: FieldErrors, spec: JsonObject, before: JsonObject): void {
  if (same(spec['completions'], before['completions'])) return;
  const at = SPEC.child('completions');
  if (text(spec, 'completionMode') !== 'Indexed')
    errors.invalid(at, spec['completions'], 'field is immutable');
  else if (has(spec, 'completions') && countOf(spec, 'completions') !== countOf(spec, 'parallelism'))
    errors.invalid(at, spec['completions'], 'can only be modified in tandem with spec.parallelism');
}

/** A job that is suspended may still be placed elsewhere and get other resources. */
function checkTemplateKept(
  errors: FieldErrors,
  spec: JsonObject,
  before: JsonObject,
  status: JsonObject,
): void {
  const open = flag(before, 'suspend') && isTrue(status, 'Suspended') && count(status, 'active') === 0;
  const now = part(spec, 'template');
  const had = part(before, 'template');
  const at = SPEC.child('template');
  if (!open) {
    if (!same(now, had)) errors.invalid(at, goValue('core.PodTemplateSpec', now), 'field is immutable');
  } else if (!same(besidePlacement(part(now, 'spec')), besidePlacement(part(had, 'spec')))) {
    errors.invalid(at.child('spec'), goValue('core.PodSpec', now['spec']), 'field is immutable');
  }
}

function besidePlacement(pod: JsonObject): JsonObject {
  const affinity = without(part(pod, 'affinity'), 'nodeAffinity');
  let rest = without(pod, 'nodeSelector', 'tolerations', 'schedulingGates');
  rest = withField(rest, 'affinity', Object.keys(affinity).length === 0 ? undefined : affinity);
  for (const list of ['containers', 'initContainers']) {
    if (has(rest, list))
      rest = withField(
        rest,
        list,
        parts(rest, list).map((container) => without(container, 'resources')),
      );
  }
  return rest;
}

function expectedLabels({ metadata }: KubeObject): Record<string, string> {
  const { uid = '', name = '' } = metadata;
  return Object.fromEntries(LABELS.map((label) => [label, label.endsWith('controller-uid') ? uid : name]));
}

/** The selector that the server makes of the job's uid, and the labels that go with it. */
function withSelector(object: KubeObject): KubeObject {
  const spec = part(object, 'spec');
  if (flag(spec, 'manualSelector')) return object;
  const template = part(spec, 'template');
  const metadata = part(template, 'metadata');
  // What somebody wrote there stays, and is refused where it differs.
  const labels = { ...textMap(metadata, 'labels') };
  for (const [key, value] of Object.entries(expectedLabels(object))) labels[key] ??= value;
  const selector = partOf(spec, 'selector') ?? {};
  const matchLabels = { [UID_LABEL]: object.metadata.uid ?? '', ...textMap(selector, 'matchLabels') };
  const labelled = withFieldAt(
    withFieldAt(object, ['spec', 'selector'], { ...selector, matchLabels }),
    ['spec', 'template'],
    { ...template, metadata: { ...metadata, labels } },
  );
  // Labels that the job has of its template (defaults/workload-defaults.ts) are the template's, those of the server too.
  const shared = object.metadata.labels !== undefined && object.metadata.labels === metadata['labels'];
  return shared ? withMetadata(labelled, { labels }) : labelled;
}
