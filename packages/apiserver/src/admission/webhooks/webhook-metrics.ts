/** What is counted of webhooks, under the original's names. */

import { Counter, Histogram, type MetricsRegistry } from '../../metrics/registry.ts';
import type { WebhookObserver } from './webhook-context.ts';

const SECONDS: readonly number[] = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25];

export function webhookMetrics(registry: MetricsRegistry): WebhookObserver {
  const requests = registry.add(
    new Counter('apiserver_admission_webhook_request_total', 'Calls of admission webhooks.', [
      'name',
      'type',
      'operation',
      'code',
      'rejected',
    ]),
  );
  const rejections = registry.add(
    new Counter('apiserver_admission_webhook_rejection_count', 'Requests that webhooks refused.', [
      'name',
      'type',
      'operation',
      'error_type',
      'rejection_code',
    ]),
  );
  const failedOpen = registry.add(
    new Counter(
      'apiserver_admission_webhook_fail_open_count',
      'Requests that went on although a webhook could not be called.',
      ['name', 'type'],
    ),
  );
  const durations = registry.add(
    new Histogram(
      'apiserver_admission_webhook_admission_duration_seconds',
      'How long calls of admission webhooks took.',
      ['name', 'type', 'operation', 'rejected'],
      SECONDS,
    ),
  );
  return {
    called({ name, type, operation, code, rejected, seconds }) {
      requests.add([name, type, operation, String(code), String(rejected)]);
      durations.observe([name, type, operation, String(rejected)], seconds);
    },
    rejected({ name, type, operation, code }, errorType) {
      rejections.add([name, type, operation, errorType, String(errorType === 'no_error' ? code : 0)]);
    },
    failedOpen(name, type) {
      failedOpen.add([name, type]);
    },
  };
}
