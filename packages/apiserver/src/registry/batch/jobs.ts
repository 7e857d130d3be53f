/** Job: pods that run until so many have succeeded. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import {
  count,
  countOf,
  flag,
  has,
  part,
  partOf,
  parts,
  same,
  text,
  textMap,
  withField,
  withFieldAt,
  without,
} from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

const INDEXED_MAX = 100_000;
const LABELS: readonly string[] = [
  'controller-uid',
  'batch.kubernetes.io/controller-uid',
  'job-name',
  'batch.kubernetes.io/job-name',
];

export const jobs = defineKind({
  group: 'batch',
  types: 'batch',
  resource: 'jobs',
  kind: 'Job',
  scope: 'Namespaced',
  categories: ['all'],
  checks: {
    generation: ['spec'],
    defaultPropagationPolicy: () => 'Orphan',
    warningsOnDelete: () => [],
    prepareForCreate: (object) => ({ ...withSelector(object), status: {} }),
    check(errors, object) {
      const spec = part(object, 'spec');
      checkJobSpec(errors, SPEC, spec);
      const selector = partOf(spec, 'selector');
      if (selector === undefined) errors.required(SPEC.child('selector'));
      else {
        checkLabelSelector(errors, SPEC.child('selector'), selector);
        const labels = textMap(part(part(spec, 'template'), 'metadata'), 'labels');
        const wanted = textMap(selector, 'matchLabels');
        if (Object.entries(wanted).some(([key, value]) => labels[key] !== value)) {
          errors.invalid(
            SPEC.child('template', 'metadata', 'labels'),
            labels,
            '`selector` does not match template `labels`',
          );
        }
      }
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      const suspended = flag(before, 'suspend') && !has(part(old, 'status'), 'startTime');
      const indexed =
        text(spec, 'completionMode') === 'Indexed' && same(spec['completions'], spec['parallelism']);
      if (!indexed && !same(spec['completions'], before['completions'])) {
        errors.invalid(SPEC.child('completions'), spec['completions'], 'field is immutable');
      }
      for (const name of [
        'selector',
        'completionMode',
        'podFailurePolicy',
        'backoffLimitPerIndex',
        'managedBy',
        'successPolicy',
      ]) {
        if (!same(spec[name], before[name]))
          errors.invalid(SPEC.child(name), spec[name], 'field is immutable');
      }
      if (!same(templateKept(spec, suspended), templateKept(before, suspended))) {
        errors.invalid(SPEC.child('template'), spec['template'], 'field is immutable');
      }
    },
    status: {
      check(errors, object) {
        for (const name of ['active', 'succeeded', 'failed', 'ready', 'terminating']) {
          checkNotNegative(errors, STATUS.child(name), countOf(part(object, 'status'), name));
        }
      },
    },
  },
  selectable: {
    names: ['status.successful'],
    values: (object) => ({ 'status.successful': String(count(part(object, 'status'), 'succeeded')) }),
    refusal: (field) => `field label ${JSON.stringify(field)} not supported for Job`,
  },
});

/** A job that did not start may still be placed elsewhere. */
function templateKept(spec: JsonObject, suspended: boolean): JsonObject {
  const template = part(spec, 'template');
  if (!suspended) return template;
  let kept = withFieldAt(
    template,
    ['metadata'],
    without(part(template, 'metadata'), 'labels', 'annotations'),
  );
  kept = withField(
    kept,
    'spec',
    without(part(kept, 'spec'), 'nodeSelector', 'affinity', 'tolerations', 'schedulingGates'),
  );
  return kept;
}

/** The selector that the server makes of the job's uid, and the labels that go with it. */
function withSelector(object: KubeObject): KubeObject {
  const spec = part(object, 'spec');
  if (flag(spec, 'manualSelector')) return object;
  const { uid = '', name = '' } = object.metadata;
  const template = part(spec, 'template');
  const metadata = part(template, 'metadata');
  const labels = { ...textMap(metadata, 'labels') };
  for (const label of LABELS) labels[label] ??= label.endsWith('controller-uid') ? uid : name;
  const selector = partOf(spec, 'selector') ?? {};
  const matchLabels = { ...textMap(selector, 'matchLabels'), 'batch.kubernetes.io/controller-uid': uid };
  return withField(object, 'spec', {
    ...spec,
    selector: { ...selector, matchLabels },
    template: { ...template, metadata: { ...metadata, labels } },
  });
}

