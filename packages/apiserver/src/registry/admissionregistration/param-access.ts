/**
 * Asks, before a policy or binding that names parameters is written, whether the writer may read them: a policy can tell
 * what is in them. What the server does by itself has no user and is not asked, nor are members of system:masters.
 *
 * Modelled on the authorization of kubernetes pkg/registry/admissionregistration, texts included; mutating policies the
 * same.
 */

import { equalJson } from '../../api/equal.ts';
import type { JsonObject } from '../../api/json.ts';
import type { GroupVersionKind, KubeObject } from '../../api/meta.ts';
import { hasReason, invalid } from '../../api/status.ts';
import {
  GROUP_MASTERS,
  type AuthorizationAttributes,
  type Authorizer,
  type UserInfo,
} from '../../api/user-info.ts';
import { paramKindOf } from '../../admission/policies/policy.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { part, partOf, text } from '../../validation/value.ts';
import { SPEC } from '../kinds/kind.ts';
import type { Reservation, ResourceDefinition, ResourceHooks, Stores } from '../resource.ts';
import type { StrategyContext } from '../strategy.ts';

export interface ParamAccess {
  readonly authorizer: Authorizer;
  /** The resource that holds a kind; undefined where nobody serves it. */
  resourceOf(kind: GroupVersionKind): string | undefined;
}

const GROUP = 'admissionregistration.k8s.io';

/** The definition with the check before its writes, where it is of a policy or a binding. */
export function withParamAccess(definition: ResourceDefinition, access: ParamAccess): ResourceDefinition {
  const sort = /^(validating|mutating)admissionpolic(ies|ybindings)$/.exec(definition.resource);
  if (definition.group !== GROUP || sort === null) return definition;
  const field = sort[2] === 'ies' ? 'paramKind' : 'paramRef';
  const ask = async (
    object: KubeObject,
    old: KubeObject | undefined,
    context: StrategyContext,
    stores: Stores,
  ): Promise<Reservation> => {
    const reserved = { object, finish: () => Promise.resolve() };
    const { user } = context;
    const spec = part(object, 'spec');
    const named = partOf(spec, field);
    if (named === undefined || user === undefined || user.groups.includes(GROUP_MASTERS)) return reserved;
    const before = old && part(old, 'spec');
    if (
      before !== undefined &&
      equalJson(named, before[field]) &&
      equalJson(spec['policyName'], before['policyName'])
    ) {
      return reserved;
    }
    // What is wrong with it is told first.
    const { strategy } = definition;
    const wrong =
      old === undefined ? strategy.validate(object, context) : strategy.validateUpdate(object, old, context);
    if (wrong.length > 0) return reserved;
    const refused =
      field === 'paramKind'
        ? await refusesKind(named, user, access)
        : await refusesRef(
            named,
            await paramKindOfPolicy(`${sort[1]}admissionpolicies`, text(spec, 'policyName'), stores),
            user,
            access,
          );
    if (refused === undefined) return reserved;
    const errors = new FieldErrors();
    errors.forbidden(SPEC.child(field), refused);
    throw invalid(definition, object.metadata.name ?? '', errors.list);
  };
  const hooks: ResourceHooks = {
    ...definition.hooks,
    beginCreate: (object, context, stores) => ask(object, undefined, context, stores),
    beginUpdate: (object, old, context, stores) => ask(object, old, context, stores),
  };
  return { ...definition, hooks };
}

async function refusesKind(
  kind: JsonObject,
  user: UserInfo,
  access: ParamAccess,
): Promise<string | undefined> {
  const may = await mayRead(access, user, { ...resourceOf(kind, access), name: '*', namespace: '*' });
  return may
    ? undefined
    : `user ${userText(user)} must have "get" permission on all objects of the referenced paramKind (kind=${text(kind, 'kind')}, apiVersion=${text(kind, 'apiVersion')})`;
}

async function refusesRef(
  ref: JsonObject,
  kind: JsonObject | undefined,
  user: UserInfo,
  access: ParamAccess,
): Promise<string | undefined> {
  const resource = kind === undefined ? ANYTHING : resourceOf(kind, access);
  const [name, namespace] = [text(ref, 'name'), text(ref, 'namespace')];
  const may = await mayRead(access, user, { ...resource, name, namespace });
  return may
    ? undefined
    : `user ${userText(user)} does not have "get" permission on the object referenced by paramRef`;
}

type Wanted = Pick<AuthorizationAttributes, 'group' | 'version' | 'resource'>;

const ANYTHING: Wanted = { group: '*', version: '*', resource: '*' };

function resourceOf(kind: JsonObject, access: ParamAccess): Wanted {
  const { group, version, kind: name } = paramKindOf(kind);
  return { group, version, resource: access.resourceOf({ group, version, kind: name }) ?? '*' };
}

/** Undefined where there is no such policy, or it has none. */
async function paramKindOfPolicy(
  resource: string,
  name: string,
  stores: Stores,
): Promise<JsonObject | undefined> {
  try {
    const policy = await stores.of({ group: GROUP, resource })?.get('', name);
    return policy && partOf(part(policy, 'spec'), 'paramKind');
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function mayRead(
  { authorizer }: ParamAccess,
  user: UserInfo,
  wanted: Wanted & Pick<AuthorizationAttributes, 'name' | 'namespace'>,
): Promise<boolean> {
  const { kind } = await authorizer.authorize({
    ...wanted,
    user,
    verb: 'get',
    isResource: true,
    subresource: '',
    path: '',
  });
  return kind === 'allow';
}

/** A user as Go prints one. */
function userText({ name, uid, groups, extra }: UserInfo): string {
  const more = Object.entries(extra)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, values]) => `${key}:[${values.join(' ')}]`);
  return `&{${name} ${uid} [${groups.join(' ')}] map[${more.join(' ')}]}`;
}
