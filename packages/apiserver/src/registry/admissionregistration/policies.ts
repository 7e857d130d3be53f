/**
 * Admission policies and their bindings: rules in CEL and where they hold. Expressions are compiled with the
 * variables of their places (expressions.ts); what they do to a request is admission's.
 */

import { goValues } from '../../validation/go-values.ts';
import { equalJson } from '../../api/equal.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import {
  AUDIT_VALUE,
  CONDITION,
  MESSAGE,
  APPLY_CONFIGURATION,
  JSON_PATCH,
} from '../../cel/policy-expressions.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { byteLength, checkLabelSelector } from '../../validation/labels.ts';
import {
  dns1035LabelErrors,
  dnsSubdomainErrors,
  identifierErrors,
  pathSegmentErrors,
  qualifiedNameErrors,
} from '../../validation/names.ts';
import { checkDnsSubdomain, checkOptionalEnum } from '../../validation/scalars.ts';
import { has, part, partOf, parts, text, textOf, texts } from '../../validation/value.ts';
import { checkConditions } from '../../validation/conditions.ts';
import { defineKind, SPEC, STATUS, OTHERS_METADATA, writtenAs } from '../kinds/kind.ts';
import type { WrittenForm } from '../resource.ts';
import { ExpressionChecks } from './expressions.ts';
import { checkMatchConditions, checkNamedRule, GROUP, hasRules } from './webhooks.ts';

const REASONS: readonly string[] = ['Forbidden', 'Invalid', 'RequestEntityTooLarge'];
/** Words of CEL that name nothing. */
const RESERVED: ReadonlySet<string> = new Set(
  [
    'true false null in as break const continue else for function if import let loop package namespace return',
    'var void while',
  ].flatMap((words) => words.split(' ')),
);
const MUTATING_OPERATIONS: readonly string[] = ['*', 'CONNECT', 'CREATE', 'UPDATE'];
const AUDIT_ANNOTATIONS_MAX = 20;
const AUDIT_EXPRESSION_BYTES_MAX = 5 * 1024;

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
  const matches = ['Equivalent', 'Exact'];
  const policy = textOf(constraints, 'matchPolicy');
  if (policy === undefined) errors.required(path.child('matchPolicy'));
  else checkOptionalEnum(errors, path.child('matchPolicy'), policy, matches);
  for (const name of ['namespaceSelector', 'objectSelector']) {
    const selector = partOf(constraints, name);
    if (selector === undefined) errors.required(path.child(name));
    checkLabelSelector(errors, path.child(name), selector);
  }
  for (const name of ['resourceRules', 'excludeResourceRules']) {
    for (const [index, rule] of parts(constraints, name).entries())
      checkNamedRule(errors, path.child(name).index(index), rule);
  }
  if (required && !hasRules(constraints)) errors.required(path.child('resourceRules'));
}

function checkParamKind(errors: FieldErrors, kind: JsonObject): void {
  const at = SPEC.child('paramKind');
  const apiVersion = text(kind, 'apiVersion');
  const steps = apiVersion === '/' ? [''] : apiVersion.split('/');
  const [group, version] = steps.length === 1 ? ['', steps[0]] : steps;
  if (apiVersion === '') errors.required(at.child('apiVersion'));
  else if (steps.length > 2)
    errors.invalid(at.child('apiVersion'), apiVersion, `unexpected GroupVersion string: ${apiVersion}`);
  else {
    const wrong = group === '' ? [] : dnsSubdomainErrors(group);
    if (wrong.length > 0) errors.invalid(at.child('apiVersion'), group, wrong.join(','));
    if (version === '') errors.invalid(at.child('apiVersion'), apiVersion, 'version must be specified');
    else {
      const label = dns1035LabelErrors(version);
      if (label.length > 0) errors.invalid(at.child('apiVersion'), version, label.join(','));
    }
  }
  const name = text(kind, 'kind');
  const wrong = dns1035LabelErrors(name.toLowerCase());
  if (name === '') errors.required(at.child('kind'));
  else if (wrong.length > 0) {
    errors.invalid(
      at.child('kind'),
      name,
      `may have mixed case, but should otherwise match: ${wrong.join(',')}`,
    );
  }
}

