/**
 * How long a refused client of a level is asked to stay away: a second, and longer while many are refused. Modelled on
 * apiserver's util/flowcontrol dropped requests tracker.
 */

const RETRY_MAX_SECONDS = 32;

export class RetryAfter {
  private seconds = 1;
  private second = 0;
  private dropped = 0;

  /** One more was refused. @returns what to tell him, seconds */
  refused(nowMs: number): number {
    const second = Math.floor(nowMs / 1_000);
    if (second - this.second >= this.seconds) {
      if (this.dropped >= 3 * this.seconds) this.seconds = Math.min(RETRY_MAX_SECONDS, this.seconds * 2);
      else if (this.dropped < this.seconds) this.seconds = Math.max(1, Math.floor(this.seconds / 2));
      this.second = second;
      this.dropped = 0;
    }
    this.dropped += 1;
    return this.seconds;
  }
}
