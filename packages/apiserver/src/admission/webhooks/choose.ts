/** Whether a webhook is asked: by its rules and selectors first, then by its conditions, which cost more. */

import { forbidden } from '../../api/status.ts';
import type { AdmissionAttributes } from '../admission.ts';
import type { ResourceLookup } from '../resource-lookup.ts';
import { invocationOf, type Invocation } from './match.ts';
import type { Webhook } from './webhook.ts';
import type { WebhookContext } from './webhook-context.ts';

/** @throws ApiError conditions that cannot be evaluated, where the webhook fails closed */
export async function chosen(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  lookup: ResourceLookup,
  { versions, matchConditions }: WebhookContext,
): Promise<Invocation | undefined> {
  const invocation = await invocationOf(webhook, attributes, lookup, versions);
  const { matchConditions: conditions } = webhook;
  if (invocation === undefined || conditions.length === 0) return invocation;
  const { object, oldObject } = attributes;
  const outcome =
    matchConditions === undefined
      ? ({ kind: 'error', message: NO_CONDITIONS(webhook.name) } as const)
      : await matchConditions(conditions, {
          ...attributes,
          object: object && versions.show(object, invocation),
          oldObject: oldObject && versions.show(oldObject, invocation),
        });
  switch (outcome.kind) {
    case 'match':
      return invocation;
    case 'no-match':
      return undefined;
    case 'error':
      if (webhook.failurePolicy === 'Ignore') return undefined;
      throw forbidden(attributes.resource, attributes.name, outcome.message);
  }
}

const NO_CONDITIONS = (name: string): string =>
  `matchConditions of webhook ${JSON.stringify(name)} cannot be evaluated: this server has no CEL evaluator`;
