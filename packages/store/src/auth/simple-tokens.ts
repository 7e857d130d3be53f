/**
 * Simple tokens: which random words stand for which users, known to every member because each is assigned by an
 * entry of the log, and forgotten by a restart. A token lives as long as it is used: each use on a member gives it its
 * whole life there again. It owns no clock; it is told the time. Modelled on etcd's server/auth/simple_token.go.
 *
 * A token is `prefix.index`: letters nobody can guess, drawn before the proposal, and the index of the entry that
 * assigned it, which tells a member whether it has heard of it yet. Tokens are looked up by hash, not compared one by
 * one: how long that takes says nothing about how much of a guess was right.
 */
import { assert } from '@keelson/base';

interface Token {
  readonly username: string;
  /** Monotonic; Infinity until arm() was told the time. */
  deadlineMs: number;
}

export class SimpleTokens {
  private readonly ttlMs: number;
  private tokens = new Map<string, Token>();
  private unarmed: Token[] = [];

  constructor(ttlSeconds: number) {
    this.ttlMs = ttlSeconds * 1000;
  }

  get size(): number {
    return this.tokens.size;
  }

  /** @param index of the entry that assigns it. @returns the token */
  assign(username: string, prefix: string, index: number): string {
    const word = `${prefix}.${index}`;
    assert(!this.tokens.has(word), 'an entry assigns one token');
    const token = { username, deadlineMs: Infinity };
    this.tokens.set(word, token);
    this.unarmed.push(token);
    return word;
  }

  /** Begins the life of what was assigned since the last call. Called after each applied batch. */
  arm(nowMs: number): void {
    if (this.unarmed.length === 0) return;
    for (const token of this.unarmed) token.deadlineMs = nowMs + this.ttlMs;
    this.unarmed = [];
  }

  /** The token's user, its life begun anew; undefined for a token that is unknown or was not used for too long. */
  use(word: string, nowMs: number): string | undefined {
    const token = this.tokens.get(word);
    if (token === undefined || token.deadlineMs <= nowMs) return undefined;
    token.deadlineMs = nowMs + this.ttlMs;
    return token.username;
  }

  /** Forgets what has expired; every second or so. */
  sweep(nowMs: number): void {
    for (const [word, token] of this.tokens) if (token.deadlineMs <= nowMs) this.tokens.delete(word);
  }

  /** The user's password has changed, or the user is gone. */
  forgetUser(username: string): void {
    for (const [word, token] of this.tokens) if (token.username === username) this.tokens.delete(word);
  }

  forgetAll(): void {
    this.tokens.clear();
    this.unarmed = [];
  }
}

/** The index in a token; undefined when it is no simple token. */
export function indexOfToken(word: string): number | undefined {
  const parts = word.split('.');
  if (parts.length !== 2 || !/^\d{1,20}$/.test(parts[1])) return undefined;
  return Number(parts[1]);
}
