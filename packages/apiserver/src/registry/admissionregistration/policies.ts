/**
 * Admission policies and their bindings: rules in CEL and where they hold. Expressions are checked for being
 * there; whether they compile is told by who compiles them (admission).
 */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { identifierErrors, qualifiedNameErrors } from '../../validation/names.ts';
import { checkDnsSubdomain } from '../../validation/scalars.ts';
import { has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';
import { checkMatchConditions, checkRule, hasRules } from './webhooks.ts';

const GROUP = {
  group: 'admissionregistration.k8s.io',
  types: 'admissionregistration',
  scope: 'Cluster',
  categories: ['api-extensions'],
} as const;
const REASONS: readonly string[] = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];

function checkConstraints(
  errors: FieldErrors,
  path: FieldPath,
  constraints: JsonObject | undefined,
  required: boolean,
): void {
  if (constraints === undefined) {
    if (required) errors.required(path);
    return;
  }
  for (const name of ['namespaceSelector', 'objectSelector']) {
    const selector = partOf(constraints, name);
    if (selector === undefined && required) errors.required(path.child(name));
    checkLabelSelector(errors, path.child(name), selector);
  }
  const policy = text(constraints, 'matchPolicy');
  if (policy !== '' && policy !== 'Equivalent' && policy !== 'Exact')
    errors.notSupported(path.child('matchPolicy'), policy, ['Equivalent', 'Exact']);
  for (const name of ['resourceRules', 'excludeResourceRules']) {
    for (const [index, rule] of parts(constraints, name).entries())
      checkRule(errors, path.child(name).index(index), rule);
  }
  if (required && !hasRules(constraints)) errors.required(path.child('resourceRules'));
}

function checkPolicy(errors: FieldErrors, spec: JsonObject): void {
  const failure = text(spec, 'failurePolicy');
  if (failure === '') errors.required(SPEC.child('failurePolicy'));
  else if (failure !== 'Fail' && failure !== 'Ignore')
    errors.notSupported(SPEC.child('failurePolicy'), failure, ['Fail', 'Ignore']);
  const kind = partOf(spec, 'paramKind');
  if (kind !== undefined) {
    if (text(kind, 'apiVersion') === '') errors.required(SPEC.child('paramKind', 'apiVersion'));
    if (text(kind, 'kind') === '') errors.required(SPEC.child('paramKind', 'kind'));
  }
  checkConstraints(errors, SPEC.child('matchConstraints'), partOf(spec, 'matchConstraints'), true);
  checkMatchConditions(errors, SPEC.child('matchConditions'), parts(spec, 'matchConditions'));
  const names = new Set<string>();
  for (const [index, variable] of parts(spec, 'variables').entries()) {
    const at = SPEC.child('variables').index(index);
    const name = text(variable, 'name');
    if (name === '') errors.required(at.child('name'), 'name is not specified');
    else {
      if (identifierErrors(name).length > 0)
        errors.invalid(at.child('name'), name, 'name is not a valid CEL identifier');
      if (names.has(name)) errors.duplicate(at.child('name'), name);
      names.add(name);
    }
    if (text(variable, 'expression').trim() === '')
      errors.required(at.child('expression'), 'expression is not specified');
  }
}

export const validatingAdmissionPolicies = defineKind({
  ...GROUP,
  resource: 'validatingadmissionpolicies',
  kind: 'ValidatingAdmissionPolicy',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkPolicy(errors, spec);
      const validations = parts(spec, 'validations');
      const audits = parts(spec, 'auditAnnotations');
      if (validations.length === 0 && audits.length === 0) {
        errors.required(SPEC.child('validations'), 'validations or auditAnnotations must be specified');
      }
      for (const [index, validation] of validations.entries()) {
        const at = SPEC.child('validations').index(index);
        if (text(validation, 'expression').trim() === '')
          errors.required(at.child('expression'), 'expression is not specified');
        const message = text(validation, 'message');
        if (message !== '' && message.trim() === '')
          errors.invalid(at.child('message'), message, 'message must be non-empty if specified');
        else if (message.trim().includes('\n'))
          errors.invalid(at.child('message'), message, 'message must not contain line breaks');
        const reason = text(validation, 'reason');
        if (reason !== '' && !REASONS.includes(reason))
          errors.notSupported(at.child('reason'), reason, REASONS);
      }
      const keys = new Set<string>();
      for (const [index, audit] of audits.entries()) {
        const at = SPEC.child('auditAnnotations').index(index);
        const key = text(audit, 'key');
        if (key === '') errors.required(at.child('key'));
        else
          errors.invalids(at.child('key'), key, qualifiedNameErrors(`${object.metadata.name ?? ''}/${key}`));
        if (keys.has(key)) errors.duplicate(at.child('key'), key);
        keys.add(key);
        if (text(audit, 'valueExpression').trim() === '')
          errors.required(at.child('valueExpression'), 'valueExpression is not specified');
      }
    },
    status: {},
  },
});

