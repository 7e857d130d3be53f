/** What is counted of who asks, under the original's names. Users are told apart no further than that. */

import { createHash } from 'node:crypto';

import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { AuthenticationObserver } from './authenticate.ts';
import type { Authenticated, TokenAuthenticator } from './authenticator.ts';
import type { AccountTokenUse } from './service-account.ts';
import type { TokenCacheObserver } from './token-cache.ts';

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

/** Prometheus' own. */
const DEFAULT_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Of all caches of tokens of a server together. */
export function tokenCacheMetrics(registry: MetricsRegistry): TokenCacheObserver {
  const named = (name: string): string => `authentication_token_cache_${name}`;
  const status = ['status'];
  const requests = registry.add(
    new Counter(named('request_total'), 'Tokens by whether their answer was remembered.', status),
  );
  const durations = registry.add(
    new Histogram(
      named('request_duration_seconds'),
      'How long the answer for a token took, seconds.',
      status,
      DEFAULT_SECONDS,
    ),
  );
  const fetches = registry.add(
    new Counter(named('fetch_total'), 'Checks of tokens by how they went.', status),
  );
  const active = { blocked: 0, in_flight: 0 };
  let seen = false;
  registry.add(
    new Gauge(
      named('active_fetch_count'),
      'Checks of tokens that go on now, and requests that wait for them.',
      status,
      () => (seen ? Object.entries(active).map(([name, count]) => [[name], count]) : []),
    ),
  );
  return {
    answered(hit, seconds) {
      const result = [hit ? 'hit' : 'miss'];
      requests.add(result);
      durations.observe(result, seconds);
    },
    fetching() {
      seen = true;
      active.in_flight += 1;
      return (ok) => {
        active.in_flight -= 1;
        fetches.add([ok ? 'ok' : 'error']);
      };
    },
    blocking() {
      active.blocked += 1;
      return () => {
        active.blocked -= 1;
      };
    },
  };
}

const USES: Readonly<Record<AccountTokenUse, readonly [name: string, help: string]>> = {
  legacy: ['legacy_tokens_total', 'Tokens of service accounts without an audience that were used.'],
  'legacy-auto': [
    'legacy_auto_token_uses_total',
    'Old tokens of service accounts that were used, of Secrets that were made by themselves.',
  ],
  'legacy-manual': [
    'legacy_manual_token_uses_total',
    'Old tokens of service accounts that were used, of Secrets that somebody made.',
  ],
  'legacy-invalid': [
    'invalid_legacy_auto_token_uses_total',
    'Old tokens of service accounts that were marked as invalid and shown all the same.',
  ],
  stale: ['stale_tokens_total', 'Tokens of service accounts that their clients should have replaced.'],
  valid: ['valid_tokens_total', 'Tokens of service accounts with a time to replace them, used before it.'],
};

/** Which tokens of service accounts are used. Zero is told: alerts look for what begins. */
export function accountTokenMetrics(registry: MetricsRegistry): (use: AccountTokenUse) => void {
  const counts = new Map<AccountTokenUse, number>();
  for (const use of USE_NAMES) {
    const [name, help] = USES[use];
    registry.add(
      new Gauge(`serviceaccount_${name}`, help, [], () => [[[], counts.get(use) ?? 0]], 'counter'),
    );
  }
  return (use) => void counts.set(use, (counts.get(use) ?? 0) + 1);
}

const USE_NAMES: readonly AccountTokenUse[] = [
  ...(['legacy', 'legacy-auto', 'legacy-manual', 'legacy-invalid'] as const),
  ...(['stale', 'valid'] as const),
];

const JWT_SECONDS: readonly number[] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Puts a measure of time before the authenticator of one issuer's tokens. Tokens of others are not counted. */
export function jwtMetrics(
  registry: MetricsRegistry,
  monotonicMs: () => number,
): (issuer: string, inner: TokenAuthenticator) => TokenAuthenticator {
  const latency = registry.add(
    new Histogram(
      'apiserver_authentication_jwt_authenticator_latency_seconds',
      'How long the check of a token of an issuer took, seconds.',
      ['jwt_issuer_hash', 'result'],
      JWT_SECONDS,
    ),
  );
  return (issuer, inner) => {
    const hash = `sha256:${createHash('sha256').update(issuer).digest('hex')}`;
    const measured = async (
      token: string,
      audiences: readonly string[],
    ): Promise<Authenticated | undefined> => {
      const startMs = monotonicMs();
      const note = (result: 'failure' | 'success'): void =>
        latency.observe([hash, result], (monotonicMs() - startMs) / 1_000);
      try {
        const found = await inner.authenticateToken(token, audiences);
        if (found !== undefined) note('success');
        return found;
      } catch (error) {
        note('failure');
        throw error;
      }
    };
    return { authenticateToken: measured };
  };
}
