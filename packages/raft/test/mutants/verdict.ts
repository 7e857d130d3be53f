/** When a failure counts: an assertion of a test, of the core or of a checker found it, not a crash. */

/** Errors are constructed before they get their name, so a stack tells them apart by who threw. */
const THROWERS = ['assert', 'law', 'unreachable'];
const CAUSE = '\n[cause]: ';

/**
 * Whether a failure's message and stack come from an assertion: `expect` of a test, assert() of the core or of
 * a harness, a law of a checker. A property test hands on what it caught.
 */
export function isAssertion(text: string): boolean {
  const origin = text.slice(text.lastIndexOf(CAUSE) + 1);
  if (/^(\[cause\]: )?(Error|JestAssertionError): expect\(/m.test(origin)) return true;
  const thrower = /^\s+at (?:new )?([\w.]+) /m.exec(origin)?.[1];
  return thrower !== undefined && THROWERS.includes(thrower);
}
