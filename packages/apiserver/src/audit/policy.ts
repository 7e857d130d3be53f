/**
 * The audit policy (--audit-policy-file): which requests are written down, how much of them, and at which moments. The
 * first rule that matches decides; what none matches is not written.
 *
 * Modelled on apiserver's audit/policy, its checks of the file and their texts included.
 */

import { toError } from '@keelson/base';

import type { JsonObject } from '../api/json.ts';
import type { RequestInfo } from '../api/request-info.ts';
import type { UserInfo } from '../api/user-info.ts';
import { readLenientConfigFile, strictError, type ConfigKind } from '../codec/config-file.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { flag, has, parts, text, texts } from '../validation/value.ts';

export const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type Level = (typeof LEVELS)[number];

export const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Stage = (typeof STAGES)[number];

/** What is written of a request. */
export interface AuditChoice {
  readonly level: Level;
  readonly omitStages: ReadonlySet<string>;
  readonly omitManagedFields: boolean;
}

interface Rule {
  readonly choice: AuditChoice;
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly namespaces: readonly string[];
  readonly resources: readonly JsonObject[];
  readonly nonResourceURLs: readonly string[];
}

/** The file and its parts; the form of the lines is schema/type-table.ts's. */
const POLICY: ConfigKind = {
  names: ['audit.k8s.io/v1 Policy'],
  types: `audit.v1.Policy	:meta.v1.TypeMeta:0	metadata:R:1?	rules:[audit.v1.PolicyRule:2	omitStages:[s:3?~go=[]v1.Stage	omitManagedFields:b:4?
audit.v1.PolicyRule	level:s:1~go=v1.Level	users:[s:2?	userGroups:[s:3?	verbs:[s:4?	resources:[audit.v1.GroupResources:5?	namespaces:[s:6?	nonResourceURLs:[s:7?	omitStages:[s:8?~go=[]v1.Stage	omitManagedFields:b:9*?
audit.v1.GroupResources	group:s:1?	resources:[s:2?	resourceNames:[s:3?`,
};
const GROUP_SUFFIX = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export class AuditPolicy {
  private readonly rules: readonly Rule[];
  private readonly otherwise: AuditChoice;

  /**
   * @param file its text
   * @param warn told of fields that are no policy's, which are passed over: older servers wrote such files
   * @throws Error that names what is wrong with it
   */
  constructor(file: string, warn: (message: string) => void = () => undefined) {
    const value = decoded(file, warn);
    const list = parts(value, 'rules');
    if (list.length === 0) throw new Error('loaded illegal policy with 0 rules');
    checkPolicy(value, list);
    const omitStages = texts(value, 'omitStages');
    const omitManagedFields = flag(value, 'omitManagedFields');
    this.otherwise = { level: 'None', omitStages: new Set(omitStages), omitManagedFields };
    this.rules = list.map((rule) => ({
      choice: {
        level: levelOf(text(rule, 'level')),
        omitStages: new Set([...omitStages, ...texts(rule, 'omitStages')]),
        omitManagedFields: has(rule, 'omitManagedFields')
          ? flag(rule, 'omitManagedFields')
          : omitManagedFields,
      },
      users: texts(rule, 'users'),
      userGroups: texts(rule, 'userGroups'),
      verbs: texts(rule, 'verbs'),
      namespaces: texts(rule, 'namespaces'),
      resources: parts(rule, 'resources'),
      nonResourceURLs: texts(rule, 'nonResourceURLs'),
    }));
  }

  choose(user: UserInfo | undefined, info: RequestInfo): AuditChoice {
    return this.rules.find((rule) => matches(rule, user, info))?.choice ?? this.otherwise;
  }
}

function decoded(file: string, warn: (message: string) => void): JsonObject {
  try {
    const { value, strict } = readLenientConfigFile(file, POLICY);
    if (strict.length > 0) {
      warn(`Audit policy contains errors, falling back to lenient decoding: ${strictError(strict).message}`);
    }
    return value;
  } catch (error) {
    throw new Error(`failed decoding: ${toError(error).message}`, { cause: error });
  }
}

function levelOf(name: string): Level {
  return LEVELS.find((level) => level === name) ?? 'None';
}

