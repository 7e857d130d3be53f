/** How audiences stand in texts: as Go's `%q` of a slice. */
export function quoteAudiences(audiences: readonly string[]): string {
  return `[${audiences.map((one) => JSON.stringify(one)).join(' ')}]`;
}
