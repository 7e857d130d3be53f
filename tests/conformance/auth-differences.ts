/** What 3.7 answers differently from Debian's etcd 3.4.23 while auth is on, each with its reason. */
import type { KnownDifference } from './known-differences.ts';

const withoutHeader = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => !line.startsWith('header'));

export const AUTH_DIFFERENCES: readonly KnownDifference[] = [
  {
    step: /^auth: alarm(s| off) by root$/,
    reason: '3.7 answers Alarm with a header, 3.4 with none',
    rewrite: withoutHeader,
  },
  {
    step: /^auth: watch from by (reader|both)$/,
    reason: '3.4 asks a watch without an end for its first key alone: GHSA-xg4h-6gfc-h4m8, mended in 3.7.1',
    rewrite: (lines) =>
      lines.map((line) =>
        /^watches\[0\] "watch (0|-1)\\ncreated true/.test(line) ? '<created or refused>' : line,
      ),
  },
];
