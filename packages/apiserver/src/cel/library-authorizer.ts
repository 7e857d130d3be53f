/**
 * Kubernetes' authorizer library (1.27, selectors since 1.31): an expression asks whether somebody may do something.
 * Who answers is an argument and answers at once or not yet; then the evaluation ends as `undecided` with the
 * question, and is done again when the answer is there. So a webhook may be asked without this room waiting for it.
 */

import { parseFieldSelector, parseLabelSelector, SelectorError } from '../api/selectors.ts';
import {
  GROUP_AUTHENTICATED,
  GROUP_SERVICE_ACCOUNTS,
  serviceAccountUser,
  type AuthorizationAttributes,
  type Decision,
  type UserInfo,
} from '../api/user-info.ts';
import { overload, type Implementation, type Overload } from './functions.ts';
import { opaque, type CelType } from './types.ts';
import { CelError, noSuchOverload, Opaque, type Result, type Value } from './values.ts';

export type AuthorizationQuestion = AuthorizationAttributes;

/** Answers what is known; undefined for what has to be asked first. */
export type KnownDecisions = (question: AuthorizationQuestion) => Decision | undefined;

/** Ends an evaluation that needs an answer which is not there. */
export class PendingDecision extends Error {
  readonly question: AuthorizationQuestion;

  constructor(question: AuthorizationQuestion) {
    super();
    this.question = question;
  }
}

const PACKAGE = 'kubernetes.authorization';
const AUTHORIZER = opaque(`${PACKAGE}.Authorizer`);
const PATH_CHECK = opaque(`${PACKAGE}.PathCheck`);
const GROUP_CHECK = opaque(`${PACKAGE}.GroupCheck`);
const RESOURCE_CHECK = opaque(`${PACKAGE}.ResourceCheck`);
const DECISION = opaque(`${PACKAGE}.Decision`);

/** The variable `authorizer`: asks for one user. */
export class AuthorizerValue extends Opaque {
  override readonly type: CelType = AUTHORIZER;
  readonly user: UserInfo;
  readonly decide: KnownDecisions;

  constructor(user: UserInfo, decide: KnownDecisions) {
    super();
    this.user = user;
    this.decide = decide;
  }

  override equals(other: Opaque): boolean {
    return this === other;
  }
}

class PathCheck extends Opaque {
  override readonly type: CelType = PATH_CHECK;
  readonly authorizer: AuthorizerValue;
  readonly path: string;

  constructor(authorizer: AuthorizerValue, path: string) {
    super();
    this.authorizer = authorizer;
    this.path = path;
  }

  override equals(other: Opaque): boolean {
    return this === other;
  }
}

class GroupCheck extends Opaque {
  override readonly type: CelType = GROUP_CHECK;
  readonly authorizer: AuthorizerValue;
  readonly group: string;

  constructor(authorizer: AuthorizerValue, group: string) {
    super();
    this.authorizer = authorizer;
    this.group = group;
  }

  override equals(other: Opaque): boolean {
    return this === other;
  }
}

export interface ResourceTarget {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

/** A resource to check; as the variable `authorizer.requestResource`, the one of the request. */
export class ResourceCheck extends Opaque {
  override readonly type: CelType = RESOURCE_CHECK;
  readonly authorizer: AuthorizerValue;
  readonly target: ResourceTarget;

  constructor(authorizer: AuthorizerValue, target: ResourceTarget) {
    super();
    this.authorizer = authorizer;
    this.target = target;
  }

  override equals(other: Opaque): boolean {
    return this === other;
  }
}

class DecisionValue extends Opaque {
  override readonly type: CelType = DECISION;
  readonly decision: Decision;

  constructor(decision: Decision) {
    super();
    this.decision = decision;
  }

