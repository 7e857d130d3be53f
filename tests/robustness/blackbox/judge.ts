/**
 * What a round's history is held against.
 */
import type { History } from '@keelson/sim';

export interface JudgeOptions {
  /** The round came to its end: what must be there in the end can be asked for. */
  readonly complete: boolean;
}

/** One line for each broken law. */
export function judgeHistory(history: History, options: JudgeOptions): string[] {
  void history;
  void options;
  return [];
}
