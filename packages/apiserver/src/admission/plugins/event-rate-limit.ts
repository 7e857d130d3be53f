/**
 * EventRateLimit: only so many events a second are taken, from all together, of a namespace, of a user, or of the
 * same source about the same object.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/eventratelimit.
 */

import { ApiError } from '../../api/status.ts';
import { part, text } from '../../validation/value.ts';
import type { AdmissionAttributes, ValidatingPlugin } from '../admission.ts';
import type { EventLimit, PluginContext } from '../plugin-context.ts';
import { aggregateText } from '../refusals.ts';

const KEYS_MAX = 4_096;

export function eventRateLimit({ clock, settings }: PluginContext): ValidatingPlugin {
  const limiters = (settings.eventLimits ?? []).map((limit) => new Limiter(limit));
  return {
    name: 'EventRateLimit',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    validate(attributes) {
      const { kind, dryRun } = attributes;
      const isEvent = kind.kind === 'Event' && (kind.group === '' || kind.group === 'events.k8s.io');
      if (!isEvent || dryRun) return Promise.resolve();
      const nowMs = clock.monotonicMs();
      const problems = limiters.flatMap((limiter) => limiter.refusal(attributes, nowMs));
      if (problems.length === 0) return Promise.resolve();
      return Promise.reject(
        new ApiError({
          code: 429,
          reason: 'TooManyRequests',
          message: `Too many requests: ${aggregateText(problems)}`,
        }),
      );
    },
  };
}

/** Tokens that are left of a key, and since when. */
interface Bucket {
  tokens: number;
  sinceMs: number;
}

class Limiter {
  private readonly limit: EventLimit;
  private readonly buckets = new Map<string, Bucket>();

  constructor(limit: EventLimit) {
    this.limit = limit;
  }

  /** Takes a token of the key; says why not where there is none. */
  refusal(attributes: AdmissionAttributes, nowMs: number): string[] {
    const { type, qps, burst, cacheSize = KEYS_MAX } = this.limit;
    const key = keyOf(type, attributes);
    const bucket = this.buckets.get(key) ?? { tokens: burst, sinceMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.sinceMs) / 1_000) * qps);
    bucket.sinceMs = nowMs;
    // The key that was used last is forgotten last.
    this.buckets.delete(key);
    this.buckets.set(key, bucket);
    if (this.buckets.size > cacheSize) {
      const [oldest] = this.buckets.keys();
      this.buckets.delete(oldest);
    }
    if (bucket.tokens < 1) return [`limit reached on type ${type} for key ${key}`];
    bucket.tokens -= 1;
    return [];
  }
}

function keyOf(type: EventLimit['type'], { namespace, user, object }: AdmissionAttributes): string {
  switch (type) {
    case 'Server':
      return '';
    case 'Namespace':
      return namespace;
    case 'User':
      return user?.name ?? '';
    case 'SourceAndObject': {
      const source = part(object ?? {}, 'source');
      const about = part(object ?? {}, 'involvedObject');
      return [
        text(source, 'component'),
        text(source, 'host'),
        text(about, 'kind'),
        text(about, 'namespace'),
        text(about, 'name'),
        text(about, 'uid'),
        text(about, 'apiVersion'),
      ].join('');
    }
  }
}