export const mutatingAdmissionPolicies = defineKind({
  ...GROUP,
  resource: 'mutatingadmissionpolicies',
  kind: 'MutatingAdmissionPolicy',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkPolicy(errors, spec);
      const again = text(spec, 'reinvocationPolicy');
      if (again === '') errors.required(SPEC.child('reinvocationPolicy'));
      else if (again !== 'Never' && again !== 'IfNeeded')
        errors.notSupported(SPEC.child('reinvocationPolicy'), again, ['IfNeeded', 'Never']);
      const mutations = parts(spec, 'mutations');
      if (mutations.length === 0)
        errors.required(SPEC.child('mutations'), 'mutations must contain at least one item');
      for (const [index, mutation] of mutations.entries()) {
        const at = SPEC.child('mutations').index(index);
        const type = text(mutation, 'patchType');
        const field = type === 'JSONPatch' ? 'jsonPatch' : 'applyConfiguration';
        if (type === '') errors.required(at.child('patchType'));
        else if (type !== 'JSONPatch' && type !== 'ApplyConfiguration')
          errors.notSupported(at.child('patchType'), type, ['ApplyConfiguration', 'JSONPatch']);
        else if (text(part(mutation, field), 'expression').trim() === '')
          errors.required(at.child(field, 'expression'));
      }
    },
  },
});

function checkBinding(errors: FieldErrors, spec: JsonObject): void {
  const policy = text(spec, 'policyName');
  if (policy === '') errors.required(SPEC.child('policyName'));
  else checkDnsSubdomain(errors, SPEC.child('policyName'), policy);
  const param = partOf(spec, 'paramRef');
  if (param !== undefined) {
    const at = SPEC.child('paramRef');
    const name = text(param, 'name');
    if (name !== '') {
      checkDnsSubdomain(errors, at.child('name'), name);
      if (has(param, 'selector'))
        errors.forbidden(at.child('name'), 'name and selector are mutually exclusive');
    } else if (!has(param, 'selector')) errors.required(at, 'one of name or selector must be specified');
    checkLabelSelector(errors, at.child('selector'), partOf(param, 'selector'));
    const action = text(param, 'parameterNotFoundAction');
    if (action === '') errors.required(at.child('parameterNotFoundAction'));
    else if (action !== 'Allow' && action !== 'Deny')
      errors.notSupported(at.child('parameterNotFoundAction'), action, ['Deny', 'Allow']);
  }
  checkConstraints(errors, SPEC.child('matchResouces'), partOf(spec, 'matchResources'), false);
}

export const validatingAdmissionPolicyBindings = defineKind({
  ...GROUP,
  resource: 'validatingadmissionpolicybindings',
  kind: 'ValidatingAdmissionPolicyBinding',
  checks: {
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkBinding(errors, spec);
      const actions = texts(spec, 'validationActions');
      const at = SPEC.child('validationActions');
      if (actions.length === 0) errors.required(at);
      const seen = new Set<string>();
      for (const [index, action] of actions.entries()) {
        if (!['Audit', 'Deny', 'Warn'].includes(action))
          errors.notSupported(at.index(index), action, ['Audit', 'Deny', 'Warn']);
        if (seen.has(action)) errors.duplicate(at.index(index), action);
        seen.add(action);
      }
      if (seen.has('Deny') && seen.has('Warn')) {
        errors.invalid(
          at,
          actions,
          'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
        );
      }
    },
  },
});

export const mutatingAdmissionPolicyBindings = defineKind({
  ...GROUP,
  resource: 'mutatingadmissionpolicybindings',
  kind: 'MutatingAdmissionPolicyBinding',
  checks: {
    generation: ['spec'],
    check: (errors, object) => {
      checkBinding(errors, part(object, 'spec'));
    },
  },
});