/** @param old the spec that is there, in an update */
function checkPolicy(
  errors: FieldErrors,
  spec: JsonObject,
  old: JsonObject | undefined,
  checks: ExpressionChecks,
): void {
  const failure = textOf(spec, 'failurePolicy');
  if (failure === undefined) errors.required(SPEC.child('failurePolicy'));
  else checkOptionalEnum(errors, SPEC.child('failurePolicy'), failure, ['Fail', 'Ignore']);
  const kind = partOf(spec, 'paramKind');
  if (kind !== undefined) {
    checkParamKind(errors, kind);
  }
  checkConstraints(errors, SPEC.child('matchConstraints'), partOf(spec, 'matchConstraints'), true);
  const unchanged =
    old !== undefined &&
    equalJson(spec['paramKind'], old['paramKind']) &&
    equalJson(spec['matchConditions'], old['matchConditions']);
  if (!unchanged) {
    // They are compiled without variables, which they see when they run.
    const conditions = new ExpressionChecks(errors, { params: kind !== undefined, composed: false }, old);
    const at = SPEC.child('matchConditions');
    checkMatchConditions(errors, at, parts(spec, 'matchConditions'), conditions.check);
  }
  for (const [index, variable] of parts(spec, 'variables').entries()) {
    const at = SPEC.child('variables').index(index);
    const name = text(variable, 'name');
    if (name.trim() === '') errors.required(at.child('name'), 'name is not specified');
    else if (identifierErrors(name).length > 0 || RESERVED.has(name))
      errors.invalid(at.child('name'), name, 'must be a valid CEL identifier');
    const expression = text(variable, 'expression');
    if (expression.trim() === '') errors.required(at.child('expression'), 'expression is not specified');
    else checks.variable(at.child('expression'), name, expression);
  }
}

/** @param old the spec that is there, in an update */
function checkValidatingPolicy(errors: FieldErrors, object: KubeObject, old?: JsonObject): void {
  const spec = part(object, 'spec');
  const checks = new ExpressionChecks(
    errors,
    { params: partOf(spec, 'paramKind') !== undefined, composed: parts(spec, 'variables').length > 0 },
    old,
  );
  checkPolicy(errors, spec, old, checks);

  const validations = parts(spec, 'validations');
  const audits = parts(spec, 'auditAnnotations');
  if (validations.length === 0 && audits.length === 0) {
    const said = 'validations or auditAnnotations must contain at least one item';
    errors.required(SPEC.child('validations'), said);
    errors.required(SPEC.child('auditAnnotations'), said);
  }
  for (const [index, validation] of validations.entries()) {
    const at = SPEC.child('validations').index(index);
    const expression = text(validation, 'expression');
    if (expression.trim() === '') errors.required(at.child('expression'), 'expression is not specified');
    else checks.check(at.child('expression'), expression, CONDITION);
    const told = text(validation, 'messageExpression');
    if (told !== '' && told.trim() === '')
      errors.invalid(at.child('messageExpression'), told, 'must be non-empty if specified');
    else if (told !== '') checks.check(at.child('messageExpression'), told, MESSAGE);
    const message = text(validation, 'message');
    if (message !== '' && message.trim() === '')
      errors.invalid(at.child('message'), message, 'must be non-empty if specified');
    else if (/[\n\r]/.test(message.trim()))
      errors.invalid(at.child('message'), message, 'must not contain line breaks');
    checkOptionalEnum(errors, at.child('reason'), textOf(validation, 'reason'), REASONS);
  }
  if (audits.length > AUDIT_ANNOTATIONS_MAX) {
    errors.invalid(
      SPEC.child('auditAnnotations'),
      goValues('admissionregistration.AuditAnnotation', audits),
      `must not have more than ${AUDIT_ANNOTATIONS_MAX} auditAnnotations`,
    );
  }
  const keys = new Set<string>();
  for (const [index, audit] of audits.entries()) {
    const at = SPEC.child('auditAnnotations').index(index);
    const key = text(audit, 'key');
    const name = object.metadata.name ?? '';
    const whole = `${name}/${key}`;
    if (name === '') errors.invalid(at.child('key'), key, 'requires metadata.name be non-empty');
    else errors.invalids(at.child('key'), whole, qualifiedNameErrors(whole));
    const expression = text(audit, 'valueExpression').trim();
    if (expression === '') errors.required(at.child('valueExpression'), 'valueExpression is not specified');
    else if (byteLength(expression) > AUDIT_EXPRESSION_BYTES_MAX)
      errors.required(
        at.child('valueExpression'),
        `must not exceed ${AUDIT_EXPRESSION_BYTES_MAX} bytes in length`,
      );
    else {
      const at = SPEC.child('auditAnnotations').index(index).child('valueExpression');
      checks.check(at, expression, AUDIT_VALUE, text(audit, 'valueExpression'));
    }
    if (keys.has(key)) errors.duplicate(at.child('key'), key);
    keys.add(key);
  }
}

