/**
 * Watches of many shapes while members fail. On each member stands a witness that wants everything from the beginning and goes
 * on where it stopped; beside them streams come and go, each with a few watches of a key or a range, that begin now, in
 * the past, at the compaction or in the future, with filters, in parts, with what was before, slow ones and ones that are cancelled.
 */
import { Prng } from '@keelson/base';
import type { HistoryRecorder } from '@keelson/sim';
import type { RecordingClient } from '../../harness/recording-client.ts';
import { RecordingStream, type WatchShape } from '../../harness/recording-watch.ts';
import { pause, waitUntil, WaitError } from '../../harness/waiting.ts';
import { SHARED_KEYS } from './load.ts';

export interface WatchersOptions {
  readonly recorder: HistoryRecorder;
  readonly members: readonly string[];
  /** A client for each witness and each stream that comes and goes. */
  readonly client: (n: number) => RecordingClient;
  readonly seed: number;
  readonly streams: number;
  readonly known: () => number;
  readonly compacted: () => number;
}

const PROGRESS_EVERY_MS = 400;
const AFTER_STREAM_MS = 100;

class Witness {
  readonly member: string;
  next = 1;
  stream: RecordingStream | undefined;
  private watch: number | undefined;

  constructor(member: string) {
    this.member = member;
  }

  async live(options: WatchersOptions, client: RecordingClient, stopping: () => boolean): Promise<void> {
    while (!stopping()) {
      const stream = await RecordingStream.open(options.recorder, client, this.member, (response) => {
        for (const { kv } of response.events ?? []) this.next = Math.max(this.next, kv.mod + 1);
        if (response.canceled !== true) return;
        // What it was not told is gone: it goes on with the first that is there.
        if ((response.compactRevision ?? 0) > this.next) {
          this.next = response.compactRevision ?? 0;
          this.watch = undefined;
        }
        stream.end();
      });
      this.stream = stream;
      const resumes = this.watch === undefined ? {} : { resumes: this.watch };
      this.watch = stream.watch({
        key: '\0',
        end: '\0',
        start: this.next,
        prevKv: true,
        progressNotify: true,
        ...resumes,
      });
      const asking = setInterval(() => stream.progress(), PROGRESS_EVERY_MS);
      await stream.over;
      clearInterval(asking);
      await pause(AFTER_STREAM_MS);
    }
  }
}

export class Watchers {
  private readonly options: WatchersOptions;
  private readonly witnesses: Witness[];
  private readonly open = new Set<RecordingStream>();
  private readonly running: Promise<void>[] = [];
  /** By stream: the largest revision its progress was told at. */
  private readonly progress = new Map<number, number>();
  private stopping = false;
  /** Streams stay: nothing ends any more, and nothing begins. */
  private still = false;
  streams = 0;

  constructor(options: WatchersOptions) {
    this.options = options;
    this.witnesses = options.members.map((member) => new Witness(member));
  }

  start(): void {
    const dice = new Prng(this.options.seed);
    for (const [i, witness] of this.witnesses.entries()) {
      this.running.push(witness.live(this.options, this.options.client(i), () => this.stopping));
    }
    for (let i = 0; i < this.options.streams; i++) {
      const client = this.options.client(this.witnesses.length + i);
      this.running.push(this.passing(client, new Prng(dice.uint32())));
    }
  }

  /** The largest revision such that some witness was told of all up to it. */
  witnessed(): number {
    return Math.max(...this.witnesses.map(({ next }) => next - 1));
  }

  /**
   * Until all watches that are open were told all that happened. @throws WaitError naming the member that does not tell
   * @param mayOvertake progress says nothing of what is still to come, as in an etcd of old: more time is given instead
   */
  async settle(revision: number, timeoutMs: number, mayOvertake: boolean): Promise<void> {
    this.still = true;
    for (const { member } of this.witnesses) {
      const witness = this.witnesses.find((one) => one.member === member);
      await waitUntil(`the witness at ${member} is told of revision ${revision}`, { timeoutMs }, () => {
        if (witness !== undefined && witness.next > revision) return true;
        throw new WaitError(`it waits for ${witness?.next}`);
      });
    }
    for (const stream of this.open) {
      stream.resume();
      await waitUntil(
        `stream ${stream.stream} at ${stream.member} is told that it is at ${revision}`,
        { timeoutMs, everyMs: 100 },
        () => {
          if (!this.open.has(stream) || !stream.tellsProgress(revision)) return true;
          stream.progress();
          return (this.progress.get(stream.stream) ?? 0) >= revision ? true : undefined;
        },
      );
    }
    // Where nobody says when all is told, there is only time.
    const untold = [...this.open].some((stream) => !stream.tellsProgress(revision));
    if (mayOvertake || untold) await pause(1500);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    for (const stream of this.open) stream.end();
    for (const { stream } of this.witnesses) stream?.end();
    await Promise.all(this.running);
  }

  private async passing(client: RecordingClient, prng: Prng): Promise<void> {
    while (!this.stopping) {
      if (this.still) {
        await pause(AFTER_STREAM_MS);
        continue;
      }
      const stream = await RecordingStream.open(
        this.options.recorder,
        client,
        prng.pick(this.options.members),
        ({ stream: number, watch, events, revision }) => {
          if (watch === undefined && events === undefined) this.progress.set(number, revision);
        },
      );
      this.streams++;
      this.open.add(stream);
      const gone = stream.over.then(() => this.open.delete(stream));
      const watches = Array.from({ length: 1 + prng.below(4) }, () => stream.watch(this.shape(prng)));
      await this.life(stream, prng, watches);
      stream.end();
      await gone;
      await pause(AFTER_STREAM_MS);
    }
  }

  private async life(stream: RecordingStream, prng: Prng, watches: readonly number[]): Promise<void> {
    const untilMs = performance.now() + 1000 + prng.below(8000);
    const slow = prng.chance(1, 5);
    while (performance.now() < untilMs && this.open.has(stream) && !this.stopping) {
      await pause(100 + prng.below(400));
      if (this.still) continue;
      if (prng.chance(1, 2)) stream.progress();
      if (prng.chance(1, 12)) stream.cancel(prng.pick(watches));
      if (prng.chance(1, 12)) stream.watch(this.shape(prng));
      if (slow) {
        stream.pause();
        await pause(prng.below(2000));
        stream.resume();
      }
    }
    // In the end what is open stays open until all is told.
    while (this.still && this.open.has(stream) && !this.stopping) await pause(AFTER_STREAM_MS);
  }

  private shape(prng: Prng): WatchShape {
    const range = prng.below(4);
    const start = this.begin(prng);
    return {
      ...(range === 0
        ? { key: `k/${prng.below(SHARED_KEYS)}` }
        : range === 1
          ? { key: 'k/', end: 'k0' }
          : range === 2
            ? { key: 'l/', end: 'l0' }
            : { key: '\0', end: '\0' }),
      ...(start > 0 ? { start } : {}),
      ...(prng.chance(1, 2) ? { prevKv: true } : {}),
      ...(prng.chance(1, 3) ? { progressNotify: true } : {}),
      ...(prng.chance(1, 3) ? { fragment: true } : {}),
      ...(prng.chance(1, 8) ? { noPut: true } : prng.chance(1, 7) ? { noDelete: true } : {}),
    };
  }

  private begin(prng: Prng): number {
    const known = this.options.known();
    const dice = prng.below(10);
    if (dice < 3) return 0;
    if (dice < 7) return Math.max(1, known - prng.below(100));
    if (dice < 8) return Math.max(1, this.options.compacted() + prng.below(3) - 1);
    return known + 1 + prng.below(100);
  }
}
