/**
 * cas and cad: compare-and-swap and compare-and-delete, which etcdctl leaves to transactions. Exit code 1
 * says that the condition did not hold; what is there is printed.
 */
import type { CasCondition, CasResult } from '@keelson/client';
import { FlagError, type FlagSpec, type FlagValues } from '../../flags.ts';
import { GoTextError, bytesOf, parseBool } from '../../go-text.ts';
import { leaseId, type Command, type CommandContext } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';

const conditions: readonly FlagSpec[] = [
  { name: 'prev-exist', kind: 'string', initial: '', usage: 'whether the key must exist (true or false)' },
  { name: 'prev-mod-rev', kind: 'int', initial: '0', usage: 'modification revision the key must have' },
  { name: 'prev-value', kind: 'string', initial: '', usage: 'value the key must have' },
  { name: 'prev-version', kind: 'int', initial: '0', usage: 'version the key must have' },
];

/** @throws CtlError when nothing is asked for */
function conditionOf(values: FlagValues): CasCondition {
  if (!conditions.some((flag) => values.changed(flag.name))) {
    throw badArgs('a condition is needed: --prev-value, --prev-mod-rev, --prev-version or --prev-exist');
  }
  return {
    ...(values.changed('prev-value') ? { prevValue: bytesOf(values.string('prev-value')) } : {}),
    ...(values.changed('prev-mod-rev') ? { prevModRevision: values.int('prev-mod-rev') } : {}),
    ...(values.changed('prev-version') ? { prevVersion: values.int('prev-version') } : {}),
    ...(values.changed('prev-exist') ? { prevExist: existence(values.string('prev-exist')) } : {}),
  };
}

function existence(text: string): boolean {
  try {
    return parseBool(text);
  } catch (error) {
    if (!(error instanceof GoTextError)) throw error;
    throw new FlagError(`invalid argument for "--prev-exist" flag: ${error.message}`);
  }
}

function report(context: CommandContext, result: CasResult): ExitCode {
  context.printer.swap(result);
  return result.succeeded ? ExitCode.Success : ExitCode.Error;
}

export const cas: Command = {
  path: ['cas'],
  usage: '[options] <key> <value>',
  short: 'Sets the key if its current state is the expected one',
  flags: [
    {
      name: 'lease',
      kind: 'string',
      initial: '0',
      usage: 'lease ID (in hexadecimal) to attach to the key',
    },
    ...conditions,
  ],
  async run(context) {
    const [key, value] = context.args;
    if (key === undefined || value === undefined || context.args.length > 2) {
      throw badArgs('cas command needs 2 arguments');
    }
    const condition = conditionOf(context.flags);
    const lease = leaseId(context.flags.string('lease'), 'lease ID');
    return report(context, await context.client().kv.cas(bytesOf(key), condition, bytesOf(value), { lease }));
  },
};

export const cad: Command = {
  path: ['cad'],
  usage: '[options] <key>',
  short: 'Removes the key if its current state is the expected one',
  flags: conditions,
  async run(context) {
    const [key] = context.args;
    if (key === undefined || context.args.length > 1) throw badArgs('cad command needs 1 argument');
    const condition = conditionOf(context.flags);
    if (condition.prevExist === false) throw badArgs('what does not exist cannot be deleted');
    return report(context, await context.client().kv.cad(bytesOf(key), condition));
  },
};
