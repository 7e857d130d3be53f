/** How a test waits for what comes about by itself: asked again and again, and told by name when it never does. */

/** Far beyond what a busy machine needs, and below a test's own limit, so that the name of what is missing is told. */
const LIMIT_MS = 60_000;
const PAUSE_MS = 5;

/**
 * Resolves when it holds.
 *
 * @param what stands in the error: "the key is gone"; asked when it is told
 * @throws Error when it does not hold within the limit
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = 'it is so',
  limitMs = LIMIT_MS,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endMs) {
      throw new Error(`waited ${limitMs / 1000} s in vain: ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
