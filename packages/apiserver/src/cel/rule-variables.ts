/**
 * The variables each place of the API gives its expressions, with their types: rules of custom resources (self,
 * oldSelf), admission policies and match conditions (object, oldObject, request, params, namespaceObject, authorizer,
 * variables), and match conditions of authorization webhooks (request).
 *
 * Objects of admission are untyped: what a field is shows when a policy runs. The request and the namespace have types,
 * as Kubernetes gives them (`kubernetes.AdmissionRequest`).
 */

import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { type Declaration, type FieldDeclaration, structsOf } from './declarations.ts';
import { type BaseEnvironment, type Environment, type EnvironmentParts } from './environment.ts';
import { AUTHORIZER_TYPES, PendingDecision } from './library-authorizer.ts';
import { type Outcome } from './program.ts';
import {
  ANY,
  BOOL,
  DYN,
  INT,
  listOf,
  mapOf,
  optionalOf,
  STRING,
  structOf,
  TIMESTAMP,
  type CelType,
} from './types.ts';
import { CelError, LazyObject, type Result, type Value } from './values.ts';

function plain(type: CelType, shape: Declaration['shape'] = { kind: 'scalar' }): Declaration {
  return { type, shape, nullable: true, maxElements: 0, minSize: 1 };
}

const TEXT = plain(STRING);
const FLAG = plain(BOOL);
const NUMBER = plain(INT);
const TIME = plain(TIMESTAMP, { kind: 'time', format: 'date-time' });
const ANYTHING = plain(DYN, { kind: 'untyped' });
const list = (element: Declaration): Declaration =>
  plain(listOf(element.type), { kind: 'list', element, listType: 'atomic', keys: [] });
const map = (value: Declaration): Declaration => plain(mapOf(STRING, value.type), { kind: 'map', value });

/** Members by their own names: `request.namespace`, where an object of a schema would have `__namespace__`. */
function object(name: string, members: Readonly<Record<string, Declaration>>): Declaration {
  const fields: Map<string, FieldDeclaration> = new Map();
  for (const [member, declaration] of Object.entries(members)) {
    fields.set(member, { name: member, declaration });
  }
  return plain(structOf(`kubernetes.${name}`), { kind: 'object', fields });
}

const TEXTS = list(TEXT);
const KIND = object('GroupVersionKind', { group: TEXT, version: TEXT, kind: TEXT });
const RESOURCE = object('GroupVersionResource', { group: TEXT, version: TEXT, resource: TEXT });

/** Who asks. */
export const USER_INFO: Declaration = object('UserInfo', {
  username: TEXT,
  uid: TEXT,
  groups: TEXTS,
  extra: map(TEXTS),
});

/** AdmissionRequest without its objects, which are variables of their own. */
export const ADMISSION_REQUEST: Declaration = object('AdmissionRequest', {
  kind: KIND,
  resource: RESOURCE,
  subResource: TEXT,
  requestKind: KIND,
  requestResource: RESOURCE,
  requestSubResource: TEXT,
  name: TEXT,
  namespace: TEXT,
  operation: TEXT,
  userInfo: USER_INFO,
  dryRun: FLAG,
  options: ANYTHING,
});

export const NAMESPACE: Declaration = object('Namespace', {
  metadata: object('NamespaceMetadata', {
    name: TEXT,
    generateName: TEXT,
    namespace: TEXT,
    labels: map(TEXT),
    annotations: map(TEXT),
    uid: TEXT,
    creationTimestamp: TIME,
    deletionGracePeriodSeconds: NUMBER,
    deletionTimestamp: TIME,
    generation: NUMBER,
    resourceVersion: TEXT,
    finalizers: TEXTS,
  }),
  spec: object('NamespaceSpec', { finalizers: TEXTS }),
  status: object('NamespaceStatus', {
    conditions: list(
      object('NamespaceCondition', {
        status: TEXT,
        type: TEXT,
        lastTransitionTime: TIME,
        message: TEXT,
        reason: TEXT,
      }),
    ),
    phase: TEXT,
  }),
});

const SELECTOR = (name: string): Declaration =>
  object(`${name}SelectorAttributes`, {
    rawSelector: TEXT,
    requirements: list(object(`${name}SelectorRequirement`, { key: TEXT, operator: TEXT, values: TEXTS })),
  });

/** What an authorization webhook is asked, v1. */
export const SUBJECT_ACCESS_REVIEW: Declaration = object('SubjectAccessReviewSpec', {
  resourceAttributes: object('ResourceAttributes', {
    namespace: TEXT,
    verb: TEXT,
    group: TEXT,
    version: TEXT,
    resource: TEXT,
    subresource: TEXT,
    name: TEXT,
    fieldSelector: SELECTOR('Field'),
    labelSelector: SELECTOR('Label'),
  }),
  nonResourceAttributes: object('NonResourceAttributes', { path: TEXT, verb: TEXT }),
  user: TEXT,
  groups: TEXTS,
  extra: map(TEXTS),
  uid: TEXT,
});

