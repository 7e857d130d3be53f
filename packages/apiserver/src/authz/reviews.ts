/**
 * The questions of the authorization API: SubjectAccessReview, LocalSubjectAccessReview, SelfSubjectAccessReview
 * and SelfSubjectRulesReview, objects in, objects out. Nothing of them is stored. Texts as the original's.
 */

import { goQuote } from '@keelson/base';

import { fieldsOf, listOf, textOf, textsOf } from '../api/fields.ts';
import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import {
  parseFieldSelector,
  parseLabelSelector,
  requirementsOf,
  SelectorError,
  type FieldRequirement,
  type Requirement,
} from '../api/selectors.ts';
import { badRequest, invalid } from '../api/status.ts';
import type { AuthorizationAttributes, Authorizer, UserInfo } from '../api/user-info.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { checkLabelName, checkLabelValues, checkOperatorValues } from '../validation/labels.ts';
import { part, parts, text, texts } from '../validation/value.ts';
import { aggregate } from './rbac.ts';
import type { PolicyRule } from './rules.ts';
import type { RuleResolver } from './user-rules.ts';

const GROUP = 'authorization.k8s.io';

/**
 * Answers a SubjectAccessReview, whose spec names the user.
 *
 * @throws ApiError Invalid for a spec without a user or without exactly one kind of attributes
 */
export async function reviewSubjectAccess(review: KubeObject, authorizer: Authorizer): Promise<KubeObject> {
  checkReview(review, { namesUser: true, local: false });
  return answer(review, userOfSpec(review), authorizer);
}

/**
 * Answers a LocalSubjectAccessReview, which lies in the namespace of the request; it must be about that one.
 *
 * @throws ApiError Invalid as for a SubjectAccessReview, for another namespace and for attributes of no resource
 */
export async function reviewLocalSubjectAccess(
  review: KubeObject,
  authorizer: Authorizer,
): Promise<KubeObject> {
  checkReview(review, { namesUser: true, local: true });
  return answer(review, userOfSpec(review), authorizer);
}

