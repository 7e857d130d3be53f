/** Which failures of a tool on files are for the person who called it, as one line; any other is a bug. */
import { CtlError } from '../ctl/ctl-error.ts';
import { errorCode } from '../plain.ts';

/** By name: the store's classes are loaded only by who needs them. */
const EXPECTED: ReadonlySet<string> = new Set(['FatalError', 'BboltError']);

export function isExpected(error: unknown): boolean {
  if (error instanceof CtlError || errorCode(error) !== undefined) return true;
  return error instanceof Error && EXPECTED.has(error.name);
}