/** @param optionalOldSelf whether the rule runs without an old value too, and sees an optional */
export function customResourceEnvironment(
  base: BaseEnvironment,
  self: Declaration,
  optionalOldSelf = false,
): Environment {
  const oldSelf = optionalOldSelf ? optionalOf(self.type) : self.type;
  return base.extend({ self: self.type, oldSelf }, structsOf(self));
}

export interface AdmissionVariables {
  readonly params: boolean;
  readonly authorizer: boolean;
  /** Of the object, old and new; untyped without. */
  readonly object?: CelType;
  readonly paramsType?: CelType;
  /** The policy's variables so far, by name; their order is their order of definition. */
  readonly variables?: ReadonlyMap<string, CelType>;
}

const VARIABLES = 'kubernetes.variables';

/** Of policies, and of webhooks' match conditions (without params and variables). */
export function admissionEnvironment(
  base: BaseEnvironment,
  has: AdmissionVariables,
  more: Partial<EnvironmentParts> = {},
): Environment {
  const variables: Record<string, CelType> = {
    object: has.object ?? DYN,
    oldObject: has.object ?? DYN,
    request: ADMISSION_REQUEST.type,
    namespaceObject: NAMESPACE.type,
  };
  if (has.params) variables['params'] = has.paramsType ?? DYN;
  if (has.authorizer && base.version >= 27) {
    variables['authorizer'] = AUTHORIZER_TYPES.authorizer;
    variables['authorizer.requestResource'] = AUTHORIZER_TYPES.requestResource;
  }
  const own = structsOf(ADMISSION_REQUEST, NAMESPACE);
  const composed = has.variables;
  if (composed !== undefined) variables['variables'] = structOf(VARIABLES);
  const { structs: outer, ...rest } = more;
  return base.extend(
    variables,
    (name) => {
      if (composed !== undefined && name === VARIABLES)
        return { name, field: (field) => composed.get(field) };
      return own(name) ?? outer?.(name);
    },
    composed === undefined ? rest : { ...rest, lazyVariable: 'variables' },
  );
}

/** Of an authorization webhook's match conditions. */
export function authorizationEnvironment(base: BaseEnvironment): Environment {
  return base.extend({ request: SUBJECT_ACCESS_REVIEW.type }, structsOf(SUBJECT_ACCESS_REVIEW));
}

/** Of expressions over the claims of a token. */
export function claimsEnvironment(base: BaseEnvironment): Environment {
  return base.extend({ claims: mapOf(STRING, ANY) }, structsOf(USER_INFO));
}

/** Of expressions over the user whom a token makes. */
export function userEnvironment(base: BaseEnvironment): Environment {
  return base.extend({ user: USER_INFO.type }, structsOf(USER_INFO));
}

/** How a variable of a policy is worked out; an error for one that cannot be evaluated at all. */
export type VariableDefinition = (pace: Pace) => Sliced<Outcome> | CelError;

/** The variable `variables` of a policy: each is evaluated when it is asked for first, once for an object. */
export class ComposedVariables extends LazyObject {
  override readonly type: CelType = structOf(VARIABLES);
  private readonly definitions: ReadonlyMap<string, VariableDefinition>;
  private readonly known: Map<string, Result> = new Map();
  /** What the variables cost so far; whoever has the budget takes it off. */
  cost = 0;

  constructor(definitions: ReadonlyMap<string, VariableDefinition>) {
    super();
    this.definitions = definitions;
  }

  override field(name: string): Result {
    return finish(this.slicedField(name, WITHOUT_PAUSE));
  }

  override *slicedField(name: string, pace: Pace): Sliced<Result> {
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const evaluation = this.definitions.get(name)?.(pace);
    if (evaluation === undefined) return new CelError(`no such key: ${name}`);
    if (evaluation instanceof CelError) return evaluation;
    const outcome = yield* evaluation;
    // What has to be asked first is evaluated again, and paid then.
    if (outcome.kind === 'undecided') throw new PendingDecision(outcome.question);
    this.cost += outcome.cost;
    const result: Result =
      outcome.kind === 'value'
        ? outcome.value
        : new CelError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${outcome.message}`);
    this.known.set(name, result);
    return result;
  }

  override has(name: string): boolean {
    return this.definitions.has(name);
  }

  override names(): readonly string[] {
    return [...this.definitions.keys()];
  }
}

/** Bindings of values by name, for those who have them all. */
export function bindingsOf(values: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(values));
}
