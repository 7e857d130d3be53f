/**
 * The pass over watchers that are behind: a slice of their history a turn, so that requests go on between, until the hub says
 * that nobody is. It takes the turn as an argument and keeps no time.
 */
import { toError } from '@keelson/base';
import type { WatchHub } from './hub.ts';

export class CatchUp {
  private readonly hub: Pick<WatchHub, 'syncSome'>;
  private readonly defer: (task: () => void) => void;
  private readonly onError: (error: Error) => void;
  private running = false;
  private stopped = false;

  /** @param defer runs a task in a turn to come */
  constructor(
    hub: Pick<WatchHub, 'syncSome'>,
    defer: (task: () => void) => void,
    onError: (error: Error) => void,
  ) {
    this.hub = hub;
    this.defer = defer;
    this.onError = onError;
  }

  /** Begins a pass, unless one is under way. */
  wake(): void {
    if (this.running) return;
    this.running = true;
    this.defer(() => {
      this.running = false;
      if (this.stopped) return;
      try {
        if (this.hub.syncSome()) this.wake();
      } catch (error) {
        this.onError(toError(error));
      }
    });
  }

  /** Nobody is caught up any more. */
  stop(): void {
    this.stopped = true;
  }
}
