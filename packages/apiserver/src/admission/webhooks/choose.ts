/** Whether a webhook is asked: by its rules and selectors first, then by its conditions, which cost more. */

import { forbidden } from '../../api/status.ts';
import { Slices } from '../../api/sliced.ts';
import { BaseEnvironment, CURRENT_VERSION } from '../../cel/environment.ts';
import { PolicyCompiler, type PolicyExpression } from '../../cel/policy-expressions.ts';
import type { AdmissionAttributes } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { compileConditions, matchConditions, type ConditionOwner } from '../policies/match-conditions.ts';
import { Decisions, scopeOf } from '../policies/scope.ts';
import { runSteps } from '../policies/steps.ts';
import { invocationOf, type Invocation } from './match.ts';
import type { Webhook } from './webhook.ts';
import type { WebhookContext, WebhookType } from './webhook-context.ts';

/** Chooses among the webhooks of one type; keeps their conditions compiled as long as they are configured. */
export class WebhookChoice {
  private readonly context: PluginContext;
  private readonly webhooks: WebhookContext;
  private readonly type: WebhookType;
  private readonly conditions = new WeakMap<Webhook, readonly PolicyExpression[]>();
  private compiler: PolicyCompiler | undefined = undefined;

  constructor(context: PluginContext, webhooks: WebhookContext, type: WebhookType) {
    this.context = context;
    this.webhooks = webhooks;
    this.type = type;
  }

  /** @throws ApiError conditions that cannot be evaluated, where the webhook fails closed */
  async chosen(webhook: Webhook, attributes: AdmissionAttributes): Promise<Invocation | undefined> {
    const { lookup, authorizer, clock, turns, conditions: observer } = this.context;
    const { versions } = this.webhooks;
    const invocation = await invocationOf(webhook, attributes, lookup, versions);
    if (invocation === undefined || webhook.matchConditions.length === 0) return invocation;
    const { object, oldObject, user, signal } = attributes;
    const sinceMs = clock.monotonicMs();
    const owner: ConditionOwner = {
      name: webhook.name,
      kind: 'webhook',
      type: this.type,
      operation: attributes.operation,
      failurePolicy: webhook.failurePolicy,
    };
    const scope = scopeOf({
      attributes,
      form: { kind: invocation.kind, resource: attributes.resource },
      object: object && versions.show(object, invocation),
      oldObject: oldObject && versions.show(oldObject, invocation),
      decisions: new Decisions(authorizer),
      slices: new Slices(clock, () => turns.take(user?.name ?? '', sinceMs), signal),
    });
    const outcome = await runSteps(matchConditions(this.conditionsOf(webhook), scope, owner, observer));
    switch (outcome.kind) {
      case 'match':
        return invocation;
      case 'no-match':
        observer?.excluded(owner);
        return undefined;
      case 'error':
        throw forbidden(attributes.resource, attributes.name, outcome.message);
    }
  }

  private conditionsOf(webhook: Webhook): readonly PolicyExpression[] {
    const known = this.conditions.get(webhook);
    if (known !== undefined) return known;
    this.compiler ??= new PolicyCompiler(new BaseEnvironment(CURRENT_VERSION), {
      params: false,
      composed: false,
    });
    const compiled = compileConditions(this.compiler, webhook.matchConditions);
    this.conditions.set(webhook, compiled);
    return compiled;
  }
}
