/**
 * Time as an argument. Pure rooms are told the time; only the outermost shell owns a real clock,
 * so that a simulation can replace it.
 */
export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. May jump; only for what people or files see. */
  nowMs(): number;
  /** Milliseconds since an arbitrary start, never going back. For every duration and deadline. */
  monotonicMs(): number;
  /** Calls `task` once after at least `delayMs`. Never calls it synchronously. */
  setTimer(delayMs: number, task: () => void): Timer;
}

/** A pending call of {@link Clock.setTimer}. */
export interface Timer {
  /** Prevents the call if it has not happened yet; otherwise does nothing. */
  cancel(): void;
}

/** The machine's clock. Its timers do not keep the process alive by themselves unless `ref` is asked for. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, task) {
    const handle = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(handle) };
  },
};