export const validatingAdmissionPolicies = defineKind({
  ...GROUP,
  resource: 'validatingadmissionpolicies',
  kind: 'ValidatingAdmissionPolicy',
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['spec'],
    check: () => undefined,
    checkCreate: (errors, object) => checkValidatingPolicy(errors, object),
    checkUpdate: (errors, object, old) => checkValidatingPolicy(errors, object, part(old, 'spec')),
    status: {
      keepsMetadata: OTHERS_METADATA,
      check(errors, object) {
        const checking = part(part(object, 'status'), 'typeChecking');
        for (const [index, warning] of parts(checking, 'expressionWarnings').entries()) {
          const at = STATUS.child('typeChecking', 'expressionWarnings').index(index);
          if (text(warning, 'warning') === '') errors.required(at.child('warning'));
          if (text(warning, 'fieldRef').trim() === '') errors.required(at.child('fieldRef'));
        }
        checkConditions(errors, STATUS.child('conditions'), parts(part(object, 'status'), 'conditions'));
      },
    },
  },
});

/** @param old the spec that is there, in an update */
function checkMutatingPolicy(errors: FieldErrors, object: KubeObject, old?: JsonObject): void {
  const spec = part(object, 'spec');
  const params = partOf(spec, 'paramKind') !== undefined;
  const checks = new ExpressionChecks(errors, { params, composed: true }, old);
  checkPolicy(errors, spec, old, checks);
  checkMutatingOperations(errors, SPEC.child('matchConstraints'), part(spec, 'matchConstraints'));
  const mutations = parts(spec, 'mutations');
  if (mutations.length === 0)
    errors.required(SPEC.child('mutations'), 'mutations must contain at least one item');
  for (const [index, mutation] of mutations.entries()) {
    const at = SPEC.child('mutations').index(index);
    const type = text(mutation, 'patchType');
    if (type === '') errors.required(at.child('patchType'));
    else if (type !== 'JSONPatch' && type !== 'ApplyConfiguration')
      errors.notSupported(at.child('patchType'), type, ['ApplyConfiguration', 'JSONPatch']);
    else checkMutation(errors, at, mutation, type, checks);
  }
  const again = text(spec, 'reinvocationPolicy');
  if (again === '') errors.required(SPEC.child('reinvocationPolicy'));
  else if (again !== 'Never' && again !== 'IfNeeded')
    errors.notSupported(SPEC.child('reinvocationPolicy'), again, ['IfNeeded', 'Never']);
}

