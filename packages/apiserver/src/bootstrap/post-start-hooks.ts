/**
 * What a server sees to once it runs: named steps, begun together, each tried again until it succeeds, each with a
 * health check of its own that is red until then. A step that keeps something up goes on after that by itself.
 *
 * Modelled on apiserver's post-start hooks. There a hook that fails ends the process; here it is tried again,
 * because what it waits for is the store.
 */

import { pause, toError, type Clock, type Logger } from '@keelson/base';

import type { Stores } from '../registry/resource.ts';

export interface PostStartHook {
  /** `rbac/bootstrap-roles`; the check is `poststarthook/rbac/bootstrap-roles`. */
  readonly name: string;
  /** Brings things to where they should be; must not mind how often it is called. */
  run(stores: Stores, signal: AbortSignal): Promise<void>;
  /** Called again this long after each success, for what others may undo or what runs out; once without. */
  readonly everyMs?: number;
}

/** Tries after a failure, in ms apart: the store comes back within seconds or not soon. */
const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;

export class PostStartHooks {
  /** A health check each. */
  readonly checks: readonly {
    readonly name: string;
    check(signal: AbortSignal): Promise<string | undefined>;
  }[];
  private readonly hooks: readonly PostStartHook[];
  private readonly logger: Logger;
  private readonly clock: Clock;
  private readonly done = new Set<PostStartHook>();
  private readonly stopping = new AbortController();
  private firstRuns: Promise<void> = Promise.resolve();
  private running: Promise<unknown> = Promise.resolve();

  constructor(hooks: readonly PostStartHook[], clock: Clock, logger: Logger) {
    this.hooks = hooks;
    this.logger = logger;
    this.clock = clock;
    this.checks = hooks.map((hook) => ({
      name: `poststarthook/${hook.name}`,
      check: () => Promise.resolve(this.done.has(hook) ? undefined : 'not finished'),
    }));
  }

  /** Begins them all. @param stores where they look and write */
  start(stores: Stores): void {
    const firsts: Promise<void>[] = [];
    const loops = this.hooks.map((hook) => {
      const first = this.untilDone(hook, stores);
      firsts.push(first);
      return first.then(() => this.keepUp(hook, stores));
    });
    this.firstRuns = Promise.all(firsts).then(() => undefined);
    this.running = Promise.all(loops);
  }

  /** Resolves when each has succeeded once, or all were stopped. */
  whenDone(): Promise<void> {
    return this.firstRuns;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async untilDone(hook: PostStartHook, stores: Stores): Promise<void> {
    for (let waitMs = RETRY_MS; !this.stopping.signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      if (await this.tried(hook, stores)) {
        this.done.add(hook);
        return;
      }
      await pause(this.clock, waitMs, this.stopping.signal);
    }
  }

  private async keepUp(hook: PostStartHook, stores: Stores): Promise<void> {
    const { everyMs } = hook;
    if (everyMs === undefined) return;
    for (;;) {
      await pause(this.clock, everyMs, this.stopping.signal);
      if (this.stopping.signal.aborted) return;
      await this.tried(hook, stores);
    }
  }

  private async tried(hook: PostStartHook, stores: Stores): Promise<boolean> {
    try {
      await hook.run(stores, this.stopping.signal);
      return true;
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        this.logger.warn('a post-start hook failed and is tried again', {
          hook: hook.name,
          error: toError(error).message,
        });
      }
      return false;
    }
  }
}
