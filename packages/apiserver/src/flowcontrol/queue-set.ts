/**
 * The seats of one priority level and who waits for them. Requests wait in queues, each flow in the shortest of its
 * hand; a queue's turn comes by virtual time, so that flows get equal shares of the seats whatever they send. A request
 * takes as many seats as it is wide, and may keep some for a moment after it ended (what a write costs its watchers).
 *
 * Modelled on apiserver's fairqueuing/queueset: virtual time advances by how many seats each active queue could have,
 * work is guessed when it begins and corrected when it ends. Other than there, what runs longer than was guessed counts
 * while it runs: else a flow of long requests is ahead of others by all it has under way. Knows no request; told the
 * time, draws no lots.
 */

import { assert, type Clock, type Timer } from '@keelson/base';

import type { Queuing } from './flow-schema.ts';
import { dealHand } from './shuffle-shard.ts';

/** How wide a request is. */
export interface Work {
  readonly seats: number;
  /** Seats kept after the end. */
  readonly finalSeats: number;
  readonly finalMs: number;
}

export type Refusal = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

/** What a level counts; told as it happens, with the name that a request is counted under. */
export interface QueueObserver {
  /** A request waits; so many do in its queue, itself included. */
  enqueued(counted: string, length: number): void;
  /** A request got its seats. */
  dispatched(counted: string, waitedMs: number): void;
  refused(counted: string, reason: Refusal, waitedMs: number): void;
  /** A request is the next and has to wait for seats. */
  unaccommodated(counted: string): void;
  /** Seats wanted (in use and waited for) or in use have changed. */
  demand(seats: number): void;
}

/** Seats somebody has. */
export interface Seats {
  /** Gives them back; calling it again does nothing. */
  release(): void;
}

export type Outcome = { readonly seats: Seats } | { readonly refused: Refusal };

/** What is under way of all that is counted under one name. */
export class Usage {
  waiting = 0;
  waitingSeats = 0;
  executing = 0;
  seats = 0;
}

/** Guess of how long a request takes, as the original: short, since most are. Corrected when it has ended. */
const GUESS_MS = 3;

class Waiting {
  readonly work: Work;
  readonly counted: string;
  readonly arrivedMs: number;
  readonly arrivalR: number;
  /** For dumps. */
  readonly about: unknown;
  readonly settle: (outcome: Outcome) => void;
  timer: Timer | undefined = undefined;

  constructor(
    work: Work,
    counted: string,
    arrivedMs: number,
    arrivalR: number,
    about: unknown,
    settle: (outcome: Outcome) => void,
  ) {
    this.work = work;
    this.counted = counted;
    this.arrivedMs = arrivedMs;
    this.arrivalR = arrivalR;
    this.about = about;
    this.settle = settle;
  }
}

class Queue {
  /** In order of arrival; those that gave up are taken out. */
  waiting: Waiting[] = [];
  nextDispatchR = 0;
  executing = 0;
  seatsInUse = 0;
  /** Seats of what executes, and each times when it began and was guessed to end, ms. */
  runningSeats = 0;
  runningEnds = 0;
  /** Seat-milliseconds of all that wait. */
  workSum = 0;
  seatsSum = 0;
}

export interface QueueDump {
  readonly index: number;
  readonly executing: number;
  readonly seatsInUse: number;
  readonly nextDispatchR: number;
  readonly seatsSum: number;
  readonly workSum: number;
  readonly waiting: readonly { readonly work: Work; readonly arrivedMs: number; readonly about: unknown }[];
}

export interface QueueSetOptions {
  readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>;
  readonly queuing: Queuing | undefined;
  readonly seats: number;
  readonly observer: QueueObserver;
}

export interface Ask {
  readonly work: Work;
  /** Which queues it may use. */
  readonly hash: bigint;
  /** How long it waits at most. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Under what it is counted: its flow schema. */
  readonly counted: string;
  /** Shown in dumps. */
  readonly about?: unknown;
}

export class QueueSet {
  private readonly clock: QueueSetOptions['clock'];
  private readonly observer: QueueObserver;
  private queuing: Queuing | undefined;
  private limit: number;
  private queues: Queue[];
  /** Queues that lost their place when their number shrank; they are served until they are empty. */
  private leaving: Queue[] = [];
  private used = 0;
  private executingCount = 0;
  private waitingCount = 0;
  private waitingSeats = 0;
  private readonly usages = new Map<string, Usage>();
  /** Virtual time, ms a queue with one seat would have served, and when it was right. */
  private virtualR = 0;
  private virtualMs: number;
  private robin = 0;

  constructor({ clock, queuing, seats, observer }: QueueSetOptions) {
    this.clock = clock;
    this.observer = observer;
    this.queuing = queuing;
    this.limit = seats;
    this.queues = Array.from({ length: queuing?.queues ?? 0 }, () => new Queue());
    this.virtualMs = clock.monotonicMs();
  }

  get seatsInUse(): number {
    return this.used;
  }