function checkMutation(
  errors: FieldErrors,
  path: FieldPath,
  mutation: JsonObject,
  type: 'JSONPatch' | 'ApplyConfiguration',
  checks: ExpressionChecks,
): void {
  const [own, other] =
    type === 'JSONPatch' ? ['jsonPatch', 'applyConfiguration'] : ['applyConfiguration', 'jsonPatch'];
  const patch = partOf(mutation, own);
  if (patch === undefined) errors.required(path.child(own), `must be specified when patchType is ${type}`);
  else {
    const at = path.child(own, 'expression');
    const expression = text(patch, 'expression').trim();
    if (expression === '') errors.required(at);
    else checks.check(at, expression, type === 'JSONPatch' ? JSON_PATCH : APPLY_CONFIGURATION);
  }
  if (has(mutation, other)) {
    errors.invalid(path.child(other), `{${other}}`, `must not be specified when patchType is ${type}`);
  }
}

/** What is deleted cannot be changed. */
function checkMutatingOperations(errors: FieldErrors, path: FieldPath, resources: JsonObject): void {
  for (const rule of parts(resources, 'resourceRules')) {
    for (const operation of texts(rule, 'operations')) {
      if (!MUTATING_OPERATIONS.includes(operation))
        errors.notSupported(path.child('resourceRules', 'operations'), operation, MUTATING_OPERATIONS);
    }
  }
}

/** What version 1.36 of the original still writes, for servers of 1.35 beside it. */
function asBeta(kind: string): WrittenForm {
  return writtenAs({ ...GROUP, kind, version: 'v1beta1', of: 'v1' });
}

export const mutatingAdmissionPolicies = defineKind({
  ...GROUP,
  resource: 'mutatingadmissionpolicies',
  kind: 'MutatingAdmissionPolicy',
  written: asBeta('MutatingAdmissionPolicy'),
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['spec'],
    check: () => undefined,
    checkCreate: (errors, object) => checkMutatingPolicy(errors, object),
    checkUpdate: (errors, object, old) => checkMutatingPolicy(errors, object, part(old, 'spec')),
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
      errors.invalids(at.child('name'), name, pathSegmentErrors(name));
      if (has(param, 'selector'))
        errors.forbidden(at.child('name'), 'name and selector are mutually exclusive');
    }
    checkLabelSelector(errors, at.child('selector'), partOf(param, 'selector'));
    if (name !== '' && has(param, 'selector'))
      errors.forbidden(at.child('selector'), 'name and selector are mutually exclusive');
    if (name === '' && !has(param, 'selector'))
      errors.required(at, 'one of name or selector must be specified');
    const action = text(param, 'parameterNotFoundAction');
    if (action === '') errors.required(at.child('parameterNotFoundAction'));
    else if (action !== 'Allow' && action !== 'Deny')
      errors.notSupported(at.child('parameterNotFoundAction'), action, ['Deny', 'Allow']);
  }
  checkConstraints(errors, SPEC.child('matchResources'), partOf(spec, 'matchResources'), false);
}

export const validatingAdmissionPolicyBindings = defineKind({
  ...GROUP,
  resource: 'validatingadmissionpolicybindings',
  kind: 'ValidatingAdmissionPolicyBinding',
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkBinding(errors, spec);
      const actions = texts(spec, 'validationActions');
      const at = SPEC.child('validationActions');
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
      if (actions.length === 0) errors.required(at, 'at least one validation action is required');
    },
  },
});

export const mutatingAdmissionPolicyBindings = defineKind({
  ...GROUP,
  resource: 'mutatingadmissionpolicybindings',
  kind: 'MutatingAdmissionPolicyBinding',
  written: asBeta('MutatingAdmissionPolicyBinding'),
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['spec'],
    check: (errors, object) => {
      const spec = part(object, 'spec');
      checkBinding(errors, spec);
      checkMutatingOperations(errors, SPEC.child('matchResources'), part(spec, 'matchResources'));
    },
  },
});
