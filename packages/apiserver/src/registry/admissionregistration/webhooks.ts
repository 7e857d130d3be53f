/** Webhook configurations: whom the server asks before it writes, and about what. */

import { checkOptionalEnum } from '../../validation/scalars.ts';
import { equalJson } from '../../api/equal.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { CONDITION } from '../../cel/policy-expressions.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import {
  dns1035LabelErrors,
  dnsSubdomainErrors,
  pathSegmentErrors,
  portNumberErrors,
  qualifiedNameErrors,
} from '../../validation/names.ts';
import { count, countOf, has, part, partOf, parts, text, textOf, texts } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';
import { ExpressionChecks, type CheckExpression } from './expressions.ts';

const OPERATIONS: readonly string[] = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const CONDITIONS_MAX = 64;

/** @param old what is there, in an update */
function checkWebhooks(errors: FieldErrors, object: KubeObject, mutating: boolean, old?: KubeObject): void {
  const before = old === undefined ? [] : parts(old, 'webhooks');
  const hooks = parts(object, 'webhooks');
  // Conditions that were let in before are not looked at again.
  const unchanged =
    old !== undefined &&
    hooks.length === before.length &&
    hooks.every((hook, index) => equalJson(hook['matchConditions'], before[index]['matchConditions']));
  const checks = new ExpressionChecks(errors, { params: false, composed: false }, before);
  const names = new Set<string>();
  for (const [index, webhook] of hooks.entries()) {
    const at = FieldPath.of('webhooks').index(index);
    const name = text(webhook, 'name');
    checkQualified(errors, at.child('name'), name);
    checkWebhook(errors, at, webhook, mutating);
    if (!unchanged) {
      checkMatchConditions(
        errors,
        at.child('matchConditions'),
        parts(webhook, 'matchConditions'),
        checks.check,
      );
    }
    checkReviewVersions(
      errors,
      at.child('admissionReviewVersions'),
      texts(webhook, 'admissionReviewVersions'),
    );
    if (name !== '' && names.has(name)) errors.duplicate(at.child('name'), name);
    names.add(name);
  }
}

/** A domain of three segments and more. */
function checkQualified(errors: FieldErrors, path: FieldPath, name: string): void {
  if (name === '') {
    errors.required(path);
    return;
  }
  const wrong = dnsSubdomainErrors(name);
  if (wrong.length > 0) errors.invalid(path, name, wrong.join(','));
  else if (name.split('.').length < 3)
    errors.invalid(path, name, 'should be a domain with at least three segments separated by dots');
}

function checkReviewVersions(errors: FieldErrors, path: FieldPath, versions: readonly string[]): void {
  if (versions.length === 0) {
    errors.required(path, 'must specify one of v1, v1beta1');
    return;
  }
  for (const [index, version] of versions.entries()) {
    if (versions.indexOf(version) < index) errors.invalid(path.index(index), version, 'duplicate version');
    else errors.invalids(path.index(index), version, dns1035LabelErrors(version));
  }
  if (!versions.includes('v1') && !versions.includes('v1beta1'))
    errors.invalid(path, versions, 'must include at least one of v1, v1beta1');
}

function checkWebhook(errors: FieldErrors, path: FieldPath, webhook: JsonObject, mutating: boolean): void {
  for (const [index, rule] of parts(webhook, 'rules').entries())
    checkRule(errors, path.child('rules').index(index), rule);
  checkOptionalEnum(errors, path.child('failurePolicy'), textOf(webhook, 'failurePolicy'), [
    'Fail',
    'Ignore',
  ]);
  const matches = ['Equivalent', 'Exact'];
  checkOptionalEnum(errors, path.child('matchPolicy'), textOf(webhook, 'matchPolicy'), matches);
  const effects = textOf(webhook, 'sideEffects');
  if (effects === undefined)
    errors.required(path.child('sideEffects'), 'must specify one of None, NoneOnDryRun');
  else if (effects !== 'None' && effects !== 'NoneOnDryRun')
    errors.notSupported(path.child('sideEffects'), effects, ['None', 'NoneOnDryRun']);
  const seconds = countOf(webhook, 'timeoutSeconds');
  if (seconds !== undefined && (seconds > 30 || seconds < 1)) {
    errors.invalid(
      path.child('timeoutSeconds'),
      seconds,
      'the timeout value must be between 1 and 30 seconds',
    );
  }
  for (const name of ['namespaceSelector', 'objectSelector']) {
    checkLabelSelector(errors, path.child(name), partOf(webhook, name));
  }
  if (mutating) {
    const again = textOf(webhook, 'reinvocationPolicy');
    checkOptionalEnum(errors, path.child('reinvocationPolicy'), again, ['IfNeeded', 'Never']);
  }
  checkClient(errors, path.child('clientConfig'), part(webhook, 'clientConfig'));
}

