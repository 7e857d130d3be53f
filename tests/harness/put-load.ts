/**
 * A stream of concurrent puts over the members, each key once, kept in a Ledger. Writers take the members in
 * turn and go on whatever happens; a put is never made again. Probes are puts too, in the same ledger.
 */
import type { Ledger } from './ledger.ts';
import type { MemberApi } from './member-api.ts';
import { pause, waitUntil } from './waiting.ts';

export interface LoadOptions {
  readonly apis: readonly MemberApi[];
  readonly ledger: Ledger;
  /** Puts in flight at most. */
  readonly writers: number;
  /** All keys start with it. */
  readonly prefix: string;
  /** A put that takes longer counts as unknown. */
  readonly timeoutMs: number;
}

/** After a failure a writer waits this long, so that a dead member is not asked in a tight loop. */
const AFTER_FAILURE_MS = 20;

export class PutLoad {
  private readonly options: LoadOptions;
  private readonly running: Promise<void>[] = [];
  private stopping = false;
  private probes = 0;
  private lastAckMs = performance.now();
  /** The longest time without any acknowledgement since `resetGap`. */
  private longestGapMs = 0;
  /** Of acknowledged puts, in order of arrival, ms. */
  readonly latenciesMs: number[] = [];

  constructor(options: LoadOptions) {
    this.options = options;
  }

  start(): void {
    for (let writer = 0; writer < this.options.writers; writer++) this.running.push(this.write(writer));
  }

  /** Lets puts in flight end, starts no more. */
  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.running);
  }

  /** Until `count` more puts are acknowledged. */
  async acknowledgedMore(count: number, timeoutMs: number): Promise<void> {
    const { acknowledged } = this.options.ledger;
    const target = acknowledged.size + count;
    await waitUntil(`${count} more puts are acknowledged`, { timeoutMs, everyMs: 10 }, () =>
      acknowledged.size >= target ? true : undefined,
    );
  }

  resetGap(): void {
    this.longestGapMs = 0;
    this.lastAckMs = performance.now();
  }

  gapMs(): number {
    return Math.max(this.longestGapMs, performance.now() - this.lastAckMs);
  }

  /**
   * The time from now until some member acknowledges a put that was sent after now. A new put leaves every
   * 10 ms, to each of `indices` in turn, and none waits for another: one that was forwarded to a leader which
   * died is answered only by a timeout, and would hide that the next one works.
   */
  async firstAcknowledged(indices: readonly number[], timeoutMs: number): Promise<number> {
    const startMs = performance.now();
    const first: { ms?: number } = {};
    for (let i = 0; first.ms === undefined; i++) {
      if (performance.now() - startMs > timeoutMs) {
        throw new Error(`no put was acknowledged within ${timeoutMs} ms`);
      }
      const api = this.options.apis[indices[i % indices.length]];
      const key = `${this.options.prefix}probe/${this.probes++}`;
      const probe = this.put(api, key).then((ok) => {
        if (ok) first.ms ??= performance.now() - startMs;
      });
      this.running.push(probe);
      await pause(10);
    }
    return first.ms;
  }

  private async write(writer: number): Promise<void> {
    const { apis, prefix } = this.options;
    for (let i = 0; !this.stopping; i++) {
      const api = apis[(writer + i) % apis.length];
      const key = `${prefix}${writer}/${String(i).padStart(7, '0')}`;
      if (!(await this.put(api, key))) await pause(AFTER_FAILURE_MS);
    }
  }

  private async put(api: MemberApi, key: string): Promise<boolean> {
    const { ledger, timeoutMs } = this.options;
    const startMs = performance.now();
    try {
      const { header } = await api.put(key, ledger.valueOf(key), timeoutMs);
      const nowMs = performance.now();
      ledger.acknowledge(key, header?.revision ?? 0);
      this.latenciesMs.push(nowMs - startMs);
      this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastAckMs);
      this.lastAckMs = nowMs;
      return true;
    } catch (error) {
      ledger.fail(key, error);
      return false;
    }
  }
}
