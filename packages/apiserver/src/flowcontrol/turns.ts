/**
 * What all long answers of a server take of each turn of its event loop, together: who has much to make or to send asks
 * for a turn before each piece of it. A turn of the loop hands out pieces until it has taken as long as it may; the others
 * wait for the next one, behind whatever came in meanwhile. So a short request waits for one turn, however many long answers
 * are under way. Users are called one after the other: one long list has as much of the loop as sixty of somebody else. Of a user's
 * answers the oldest is called that can go on: sixty that got equal shares would all end late, and together, and so would come
 * the next sixty.
 *
 * Seats (queue-set.ts) bound how many requests are under way; this bounds how long the one thread is away. There is no
 * such thing in the original, whose requests have threads of their own. Knows no request, sets no timer.
 */

import { assert, Ring } from '@keelson/base';

/** What is needed of an event loop. */
export interface EventLoop {
  /** How long it has worked since it began: a clock that stands while it sleeps. */
  workedMs(): number;
  /** Calls back in the next turn, when what has come in by then was looked at. */
  nextTurn(task: () => void): void;
  /** Calls back in this turn, when everybody who was told something has done what he does at once. */
  afterPromises(task: () => void): void;
}

/**
 * A turn of the loop is to take no longer, what others do in it and what is encrypted and sent behind it included. A short
 * request takes five or six turns (it comes in, the store is asked, has answered, it is answered), so that each millisecond
 * here is five for him. Measured with tests/robustness/fairness.ts: his p99 beside a flood is 39 to 50 ms with 4 ms here, 28 to 40
 * with 2, 19 to 22 with 1. A turn without pieces costs some 50 us, so that below there is much to be lost.
 */
const TURN_MS = 1;
/** Pieces get as long at least, however much the others took: else short requests could hold up long answers for good. */
const SHARE_MS_MIN = 0.25;

interface Call {
  readonly sinceMs: number;
  readonly resolve: () => void;
}

export class Turns {
  private readonly loop: EventLoop;
  /** Who waits, by user, the oldest first; none of these is empty. */
  private readonly waiting = new Map<string, Call[]>();
  /** Those users, in the order in which they are called. */
  private readonly users = new Ring<string>();
  private armed = false;
  /** When the running turn began to hand out, and how long it may go on; when the last one was through. */
  private beganMs = 0;
  private shareMs = TURN_MS;
  private endedMs = 0;

  constructor(loop: EventLoop) {
    this.loop = loop;
  }

  /**
   * Resolves when the next piece may be made: at the earliest behind what has come in by now.
   *
   * @param user whose answer it is
   * @param sinceMs when it was asked for, of any clock that is the same for all
   */
  take(user: string, sinceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const call: Call = { sinceMs, resolve };
      const calls = this.waiting.get(user);
      if (calls === undefined) {
        this.waiting.set(user, [call]);
        this.users.push(user);
      } else {
        const after = calls.findIndex((each) => each.sinceMs > sinceMs);
        calls.splice(after < 0 ? calls.length : after, 0, call);
      }
      this.arm();
    });
  }

  private arm(): void {
    if (this.armed) return;
    this.armed = true;
    this.loop.nextTurn(this.begin);
  }

  private readonly begin = (): void => {
    this.beganMs = this.loop.workedMs();
    // The others' work since the last one. Where that was some turns ago it is too much, and then there is little to hand out.
    this.shareMs = Math.max(SHARE_MS_MIN, TURN_MS - (this.beganMs - this.endedMs));
    this.hand();
  };

  private hand(): void {
    const user = this.users.shift();
    const calls = user === undefined ? undefined : this.waiting.get(user);
    assert(user !== undefined && calls !== undefined, 'a turn is handed out where somebody waits');
    const call = calls.shift();
    if (calls.length > 0) this.users.push(user);
    else this.waiting.delete(user);
    call?.resolve();
    this.loop.afterPromises(this.look);
  }

  private readonly look = (): void => {
    this.endedMs = this.loop.workedMs();
    const waited = this.users.length > 0;
    if (waited && this.endedMs - this.beganMs < this.shareMs) {
      this.hand();
      return;
    }
    this.armed = false;
    if (waited) this.arm();
  };
}
