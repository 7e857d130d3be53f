/** What a control loop is, and what each is given. */

import type { Clock, Logger, Prng } from '@keelson/base';
import type { Discovery, EventRecorder, InformerSet, MetricSet, RestClient } from '@keelson/kube-client';

/** A loop. It is started once, after the informers it asked for, and stopped once. */
export interface Controller {
  /** Begins; what it waits for it waits for by itself. */
  start(): void;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
  /** Whether it has seen all there is. */
  readonly synced: boolean;
  /** Whether it has nothing to do, now or later, as far as it knows: for tests and for whoever waits for the end. */
  readonly quiet: boolean;
}

export interface ControllerParts {
  /** Named after the loop. */
  readonly client: RestClient;
  readonly informers: InformerSet;
  readonly discovery: Discovery;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
  readonly metrics: MetricSet;
  readonly recorder: EventRecorder;
}
