/**
 * ValidatingAdmissionWebhook: servers that are asked about a write, all at once, and may refuse it. What the first of
 * them in their order says is told.
 *
 * Modelled on apiserver's admission/plugin/webhook/validating.
 */

import { internalError, timeout } from '../../api/status.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { callWebhook, CallFailed } from '../webhooks/call-webhook.ts';
import { WebhookChoice } from '../webhooks/choose.ts';
import { isExempt, type Invocation } from '../webhooks/match.ts';
import { watched } from '../webhooks/observe.ts';
import { WebhookReader } from '../webhooks/webhook.ts';
import type { WebhookContext } from '../webhooks/webhook-context.ts';

const CONFIGURATIONS = {
  group: 'admissionregistration.k8s.io',
  resource: 'validatingwebhookconfigurations',
};
const FAILED_OPEN = 'failed-open.validating.webhook.admission.k8s.io/';

export function validatingAdmissionWebhook(context: PluginContext): ValidatingPlugin | undefined {
  const { lookup, webhooks } = context;
  if (webhooks === undefined) return undefined;
  const reader = new WebhookReader();
  const choice = new WebhookChoice(context, webhooks, 'validating');
  return {
    name: 'ValidatingAdmissionWebhook',
    handles: () => true,
    async validate(attributes) {
      if (isExempt(attributes)) return;
      const configured = reader.read((await lookup.of(CONFIGURATIONS)?.list('')) ?? []);
      const invocations: Invocation[] = [];
      for (const webhook of configured) {
        const invocation = await choice.chosen(webhook, attributes);
        if (invocation !== undefined) invocations.push(invocation);
      }
      const outcomes = await Promise.allSettled(
        invocations.map((invocation, index) => ask(context, webhooks, invocation, attributes, index)),
      );
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    },
  };
}

async function ask(
  context: PluginContext,
  webhooks: WebhookContext,
  invocation: Invocation,
  attributes: AdmissionAttributes,
  index: number,
): Promise<void> {
  const { webhook } = invocation;
  const { versions } = webhooks;
  const { object, oldObject } = attributes;
  try {
    await watched(webhooks.observer, context.clock, webhook, attributes, 'validating', () =>
      callWebhook(webhooks, {
        invocation,
        attributes,
        object: object && versions.show(object, invocation),
        oldObject: oldObject && versions.show(oldObject, invocation),
        mutating: false,
      }),
    );
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    if (attributes.signal.aborted) throw timeout('request did not complete within requested timeout', 0);
    if (webhook.failurePolicy === 'Fail') throw internalError(error);
    webhooks.observer?.failedOpen(webhook.name, 'validating');
    attributes.annotate(`${FAILED_OPEN}round_0_index_${index}`, webhook.name);
  }
}
