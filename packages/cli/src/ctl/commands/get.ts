/** get: one key or a range; also how a line of a transaction asks for it. */
import { etcdserverpb, type mvccpb } from '@keelson/proto';
import type { GetSpec, KeyRange } from '@keelson/client';
import type { FlagSpec, FlagValues } from '../../flags.ts';
import { bytesOf, quoteText } from '../../go-text.ts';
import type { Command } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';
import { SimplePrinter } from '../printers/simple.ts';

const flags: readonly FlagSpec[] = [
  { name: 'consistency', kind: 'string', initial: 'l', usage: 'Linearizable(l) or Serializable(s)' },
  { name: 'count-only', kind: 'bool', initial: 'false', usage: 'Get only the count' },
  {
    name: 'from-key',
    kind: 'bool',
    initial: 'false',
    usage: 'Get keys that are greater than or equal to the given key using byte compare',
  },
  { name: 'keys-only', kind: 'bool', initial: 'false', usage: 'Get only the keys' },
  { name: 'limit', kind: 'int', initial: '0', usage: 'Maximum number of results' },
  { name: 'max-create-rev', kind: 'int', initial: '0', usage: 'Maximum create revision of the keys' },
  { name: 'max-mod-rev', kind: 'int', initial: '0', usage: 'Maximum modification revision of the keys' },
  { name: 'min-create-rev', kind: 'int', initial: '0', usage: 'Minimum create revision of the keys' },
  { name: 'min-mod-rev', kind: 'int', initial: '0', usage: 'Minimum modification revision of the keys' },
  {
    name: 'order',
    kind: 'string',
    initial: '',
    usage: 'Order of results; ASCEND or DESCEND (ASCEND by default)',
  },
  { name: 'prefix', kind: 'bool', initial: 'false', usage: 'Get keys with matching prefix' },
  {
    name: 'print-value-only',
    kind: 'bool',
    initial: 'false',
    usage: 'Only write values when using the "simple" output format',
  },
  { name: 'rev', kind: 'int', initial: '0', usage: 'Specify the kv revision' },
  {
    name: 'sort-by',
    kind: 'string',
    initial: '',
    usage: 'Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION',
  },
  {
    name: 'stream',
    kind: 'bool',
    initial: 'false',
    usage: 'Use RangeStream to fetch results in chunks',
  },
];

const ORDERS: Readonly<Record<string, GetSpec['order']>> = {
  '': undefined,
  ASCEND: 'ascend',
  DESCEND: 'descend',
};

const TARGETS: Readonly<Record<string, NonNullable<GetSpec['sortBy']>>> = {
  '': 'key',
  CREATE: 'create',
  KEY: 'key',
  MODIFY: 'mod',
  VALUE: 'value',
  VERSION: 'version',
};

/** Key and options of a get. @throws CtlError */
export function getOperation(values: FlagValues, args: readonly string[]): { key: Buffer; spec: GetSpec } {
  const [key] = args;
  if (key === undefined) {
    throw badArgs('get command needs one argument as key and an optional argument as range_end');
  }
  if (values.bool('keys-only') && values.bool('count-only')) {
    throw badArgs('`--keys-only` and `--count-only` cannot be set at the same time, choose one');
  }
  const range = keyRange(values, args);
  const consistency = values.string('consistency');
  if (consistency !== 's' && consistency !== 'l') {
    throw new CtlError(ExitCode.BadFeature, `unknown consistency flag ${quoteText(consistency)}`);
  }
  const order = values.string('order').toUpperCase();
  if (!Object.hasOwn(ORDERS, order)) {
    throw new CtlError(ExitCode.BadFeature, `bad sort order ${values.string('order')}`);
  }
  const sortBy = TARGETS[values.string('sort-by').toUpperCase()];
  if (sortBy === undefined) {
    throw new CtlError(ExitCode.BadFeature, `bad sort target ${values.string('sort-by')}`);
  }
  const sorted = ORDERS[order];
  return {
    key: bytesOf(key),
    spec: {
      ...range,
      sortBy,
      ...(sorted === undefined ? {} : { order: sorted }),
      serializable: consistency === 's',
      limit: values.int('limit'),
      revision: Math.max(0, values.int('rev')),
      keysOnly: values.bool('keys-only'),
      countOnly: values.bool('count-only'),
      minModRevision: values.int('min-mod-rev'),
      maxModRevision: values.int('max-mod-rev'),
      minCreateRevision: values.int('min-create-rev'),
      maxCreateRevision: values.int('max-create-rev'),
    },
  };
}

/** --prefix, --from-key or a second argument: what get and del share. @throws CtlError */
export function keyRange(values: FlagValues, args: readonly string[]): KeyRange {
  const prefix = values.bool('prefix');
  const fromKey = values.bool('from-key');
  if (prefix && fromKey) {
    throw badArgs('`--prefix` and `--from-key` cannot be set at the same time, choose one');
  }
  const [, end] = args;
  if (end === undefined) return { prefix, fromKey };
  if (prefix || fromKey) {
    throw badArgs('too many arguments, only accept one argument when `--prefix` or `--from-key` is set');
  }
  return { end: bytesOf(end) };
}

/** The parts of a stream as the one answer they make: the last has all but the keys before it. */
async function joined(parts: AsyncIterable<etcdserverpb.RangeResponse>): Promise<etcdserverpb.RangeResponse> {
  const kvs: mvccpb.KeyValue[] = [];
  let last = new etcdserverpb.RangeResponse();
  for await (const part of parts) {
    kvs.push(...part.kvs);
    last = part;
  }
  last.kvs = kvs;
  return last;
}

export const get: Command = {
  path: ['get'],
  usage: '[options] <key> [range_end]',
  short: 'Gets the key or a range of keys',
  flags,
  async run({ flags: values, args, printer, client }) {
    const { key, spec } = getOperation(values, args);
    const response = await (values.bool('stream')
      ? joined(client().kv.stream(key, spec))
      : client().kv.get(key, spec));
    if (values.bool('count-only') && printer.format !== 'fields') {
      throw badArgs('--count-only is only for `--write-out=fields`');
    }
    if (values.bool('print-value-only')) {
      if (!(printer instanceof SimplePrinter)) {
        throw badArgs('print-value-only is only for `--write-out=simple`');
      }
      printer.valueOnly = true;
    }
    printer.get(response);
    return ExitCode.Success;
  },
};
