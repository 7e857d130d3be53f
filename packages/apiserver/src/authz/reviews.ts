/**
 * The questions of the authorization API: SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview
 * and SelfSubjectRulesReview, objects in, objects out. Nothing of them is stored. Texts as the original's.
 */

import { fieldsOf, listOf, textOf, textsOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import {
  parseFieldSelector,
  parseLabelSelector,
  requirementsOf,
  SelectorError,
  type FieldRequirement,
  type Requirement,
} from '../api/selectors.ts';
import { badRequest, invalid, type FieldError } from '../api/status.ts';
import type { AuthorizationAttributes, Authorizer, UserInfo } from '../api/user-info.ts';
import type { PolicyRule } from './rules.ts';
import type { RuleResolver } from './user-rules.ts';

const GROUP = 'authorization.k8s.io';

/**
 * Answers a SubjectAccessReview, whose spec names the user.
 *
 * @throws ApiError Invalid for a spec without a user or without exactly one kind of attributes
 */
export async function reviewSubjectAccess(review: KubeObject, authorizer: Authorizer): Promise<KubeObject> {
  checkSpec(review, 'SubjectAccessReview', true);
  return answer(review, userOfSpec(review), authorizer);
}

/**
 * Answers a LocalSubjectAccessReview.
 *
 * @param namespace of the request; the review must be about it
 */
export async function reviewLocalSubjectAccess(
  review: KubeObject,
  namespace: string,
  authorizer: Authorizer,
): Promise<KubeObject> {
  const spec = fieldsOf(review.spec);
  if (spec.nonResourceAttributes !== undefined && spec.nonResourceAttributes !== null) {
    throw invalid({ group: GROUP, kind: 'LocalSubjectAccessReview' }, '', [
      {
        type: 'FieldValueInvalid',
        field: 'spec.nonResourceAttributes',
        body: `Invalid value: ${JSON.stringify(spec.nonResourceAttributes)}: disallowed on this kind of request`,
      },
    ]);
  }
  checkSpec(review, 'LocalSubjectAccessReview', true);
  const told = textOf(fieldsOf(spec.resourceAttributes).namespace);
  if (told !== namespace) {
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
  }
  return answer(review, userOfSpec(review), authorizer);
}

/** Answers a SelfSubjectAccessReview about the user who asks. */
export async function reviewSelfAccess(
  review: KubeObject,
  user: UserInfo,
  authorizer: Authorizer,
): Promise<KubeObject> {
  checkSpec(review, 'SelfSubjectAccessReview', false);
  return answer(review, user, authorizer);
}

/**
 * Answers a SelfSubjectRulesReview: what the user may do in a namespace, as far as it can be told.
 *
 * @throws ApiError BadRequest without a namespace
 */
export function reviewSelfRules(review: KubeObject, user: UserInfo, rules: RuleResolver): KubeObject {
  const namespace = textOf(fieldsOf(review.spec).namespace);
  if (namespace === '') throw badRequest('no namespace on request');
  const { resourceRules, nonResourceRules, incomplete, errors } = rules.rulesFor(user, namespace);
  return {
    ...review,
    status: {
      resourceRules: resourceRules.map((rule) => resourceRule(rule)),
      nonResourceRules: nonResourceRules.map(({ verbs, nonResourceURLs = [] }) => ({
        verbs,
        nonResourceURLs,
      })),
      incomplete,
      ...(errors.length === 0
        ? {}
        : { evaluationError: errors.length === 1 ? errors[0] : `[${[...new Set(errors)].join(', ')}]` }),
    },
  };
}

function resourceRule({ verbs, apiGroups = [], resources = [], resourceNames = [] }: PolicyRule): object {
  return {
    verbs,
    ...(apiGroups.length === 0 ? {} : { apiGroups }),
    ...(resources.length === 0 ? {} : { resources }),
    ...(resourceNames.length === 0 ? {} : { resourceNames }),
  };
}

async function answer(review: KubeObject, user: UserInfo, authorizer: Authorizer): Promise<KubeObject> {
  const { attributes, errors } = attributesOfSpec(review, user);
  const { kind, reason, error } = await authorizer.authorize(attributes);
  const evaluation = [...errors, ...(error === undefined ? [] : [error])];
  return {
    ...review,
    status: {
      allowed: kind === 'allow',
      ...(kind === 'deny' ? { denied: true } : {}),
      ...(reason === '' ? {} : { reason }),
      ...(evaluation.length === 0
        ? {}
        : { evaluationError: evaluation.length === 1 ? evaluation[0] : `[${evaluation.join(', ')}]` }),
    },
  };
}

function userOfSpec(review: KubeObject): UserInfo {
  const { user, uid, groups, extra } = fieldsOf(review.spec);
  return {
    name: textOf(user),
    uid: textOf(uid),
    groups: textsOf(groups),
    extra: Object.fromEntries(
      Object.entries(fieldsOf(extra)).map(([key, values]) => [key.toLowerCase(), textsOf(values)]),
    ),
  };
}

/** The question a review's spec asks about a user, and what of its selectors could not be read. */
function attributesOfSpec(
  review: KubeObject,
  user: UserInfo,
): { readonly attributes: AuthorizationAttributes; readonly errors: readonly string[] } {
  const spec = fieldsOf(review.spec);
  const errors: string[] = [];
  if (spec.resourceAttributes === undefined || spec.resourceAttributes === null) {
    const { verb, path } = fieldsOf(spec.nonResourceAttributes);
    return {
      attributes: {
        user,
        verb: textOf(verb),
        isResource: false,
        group: '',
        version: '',
        resource: '',
        subresource: '',
        namespace: '',
        name: '',
        path: textOf(path),
      },
      errors,
    };
  }
  const told = fieldsOf(spec.resourceAttributes);
  const labelSelector = read(() => labelRequirements(told.labelSelector), errors);
  const fieldSelector = read(() => fieldRequirements(told.fieldSelector), errors);
  return {
    attributes: {
      user,
      verb: textOf(told.verb),
      isResource: true,
      group: textOf(told.group),
      version: textOf(told.version) === '' ? '*' : textOf(told.version),
      resource: textOf(told.resource),
      subresource: textOf(told.subresource),
      namespace: textOf(told.namespace),
      name: textOf(told.name),
      path: '',
      ...(labelSelector.length === 0 ? {} : { labelSelector }),
      ...(fieldSelector.length === 0 ? {} : { fieldSelector }),
    },
    errors,
  };
}

function read<T>(parse: () => T[], errors: string[]): T[] {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    errors.push(error.message);
    return [];
  }
}

