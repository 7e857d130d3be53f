/**
 * Waiting for something to become true in other processes: asked again and again, with a bound, and with the
 * last answer in the error. Tests wait with this, never with a fixed pause.
 */
export class WaitError extends Error {
  override readonly name = 'WaitError';
}

/** Thrown by a probe when waiting longer is no use: it ends the wait at once. */
export class HopelessError extends Error {
  override readonly name = 'HopelessError';
}

export interface WaitOptions {
  /** How long in all before it is an error. */
  readonly timeoutMs: number;
  /** Pause between two questions. Default 20 ms. */
  readonly everyMs?: number;
}

/**
 * Asks until the answer is not undefined. A probe that throws counts as "not yet", unless with HopelessError.
 * @param what finishes the sentence "timed out waiting until …"
 * @throws WaitError naming the last error of the probe, if it had any; the probe's HopelessError
 */
export async function waitUntil<T>(
  what: string,
  options: WaitOptions,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const until = performance.now() + options.timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof HopelessError) throw error;
      last = error;
    }
    if (performance.now() >= until) {
      const because = last instanceof Error ? `; last error: ${last.message}` : '';
      throw new WaitError(`timed out after ${options.timeoutMs} ms waiting until ${what}${because}`, {
        cause: last,
      });
    }
    await pause(options.everyMs ?? 20);
  }
}

/** For pacing load and probes, never for guessing that something is done. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
