/**
 * A server that stops with --shutdown-send-retry-after: it goes on listening until what is under way is answered, and
 * tells who comes meanwhile to come again, preferably to another server. Watches and the like are not waited for.
 *
 * Modelled on apiserver's WithRetryAfter.
 */

import type { ApiRequest, ApiResponse, Filter } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import { isLongRunning } from './long-running.ts';

/** Told all the same: who looks whether the server lives. */
const EXEMPT: readonly string[] = ['/readyz', '/livez', '/healthz', '/metrics'];
const RETRY_AFTER_SECONDS = 5;
const MESSAGE = 'The apiserver is shutting down, please try again later.';

export class ShutdownRetryAfter {
  private under = 0;
  private refusing = false;
  private idle: (() => void)[] = [];

  readonly filter: Filter = async (request, next) => {
    if (isExempt(request)) return next(request);
    if (this.refusing) return refusal();
    if (isLongRunning(request.info)) return next(request);
    this.under += 1;
    try {
      return await next(request);
    } finally {
      this.under -= 1;
      if (this.under === 0) for (const task of this.idle.splice(0)) task();
    }
  };

  /** From now on requests are refused; resolves when what is under way is answered. */
  drain(): Promise<void> {
    this.refusing = true;
    if (this.under === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }
}

function isExempt({ path, headers }: ApiRequest): boolean {
  const agent = headers.get('user-agent')?.[0] ?? '';
  return agent.startsWith('kube-apiserver/') || EXEMPT.some((prefix) => path.startsWith(prefix));
}

function refusal(): ApiResponse {
  const headers = new Map([
    ['connection', ['close']],
    ['retry-after', [String(RETRY_AFTER_SECONDS)]],
  ]);
  return plainText(429, `${MESSAGE}\n`, headers);
}
