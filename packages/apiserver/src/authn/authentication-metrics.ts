/** What is counted of who asks, under the original's names. Users are told apart no further than that. */

import { Counter, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { AuthenticationObserver } from './authenticate.ts';

const SECONDS: readonly number[] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1];
const DAYS: readonly number[] = [0.5, 1, 2, 4, 7, 30, 90, 180, 360];
/** Names that say nothing of a person. */
const KNOWN: ReadonlySet<string> = new Set([
  'admin',
  'client',
  'kube_proxy',
  'kubelet',
  'system:serviceaccount:kube-system:default',
]);

export function authenticationMetrics(registry: MetricsRegistry): AuthenticationObserver & {
  /** Told how long the certificate of a request is still good. */
  readonly expires: (seconds: number) => void;
} {
  const attempts = registry.add(
    new Counter('authentication_attempts', 'Requests by whether their asker was known.', ['result']),
  );
  const durations = registry.add(
    new Histogram(
      'authentication_duration_seconds',
      'How long it took to find out who asks, seconds.',
      ['result'],
      SECONDS,
    ),
  );
  const users = registry.add(
    new Counter('authenticated_user_requests', 'Requests by the kind of their user.', ['username']),
  );
  const left = registry.add(
    new Histogram(
      'apiserver_client_certificate_expiration_seconds',
      'How long the certificates of requests are still good, seconds.',
      [],
      [0, 1_800, 3_600, 7_200, 21_600, ...DAYS.map((days) => days * 86_400)],
    ),
  );
  const expires = left.of([]);
  return {
    expires,
    attempt(result, seconds) {
      attempts.add([result]);
      durations.observe([result], seconds);
    },
    user: (name) => users.add([KNOWN.has(name) ? name : name.includes('@') ? 'email_id' : 'other']),
  };
}
