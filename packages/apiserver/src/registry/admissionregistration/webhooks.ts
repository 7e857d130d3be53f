/** Webhook configurations: whom the server asks before it writes, and about what. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { dnsSubdomainErrors, portNumberErrors, qualifiedNameErrors } from '../../validation/names.ts';
import { count, countOf, has, part, partOf, parts, text, texts } from '../../validation/value.ts';
import { defineKind } from '../kinds/kind.ts';

const OPERATIONS: readonly string[] = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const CONDITIONS_MAX = 64;

function checkWebhooks(errors: FieldErrors, object: KubeObject, mutating: boolean): void {
  const names = new Set<string>();
  for (const [index, webhook] of parts(object, 'webhooks').entries()) {
    const at = FieldPath.of('webhooks').index(index);
    const name = text(webhook, 'name');
    if (name === '') errors.required(at.child('name'));
    else {
      const wrong = dnsSubdomainErrors(name);
      errors.invalids(at.child('name'), name, wrong);
      if (wrong.length === 0 && name.split('.').length < 3) {
        errors.invalid(
          at.child('name'),
          name,
          'should be a domain with at least three segments separated by dots',
        );
      }
    }
    if (names.has(name)) errors.duplicate(at.child('name'), name);
    names.add(name);
    checkWebhook(errors, at, webhook, mutating);
  }
}

function checkWebhook(errors: FieldErrors, path: FieldPath, webhook: JsonObject, mutating: boolean): void {
  const versions = texts(webhook, 'admissionReviewVersions');
  if (versions.length === 0) {
    errors.required(path.child('admissionReviewVersions'), 'must specify one of v1, v1beta1');
  } else if (!versions.some((version) => version === 'v1' || version === 'v1beta1')) {
    errors.invalid(
      path.child('admissionReviewVersions'),
      versions,
      'must include at least one of v1, v1beta1',
    );
  }
  for (const [index, rule] of parts(webhook, 'rules').entries())
    checkRule(errors, path.child('rules').index(index), rule);
  const failure = text(webhook, 'failurePolicy');
  if (failure !== '' && failure !== 'Fail' && failure !== 'Ignore')
    errors.notSupported(path.child('failurePolicy'), failure, ['Fail', 'Ignore']);
  const match = text(webhook, 'matchPolicy');
  if (match !== '' && match !== 'Equivalent' && match !== 'Exact')
    errors.notSupported(path.child('matchPolicy'), match, ['Equivalent', 'Exact']);
  const effects = text(webhook, 'sideEffects');
  if (effects === '') errors.required(path.child('sideEffects'), 'must specify one of None, NoneOnDryRun');
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
    const again = text(webhook, 'reinvocationPolicy');
    if (again !== '' && again !== 'Never' && again !== 'IfNeeded')
      errors.notSupported(path.child('reinvocationPolicy'), again, ['IfNeeded', 'Never']);
  }
  checkClient(errors, path.child('clientConfig'), part(webhook, 'clientConfig'));
  checkMatchConditions(errors, path.child('matchConditions'), parts(webhook, 'matchConditions'));
}

export function checkMatchConditions(
  errors: FieldErrors,
  path: FieldPath,
  conditions: readonly JsonObject[],
): void {
  if (conditions.length > CONDITIONS_MAX) errors.tooMany(path, conditions.length, CONDITIONS_MAX);
  const names = new Set<string>();
  for (const [index, condition] of conditions.entries()) {
    const name = text(condition, 'name');
    const at = path.index(index);
    if (text(condition, 'expression').trim() === '') errors.required(at.child('expression'));
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
  if (typeof url === 'string') {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed === undefined || parsed.host === '')
      errors.invalid(path.child('url'), url, 'host must be specified; desired format: https://host[/path]');
    else if (parsed.protocol !== 'https:')
      errors.invalid(
        path.child('url'),
        url,
        `'https' is the only allowed URL scheme; desired format: https://host[/path]`,
      );
    else if (parsed.username !== '')
      errors.invalid(path.child('url'), parsed.username, 'user information is not permitted in the URL');
    else if (parsed.hash !== '')
      errors.invalid(path.child('url'), parsed.hash.slice(1), 'fragments are not permitted in the URL');
    else if (parsed.search !== '')
      errors.invalid(
        path.child('url'),
        parsed.search.slice(1),
        'query parameters are not permitted in the URL',
      );
  } else if (service !== undefined) {
    if (text(service, 'name') === '')
      errors.required(path.child('service', 'name'), 'service name is required');
    if (text(service, 'namespace') === '')
      errors.required(path.child('service', 'namespace'), 'service namespace is required');
    const port = count(service, 'port');
    for (const wrong of portNumberErrors(port))
      errors.invalid(path.child('service', 'port'), port, `port is not valid: ${wrong}`);
    const at = service['path'];
    if (typeof at === 'string' && at !== '' && !at.startsWith('/'))
      errors.invalid(path.child('service', 'path'), at, "must start with a '/'");
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
  const resources = texts(rule, 'resources');
  if (resources.length === 0) errors.required(path.child('resources'));
  for (const [index, resource] of resources.entries()) {
    const at = path.child('resources').index(index);
    if (resource === '') errors.required(at);
    if (resources.includes('*/*') && resources.length > 1 && resource === '*/*') {
      errors.invalid(
        path.child('resources'),
        resources,
        "if '*/*' is present, must not specify other resources",
      );
    }
  }
  const scope = rule['scope'];
  if (typeof scope === 'string' && !['*', 'Cluster', 'Namespaced'].includes(scope))
    errors.notSupported(path.child('scope'), scope, ['*', 'Cluster', 'Namespaced']);
}

/** Whether a policy's rules are there at all; used by both kinds of policies. */
export function hasRules(constraints: JsonObject): boolean {
  return has(constraints, 'resourceRules') && parts(constraints, 'resourceRules').length > 0;
}

const GROUP = {
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
    generation: ['webhooks'],
    check: (errors, object) => {
      checkWebhooks(errors, object, false);
    },
  },
});

export const mutatingWebhookConfigurations = defineKind({
  ...GROUP,
  resource: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
  checks: {
    generation: ['webhooks'],
    check: (errors, object) => {
      checkWebhooks(errors, object, true);
    },
  },
});
