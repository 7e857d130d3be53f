/**
 * Workload and PodGroup: pods that are scheduled together, or not at all. What is behind features of their own
 * (topology, claims of a group, preemption of a group) is left out, as the original does where those are off.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { checkConditions } from '../../validation/conditions.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkDnsLabel, checkDnsSubdomain, IMMUTABLE } from '../../validation/scalars.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { count, has, part, partOf, parts, same, text, withField, without } from '../../validation/value.ts';
import { defineKind, OTHERS_METADATA, SPEC, STATUS } from '../kinds/kind.ts';

const GROUP = {
  group: 'scheduling.k8s.io',
  types: 'scheduling',
  versions: ['v1alpha2'],
  gate: 'GenericWorkload',
} as const;
const TEMPLATES_MAX = 8;
/** Behind features that are off. */
const OFF: readonly string[] = [
  'schedulingConstraints',
  'resourceClaims',
  'disruptionMode',
  'priorityClassName',
  'priority',
];

function checkPolicy(errors: FieldErrors, path: FieldPath, policy: JsonObject): void {
  const told = ['basic', 'gang'].filter((name) => has(policy, name));
  if (told.length !== 1) {
    errors.invalid(
      path,
      told.length === 0 ? '' : `{${told.join(', ')}}`,
      told.length === 0
        ? 'must specify one of: `basic`, `gang`'
        : 'must specify exactly one of: `basic`, `gang`',
    );
  }
  const gang = partOf(policy, 'gang');
  if (gang === undefined) return;
  const least = count(gang, 'minCount');
  const at = path.child('gang', 'minCount');
  if (least === 0) errors.required(at);
  else if (least < 0) errors.invalid(at, least, 'must be greater than or equal to 1');
}

function checkReference(errors: FieldErrors, path: FieldPath, of: JsonObject): void {
  const group = text(of, 'apiGroup');
  if (group !== '') checkDnsSubdomain(errors, path.child('apiGroup'), group);
  for (const name of ['kind', 'name']) {
    const value = text(of, name);
    if (value === '') errors.required(path.child(name));
    else errors.invalids(path.child(name), value, pathSegmentErrors(value));
  }
}

export const workloads = defineKind({
  ...GROUP,
  resource: 'workloads',
  kind: 'Workload',
  scope: 'Namespaced',
  checks: {
    prepareForCreate: enabledTemplates,
    prepareForUpdate: enabledTemplates,
    check(errors, object, old) {
      const spec = part(object, 'spec');
      const reference = partOf(spec, 'controllerRef');
      if (reference !== undefined) checkReference(errors, SPEC.child('controllerRef'), reference);
      const templates = parts(spec, 'podGroupTemplates');
      const at = SPEC.child('podGroupTemplates');
      const before = old === undefined ? undefined : part(old, 'spec')['podGroupTemplates'];
      if (old !== undefined && !same(before, spec['podGroupTemplates'])) {
        errors.invalid(at, null, IMMUTABLE);
      }
      if (templates.length === 0) errors.required(at);
      if (templates.length > TEMPLATES_MAX) {
        errors.tooMany(at, templates.length, TEMPLATES_MAX);
        return;
      }
      const names = templates.map((template) => text(template, 'name'));
      for (const [index, template] of templates.entries()) {
        if (names.indexOf(names[index]) === index) continue;
        errors.duplicate(at.index(index), { ...template, schedulingConstraints: null });
      }
      for (const [index, template] of templates.entries()) {
        const name = names[index];
        if (name === '') errors.required(at.index(index).child('name'));
        else checkDnsLabel(errors, at.index(index).child('name'), name);
        checkPolicy(errors, at.index(index).child('schedulingPolicy'), part(template, 'schedulingPolicy'));
      }
    },
  },
});

function enabledTemplates(object: KubeObject): KubeObject {
  const spec = part(object, 'spec');
  if (!has(spec, 'podGroupTemplates')) return object;
  const templates = parts(spec, 'podGroupTemplates').map((template) => without(template, ...OFF));
  return withField(object, 'spec', { ...spec, podGroupTemplates: templates });
}

function enabledGroup(object: KubeObject): KubeObject {
  return withField(object, 'spec', without(part(object, 'spec'), ...OFF));
}

export const podGroups = defineKind({
  ...GROUP,
  resource: 'podgroups',
  kind: 'PodGroup',
  scope: 'Namespaced',
  checks: {
    prepareForCreate: (object) => enabledGroup({ ...object, status: {} }),
    prepareForUpdate: enabledGroup,
    check(errors, object, old) {
      const spec = part(object, 'spec');
      const before = old === undefined ? undefined : part(old, 'spec');
      for (const name of ['podGroupTemplateRef', 'schedulingPolicy']) {
        if (before === undefined || same(spec[name], before[name])) continue;
        errors.invalid(SPEC.child(name), null, IMMUTABLE);
      }
      if (before !== undefined) return;
      const reference = partOf(spec, 'podGroupTemplateRef');
      if (reference !== undefined) {
        const at = SPEC.child('podGroupTemplateRef', 'workload');
        const workload = partOf(reference, 'workload');
        if (workload === undefined) {
          errors.invalid(SPEC.child('podGroupTemplateRef'), '', 'must specify one of: `workload`');
        }
        for (const [name, check] of [
          ['workloadName', checkDnsSubdomain],
          ['podGroupTemplateName', checkDnsLabel],
        ] as const) {
          if (workload === undefined) continue;
          const value = text(workload, name);
          if (value === '') errors.required(at.child(name));
          else check(errors, at.child(name), value);
        }
      }
      checkPolicy(errors, SPEC.child('schedulingPolicy'), part(spec, 'schedulingPolicy'));
    },
    status: {
      resetFields: [['metadata'], ['spec']],
      keepsMetadata: OTHERS_METADATA,
      prepare: (object) =>
        withField(object, 'status', without(part(object, 'status'), 'resourceClaimStatuses')),
      check(errors, object) {
        checkConditions(errors, STATUS.child('conditions'), parts(part(object, 'status'), 'conditions'));
      },
    },
  },
});
