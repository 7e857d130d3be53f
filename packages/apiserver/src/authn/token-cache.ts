/**
 * Remembers for a short time what a token was answered, so that a client with many requests costs one check.
 * Tokens themselves are not kept: entries are filed under a keyed hash. Failures are not remembered.
 *
 * Modelled on apiserver's cached token authenticator. Calls for one token at one time share one check.
 */

import { createHmac, randomBytes } from 'node:crypto';

import type { Authenticated, TokenAuthenticator } from './authenticator.ts';

/** As kubernetes: an account that is gone is let in for ten seconds more at most. */
const KEPT_MS = 10_000;
/** About 1 kB each. The oldest goes first. */
const ENTRIES_MAX = 8192;

/** Told what a cache does. */
export interface TokenCacheObserver {
  /** A token was answered; `hit` without asking. */
  answered(hit: boolean, seconds: number): void;
  /** Whoever is behind the cache is asked. @returns to be told whether he answered */
  fetching(): (ok: boolean) => void;
  /** Somebody waits for that. @returns to be told when he does no more */
  blocking(): () => void;
}

interface Entry {
  readonly found: Authenticated;
  readonly untilMs: number;
}

export class TokenCache implements TokenAuthenticator {
  private readonly inner: TokenAuthenticator;
  private readonly monotonicMs: () => number;
  private readonly keptMs: number;
  private readonly observer: TokenCacheObserver | undefined;
  private readonly secret = randomBytes(32);
  private readonly entries = new Map<string, Entry>();
  private readonly pending = new Map<string, Promise<Authenticated | undefined>>();

  constructor(
    inner: TokenAuthenticator,
    monotonicMs: () => number,
    keptMs = KEPT_MS,
    observer?: TokenCacheObserver,
  ) {
    this.observer = observer;
    this.inner = inner;
    this.keptMs = keptMs;
    this.monotonicMs = monotonicMs;
  }

  authenticateToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    const startMs = this.monotonicMs();
    const key = createHmac('sha256', this.secret)
      .update(JSON.stringify([token, audiences]))
      .digest('base64url');
    const entry = this.entries.get(key);
    if (entry !== undefined) {
      if (entry.untilMs > startMs) {
        this.observer?.answered(true, (this.monotonicMs() - startMs) / 1_000);
        return Promise.resolve(entry.found);
      }
      this.entries.delete(key);
    }
    let pending = this.pending.get(key);
    if (pending === undefined) {
      pending = this.ask(key, token, audiences);
      this.pending.set(key, pending);
    }
    return this.observer === undefined ? pending : this.observed(pending, startMs, this.observer);
  }

  private async observed(
    pending: Promise<Authenticated | undefined>,
    startMs: number,
    observer: TokenCacheObserver,
  ): Promise<Authenticated | undefined> {
    const done = observer.blocking();
    try {
      return await pending;
    } finally {
      done();
      observer.answered(false, (this.monotonicMs() - startMs) / 1_000);
    }
  }

  private async ask(
    key: string,
    token: string,
    audiences: readonly string[],
  ): Promise<Authenticated | undefined> {
    const fetched = this.observer?.fetching();
    let ok = false;
    try {
      const found = await this.inner.authenticateToken(token, audiences);
      ok = true;
      if (found !== undefined) {
        this.entries.set(key, { found, untilMs: this.monotonicMs() + this.keptMs });
        if (this.entries.size > ENTRIES_MAX) {
          for (const oldest of this.entries.keys()) {
            this.entries.delete(oldest);
            break;
          }
        }
      }
      return found;
    } finally {
      fetched?.(ok);
      this.pending.delete(key);
    }
  }
}
