/**
 * `keelson snapshot save`: one saved snapshot, or with --incremental a folder that is brought up to date with the log,
 * once or for as long as it runs. How the folder is written is in packages/store/src/transfer/backup-folder.ts; this
 * file fetches and says what happens.
 */
import { unlink } from 'node:fs/promises';
import path from 'node:path';
import type { CommandContext, Command } from '../ctl/command.ts';
import { snapshotSave } from '../ctl/commands/snapshot.ts';
import { badArgs, CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { takeLock } from '../up/lock-file.ts';
import { errorMessage } from '../plain.ts';
import { consoleLogger } from '../utl/console-logger.ts';
import { isExpected } from '../utl/expected.ts';
import { Shipping } from './shipping.ts';

/** Within the folder; a process that is gone holds nothing. */
const LOCK = 'lock';

export const save: Command = {
  path: ['snapshot', 'save'],
  usage: '<filename> | --incremental <folder>',
  short: 'Stores a snapshot of a member in a file, or keeps a backup folder up to date',
  long: `Stores a snapshot of a member in a file, as etcdctl snapshot save; or with --incremental keeps a backup folder up to date.

The first run with --incremental saves a snapshot into the folder, the base. Later runs add what the log has since then,
so that one can return to any revision from the base on. When the log no longer reaches back to where the folder ends, a
new base is taken; what was there stays. With --follow it goes on until it is stopped.

It may be stopped or killed at any moment: the next run goes on. The folder holds everything the cluster holds.`,
  stops: true,
  flags: [
    { name: 'incremental', kind: 'bool', initial: 'false', usage: 'keep a backup folder up to date' },
    { name: 'follow', kind: 'bool', initial: 'false', usage: 'go on until stopped' },
    { name: 'interval', kind: 'duration', initial: '1s', usage: 'how often --follow asks for what is new' },
  ],
  run: async (context) => {
    if (context.flags.bool('incremental')) return saveIncremental(context);
    for (const name of ['follow', 'interval'])
      if (context.flags.changed(name)) throw badArgs(`--${name} goes with --incremental`);
    return snapshotSave.run(context);
  },
};

async function saveIncremental(context: CommandContext): Promise<ExitCode> {
  const { args, flags, io } = context;
  const [name] = args;
  if (name === undefined || args.length !== 1)
    throw badArgs('snapshot save --incremental expects one argument, the folder');
  const intervalMs = flags.durationMs('interval');
  if (intervalMs <= 0) throw badArgs('--interval is to be longer than nothing');
  const directory = path.resolve(name);
  const lock = path.join(directory, LOCK);
  try {
    const { BackupFolder, makeDurableDirectory, offlineWorld } = await import('@keelson/store');
    const logger = consoleLogger(io, 'transfer/backup-folder.ts');
    const { disk } = offlineWorld(logger);
    await makeDurableDirectory(disk, directory);
    const holder = takeLock(lock);
    if (holder !== undefined)
      throw new CtlError(ExitCode.Error, `${name} is being written to by another process (pid ${holder})`);
    try {
      const folder = await BackupFolder.open(disk, directory, logger);
      try {
        const shipping = new Shipping(context, folder, name);
        return await (flags.bool('follow') ? shipping.follow(intervalMs) : shipping.once());
      } finally {
        await folder.close();
      }
    } finally {
      await unlink(lock);
    }
  } catch (error) {
    if (error instanceof CtlError || !isExpected(error)) throw error;
    throw new CtlError(ExitCode.Error, errorMessage(error), error);
  }
}
