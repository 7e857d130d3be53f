/**
 * Looks for another configuration of encryption from time to time (--encryption-provider-config-automatic-reload).
 * What cannot be read is told and counted, and the old configuration stays.
 */

import { toError, type Clock, type Logger, type Timer } from '@keelson/base';

import { Counter, type MetricsRegistry } from '../../metrics/registry.ts';
import type { Encryption } from './encryption.ts';

/** As often as the original looks. */
const EVERY_MS = 60_000;

export interface ReloadOptions {
  readonly encryption: Encryption;
  /** The file's text as it is now. @throws Error */
  readonly read: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly everyMs?: number;
}

export class EncryptionReload {
  private readonly options: ReloadOptions;
  private readonly reloads: Counter;
  private timer: Timer | undefined = undefined;

  constructor(options: ReloadOptions) {
    this.options = options;
    this.reloads = options.metrics.add(
      new Counter(
        'apiserver_encryption_config_controller_automatic_reloads_total',
        'Times the configuration of encryption was read anew, by how it went.',
        ['status'],
      ),
    );
  }

  start(): void {
    const { clock, everyMs = EVERY_MS } = this.options;
    this.timer = clock.setTimer(everyMs, () => {
      this.look();
      this.start();
    });
  }

  stop(): void {
    this.timer?.cancel();
  }

  private look(): void {
    const { encryption, read, logger } = this.options;
    try {
      if (!encryption.reload(read())) return;
      this.reloads.add(['success']);
      logger.info('The configuration of encryption at rest was loaded anew');
    } catch (error) {
      this.reloads.add(['failure']);
      logger.error('a new configuration of encryption at rest is not used', {
        error: toError(error).message,
      });
    }
  }
}