  override equals(other: Opaque): boolean {
    return this === other;
  }
}

function ask(authorizer: AuthorizerValue, question: Omit<AuthorizationQuestion, 'user'>): DecisionValue {
  const full = { ...question, user: authorizer.user };
  const decision = authorizer.decide(full);
  if (decision === undefined) throw new PendingDecision(full);
  return new DecisionValue(decision);
}

const NO_RESOURCE = { group: '', version: '', resource: '', subresource: '', namespace: '', name: '' };

/** A selector that cannot be parsed is left out, and so the check is about all. */
function parsed<T>(parse: (text: string) => T, text: string | undefined): T | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

function checkResource(check: ResourceCheck, verb: string): DecisionValue {
  const { fieldSelector: fields, labelSelector: labels, ...target } = check.target;
  const fieldSelector = parsed(parseFieldSelector, fields);
  const labelSelector = parsed(parseLabelSelector, labels);
  return ask(check.authorizer, {
    ...target,
    verb,
    isResource: true,
    version: '*',
    path: '',
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...(labelSelector === undefined ? {} : { labelSelector }),
  });
}

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const isDnsLabel = (text: string): boolean => text.length <= 63 && DNS_LABEL.test(text);
const isDnsSubdomain = (text: string): boolean =>
  text.length <= 253 && text.split('.').every((part) => DNS_LABEL.test(part));

const serviceAccount: Implementation = (authorizer, namespace, name) => {
  if (!(authorizer instanceof AuthorizerValue)) return noSuchOverload();
  if (typeof namespace !== 'string' || typeof name !== 'string') return noSuchOverload();
  if (!isDnsSubdomain(name)) return new CelError('Invalid service account name');
  if (!isDnsLabel(namespace)) return new CelError('Invalid service account namespace');
  const user: UserInfo = {
    name: serviceAccountUser(namespace, name),
    uid: '',
    groups: [GROUP_SERVICE_ACCOUNTS, `${GROUP_SERVICE_ACCOUNTS}:${namespace}`, GROUP_AUTHENTICATED],
    extra: {},
  };
  return new AuthorizerValue(user, authorizer.decide);
};

const onAuthorizer =
  (run: (authorizer: AuthorizerValue, text: string) => Result): Implementation =>
  (authorizer: Value, text: Value) =>
    authorizer instanceof AuthorizerValue && typeof text === 'string'
      ? run(authorizer, text)
      : noSuchOverload();

/** The same check with one thing of it said. */
const with_ =
  (change: (text: string) => Partial<ResourceTarget>): Implementation =>
  (check: Value, text: Value) =>
    check instanceof ResourceCheck && typeof text === 'string'
      ? new ResourceCheck(check.authorizer, { ...check.target, ...change(text) })
      : noSuchOverload();

const onDecision =
  (run: (decision: Decision) => Result): Implementation =>
  (value: Value) =>
    value instanceof DecisionValue ? run(value.decision) : noSuchOverload();

const A = AUTHORIZER.name;
const P = PATH_CHECK.name;
const G = GROUP_CHECK.name;
const R = RESOURCE_CHECK.name;
const D = DECISION.name;

export const AUTHORIZER_LIBRARY: readonly Overload[] = [
  overload(
    'authorizer_path',
    `${A}->path(string) ${P}`,
    onAuthorizer((authorizer, path) =>
      path.trim() === '' ? new CelError('path must not be empty') : new PathCheck(authorizer, path),
    ),
  ),
  overload(
    'authorizer_group',
    `${A}->group(string) ${G}`,
    onAuthorizer((authorizer, group) => new GroupCheck(authorizer, group)),
  ),
  overload('authorizer_serviceaccount', `${A}->serviceAccount(string, string) ${A}`, serviceAccount),
  overload('groupcheck_resource', `${G}->resource(string) ${R}`, (check, resource) => {
    if (!(check instanceof GroupCheck) || typeof resource !== 'string') return noSuchOverload();
    if (resource.trim() === '') return new CelError('resource must not be empty');
    return new ResourceCheck(check.authorizer, {
      group: check.group,
      resource,
      subresource: '',
      namespace: '',
      name: '',
    });
  }),
  overload(
    'resourcecheck_subresource',
    `${R}->subresource(string) ${R}`,
    with_((subresource) => ({ subresource })),
  ),
  overload(
    'resourcecheck_namespace',
    `${R}->namespace(string) ${R}`,
    with_((namespace) => ({ namespace })),
  ),
  overload(
    'resourcecheck_name',
    `${R}->name(string) ${R}`,
    with_((name) => ({ name })),
  ),
  overload('pathcheck_check', `${P}->check(string) ${D}`, (check, verb) =>
    check instanceof PathCheck && typeof verb === 'string'
      ? ask(check.authorizer, { ...NO_RESOURCE, verb, isResource: false, path: check.path })
      : noSuchOverload(),
  ),
  overload('resourcecheck_check', `${R}->check(string) ${D}`, (check, verb) =>
    check instanceof ResourceCheck && typeof verb === 'string'
      ? checkResource(check, verb)
      : noSuchOverload(),
  ),
  overload(
    'decision_errored',
    `${D}->errored() bool`,
    onDecision((decision) => decision.error !== undefined),
  ),
  overload(
    'decision_error',
    `${D}->error() string`,
    onDecision((decision) => decision.error ?? ''),
  ),
  overload(
    'decision_allowed',
    `${D}->allowed() bool`,
    onDecision((decision) => decision.kind === 'allow'),
  ),
  overload(
    'decision_reason',
    `${D}->reason() string`,
    onDecision((decision) => decision.reason),
  ),
];

export const AUTHORIZER_SELECTORS_LIBRARY: readonly Overload[] = [
  overload(
    'authorizer_fieldselector',
    `${R}->fieldSelector(string) ${R}`,
    with_((fieldSelector) => ({ fieldSelector })),
  ),
  overload(
    'authorizer_labelselector',
    `${R}->labelSelector(string) ${R}`,
    with_((labelSelector) => ({ labelSelector })),
  ),
];

export const AUTHORIZER_TYPES = { authorizer: AUTHORIZER, requestResource: RESOURCE_CHECK } as const;
