/**
 * Reading node's `code` off whatever was thrown, without trusting its class: an error of another realm
 * (a worker, a test sandbox) is no instance of our Error.
 */

/** 'ENOENT', 'ENOSPC' …; undefined when there is none. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The text of whatever was thrown. */
export function errorMessageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return String(error);
}
