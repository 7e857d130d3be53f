/**
 * Flags that are understood and cannot be honoured yet. A server that ignores --memory-mlock is
 * worse than one that does not start, so main asks here and refuses. One row a flag: whoever builds
 * the feature deletes its row, and docs/flags.md follows.
 */
import type { FlagName, ServerConfig } from './flag-table.ts';
import { REQUEST_BYTES_MAX } from '../limits.ts';

export interface NotYetServed {
  readonly flag: FlagName;
  /** What is missing, for the fatal line and the docs. */
  readonly missing: string;
  /** Whether this configuration asks for it. */
  readonly asked: (config: ServerConfig) => boolean;
  /** How the fatal line names the setting where the flag alone says too little. */
  readonly setting?: string;
}

export const NOT_YET_SERVED: readonly NotYetServed[] = [
  {
    flag: 'max-request-bytes',
    missing: 'a log whose segments are not read in one piece',
    asked: (c) => c.maxRequestBytes > REQUEST_BYTES_MAX,
    setting: '--max-request-bytes above 268435456',
  },
];

/**
 * The settings of `config` this build cannot honour, as a user would write them ("--cert-file",
 * "--metrics=extensive"); empty if it may start.
 */
export function unsupported(config: ServerConfig): string[] {
  const names = NOT_YET_SERVED.filter((row) => row.asked(config)).map(
    (row) => row.setting ?? `--${row.flag}`,
  );
  return [...new Set(names)];
}
