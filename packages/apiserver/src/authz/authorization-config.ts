/**
 * AuthorizationConfiguration (`--authorization-config`): the modes of authorization in their order, webhooks with
 * what each is told and how its answers count. Reads what a file said, checked as the original checks it; opens and
 * asks nothing. Conditions in CEL are checked, and kept as text for who evaluates them (match-conditions.ts).
 *
 * Modelled on apiserver's apis/apiserver AuthorizationConfiguration, its defaults and its validation, texts included.
 */

import type { JsonObject } from '../api/json.ts';
import { configNames, readConfigFile, type ConfigKind } from '../codec/config-file.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { dnsSubdomainErrors } from '../validation/names.ts';
import { has, part, parts, text } from '../validation/value.ts';
import { checkMatchConditions } from './match-conditions.ts';

export type BuiltInMode = 'ABAC' | 'AlwaysAllow' | 'AlwaysDeny' | 'Node' | 'RBAC';

export interface WebhookModeConfig {
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  readonly timeoutMs: number;
  readonly version: 'v1' | 'v1beta1';
  readonly failurePolicy: 'NoOpinion' | 'Deny';
  /** Absolute path of a kubeconfig; undefined: the cluster's own. */
  readonly kubeconfig: string | undefined;
  /** CEL; all must hold for the webhook to be asked. */
  readonly matchConditions: readonly string[];
}

export type ConfiguredMode =
  | { readonly type: BuiltInMode; readonly name: string }
  | { readonly type: 'Webhook'; readonly name: string; readonly webhook: WebhookModeConfig };

