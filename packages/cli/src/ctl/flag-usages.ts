/** Flags as etcdctl's help shows them: name, kind of value, what for, and the default where it says something. */
import { quoteText } from '../go-text.ts';
import type { FlagSpec } from '../flags.ts';

const KIND_WORDS: Readonly<Record<FlagSpec['kind'], string>> = {
  bool: '',
  string: ' string',
  int: ' int',
  uint: ' uint',
  duration: ' duration',
  strings: ' strings',
};

const ZEROS: ReadonlySet<string> = new Set(['', '0', 'false', '0s']);

/** A line a flag, in the order of their names, aligned. */
export function flagUsages(specs: readonly FlagSpec[]): string {
  const shown = specs
    .filter((spec) => spec.hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((spec) => ({
      name: `${spec.short === undefined ? '      ' : `  -${spec.short}, `}--${spec.name}${KIND_WORDS[spec.kind]}`,
      usage: `${spec.usage}${initialText(spec)}`,
    }));
  const width = Math.max(0, ...shown.map(({ name }) => name.length));
  return shown.map(({ name, usage }) => `${name.padEnd(width)}   ${usage}\n`).join('');
}

function initialText({ kind, initial }: FlagSpec): string {
  if (ZEROS.has(initial)) return '';
  if (kind === 'strings') return ` (default [${initial}])`;
  return ` (default ${kind === 'string' ? quoteText(initial) : initial})`;
}