  get executing(): number {
    return this.executingCount;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  /** What is under way, by the names it is counted under. */
  get usage(): ReadonlyMap<string, Readonly<Usage>> {
    return this.usages;
  }

  /** Of one name. */
  usageOf(counted: string): Usage {
    let usage = this.usages.get(counted);
    if (usage === undefined) {
      usage = new Usage();
      this.usages.set(counted, usage);
    }
    return usage;
  }

  get idle(): boolean {
    return this.executingCount === 0 && this.waitingCount === 0;
  }

  get seats(): number {
    return this.limit;
  }

  /** Other queues and another number of seats; what waits goes on waiting. */
  configure(queuing: Queuing | undefined, seats: number): void {
    this.advance();
    const count = queuing?.queues ?? 0;
    if (count < this.queues.length) this.leaving.push(...this.queues.splice(count));
    while (this.queues.length < count) this.queues.push(new Queue());
    this.queuing = queuing;
    this.setSeats(seats);
  }

  /** Seats that others lent or took back. What runs keeps its own. */
  setSeats(seats: number): void {
    this.advance();
    this.limit = seats;
    this.dispatch();
  }

  /** Waits for seats; never rejects. */
  ask({ work, hash, waitMs, signal, counted, about }: Ask): Promise<Outcome> {
    this.advance();
    const nowMs = this.clock.monotonicMs();
    const { queuing } = this;
    if (queuing === undefined) {
      if (!this.fits(work)) return Promise.resolve(this.refuse(counted, 'concurrency-limit', 0));
      const outcome = this.take(work, counted, undefined, 0);
      this.tellDemand();
      return Promise.resolve(outcome);
    }
    const queue = this.shortest(hash, queuing);
    if (queue.waiting.length >= queuing.queueLengthMax && !this.fits(work)) {
      return Promise.resolve(this.refuse(counted, 'queue-full', 0));
    }
    return new Promise((resolve) => {
      const settle = (outcome: Outcome): void => {
        signal.removeEventListener('abort', giveUp);
        request.timer?.cancel();
        resolve(outcome);
      };
      const request = new Waiting(work, counted, nowMs, this.virtualR, about, settle);
      const leave = (reason: Refusal): void => {
        if (this.remove(queue, request))
          settle(this.refuse(counted, reason, this.clock.monotonicMs() - nowMs));
      };
      const giveUp = (): void => leave('cancelled');
      this.enqueue(queue, request);
      this.dispatch();
      if (!queue.waiting.includes(request)) return;
      if (signal.aborted) {
        giveUp();
        return;
      }
      signal.addEventListener('abort', giveUp, { once: true });
      request.timer = this.clock.setTimer(waitMs, () => leave('time-out'));
    });
  }

  dump(): QueueDump[] {
    return this.queues.map((queue, index) => ({
      index,
      executing: queue.executing,
      seatsInUse: queue.seatsInUse,
      nextDispatchR: queue.nextDispatchR,
      seatsSum: queue.seatsSum,
      workSum: queue.workSum,
      waiting: queue.waiting.map(({ work, arrivedMs, about }) => ({ work, arrivedMs, about })),
    }));
  }

  // ---- queues ----

  /** Of the flow's hand, the queue with the least work before it. */
  private shortest(hash: bigint, { handSize }: Queuing): Queue {
    let best: Queue | undefined;
    let least = Infinity;
    for (const card of dealHand(hash, this.queues.length, handSize)) {
      const queue = this.queues[card];
      const work = queue.workSum + queue.seatsInUse * GUESS_MS;
      if (work >= least) continue;
      best = queue;
      least = work;
    }
    assert(best !== undefined, 'a hand has a card');
    return best;
  }

  private enqueue(queue: Queue, request: Waiting): void {
    // A queue that slept has saved nothing up.
    if (queue.waiting.length === 0 && queue.executing === 0) queue.nextDispatchR = this.virtualR;
    queue.waiting.push(request);
    queue.workSum += workOf(request.work);
    queue.seatsSum += widthOf(request.work);
    this.countWaiting(request, 1);
    this.observer.enqueued(request.counted, queue.waiting.length);
    this.tellDemand();
  }

  private remove(queue: Queue, request: Waiting): boolean {
    const at = queue.waiting.indexOf(request);
    if (at < 0) return false;
    this.advance();
    queue.waiting.splice(at, 1);
    queue.workSum -= workOf(request.work);
    queue.seatsSum -= widthOf(request.work);
    this.countWaiting(request, -1);
    this.tellDemand();
    // Whoever was behind it may fit.
    this.dispatch();
    return true;
  }

  private countWaiting({ work, counted }: Waiting, by: 1 | -1): void {
    const usage = this.usageOf(counted);
    const seats = by * widthOf(work);
    this.waitingCount += by;
    this.waitingSeats += seats;
    usage.waiting += by;
    usage.waitingSeats += seats;
  }

  private dispatch(): void {
    while (this.waitingCount > 0) {
      const queue = this.nextQueue();
      if (queue === undefined) return;
      const [request] = queue.waiting;
      if (!this.fits(request.work)) {
        this.observer.unaccommodated(request.counted);
        return;
      }
      queue.waiting.shift();
      queue.workSum -= workOf(request.work);
      queue.seatsSum -= widthOf(request.work);
      this.countWaiting(request, -1);
      const outcome = this.take(
        request.work,
        request.counted,
        queue,
        this.clock.monotonicMs() - request.arrivedMs,
      );
      queue.nextDispatchR += workOf(request.work);
      // Nobody is served for the time before he came.
      if (queue.waiting.length > 0) {
        queue.nextDispatchR = Math.max(queue.nextDispatchR, queue.waiting[0].arrivalR);
      }
      request.settle(outcome);
    }
    this.leaving = this.leaving.filter((queue) => queue.waiting.length > 0);
  }

  /** The queue whose oldest request would be through first; among equals the one whose turn it is. */
  private nextQueue(): Queue | undefined {
    let best: Queue | undefined;
    let least = Infinity;
    const all = this.leaving.length === 0 ? this.queues : [...this.queues, ...this.leaving];
    const start = this.robin;
    const nowMs = this.clock.monotonicMs();
    for (let step = 1; step <= all.length; step += 1) {
      const index = (start + step) % all.length;
      const queue = all[index];
      if (queue.waiting.length === 0) continue;
      // What runs beyond its guess is charged already, what ends sooner not yet paid back.
      const overdue = Math.max(0, queue.runningSeats * nowMs - queue.runningEnds);
      const finish = queue.nextDispatchR + overdue + workOf(queue.waiting[0].work);
      if (finish >= least) continue;
      best = queue;
      least = finish;
      this.robin = index;
    }
    return best;
  }

  // ---- seats ----

  private fits(work: Work): boolean {
    const width = widthOf(work);
    // Wider than all there is: alone.
    if (width > this.limit) return this.executingCount === 0 && this.used === 0;
    return this.used + width <= this.limit;
  }

  private take(work: Work, counted: string, queue: Queue | undefined, waitedMs: number): Outcome {
    const usage = this.usageOf(counted);
    const width = widthOf(work);
    const startMs = this.clock.monotonicMs();
    this.used += width;
    this.executingCount += 1;
    usage.executing += 1;
    usage.seats += width;
    if (queue !== undefined) {
      queue.executing += 1;
      queue.seatsInUse += width;
      queue.runningSeats += work.seats;
      queue.runningEnds += work.seats * (startMs + GUESS_MS);
    }
    this.observer.dispatched(counted, waitedMs);
    let running = true;
    return {
      seats: {
        release: () => {
          if (!running) return;
          running = false;
          this.advance();
          this.executingCount -= 1;
          usage.executing -= 1;
          if (queue !== undefined) {
            queue.executing -= 1;
            queue.runningSeats -= work.seats;
            queue.runningEnds -= work.seats * (startMs + GUESS_MS);
            queue.nextDispatchR += (this.clock.monotonicMs() - startMs - GUESS_MS) * work.seats;
          }
          const { finalSeats, finalMs } = work;
          if (finalSeats <= 0 || finalMs <= 0) {
            this.giveBack(queue, usage, width);
            return;
          }
          this.giveBack(queue, usage, width - finalSeats);
          this.clock.setTimer(finalMs, () => {
            this.advance();
            this.giveBack(queue, usage, finalSeats);
          });
        },
      },
    };
  }

  private giveBack(queue: Queue | undefined, usage: Usage, seats: number): void {
    this.used -= seats;
    usage.seats -= seats;
    if (queue !== undefined) queue.seatsInUse -= seats;
    assert(this.used >= 0, 'more seats were given back than were taken');
    this.tellDemand();
    this.dispatch();
  }

  private refuse(counted: string, reason: Refusal, waitedMs: number): Outcome {
    this.observer.refused(counted, reason, waitedMs);
    return { refused: reason };
  }

  private tellDemand(): void {
    this.observer.demand(this.used + this.waitingSeats);
  }

  /** Brings virtual time to now: it passes as fast as each active queue gets seats. */
  private advance(): void {
    const nowMs = this.clock.monotonicMs();
    const passedMs = nowMs - this.virtualMs;
    this.virtualMs = nowMs;
    if (passedMs <= 0) return;
    let active = 0;
    let wanted = 0;
    for (const queue of this.queues) {
      if (queue.waiting.length === 0 && queue.seatsInUse === 0) continue;
      active += 1;
      wanted += queue.seatsInUse + queue.seatsSum;
    }
    if (active > 0) this.virtualR += (passedMs * Math.min(wanted, this.limit)) / active;
  }
}

function widthOf({ seats, finalSeats }: Work): number {
  return Math.max(seats, finalSeats);
}

/** Seat-milliseconds, as far as can be told before. */
function workOf({ seats, finalSeats, finalMs }: Work): number {
  return seats * GUESS_MS + finalSeats * finalMs;
}
