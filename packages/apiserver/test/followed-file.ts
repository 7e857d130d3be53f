/** A file that a server follows, on a clock that a test moves: its text, the looks at it, and what is counted of them. */

import { createHash } from 'node:crypto';

import type { Clock, Timer } from '@keelson/base';

import { MetricsRegistry } from '../src/metrics/registry.ts';

interface Due {
  readonly atMs: number;
  readonly task: () => void;
}

export class FollowedFile {
  /** What it says; undefined: there is none. */
  text: string | undefined;
  readonly path = '/etc/followed';
  readonly serverId = 'apiserver-a';
  readonly metrics = new MetricsRegistry();
  readonly clock: Clock;
  private nowMs = 1_000_000;
  private readonly due = new Set<Due>();
  private readonly armed: (() => void)[] = [];

  constructor(text?: string) {
    this.text = text;
    this.clock = {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.nowMs,
      setTimer: (delayMs, task) => this.setTimer(delayMs, task),
    };
  }

  readonly readFile = (path: string): string => {
    if (path !== this.path || this.text === undefined) {
      throw new Error(`open ${path}: no such file or directory`);
    }
    return this.text;
  };

  /** Timers that are set. */
  get waiting(): number {
    return this.due.size;
  }

  /** The next look begins. */
  wake(): void {
    const [next] = [...this.due].sort((one, other) => one.atMs - other.atMs);
    if (next === undefined) throw new Error('nobody waits');
    this.due.delete(next);
    this.nowMs = next.atMs;
    next.task();
  }

  /** The next look, until the one behind it is waited for. */
  async look(): Promise<void> {
    const settled = new Promise<void>((resolve) => this.armed.push(resolve));
    this.wake();
    await settled;
  }

  /** As it is told on /metrics: the lines of values, the server's hash cut out, config hashes as the file's text. */
  counted(...texts: readonly string[]): string[] {
    const hash = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
    let all = this.metrics.text().replaceAll(`apiserver_id_hash="${hash(this.serverId)}"`, 'id');
    for (const text of texts) all = all.replaceAll(hash(text), text);
    return all.split('\n').filter((line) => line.includes('_config_controller_') && !line.startsWith('#'));
  }

  private setTimer(delayMs: number, task: () => void): Timer {
    const one = { atMs: this.nowMs + delayMs, task };
    this.due.add(one);
    this.armed.shift()?.();
    return { cancel: () => void this.due.delete(one) };
  }
}
