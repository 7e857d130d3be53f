/** What is counted of decisions and of the webhooks that are asked for them, under the original's names. */

import { Counter, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { Decision } from '../api/user-info.ts';
import type { ChainObserver } from './chain.ts';
import type { WebhookObserver } from './webhook.ts';

const SECONDS: readonly number[] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1];
const CALL_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const WORDS: Readonly<Record<Decision['kind'] | 'error', string>> = {
  allow: 'allowed',
  deny: 'denied',
  error: 'error',
  'no-opinion': 'no-opinion',
};

/** Told what a request was decided; an error where nobody could decide. */
export type DecisionObserver = (kind: Decision['kind'] | 'error', seconds: number) => void;

export interface AccessMetrics {
  readonly attempts: DecisionObserver;
  readonly chain: ChainObserver;
  /** Of the webhook of a name. */
  webhook(name: string): WebhookObserver;
}

export function accessMetrics(registry: MetricsRegistry): AccessMetrics {
  const counter = (name: string, help: string, labels: readonly string[]): Counter =>
    registry.add(new Counter(name, help, labels));
  const attempts = counter('authorization_attempts_total', 'Requests by what was decided.', ['result']);
  const durations = registry.add(
    new Histogram('authorization_duration_seconds', 'How long decisions took, seconds.', ['result'], SECONDS),
  );
  const decisions = counter('apiserver_authorization_decisions_total', 'Decisions by who made them.', [
    'type',
    'name',
    'decision',
  ]);
  const condition = ['type', 'name'];
  const failures = counter(
    'apiserver_authorization_match_condition_evaluation_errors_total',
    'Questions whose match conditions could not be evaluated.',
    condition,
  );
  const exclusions = counter(
    'apiserver_authorization_match_condition_exclusions_total',
    'Questions that match conditions kept from a webhook.',
    condition,
  );
  const evaluations = registry.add(
    new Histogram(
      'apiserver_authorization_match_condition_evaluation_seconds',
      'How long match conditions took, seconds.',
      condition,
      SECONDS,
    ),
  );
  const asked = counter('apiserver_authorization_webhook_evaluations_total', 'Questions to webhooks.', [
    'name',
    'result',
  ]);
  const failedOpen = counter(
    'apiserver_authorization_webhook_evaluations_fail_open_total',
    'Questions without an answer that counted as no opinion.',
    ['name', 'result'],
  );
  const calls = registry.add(
    new Histogram(
      'apiserver_authorization_webhook_duration_seconds',
      'How long questions to webhooks took, seconds.',
      ['name', 'result'],
      CALL_SECONDS,
    ),
  );
  return {
    attempts(kind, seconds) {
      attempts.add([WORDS[kind]]);
      durations.observe([WORDS[kind]], seconds);
    },
    chain: { decided: ({ type, name }, kind) => decisions.add([type, name, WORDS[kind]]) },
    webhook: (name) => ({
      conditions(outcome, seconds) {
        if (outcome === 'failed') failures.add(['Webhook', name]);
        if (outcome === 'excluded') exclusions.add(['Webhook', name]);
        evaluations.observe(['Webhook', name], seconds);
      },
      asked(result, seconds) {
        asked.add([name, result]);
        calls.observe([name, result], seconds);
      },
      failedOpen: (result) => failedOpen.add([name, result]),
    }),
  };
}
