/** What was thrown, as an Error. Anything may be thrown; what only looks like an Error comes from another realm. */
function isError(reason: unknown): reason is Error {
  return reason instanceof Error || (typeof reason === 'object' && reason !== null && 'stack' in reason);
}

/** The Error that was thrown, or one that says and carries what was thrown instead. */
export function toError(reason: unknown): Error {
  return isError(reason) ? reason : new Error(String(reason), { cause: reason });
}