/** What holds for jobs and for the template of one. */
export function checkJobSpec(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  for (const name of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ]) {
    checkNotNegative(errors, path.child(name), countOf(spec, name));
  }
  const indexed = text(spec, 'completionMode') === 'Indexed';
  if (has(spec, 'completionMode')) {
    const mode = text(spec, 'completionMode');
    if (mode !== 'NonIndexed' && mode !== 'Indexed')
      errors.notSupported(path.child('completionMode'), mode, ['Indexed', 'NonIndexed']);
    if (indexed) {
      const completions = countOf(spec, 'completions');
      if (completions === undefined) {
        errors.required(path.child('completions'), 'when completion mode is Indexed');
      } else if (completions > 0 && count(spec, 'parallelism') > INDEXED_MAX) {
        errors.invalid(
          path.child('parallelism'),
          count(spec, 'parallelism'),
          `must be less than or equal to ${INDEXED_MAX} when completion mode is Indexed`,
        );
      }
    }
  }
  if (!indexed) {
    for (const name of ['backoffLimitPerIndex', 'maxFailedIndexes', 'successPolicy']) {
      if (has(spec, name)) errors.invalid(path.child(name), spec[name], 'requires indexed completion mode');
    }
  }
  if (has(spec, 'maxFailedIndexes') && !has(spec, 'backoffLimitPerIndex')) {
    errors.required(path.child('backoffLimitPerIndex'), 'when maxFailedIndexes is specified');
  }
  const policy = text(part(part(spec, 'template'), 'spec'), 'restartPolicy');
  const template = path.child('template');
  checkPodTemplate(errors, template, part(spec, 'template'));
  if (policy === 'Always' || policy === '') {
    errors.required(template.child('spec', 'restartPolicy'), 'valid values: "OnFailure", "Never"');
  } else if (policy !== 'OnFailure' && policy !== 'Never') {
    errors.notSupported(template.child('spec', 'restartPolicy'), policy, ['Never', 'OnFailure']);
  } else if (has(spec, 'podFailurePolicy') && policy !== 'Never') {
    errors.invalid(
      template.child('spec', 'restartPolicy'),
      policy,
      'only "Never" is supported when podFailurePolicy is specified',
    );
  }
  checkFailurePolicy(errors, path.child('podFailurePolicy'), partOf(spec, 'podFailurePolicy'), spec);
  const replacement = text(spec, 'podReplacementPolicy');
  if (has(spec, 'podFailurePolicy') && replacement !== '' && replacement !== 'Failed') {
    errors.notSupported(path.child('podReplacementPolicy'), replacement, ['Failed']);
  } else if (replacement !== '' && replacement !== 'Failed' && replacement !== 'TerminatingOrFailed') {
    errors.notSupported(path.child('podReplacementPolicy'), replacement, ['Failed', 'TerminatingOrFailed']);
  }
}

const ACTIONS: readonly string[] = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const RULES_MAX = 20;

function checkFailurePolicy(
  errors: FieldErrors,
  path: FieldPath,
  policy: JsonObject | undefined,
  spec: JsonObject,
): void {
  if (policy === undefined) return;
  const rules = parts(policy, 'rules');
  if (rules.length > RULES_MAX) errors.tooMany(path.child('rules'), rules.length, RULES_MAX);
  const names = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      parts(part(part(spec, 'template'), 'spec'), list).map((each) => text(each, 'name')),
    ),
  );
  for (const [index, rule] of rules.entries()) {
    const at = path.child('rules').index(index);
    const action = text(rule, 'action');
    if (action === '')
      errors.required(at.child('action'), 'valid values: "Count", "FailIndex", "FailJob", "Ignore"');
    else if (action === 'FailIndex' && !has(spec, 'backoffLimitPerIndex')) {
      errors.invalid(at.child('action'), action, 'requires the backoffLimitPerIndex to be set');
    } else if (!ACTIONS.includes(action)) errors.notSupported(at.child('action'), action, ACTIONS);
    const codes = partOf(rule, 'onExitCodes');
    const conditions = parts(rule, 'onPodConditions');
    if (codes === undefined && conditions.length === 0) {
      errors.invalid(at, rule, 'specifying one of OnExitCodes and OnPodConditions is required');
    }
    if (codes === undefined) continue;
    if (conditions.length > 0)
      errors.invalid(at, rule, 'specifying both OnExitCodes and OnPodConditions is not supported');
    const operator = text(codes, 'operator');
    const place = at.child('onExitCodes');
    if (operator === '') errors.required(place.child('operator'), 'valid values: "In", "NotIn"');
    else if (operator !== 'In' && operator !== 'NotIn')
      errors.notSupported(place.child('operator'), operator, ['In', 'NotIn']);
    if (has(codes, 'containerName') && !names.has(text(codes, 'containerName'))) {
      errors.invalid(
        place.child('containerName'),
        text(codes, 'containerName'),
        'must be one of the container or initContainer names in the pod template',
      );
    }
    const values = codes['values'];
    if (!Array.isArray(values) || values.length === 0)
      errors.invalid(place.child('values'), values ?? [], 'at least one value is required');
    else if (operator === 'In' && values.includes(0)) {
      errors.invalid(place.child('values').index(values.indexOf(0)), 0, 'must not be 0 for the In operator');
    }
  }
}