const TYPES: readonly string[] = ['ABAC', 'AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];
/** The file and its parts; the form of the lines is schema/type-table.ts's. */
const CONFIG: ConfigKind = {
  names: configNames('AuthorizationConfiguration', ['v1', 'v1beta1', 'v1alpha1']),
  types: `apiserver.v1.AuthorizationConfiguration	:meta.v1.TypeMeta:0	authorizers:[apiserver.v1.AuthorizerConfiguration:1
apiserver.v1.AuthorizerConfiguration	type:s:1	name:s:2	webhook:apiserver.v1.WebhookConfiguration:3*?
apiserver.v1.WebhookConfiguration	authorizedTTL:D:1	cacheAuthorizedRequests:b:2*?	unauthorizedTTL:D:3	cacheUnauthorizedRequests:b:4*?	timeout:D:5	subjectAccessReviewVersion:s:6	matchConditionSubjectAccessReviewVersion:s:7	failurePolicy:s:8	connectionInfo:apiserver.v1.WebhookConnectionInfo:9	matchConditions:[apiserver.v1.WebhookMatchCondition:10
apiserver.v1.WebhookConnectionInfo	type:s:1	kubeConfigFile:s:2*
apiserver.v1.WebhookMatchCondition	expression:s:1`,
};
const AUTHORIZED_TTL_MS = 5 * 60_000;
const UNAUTHORIZED_TTL_MS = 30_000;
const TIMEOUT_MAX_MS = 30_000;

/**
 * @param file its text
 * @throws Error that names every field which is wrong
 */
export function readAuthorizationConfig(file: string): ConfiguredMode[] {
  const value = readConfigFile(file, CONFIG);
  const errors = new FieldErrors();
  const at = FieldPath.of('authorizers');
  const authorizers = parts(value, 'authorizers');
  if (authorizers.length === 0) errors.required(at, 'at least one authorization mode must be defined');
  const seenTypes = new Set<string>();
  const seenNames = new Set<string>();
  const modes = authorizers.map((authorizer, index): ConfiguredMode => {
    const path = at.index(index);
    const type = text(authorizer, 'type');
    const name = text(authorizer, 'name');
    checkType(errors, path.child('type'), type, seenTypes);
    checkName(errors, path.child('name'), name, seenNames);
    if (type !== 'Webhook') {
      if (has(authorizer, 'webhook')) {
        errors.invalid(path.child('webhook'), 'non-null', 'may only be specified when type=Webhook');
      }
      return { type: builtIn(type), name };
    }
    if (!has(authorizer, 'webhook')) errors.required(path.child('webhook'), 'required when type=Webhook');
    return { type, name, webhook: webhookOf(errors, path.child('webhook'), part(authorizer, 'webhook')) };
  });
  if (errors.size > 0) {
    const texts = errors.list.map(({ field, body }) => `${field}: ${body}`);
    throw new Error(texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`);
  }
  return modes;
}

function builtIn(type: string): BuiltInMode {
  switch (type) {
    case 'ABAC':
    case 'AlwaysAllow':
    case 'AlwaysDeny':
    case 'Node':
      return type;
    default:
      return 'RBAC';
  }
}

function checkType(errors: FieldErrors, path: FieldPath, type: string, seen: Set<string>): void {
  if (type === '') {
    errors.required(path);
    return;
  }
  if (!TYPES.includes(type)) {
    errors.notSupported(path, type, TYPES);
    return;
  }
  // Webhooks alone may stand there several times.
  if (type !== 'Webhook' && seen.has(type)) errors.duplicate(path, type);
  seen.add(type);
}

function checkName(errors: FieldErrors, path: FieldPath, name: string, seen: Set<string>): void {
  if (name === '') {
    errors.required(path);
    return;
  }
  if (seen.has(name)) errors.duplicate(path, name);
  else {
    const wrong = dnsSubdomainErrors(name);
    if (wrong.length > 0) errors.invalid(path, name, `authorizer name is invalid: ${wrong.join(', ')}`);
  }
  seen.add(name);
}

function webhookOf(errors: FieldErrors, path: FieldPath, webhook: JsonObject): WebhookModeConfig {
  const ttl = (name: string, absentMs: number): number => {
    const found = durationOf(errors, path.child(name), webhook[name]) ?? absentMs;
    if (found < 0) errors.invalid(path.child(name), webhook[name], 'must be > 0s');
    return found === 0 ? absentMs : found;
  };
  const kept = (name: string): number => (webhook[name] === false ? 0 : 1);
  const timeout = path.child('timeout');
  const timeoutMs = durationOf(errors, timeout, webhook['timeout']);
  if (timeoutMs === undefined || timeoutMs === 0) errors.required(timeout);
  else if (timeoutMs < 0 || timeoutMs > TIMEOUT_MAX_MS) {
    errors.invalid(timeout, webhook['timeout'], 'must be > 0s and <= 30s');
  }
  const version = oneOf(
    errors,
    path.child('subjectAccessReviewVersion'),
    text(webhook, 'subjectAccessReviewVersion'),
    ['v1', 'v1beta1'],
  );
  const matchConditions = parts(webhook, 'matchConditions').map((condition) => text(condition, 'expression'));
  const matchVersion = text(webhook, 'matchConditionSubjectAccessReviewVersion');
  const matchPath = path.child('matchConditionSubjectAccessReviewVersion');
  if (matchVersion !== '' || matchConditions.length > 0) oneOf(errors, matchPath, matchVersion, ['v1']);
  checkMatchConditions(errors, path.child('matchConditions'), matchConditions);
  const failurePolicy = oneOf(errors, path.child('failurePolicy'), text(webhook, 'failurePolicy'), [
    'NoOpinion',
    'Deny',
  ]);
  return {
    authorizedTtlMs: kept('cacheAuthorizedRequests') * ttl('authorizedTTL', AUTHORIZED_TTL_MS),
    unauthorizedTtlMs: kept('cacheUnauthorizedRequests') * ttl('unauthorizedTTL', UNAUTHORIZED_TTL_MS),
    timeoutMs: timeoutMs ?? 0,
    version,
    failurePolicy,
    kubeconfig: kubeconfigOf(errors, path.child('connectionInfo'), part(webhook, 'connectionInfo')),
    matchConditions,
  };
}

function kubeconfigOf(errors: FieldErrors, path: FieldPath, info: JsonObject): string | undefined {
  const type = text(info, 'type');
  const file = text(info, 'kubeConfigFile');
  const at = path.child('kubeConfigFile');
  if (type === 'KubeConfigFile') {
    if (file === '') errors.required(at);
    else if (!file.startsWith('/')) errors.invalid(at, file, 'must be an absolute path');
    return file;
  }
  if (type === '') errors.required(path.child('type'));
  else if (type !== 'InClusterConfig') {
    errors.notSupported(path.child('type'), type, ['InClusterConfig', 'KubeConfigFile']);
  } else if (has(info, 'kubeConfigFile')) {
    errors.invalid(at, file, 'can only be set when type=KubeConfigFile');
  }
  return undefined;
}

/** A word of a few; the first of them where it is none, which is told. */
function oneOf<T extends string>(
  errors: FieldErrors,
  path: FieldPath,
  value: string,
  words: readonly [T, ...T[]],
): T {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  if (value === '') errors.required(path);
  else errors.notSupported(path, value, words);
  return words[0];
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A Go duration, `1m30s`, in ms; undefined where there is none. */
function durationOf(errors: FieldErrors, path: FieldPath, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const found = typeof value === 'string' ? /^(-?)((?:\d+(?:\.\d+)?(?:ms|s|m|h))+|0)$/.exec(value) : null;
  if (found === null) {
    errors.invalid(path, value, 'must be a duration like 30s');
    return undefined;
  }
  let sum = 0;
  for (const [, count, unit] of found[2].matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    sum += Number(count) * UNITS[unit];
  }
  return found[1] === '-' ? -sum : sum;
}
