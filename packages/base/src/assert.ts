/**
 * A broken law of ours. Assertions stay on in production: a member that finds its own state
 * impossible stops and restarts from its log instead of serving a wrong answer.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws AssertionError with `message` unless `condition` holds. Build the message lazily when it costs. */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new AssertionError(typeof message === 'string' ? message : message());
}

/** For the default branch of a switch over a closed union: compiles only while every case is handled. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
