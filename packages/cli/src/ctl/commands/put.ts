/** put: sets one key, its value from the command line or standard input. */
import type { PutSpec } from '@keelson/client';
import type { FlagSpec, FlagValues } from '../../flags.ts';
import { bytesOf } from '../../go-text.ts';
import { readAll, type Io } from '../../io.ts';
import { leaseId, type Command } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';

const flags: readonly FlagSpec[] = [
  {
    name: 'ignore-lease',
    kind: 'bool',
    initial: 'false',
    usage: 'updates the key using its current lease',
  },
  { name: 'ignore-value', kind: 'bool', initial: 'false', usage: 'updates the key using its current value' },
  {
    name: 'lease',
    kind: 'string',
    initial: '0',
    usage: 'lease ID (in hexadecimal) to attach to the key',
  },
  {
    name: 'prev-kv',
    kind: 'bool',
    initial: 'false',
    usage: 'return the previous key-value pair before modification',
  },
];

const NEEDS = 'put command needs 1 argument and input from stdin or 2 arguments';

/** Key, value and options of a put. @throws CtlError */
export async function putOperation(
  values: FlagValues,
  args: readonly string[],
  io: Io,
): Promise<{ key: Buffer; value: Buffer; spec: PutSpec }> {
  const [key, given] = args;
  if (key === undefined) throw badArgs(NEEDS);
  const ignoreValue = values.bool('ignore-value');
  if (ignoreValue && given !== undefined) {
    throw badArgs("put command needs only 1 argument when 'ignore-value' is set");
  }
  const value = ignoreValue ? Buffer.alloc(0) : await valueOf(given, io);
  const lease = leaseId(values.string('lease'), 'lease ID');
  return {
    key: bytesOf(key),
    value,
    spec: { lease, prevKv: values.bool('prev-kv'), ignoreValue, ignoreLease: values.bool('ignore-lease') },
  };
}

async function valueOf(given: string | undefined, io: Io): Promise<Buffer> {
  if (given !== undefined) return bytesOf(given);
  const bytes = await readAll(io.stdin);
  if (bytes.length === 0) throw badArgs(NEEDS);
  return bytes;
}

export const put: Command = {
  path: ['put'],
  usage: '[options] <key> <value> (<value> can also be given from stdin)',
  short: 'Puts the given key into the store',
  long: `Puts the given key into the store.

When <value> begins with '-', <value> is interpreted as a flag.
Insert '--' for workaround:

$ put <key> -- <value>
$ put -- <key> <value>

If <value> isn't given as a command line argument and '--ignore-value' is not specified,
this command tries to read the value from standard input.`,
  flags,
  async run({ flags: values, args, io, printer, client }) {
    const { key, value, spec } = await putOperation(values, args, io);
    printer.put(await client().kv.put(key, value, spec));
    return ExitCode.Success;
  },
};
