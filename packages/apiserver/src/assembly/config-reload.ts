/**
 * A configuration file that is followed while the server runs: looked at from time to time, and used when it says
 * something else. A file that cannot be used is told and counted, and what was used before goes on. Looks instead of
 * listening, so that it sees a file on any file system, and one that is swapped by a link. Knows no file's meaning.
 *
 * Modelled on kube-apiserver's reloads of authentication, authorization and encryption, and on their metrics.
 */

import { createHash } from 'node:crypto';

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import { Counter, Gauge, type MetricsRegistry } from '../metrics/registry.ts';

/** The original is told of changes at once and looks each minute besides; a look costs one small file. */
const EVERY_MS = 5_000;
/** Who cannot be read says so once in this time, not at each look. */
const REPEAT_MS = 60_000;

export interface ConfigReloadOptions {
  /** How metrics and the log call it. */
  readonly what: 'authentication' | 'authorization' | 'encryption';
  readonly path: string;
  /** A file's text. @throws Error that names it */
  readonly readFile: (path: string) => string;
  /** What the server was started with. */
  readonly text: string;
  /**
   * Makes a new text ready, and changes nothing.
   *
   * @returns puts it to use; false from there: it says what is used already
   * @throws Error for a text that is none to use; NotYet for one that may be later
   */
  readonly prepare: (text: string) => (() => boolean) | Promise<() => boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  /** Of this server: bootstrap/identity-lease.ts. */
  readonly serverId: string;
}

/** A text that is well, and cannot be used now: it is tried again as it is. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
}

export class ConfigReload {
  private readonly options: ConfigReloadOptions;
  private readonly idHash: string;
  private readonly reloads: Counter;
  private readonly lastSeconds = new Map<string, number>();
  /** What was looked at last and is settled, whether it could be used or not. */
  private seen: string;
  /** Of what is used. */
  private hash: string;
  private complaint: { readonly text: string; readonly untilMs: number } | undefined = undefined;
  private timer: Timer | undefined = undefined;
  private stopped = false;

  constructor(options: ConfigReloadOptions) {
    this.options = options;
    this.seen = options.text;
    this.hash = hashOf(options.text);
    const { what, metrics, serverId } = options;
    const idHash = hashOf(serverId);
    this.idHash = idHash;
    const prefix = `apiserver_${what}_config_controller`;
    this.reloads = metrics.add(
      new Counter(
        `${prefix}_automatic_reloads_total`,
        `Times the configuration of ${what} was read anew, by how it went.`,
        ['apiserver_id_hash', 'status'],
      ),
    );
    metrics.add(
      new Gauge(
        `${prefix}_automatic_reload_last_timestamp_seconds`,
        `When the configuration of ${what} was read anew last, by how it went.`,
        ['apiserver_id_hash', 'status'],
        () => [...this.lastSeconds].map(([status, seconds]) => [[idHash, status], seconds]),
      ),
    );
    metrics.add(
      new Gauge(
        `${prefix}_last_config_info`,
        `The hash of the configuration of ${what} that is used.`,
        ['apiserver_id_hash', 'hash'],
        () => [[[idHash, this.hash], 1]],
      ),
    );
  }

  start(): void {
    if (this.stopped) return;
    this.timer = this.options.clock.setTimer(EVERY_MS, () => {
      void this.look().finally(() => this.start());
    });
  }

  /** What is under way is not put to use any more. */
  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    const { what, path, readFile, prepare, logger } = this.options;
    const before = this.seen;
    try {
      const text = readFile(path);
      if (text === this.seen) {
        this.complaint = undefined;
        return;
      }
      this.seen = text;
      const use = await prepare(text);
      if (this.stopped || !use()) return;
      this.hash = hashOf(text);
      this.complaint = undefined;
      this.count('success');
      logger.info(`The configuration of ${what} was loaded anew`, { path });
    } catch (error) {
      if (this.stopped) return;
      if (error instanceof NotYet) this.seen = before;
      this.complain(toError(error).message);
    }
  }

  private complain(text: string): void {
    const { what, path, clock, logger } = this.options;
    const nowMs = clock.monotonicMs();
    if (this.complaint?.text === text && nowMs < this.complaint.untilMs) return;
    this.complaint = { text, untilMs: nowMs + REPEAT_MS };
    this.count('failure');
    logger.error(`a new configuration of ${what} is not used`, { path, error: text });
  }

  private count(status: 'success' | 'failure'): void {
    this.reloads.add([this.idHash, status]);
    this.lastSeconds.set(status, this.options.clock.nowMs() / 1_000);
  }
}

/** As the original's metrics tell one text from another. */
function hashOf(text: string): string {
  return text === '' ? '' : `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
