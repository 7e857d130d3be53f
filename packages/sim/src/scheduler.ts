/**
 * Virtual time: one queue of events, ordered by time and, among those of one time, by dice from the seed. It
 * knows nothing of what an event does and never looks at a real clock. Every event's time, kind and place is
 * mixed into the trace before it runs.
 */
import { assert, Heap, type HeapItem, Prng } from '@keelson/base';
import { TraceHash } from './trace.ts';

interface Event extends HeapItem {
  readonly at: number;
  readonly dice: number;
  /** Order of scheduling: decides when even the dice are equal. */
  readonly order: number;
  readonly kind: string;
  readonly place: number;
  readonly run: () => void;
}

function before(a: Event, b: Event): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.dice === b.dice ? a.order < b.order : a.dice < b.dice;
}

export class Scheduler {
  /** In units of the simulation; what a unit stands for is the simulation's to say. */
  now = 0;
  /** Events that ran. */
  events = 0;
  readonly trace = new TraceHash();
  private readonly queue = new Heap<Event>(before);
  private readonly dice: Prng;
  private order = 0;

  constructor(seed: number) {
    this.dice = new Prng(seed ^ 0x71e5);
  }

  /**
   * Runs `run` after `delay` units, 0 or more.
   *
   * @param kind what it is, in a word
   * @param place where it happens: a node's number, 0 for the world
   */
  later(delay: number, kind: string, place: number, run: () => void): void {
    assert(delay >= 0, () => `${kind} is scheduled ${delay} units from now`);
    this.queue.push({
      heapIndex: -1,
      at: this.now + delay,
      dice: this.dice.uint32(),
      order: this.order++,
      kind,
      place,
      run,
    });
  }

  /** Runs the next event. There must be one. */
  next(): void {
    const event = this.queue.pop();
    assert(event !== undefined, 'nothing will ever happen again');
    this.now = event.at;
    this.events++;
    this.trace.number(event.at);
    this.trace.text(event.kind);
    this.trace.number(event.place);
    event.run();
  }
}