/** Answers a SelfSubjectAccessReview about the user who asks. */
export async function reviewSelfAccess(
  review: KubeObject,
  user: UserInfo,
  authorizer: Authorizer,
): Promise<KubeObject> {
  checkReview(review, { namesUser: false, local: false });
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
    apiVersion: review.apiVersion,
    kind: review.kind,
    metadata: {},
    spec: {},
    status: {
      resourceRules: resourceRules.map((rule) => resourceRule(rule)),
      nonResourceRules: nonResourceRules.map(({ verbs, nonResourceURLs = [] }) => ({
        verbs,
        nonResourceURLs,
      })),
      incomplete,
      ...(errors.length === 0 ? {} : { evaluationError: aggregate(errors) }),
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
  const evaluation = [...(error === undefined ? [] : [error]), ...errors];
  return {
    ...review,
    status: {
      allowed: kind === 'allow',
      ...(kind === 'deny' ? { denied: true } : {}),
      ...(reason === '' ? {} : { reason }),
      ...(evaluation.length === 0 ? {} : { evaluationError: evaluation.join('; ') }),
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
  const field = fieldRequirements(told.fieldSelector);
  const label = labelRequirements(told.labelSelector);
  for (const [name, { requirements, partial }] of [
    ['fieldSelector', field],
    ['labelSelector', label],
  ] as const) {
    if (!partial) continue;
    const how = requirements.length > 0 ? 'partially ignored' : 'ignored';
    errors.push(`spec.resourceAttributes.${name} ${how} due to parse error`);
  }
  const labelSelector = label.requirements;
  const fieldSelector = field.requirements;
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

/** What of a selector could be read. What could not is left out, which makes the question a wider one. */
interface Readable<T> {
  readonly requirements: readonly T[];
  readonly partial: boolean;
}

function readable<T>(parts: readonly (() => readonly T[])[]): Readable<T> {
  const requirements: T[] = [];
  let partial = false;
  for (const part of parts) {
    try {
      requirements.push(...part());
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      partial = true;
    }
  }
  return { requirements, partial };
}

function labelRequirements(value: unknown): Readable<Requirement> {
  const { rawSelector, requirements } = fieldsOf(value);
  const raw = textOf(rawSelector);
  if (raw !== '') return readable([() => parseLabelSelector(raw)]);
  return readable(
    listOf(requirements).map((one) => () => {
      const { key, operator, values } = fieldsOf(one);
      const expression = { key: textOf(key), operator: textOf(operator), values: textsOf(values) };
      return requirementsOf({ matchExpressions: [expression] });
    }),
  );
}

function fieldRequirements(value: unknown): Readable<FieldRequirement> {
  const { rawSelector, requirements } = fieldsOf(value);
  const raw = textOf(rawSelector);
  if (raw !== '') return readable([() => parseFieldSelector(raw)]);
  return readable(
    listOf(requirements).map((one) => (): FieldRequirement[] => {
      const { key, operator, values } = fieldsOf(one);
      const texts = textsOf(values);
      const is = textOf(operator);
      if (texts.length !== 1 || (is !== 'In' && is !== 'NotIn')) {
        throw new SelectorError(`${goQuote(is)} is not a valid field selector operator`);
      }
      return [{ field: textOf(key), operator: is === 'In' ? '=' : '!=', value: texts[0] }];
    }),
  );
}

/** @throws ApiError Invalid with everything that is wrong with a review */
function checkReview(
  review: KubeObject,
  { namesUser, local }: { readonly namesUser: boolean; readonly local: boolean },
): void {
  const spec = part(review, 'spec');
  const errors = new FieldErrors();
  const at = FieldPath.of('spec');
  const other = spec['nonResourceAttributes'] ?? null;
  const told = spec['resourceAttributes'] ?? null;
  if (told !== null && other !== null) {
    errors.invalid(
      at.child('nonResourceAttributes'),
      goFields(other),
      'cannot be specified in combination with resourceAttributes',
    );
  }
  if (told === null && other === null) {
    errors.invalid(
      at.child('resourceAttributes'),
      null,
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
  }
  if (namesUser && text(spec, 'user') === '' && texts(spec, 'groups').length === 0) {
    errors.invalid(at.child('user'), '', 'at least one of user or group must be specified');
  }
  const resource = at.child('resourceAttributes');
  if (isJsonObject(told)) {
    checkSelector(errors, resource.child('fieldSelector'), told['fieldSelector'], (path, requirement) => {
      if (text(requirement, 'key') === '') errors.required(path.child('key'), 'must be specified');
      checkOperatorValues(errors, path, requirement);
    });
    checkSelector(errors, resource.child('labelSelector'), told['labelSelector'], (path, requirement) => {
      checkOperatorValues(errors, path, requirement);
      checkLabelName(errors, path.child('key'), text(requirement, 'key'));
      checkLabelValues(errors, path, requirement);
    });
  }
  const { namespace = '', managedFields, ...metadata } = review.metadata;
  void managedFields;
  const said = local || namespace === '' ? metadata : { namespace, ...metadata };
  if (Object.values(said).some((value) => value !== undefined && value !== null)) {
    errors.invalid(
      FieldPath.of('metadata'),
      review.metadata,
      local ? 'must be empty except for namespace' : 'must be empty',
    );
  }
  if (local && isJsonObject(told) && text(told, 'namespace') !== namespace) {
    errors.invalid(resource.child('namespace'), text(told, 'namespace'), 'must match metadata.namespace');
  }
  if (local && other !== null) {
    errors.invalid(at.child('nonResourceAttributes'), goFields(other), 'disallowed on this kind of request');
  }
  // The original's review has lost its kind by then.
  if (errors.size > 0) throw invalid({ group: GROUP, kind: '' }, '', errors.list);
}

function checkSelector(
  errors: FieldErrors,
  path: FieldPath,
  selector: Json | undefined,
  check: (path: FieldPath, requirement: JsonObject) => void,
): void {
  if (!isJsonObject(selector)) return;
  const raw = text(selector, 'rawSelector');
  const requirements = parts(selector, 'requirements');
  if (raw !== '' && requirements.length > 0) {
    errors.invalid(path.child('rawSelector'), raw, 'may not specified at the same time as requirements');
  }
  if (raw === '' && requirements.length === 0) {
    const where = path.toString();
    errors.required(
      path.child('requirements'),
      `when ${where} is specified, requirements or rawSelector is required`,
    );
  }
  for (const [index, requirement] of requirements.entries()) {
    check(path.child('requirements').index(index), requirement);
  }
}

/** Attributes under the names that the original's own type has for them. */
function goFields(attributes: unknown): object {
  const { path, verb } = fieldsOf(attributes);
  return { Path: textOf(path), Verb: textOf(verb) };
}
