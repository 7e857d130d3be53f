/** del: removes one key or a range. */
import type { DeleteSpec } from '@keelson/client';
import type { FlagSpec, FlagValues } from '../../flags.ts';
import { bytesOf } from '../../go-text.ts';
import type { Command } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';
import { keyRange } from './get.ts';

const flags: readonly FlagSpec[] = [
  {
    name: 'from-key',
    kind: 'bool',
    initial: 'false',
    usage: 'delete keys that are greater than or equal to the given key using byte compare',
  },
  { name: 'prefix', kind: 'bool', initial: 'false', usage: 'delete keys with matching prefix' },
  { name: 'prev-kv', kind: 'bool', initial: 'false', usage: 'return deleted key-value pairs' },
];

/** Key and options of a deletion. @throws CtlError */
export function delOperation(values: FlagValues, args: readonly string[]): { key: Buffer; spec: DeleteSpec } {
  const [key] = args;
  if (key === undefined || args.length > 2) {
    throw badArgs('del command needs one argument as key and an optional argument as range_end');
  }
  return { key: bytesOf(key), spec: { ...keyRange(values, args), prevKv: values.bool('prev-kv') } };
}

export const del: Command = {
  path: ['del'],
  usage: '[options] <key> [range_end]',
  short: 'Removes the specified key or range of keys [key, range_end)',
  flags,
  async run({ flags: values, args, printer, client }) {
    const { key, spec } = delOperation(values, args);
    printer.del(await client().kv.delete(key, spec));
    return ExitCode.Success;
  },
};
