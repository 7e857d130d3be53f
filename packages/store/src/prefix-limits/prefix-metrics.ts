/** The metrics of prefixes' limits; registered only where there are any. They are read when somebody scrapes. */
import type { PrefixRule } from '../config/prefix-rules.ts';
import type { Reading, Registry } from '../metrics/registry.ts';
import { LIMIT_KINDS } from './ledger.ts';
import { prefixText, type PrefixLimits } from './prefix-limits.ts';

type Entry = ReturnType<PrefixLimits['entries']> extends Iterable<infer E> ? E : never;

export function registerPrefixLimits(registry: Registry, limits: PrefixLimits): void {
  const each = (name: string, help: string, value: (entry: Entry) => number): void => {
    registry.readAll('gauge', `keelson_prefix_${name}`, help, ['prefix'], function* (): Generator<Reading> {
      for (const entry of limits.entries()) yield [[label(entry.rule)], value(entry)];
    });
  };
  each('keys', 'Keys below a prefix that has limits.', ({ keys }) => keys);
  each('keys_max', 'Keys that may lie below it.', ({ rule }) => rule.keysMax);
  each('bytes', 'Bytes of those keys and their values.', ({ bytes }) => bytes);
  each('bytes_max', 'Bytes they may take.', ({ rule }) => rule.bytesMax);
  each(
    'writes_per_second_max',
    'Writes a second below it at this member.',
    ({ rule }) => rule.writesPerSecond,
  );
  registry.readAll(
    'counter',
    'keelson_prefix_refused_total',
    'Writes refused for a limit of a prefix.',
    ['prefix', 'limit'],
    function* (): Generator<Reading> {
      for (const { rule } of limits.entries())
        for (const kind of LIMIT_KINDS) yield [[label(rule), kind], limits.refused(rule.prefix, kind)];
    },
  );
  registry.read('gauge', 'keelson_prefix_counting', '1 while the keys of new prefixes are counted.', () =>
    limits.counting ? 1 : 0,
  );
}

/** As in refusals, without the quotes around it. */
function label({ prefix }: PrefixRule): string {
  return prefixText(prefix).slice(1, -1);
}
