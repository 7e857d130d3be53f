/** compaction, alarm list and disarm. */
import { etcdserverpb } from '@keelson/proto';
import { GoTextError, countOf, parseInt64 } from '../../go-text.ts';
import type { Command } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';

export const compaction: Command = {
  path: ['compaction'],
  usage: '[options] <revision>',
  short: 'Compacts the event history in etcd',
  flags: [
    {
      name: 'physical',
      kind: 'bool',
      initial: 'false',
      usage: "'true' to wait for compaction to physically remove all old revisions",
    },
  ],
  async run({ flags, args, io, client }) {
    const [text] = args;
    if (text === undefined || args.length !== 1) throw badArgs('compaction command needs 1 argument');
    let revision: number;
    try {
      revision = countOf(parseInt64(text));
    } catch (error) {
      if (error instanceof GoTextError) throw new CtlError(ExitCode.Error, error.message);
      throw error;
    }
    await client().kv.compact(revision, { physical: flags.bool('physical') });
    io.out(`compacted revision ${revision}\n`);
    return ExitCode.Success;
  },
};

const alarmList: Command = {
  path: ['alarm', 'list'],
  usage: '',
  short: 'Lists all alarms',
  flags: [],
  async run({ args, printer, client }) {
    if (args.length > 0) throw badArgs('alarm list command accepts no arguments');
    printer.alarm(await client().maintenance.alarms());
    return ExitCode.Success;
  },
};

/** Every alarm that is raised, one after the other, as clientv3 does when none is named. */
const alarmDisarm: Command = {
  path: ['alarm', 'disarm'],
  usage: '',
  short: 'Disarms all alarms',
  flags: [],
  async run({ args, printer, client }) {
    if (args.length > 0) throw badArgs('alarm disarm command accepts no arguments');
    const { maintenance } = client();
    const { header, alarms } = await maintenance.alarms();
    const disarmed = new etcdserverpb.AlarmResponse(header === undefined ? {} : { header });
    for (const { memberID, alarm } of alarms) {
      const kind = alarm === etcdserverpb.AlarmType.CORRUPT ? 'CORRUPT' : 'NOSPACE';
      const response = await maintenance.alarmDisarm(memberID, kind);
      disarmed.alarms.push(...response.alarms);
    }
    printer.alarm(disarmed);
    return ExitCode.Success;
  },
};

export const alarmCommands: readonly Command[] = [alarmList, alarmDisarm];