function matches(rule: Rule, user: UserInfo | undefined, info: RequestInfo): boolean {
  const { users, userGroups, verbs, namespaces, resources, nonResourceURLs } = rule;
  if (users.length > 0 && (user === undefined || !users.includes(user.name))) return false;
  if (userGroups.length > 0 && !(user?.groups.some((group) => userGroups.includes(group)) ?? false))
    return false;
  if (verbs.length > 0 && !verbs.includes(info.verb)) return false;
  if (namespaces.length > 0 || resources.length > 0) {
    if (!info.isResource) return false;
    // What lies in no namespace has the empty one.
    if (namespaces.length > 0 && !namespaces.includes(info.namespace)) return false;
    return resources.length === 0 || resources.some((each) => matchesResource(each, info));
  }
  if (nonResourceURLs.length === 0) return true;
  return !info.isResource && nonResourceURLs.some((url) => matchesPath(url, info.path));
}

function matchesResource(each: JsonObject, { group, resource, subresource, name }: RequestInfo): boolean {
  if (text(each, 'group') !== group) return false;
  const resources = texts(each, 'resources');
  if (resources.length === 0) return true;
  const names = texts(each, 'resourceNames');
  if (names.length > 0 && !names.includes(name)) return false;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (pattern) =>
      pattern === '*' ||
      pattern === whole ||
      pattern === `${resource}/*` ||
      (subresource !== '' && pattern === `*/${subresource}`),
  );
}

function matchesPath(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, '')));
}

/** @throws Error */
function checkPolicy(policy: JsonObject, rules: readonly JsonObject[]): void {
  const errors = new FieldErrors();
  checkStages(errors, FieldPath.of('omitStages'), texts(policy, 'omitStages'));
  for (const [index, rule] of rules.entries()) {
    const path = FieldPath.of('rules').index(index);
    const level = text(rule, 'level');
    if (level === '') errors.required(path.child('level'));
    else if (!LEVELS.some((known) => known === level)) {
      errors.notSupported(path.child('level'), level, LEVELS);
    }
    checkPaths(errors, path, texts(rule, 'nonResourceURLs'));
    checkResources(errors, path.child('resources'), parts(rule, 'resources'));
    checkStages(errors, path.child('omitStages'), texts(rule, 'omitStages'));
    const resourceful = parts(rule, 'resources').length > 0 || texts(rule, 'namespaces').length > 0;
    if (texts(rule, 'nonResourceURLs').length > 0 && resourceful) {
      errors.invalid(
        path.child('nonResourceURLs'),
        texts(rule, 'nonResourceURLs'),
        'rules cannot apply to both regular resources and non-resource URLs',
      );
    }
  }
  if (errors.size === 0) return;
  const wrong = errors.list.map(({ field, body }) => `${field}: ${body}`);
  throw new Error(wrong.length === 1 ? wrong[0] : `[${wrong.join(', ')}]`);
}

function checkStages(errors: FieldErrors, path: FieldPath, stages: readonly string[]): void {
  for (const [index, stage] of stages.entries()) {
    if (STAGES.some((known) => known === stage)) continue;
    errors.invalid(path.index(index), stage, `allowed stages are ${STAGES.join(',')}`);
  }
}

function checkPaths(errors: FieldErrors, rule: FieldPath, urls: readonly string[]): void {
  for (const [index, url] of urls.entries()) {
    if (url === '*') continue;
    const at = rule.child('nonResourceURLs').index(index);
    if (!url.startsWith('/')) {
      errors.invalid(at, url, "non-resource URL rules must begin with a '/' character");
    }
    if (url.slice(0, -1).includes('*')) {
      errors.invalid(at, url, "non-resource URL wildcards '*' must be the final character of the rule");
    }
  }
}

function checkResources(errors: FieldErrors, path: FieldPath, resources: readonly JsonObject[]): void {
  for (const [index, each] of resources.entries()) {
    const group = text(each, 'group');
    if (group !== '' && !GROUP_SUFFIX.test(group)) {
      errors.invalid(path.index(index).child('group'), group, 'must be a group name');
    }
    if (texts(each, 'resourceNames').length > 0 && texts(each, 'resources').length === 0) {
      errors.invalid(
        path.index(index).child('resourceNames'),
        texts(each, 'resourceNames'),
        'using resourceNames requires at least one resource',
      );
    }
  }
}
