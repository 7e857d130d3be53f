/**
 * What the expressions of a policy, or of a webhook's conditions, see of a request: its objects in the form that was
 * matched, the request itself, a parameter, the namespace, and the authorizer, whose answers are kept for the request.
 *
 * Modelled on apiserver's admission/plugin/cel activation.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { Slices } from '../../api/sliced.ts';
import type { Authorizer, Decision, UserInfo } from '../../api/user-info.ts';
import {
  AuthorizerValue,
  ResourceCheck,
  type AuthorizationQuestion,
  type KnownDecisions,
} from '../../cel/library-authorizer.ts';
import { typedResult, untypedValue } from '../../cel/json-values.ts';
import { ADMISSION_REQUEST, NAMESPACE } from '../../cel/rule-variables.ts';
import { CelError, type Value } from '../../cel/values.ts';
import { asJson } from '../../codec/object-codec.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { textOf } from '../refusals.ts';
import { admissionRequest } from '../webhooks/review.ts';
import type { Equivalent } from '../webhooks/resource-versions.ts';

/** Answers of the authorizer, each asked for once in a request. */
export class Decisions {
  private readonly authorizer: Authorizer;
  private readonly known = new Map<string, Decision>();

  constructor(authorizer: Authorizer) {
    this.authorizer = authorizer;
  }

  readonly find: KnownDecisions = (question) => this.known.get(JSON.stringify(question));

  async ask(question: AuthorizationQuestion): Promise<void> {
    let decision: Decision;
    try {
      decision = await this.authorizer.authorize(question);
    } catch (error) {
      decision = { kind: 'no-opinion', reason: '', error: textOf(error) };
    }
    this.known.set(JSON.stringify(question), decision);
  }
}

export interface Scope {
  readonly bindings: ReadonlyMap<string, Value>;
  readonly decisions: Decisions;
  readonly slices: Slices;
}

export interface ScopeParts {
  readonly attributes: AdmissionAttributes;
  /** The form of the request's resource that was matched. */
  readonly form: Equivalent;
  /** In that form. */
  readonly object: KubeObject | undefined;
  readonly oldObject: KubeObject | undefined;
  /** Undefined: the expressions name no parameter, or there is none. */
  readonly params?: KubeObject | undefined;
  /** Undefined for what lies in none, and for conditions. */
  readonly namespace?: KubeObject | undefined;
  readonly decisions: Decisions;
  readonly slices: Slices;
}

const NOBODY: UserInfo = { name: '', uid: '', groups: [], extra: {} };

export function scopeOf(parts: ScopeParts): Scope {
  const { attributes, form, decisions, slices } = parts;
  const { resource, subresource, namespace, name, user = NOBODY } = attributes;
  const authorizer = new AuthorizerValue(user, decisions.find);
  const bindings = new Map<string, Value>([
    ['object', valueOf(parts.object)],
    ['oldObject', valueOf(parts.oldObject)],
    ['params', valueOf(parts.params)],
    ['request', declared(admissionRequest(form, attributes), ADMISSION_REQUEST)],
    ['namespaceObject', parts.namespace === undefined ? null : declared(asJson(parts.namespace), NAMESPACE)],
    ['authorizer', authorizer],
    [
      'authorizer.requestResource',
      new ResourceCheck(authorizer, {
        group: resource.group,
        resource: resource.resource,
        subresource,
        namespace,
        name,
      }),
    ],
  ]);
  return { bindings, decisions, slices };
}

function valueOf(object: KubeObject | undefined): Value {
  return object === undefined ? null : untypedValue(asJson(object));
}

/** A typed object; what is not as declared shows where it is read. */
function declared(value: JsonObject, declaration: Parameters<typeof typedResult>[1]): Value {
  const result = typedResult(value, declaration);
  return result instanceof CelError ? untypedValue(value) : result;
}
