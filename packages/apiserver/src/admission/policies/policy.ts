/**
 * Policies and bindings as their objects describe them: where they hold, by which parameters, what follows. Read once
 * per object. Pure.
 */

import type { JsonObject } from '../../api/json.ts';
import type { GroupVersionKind, KubeObject } from '../../api/meta.ts';
import type { Requirement } from '../../api/selectors.ts';
import { part, partOf, parts, text, texts } from '../../validation/value.ts';
import { rulesOf, selectorOf, type Rule } from '../webhooks/webhook.ts';

export interface NamedRule extends Rule {
  /** None: all. */
  readonly resourceNames: readonly string[];
}

/** The requests a policy or a binding is for. */
export interface MatchResources {
  /** None: all requests. */
  readonly rules: readonly NamedRule[];
  readonly excluded: readonly NamedRule[];
  readonly matchPolicy: 'Equivalent' | 'Exact';
  /** The text of what is wrong with a selector stands in for it. */
  readonly namespaceSelector: readonly Requirement[] | string;
  readonly objectSelector: readonly Requirement[] | string;
}

export interface ParamKind extends GroupVersionKind {
  readonly apiVersion: string;
}

export interface ParamRef {
  /** Empty: by the selector. */
  readonly name: string;
  /** Empty: of the request, where parameters lie in namespaces. */
  readonly namespace: string;
  readonly selector: readonly Requirement[] | string | undefined;
  readonly notFound: 'Allow' | 'Deny';
}

export interface Policy {
  readonly name: string;
  readonly constraints: MatchResources;
  readonly paramKind: ParamKind | undefined;
  readonly failurePolicy: 'Fail' | 'Ignore';
}

export type ValidationAction = 'Deny' | 'Warn' | 'Audit';

export interface Binding {
  readonly name: string;
  readonly policy: string;
  readonly paramRef: ParamRef | undefined;
  /** Undefined: wherever the policy holds. */
  readonly resources: MatchResources | undefined;
  /** Of bindings of validating policies. */
  readonly actions: readonly ValidationAction[];
}

export function policyOf(object: KubeObject): Policy {
  const spec = part(object, 'spec');
  const kind = partOf(spec, 'paramKind');
  return {
    name: object.metadata.name ?? '',
    constraints: matchResourcesOf(part(spec, 'matchConstraints')),
    paramKind: kind && paramKindOf(kind),
    failurePolicy: text(spec, 'failurePolicy') === 'Ignore' ? 'Ignore' : 'Fail',
  };
}

export function bindingOf(object: KubeObject): Binding {
  const spec = part(object, 'spec');
  const param = partOf(spec, 'paramRef');
  const resources = partOf(spec, 'matchResources');
  return {
    name: object.metadata.name ?? '',
    policy: text(spec, 'policyName'),
    paramRef: param && paramRefOf(param),
    resources: resources && matchResourcesOf(resources),
    actions: texts(spec, 'validationActions').filter(
      (action): action is ValidationAction => action === 'Deny' || action === 'Warn' || action === 'Audit',
    ),
  };
}

function matchResourcesOf(resources: JsonObject): MatchResources {
  return {
    rules: namedRulesOf(resources, 'resourceRules'),
    excluded: namedRulesOf(resources, 'excludeResourceRules'),
    matchPolicy: text(resources, 'matchPolicy') === 'Equivalent' ? 'Equivalent' : 'Exact',
    namespaceSelector: selectorOf(partOf(resources, 'namespaceSelector')),
    objectSelector: selectorOf(partOf(resources, 'objectSelector')),
  };
}

function namedRulesOf(resources: JsonObject, name: string): NamedRule[] {
  const rules = parts(resources, name);
  return rulesOf(rules).map((rule, index) => ({
    ...rule,
    resourceNames: texts(rules[index], 'resourceNames'),
  }));
}

/** A kind by its apiVersion; what is no version is a version nobody serves. */
export function paramKindOf(kind: JsonObject): ParamKind {
  const apiVersion = text(kind, 'apiVersion');
  const slash = apiVersion.indexOf('/');
  return {
    apiVersion,
    group: slash < 0 ? '' : apiVersion.slice(0, slash),
    version: apiVersion.slice(slash + 1),
    kind: text(kind, 'kind'),
  };
}

function paramRefOf(param: JsonObject): ParamRef {
  const selector = partOf(param, 'selector');
  return {
    name: text(param, 'name'),
    namespace: text(param, 'namespace'),
    selector: selector && selectorOf(selector),
    notFound: text(param, 'parameterNotFoundAction') === 'Deny' ? 'Deny' : 'Allow',
  };
}
