/**
 * Loaded into a server under test before its own program (`node --import`): answers questions of the process that measures
 * it, over the channel it was started with. How long the event loop was held, how long the collector paused, what the
 * heap holds after a collection. Costs nothing until it is asked.
 */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const RESOLUTION_MS = 1;
/** Shorter ones are not kept one by one. */
const LONG_MS = 4;

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

class Looks {
  private timer: NodeJS.Timeout | undefined;
  private heldMaxMs = 0;
  private long: Span[] = [];
  private pauses: Span[] = [];
  private readonly delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private readonly observer = new PerformanceObserver((list) => this.note(list));

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
    this.heldMaxMs = 0;
    this.long = [];
    this.pauses = [];
    this.observer.observe({ entryTypes: ['gc'] });
    this.delays.reset();
    this.delays.enable();
    let lastMs = performance.now();
    this.timer = setInterval(() => {
      const nowMs = performance.now();
      this.heldMaxMs = Math.max(this.heldMaxMs, nowMs - lastMs - RESOLUTION_MS);
      if (nowMs - lastMs >= LONG_MS) this.long.push({ fromMs: lastMs, toMs: nowMs });
      lastMs = nowMs;
    }, RESOLUTION_MS);
    return {};
  }

  private loop(): object {
    clearInterval(this.timer);
    this.delays.disable();
    this.note({ getEntries: () => this.observer.takeRecords() });
    this.observer.disconnect();
    const { heldMaxMs, pauses } = this;
    return {
      heldMaxMs,
      heldP99Ms: Math.max(0, this.delays.percentile(99) / 1e6 - RESOLUTION_MS),
      workedMaxMs: Math.max(0, ...this.long.map((one) => worked(one, pauses) - RESOLUTION_MS)),
      pauseMaxMs: Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs)),
    };
  }

  private note(list: { getEntries(): readonly { startTime: number; duration: number }[] }): void {
    for (const { startTime, duration } of list.getEntries()) {
      this.pauses.push({ fromMs: startTime, toMs: startTime + duration });
    }
  }
}

/** Of a span, what was no pause of the collector. */
function worked({ fromMs, toMs }: Span, pauses: readonly Span[]): number {
  const paused = pauses.map((pause) => Math.min(toMs, pause.toMs) - Math.max(fromMs, pause.fromMs));
  return toMs - fromMs - paused.reduce((sum, ms) => sum + Math.max(0, ms), 0);
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
