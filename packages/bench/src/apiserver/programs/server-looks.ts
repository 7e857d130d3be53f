/**
 * Loaded into a server under test before its own program (`node --import`): answers questions of the process that measures
 * it, over the channel it was started with. How long the event loop was held, how long the collector paused, what the
 * heap holds after a collection. Costs nothing until it is asked.
 */
import { monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const RESOLUTION_MS = 1;
const NS_PER_MS = 1e6;

class Looks {
  private delay: IntervalHistogram | undefined;
  private longestPauseMs = 0;
  private readonly pauses = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      this.longestPauseMs = Math.max(this.longestPauseMs, duration);
    }
  });

  /** @returns undefined for what is no question */
  answer(question: unknown): object | undefined {
    switch (question) {
      case 'watch-loop':
        return this.watchLoop();
      case 'loop':
        return this.loop();
      case 'memory':
        return memory();
      default:
        return undefined;
    }
  }

  private watchLoop(): object {
    this.longestPauseMs = 0;
    this.pauses.observe({ entryTypes: ['gc'] });
    this.delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.delay.enable();
    return {};
  }

  private loop(): object {
    const { delay } = this;
    delay?.disable();
    this.pauses.disconnect();
    const held = (ns: number): number => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);
    return {
      heldMaxMs: held(delay?.max ?? 0),
      heldP99Ms: held(delay?.percentile(99) ?? 0),
      pauseMaxMs: this.longestPauseMs,
    };
  }
}

function memory(): object {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') {
    collect();
    collect();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, externalBytes: external, rssBytes: rss };
}

if (process.send !== undefined) {
  const looks = new Looks();
  process.on('message', (question) => {
    const answer = looks.answer(question);
    if (answer !== undefined) process.send?.(answer);
  });
  // What measures may go first; it does not keep a server alive.
  process.channel?.unref();
}
