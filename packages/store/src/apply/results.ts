/**
 * What the state machine answers to one command, and who wants to know. Values, not exceptions: an error
 * here is part of the replicated outcome, the same on every member.
 */
import type { StoreError } from '../errors.ts';
import type { CommandId } from './command.ts';

export interface ApplyResult {
  /** The response message of the command's kind; undefined when nobody waited, and on error. */
  readonly response: unknown;
  readonly error: StoreError | undefined;
  /** KV revision after the command. */
  readonly revision: number;
}

/** The clients of this member that wait for commands; consensus/proposals.ts. */
export interface Waiters {
  /** Whether building a response is worth while: the command came from here and its client still waits. */
  isWaiting(id: CommandId): boolean;
  resolve(sequence: number, result: ApplyResult): void;
}