/** @param compile of an expression that is there; nothing where it is not to be looked at */
export function checkMatchConditions(
  errors: FieldErrors,
  path: FieldPath,
  conditions: readonly JsonObject[],
  compile: CheckExpression,
): void {
  if (conditions.length > CONDITIONS_MAX) errors.tooMany(path, conditions.length, CONDITIONS_MAX);
  const names = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const name = text(condition, 'name');
    const at = path.index(index);
    const expression = text(condition, 'expression').trim();
    if (expression === '') errors.required(at.child('expression'));
    else compile(at.child('expression'), expression, CONDITION);
    if (name === '') errors.required(at.child('name'));
    else errors.invalids(at.child('name'), name, qualifiedNameErrors(name));
    if (name !== '' && names.has(name)) errors.duplicate(at.child('name'), name);
    names.add(name);
  }
}

function checkClient(errors: FieldErrors, path: FieldPath, client: JsonObject): void {
  const url = client['url'];
  const service = partOf(client, 'service');
  if ((typeof url === 'string') === (service !== undefined)) {
    errors.required(path, 'exactly one of url or service is required');
    return;
  }
  if (typeof url === 'string') checkUrl(errors, path.child('url'), url);
  else if (service !== undefined) checkService(errors, path.child('service'), service);
}

function checkUrl(errors: FieldErrors, path: FieldPath, url: string): void {
  const form = '; desired format: https://host[/path]';
  // As Go takes a URL apart: what has no scheme is a path.
  const found = /^(?:([A-Za-z][-+.A-Za-z0-9]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(
    url,
  );
  const [, scheme = '', authority = '', , query = '', fragment = ''] = found ?? [];
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  if (scheme.toLowerCase() !== 'https')
    errors.invalid(path, scheme, `'https' is the only allowed URL scheme${form}`);
  if (host === '') errors.invalid(path, host, `host must be specified${form}`);
  if (at >= 0) errors.invalid(path, authority.slice(0, at), 'user information is not permitted in the URL');
  if (fragment !== '') errors.invalid(path, fragment, 'fragments are not permitted in the URL');
  if (query !== '') errors.invalid(path, query, 'query parameters are not permitted in the URL');
}

function checkService(errors: FieldErrors, path: FieldPath, service: JsonObject): void {
  if (text(service, 'name') === '') errors.required(path.child('name'));
  if (text(service, 'namespace') === '') errors.required(path.child('namespace'));
  const port = count(service, 'port');
  for (const wrong of portNumberErrors(port))
    errors.invalid(path.child('port'), port, `port is not valid: ${wrong}`);
  const url = text(service, 'path');
  const at = path.child('path');
  if (url === '' || url === '/') return;
  if (url === '//') {
    errors.invalid(at, url, 'segment[0] may not be empty');
    return;
  }
  if (!url.startsWith('/')) errors.invalid(at, url, "must start with a '/'");
  for (const [index, step] of url.slice(1).replace(/\/$/, '').split('/').entries()) {
    if (step === '') errors.invalid(at, url, `segment[${index}] may not be empty`);
    else {
      for (const wrong of dnsSubdomainErrors(step)) errors.invalid(at, url, `segment[${index}]: ${wrong}`);
    }
  }
}

/** What a rule covers: operations, groups, versions, resources, scope. */
export function checkRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  const operations = texts(rule, 'operations');
  if (operations.length === 0) errors.required(path.child('operations'));
  if (operations.length > 1 && operations.includes('*')) {
    errors.invalid(
      path.child('operations'),
      operations,
      "if '*' is present, must not specify other operations",
    );
  }
  for (const [index, operation] of operations.entries()) {
    if (!OPERATIONS.includes(operation))
      errors.notSupported(path.child('operations').index(index), operation, OPERATIONS);
  }
  for (const [name, many] of [
    ['apiGroups', 'API groups'],
    ['apiVersions', 'API versions'],
  ] as const) {
    const values = texts(rule, name);
    if (values.length === 0) errors.required(path.child(name));
    if (values.length > 1 && values.includes('*'))
      errors.invalid(path.child(name), values, `if '*' is present, must not specify other ${many}`);
    for (const [index, value] of values.entries()) {
      if (name === 'apiVersions' && value === '') errors.required(path.child(name).index(index));
    }
  }
  checkResources(errors, path.child('resources'), texts(rule, 'resources'));
  const scope = rule['scope'];
  if (typeof scope === 'string' && !['*', 'Cluster', 'Namespaced'].includes(scope))
    errors.notSupported(path.child('scope'), scope, ['*', 'Cluster', 'Namespaced']);
}

function checkResources(errors: FieldErrors, path: FieldPath, resources: readonly string[]): void {
  if (resources.length === 0) errors.required(path);
  const allOf = new Set<string>();
  const ofAll = new Set<string>();
  let plain = false;
  for (const [index, each] of resources.entries()) {
    const at = path.index(index);
    if (each === '') {
      errors.required(at);
      continue;
    }
    const slash = each.indexOf('/');
    if (slash < 0) {
      plain = each !== '*';
      continue;
    }
    const resource = each.slice(0, slash);
    const subresource = each.slice(slash + 1);
    if (allOf.has(resource))
      errors.invalid(at, each, `if '${resource}/*' is present, must not specify ${each}`);
    if (ofAll.has(subresource))
      errors.invalid(at, each, `if '*/${subresource}' is present, must not specify ${each}`);
    if (subresource === '*') allOf.add(resource);
    if (resource === '*') ofAll.add(subresource);
  }
  if (resources.length > 1 && resources.includes('*/*'))
    errors.invalid(path, resources, "if '*/*' is present, must not specify other resources");
  if (plain && resources.includes('*')) {
    errors.invalid(
      path,
      resources,
      "if '*' is present, must not specify other resources without subresources",
    );
  }
}

/** A rule of a policy, which may be for objects of certain names alone. */
export function checkNamedRule(errors: FieldErrors, path: FieldPath, rule: JsonObject): void {
  const names = texts(rule, 'resourceNames');
  for (const [index, name] of names.entries()) {
    const at = path.child('resourceNames').index(index);
    errors.invalids(at, name, pathSegmentErrors(name));
    if (names.indexOf(name) < index) errors.duplicate(at, name);
  }
  checkRule(errors, path, rule);
}

/** Whether a policy's rules are there at all; used by both kinds of policies. */
export function hasRules(constraints: JsonObject): boolean {
  return has(constraints, 'resourceRules') && parts(constraints, 'resourceRules').length > 0;
}

/** What kinds of admission have in common. */
export const GROUP = {
  group: 'admissionregistration.k8s.io',
  types: 'admissionregistration',
  scope: 'Cluster',
  categories: ['api-extensions'],
} as const;

export const validatingWebhookConfigurations = defineKind({
  ...GROUP,
  resource: 'validatingwebhookconfigurations',
  kind: 'ValidatingWebhookConfiguration',
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['webhooks'],
    check: () => undefined,
    checkCreate: (errors, object) => checkWebhooks(errors, object, false),
    checkUpdate: (errors, object, old) => checkWebhooks(errors, object, false, old),
  },
});

export const mutatingWebhookConfigurations = defineKind({
  ...GROUP,
  resource: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['webhooks'],
    check: () => undefined,
    checkCreate: (errors, object) => checkWebhooks(errors, object, true),
    checkUpdate: (errors, object, old) => checkWebhooks(errors, object, true, old),
  },
});