/** A selector of a review: its text, or its requirements; those that cannot be known are left out (a wider question). */
function labelRequirements(value: unknown): Requirement[] {
  const { rawSelector, requirements } = fieldsOf(value);
  if (textOf(rawSelector) !== '') return parseLabelSelector(textOf(rawSelector));
  return listOf(requirements).flatMap((one) => {
    const { key, operator, values } = fieldsOf(one);
    const expression = { key: textOf(key), operator: textOf(operator), values: textsOf(values) };
    return requirementsOf({ matchExpressions: [expression] });
  });
}

function fieldRequirements(value: unknown): FieldRequirement[] {
  const { rawSelector, requirements } = fieldsOf(value);
  if (textOf(rawSelector) !== '') return parseFieldSelector(textOf(rawSelector));
  return listOf(requirements).flatMap((one): FieldRequirement[] => {
    const { key, operator, values } = fieldsOf(one);
    const texts = textsOf(values);
    const is = textOf(operator);
    if (texts.length !== 1 || (is !== 'In' && is !== 'NotIn')) {
      throw new SelectorError(`${JSON.stringify(is)} is not a valid field selector operator`);
    }
    return [{ field: textOf(key), operator: is === 'In' ? '=' : '!=', value: texts[0] }];
  });
}

function checkSpec(review: KubeObject, kind: string, namesUser: boolean): void {
  const spec = fieldsOf(review.spec);
  const has = (name: string): boolean => spec[name] !== undefined && spec[name] !== null;
  const errors: FieldError[] = [];
  if (has('resourceAttributes') && has('nonResourceAttributes')) {
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.nonResourceAttributes',
      body: `Invalid value: ${JSON.stringify(spec.nonResourceAttributes)}: cannot be specified in combination with resourceAttributes`,
    });
  }
  if (!has('resourceAttributes') && !has('nonResourceAttributes')) {
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.resourceAttributes',
      body: `Invalid value: ${JSON.stringify(spec.resourceAttributes ?? null)}: exactly one of nonResourceAttributes or resourceAttributes must be specified`,
    });
  }
  if (namesUser && textOf(spec.user) === '' && textsOf(spec.groups).length === 0) {
    errors.push({
      type: 'FieldValueInvalid',
      field: 'spec.user',
      body: 'Invalid value: "": at least one of user or group must be specified',
    });
  }
  if (errors.length > 0) throw invalid({ group: GROUP, kind }, review.metadata.name ?? '', errors);
}
