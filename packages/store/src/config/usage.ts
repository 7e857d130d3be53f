/**
 * The help, printed from the flag table: the short usage that follows a bad flag, and the list of all
 * flags by section. etcd prints the first on stderr and, when asked for help, the second on stdout.
 */
import { type AnyFlagSpec, FLAGS, SECTIONS } from './flag-table.ts';
import { formatGoDuration } from './go-values.ts';
import type { EtcdUrl } from './urls.ts';

/** How a flag's default reads in help and docs, without quotes. */
export function shownDefault(flag: AnyFlagSpec): string {
  if (flag.shown !== undefined) return flag.shown;
  switch (flag.kind) {
    case 'duration':
      return formatGoDuration(flag.default);
    case 'urls':
      return flag.default.map((url: EtcdUrl) => url.text).join(',');
    case 'origins':
    case 'strings':
    case 'string-set':
      return flag.default.join(',');
    case 'feature-gates':
      return '';
    default:
      return String(flag.default);
  }
}

/** What stands after every flag error. */
export function usageText(): string {
  return [
    'Usage:',
    '',
    '  etcd [flags]',
    '    Run a member of a store.',
    '',
    '  etcd --version',
    '    Print the version.',
    '',
    '  etcd -h | --help',
    '    Print this and every flag.',
    '',
    '  etcd --config-file PATH',
    '    Take every setting from a YAML file. All other flags and the environment are then ignored.',
    '',
    'Every flag can also be set as a variable: ETCD_ and its name in capitals, with _ for -.',
    '',
  ].join('\n');
}

/** Every flag with its default and a line of help, by section. */
export function flagsText(): string {
  const rows: readonly AnyFlagSpec[] = FLAGS;
  const lines: string[] = [];
  for (const section of SECTIONS) {
    lines.push('', `${section}:`);
    for (const flag of rows) {
      if (flag.section !== section || flag.fileOnly === true) continue;
      lines.push(`  --${flag.name} '${shownDefault(flag)}'`, `    ${flag.help}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
