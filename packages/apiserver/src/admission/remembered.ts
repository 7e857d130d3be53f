/**
 * A bounded memory of answers with an end to each: live look-ups that are not to be repeated at every request. The
 * time is an argument.
 */

interface Entry<Value> {
  readonly value: Value;
  readonly untilMs: number;
}

export class Remembered<Value> {
  private readonly entries = new Map<string, Entry<Value>>();
  private readonly countMax: number;

  constructor(countMax: number) {
    this.countMax = countMax;
  }

  get(key: string, nowMs: number): Value | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > nowMs) return entry.value;
    this.entries.delete(key);
    return undefined;
  }

  /** @param lifeMs from now on; the oldest entry makes room */
  set(key: string, value: Value, nowMs: number, lifeMs: number): void {
    this.entries.delete(key);
    this.entries.set(key, { value, untilMs: nowMs + lifeMs });
    if (this.entries.size <= this.countMax) return;
    const [oldest] = this.entries.keys();
    this.entries.delete(oldest);
  }

  delete(key: string): void {
    this.entries.delete(key);
  }
}
