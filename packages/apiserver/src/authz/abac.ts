/**
 * Mode ABAC: policies of a file, one JSON object a line, each of which lets a user or a group do something. No policy
 * denies; what none allows is left to the modes behind. Pure: the file's text in, decisions out.
 *
 * Modelled on kubernetes' pkg/auth/authorizer/abac, both forms of a line included.
 */

import { isJsonObject, type JsonObject } from '../api/json.ts';
import {
  GROUP_AUTHENTICATED,
  type AuthorizationAttributes,
  type Authorizer,
  type Decision,
  type UserInfo,
} from '../api/user-info.ts';
import { readJson } from '../codec/json-reader.ts';
import { flag, part, text } from '../validation/value.ts';
import type { RuleResolver, UserRules } from './user-rules.ts';

const VERSION = 'abac.authorization.kubernetes.io/v1beta1';
const READING: readonly string[] = ['get', 'list', 'watch'];

/** One line; `*` matches everything. */
interface AbacPolicy {
  readonly user: string;
  readonly group: string;
  readonly readonly: boolean;
  readonly apiGroup: string;
  readonly namespace: string;
  readonly resource: string;
  readonly nonResourcePath: string;
}

export interface AbacFile {
  readonly authorizer: AbacAuthorizer;
  /** Lines in the form from before there were versions. */
  readonly unversioned: number;
}

/**
 * @param path as errors name the file
 * @throws Error naming the line and what is wrong with it
 */
export function readAbacPolicies(content: string, path: string): AbacFile {
  const policies: AbacPolicy[] = [];
  let unversioned = 0;
  for (const [index, line] of content.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const problem = (why: string, cause?: unknown): Error =>
      new Error(`error reading policy file ${path}, line ${index}: ${line}: ${why}`, { cause });
    let value: JsonObject;
    try {
      const parsed = readJson(line);
      if (!isJsonObject(parsed)) throw new Error('a policy is an object');
      value = parsed;
    } catch (error) {
      throw problem(error instanceof Error ? error.message : String(error), error);
    }
    const [version, kind] = [text(value, 'apiVersion'), text(value, 'kind')];
    if (version === VERSION && kind === 'Policy') policies.push(versioned(part(value, 'spec')));
    else if (version === '' && kind === '') {
      policies.push(fromBefore(value));
      unversioned += 1;
    } else
      throw problem(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(version)}`);
  }
  return { authorizer: new AbacAuthorizer(policies), unversioned };
}

function versioned(spec: JsonObject): AbacPolicy {
  const policy = {
    user: text(spec, 'user'),
    group: text(spec, 'group'),
    readonly: flag(spec, 'readonly'),
    apiGroup: text(spec, 'apiGroup'),
    namespace: text(spec, 'namespace'),
    resource: text(spec, 'resource'),
    nonResourcePath: text(spec, 'nonResourcePath'),
  };
  const anybody = policy.user === '*' || policy.group === '*';
  return anybody ? { ...policy, user: '', group: GROUP_AUTHENTICATED } : policy;
}

/** What is left out matches everything, in this form. */
function fromBefore(line: JsonObject): AbacPolicy {
  const [user, group] = [text(line, 'user'), text(line, 'group')];
  const [namespace, resource] = [text(line, 'namespace'), text(line, 'resource')];
  const anybody = (user === '' && group === '') || user === '*' || group === '*';
  return {
    user: anybody ? '' : user,
    group: anybody ? GROUP_AUTHENTICATED : group,
    readonly: flag(line, 'readonly'),
    apiGroup: '*',
    namespace: namespace === '' ? '*' : namespace,
    resource: resource === '' ? '*' : resource,
    nonResourcePath: namespace === '' && resource === '' ? '*' : '',
  };
}

export class AbacAuthorizer implements Authorizer, RuleResolver {
  private readonly policies: readonly AbacPolicy[];

  constructor(policies: readonly AbacPolicy[]) {
    this.policies = policies;
  }

  authorize(attributes: AuthorizationAttributes): Promise<Decision> {
    const allowed = this.policies.some((policy) => allows(policy, attributes));
    return Promise.resolve(
      allowed ? { kind: 'allow', reason: '' } : { kind: 'no-opinion', reason: 'No policy matched.' },
    );
  }

  rulesFor(user: UserInfo, namespace: string): UserRules {
    const policies = this.policies.filter(
      (policy) => isAbout(policy, user) && (policy.namespace === '*' || policy.namespace === namespace),
    );
    const verbsOf = ({ readonly }: AbacPolicy): readonly string[] => (readonly ? READING : ['*']);
    return {
      resourceRules: policies.map((policy) => ({
        verbs: verbsOf(policy),
        apiGroups: [policy.apiGroup],
        resources: [policy.resource],
      })),
      nonResourceRules: policies.map((policy) => ({
        verbs: verbsOf(policy),
        nonResourceURLs: [policy.nonResourcePath],
      })),
      incomplete: false,
      errors: [],
    };
  }
}

function allows(policy: AbacPolicy, attributes: AuthorizationAttributes): boolean {
  if (!isAbout(policy, attributes.user)) return false;
  if (policy.readonly && !READING.includes(attributes.verb)) return false;
  return attributes.isResource ? coversResource(policy, attributes) : coversPath(policy, attributes.path);
}

/** Both the user and a group have to fit where both are named; a policy that names neither is nobody's. */
function isAbout({ user, group }: AbacPolicy, who: UserInfo): boolean {
  if (user === '' && group === '') return false;
  return (user === '' || user === who.name) && (group === '' || who.groups.includes(group));
}

function coversResource(policy: AbacPolicy, attributes: AuthorizationAttributes): boolean {
  const fits = (pattern: string, value: string): boolean => pattern === '*' || pattern === value;
  return (
    fits(policy.namespace, attributes.namespace) &&
    fits(policy.resource, attributes.resource) &&
    fits(policy.apiGroup, attributes.group)
  );
}

function coversPath({ nonResourcePath }: AbacPolicy, path: string): boolean {
  if (nonResourcePath === '*' || nonResourcePath === path) return true;
  return nonResourcePath.endsWith('*') && path.startsWith(nonResourcePath.replace(/\*+$/, ''));
}
