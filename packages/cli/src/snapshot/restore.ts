/** `keelson snapshot restore`: etcdutl's for a file; with --incremental, any moment of a backup folder. */
import path from 'node:path';
import type { Moment } from '@keelson/store';
import { badArgs, CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { describeFlags, FlagError, parseFlags, type FlagSpec, type FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';
import { errorMessage } from '../plain.ts';
import { RESTORE_FLAGS } from '../utl/commands.ts';
import { consoleLogger } from '../utl/console-logger.ts';
import { isExpected } from '../utl/expected.ts';
import { runUtl } from '../utl/utl.ts';

const INCREMENTAL: FlagSpec = {
  name: 'incremental',
  kind: 'bool',
  initial: 'false',
  usage: 'The argument is a backup folder',
};

const FLAGS: readonly FlagSpec[] = [
  INCREMENTAL,
  {
    name: 'until-revision',
    kind: 'int',
    initial: '0',
    usage: 'Return to the last moment of which this was the newest revision',
  },
  {
    name: 'until-time',
    kind: 'string',
    initial: '',
    usage: 'Return to the last shipped state that is not later, as 2026-01-31T12:00:00Z',
  },
  ...RESTORE_FLAGS,
];

const USAGE = `Restores a moment of a backup folder as the data dir of a new cluster's member

Usage:
  keelson snapshot restore --incremental <folder> --data-dir {output dir} [--until-revision N | --until-time T] [options]

Without --until-revision and --until-time all that the folder has is restored. Every member of the new cluster is restored
from the same folder, until the same revision.

Flags:
${describeFlags(FLAGS)}`;

/** @param argv what follows `keelson snapshot restore`. @returns the exit code */
export async function restore(argv: readonly string[], io: Io): Promise<number> {
  const isIncremental = argv.some((word) => word === '--incremental' || word.startsWith('--incremental='));
  const isHelp = argv.includes('--help') || argv.includes('-h');
  if (!isIncremental && !isHelp) return runUtl(['snapshot', 'restore', ...argv], io);
  try {
    const { values, args, help } = parseFlags(FLAGS, argv);
    if (help) {
      io.out(USAGE);
      return ExitCode.Success;
    }
    await restoreIncremental(values, args, io);
    return ExitCode.Success;
  } catch (error) {
    if (error instanceof FlagError) {
      io.err(`Error: ${error.message}\n${USAGE}`);
      return ExitCode.Error;
    }
    if (!isExpected(error)) throw error;
    io.err(`Error: ${errorMessage(error)}\n`);
    return error instanceof CtlError ? error.exitCode : ExitCode.Error;
  }
}

async function restoreIncremental(flags: FlagValues, args: readonly string[], io: Io): Promise<void> {
  const [folder] = args;
  if (folder === undefined || args.length !== 1)
    throw badArgs('snapshot restore --incremental expects one argument, the folder');
  if (!flags.bool('incremental')) throw badArgs('--incremental=false is etcdutl snapshot restore');
  if (!flags.changed('data-dir')) throw new CtlError(ExitCode.Error, 'required flag(s) "data-dir" not set');
  const bumpRevision = flags.int('bump-revision');
  if (bumpRevision > 0 !== flags.bool('mark-compacted'))
    throw badArgs('--mark-compacted required if --revision-bump > 0');
  const store = await import('@keelson/store');
  const dataDir = flags.string('data-dir');
  const { revision, index } = await store.restoreIncremental(
    {
      directory: path.resolve(folder),
      until: momentOf(flags),
      name: flags.string('name'),
      dataDir: path.resolve(dataDir),
      walDir: flags.string('wal-dir'),
      peerUrls: flags.string('initial-advertise-peer-urls').split(','),
      initialCluster: flags.string('initial-cluster'),
      initialClusterToken: flags.string('initial-cluster-token'),
      skipHashCheck: flags.bool('skip-hash-check'),
      bumpRevision,
    },
    consoleLogger(io, 'transfer/point-in-time.ts'),
  );
  io.out(`Restored revision ${revision}, entry ${index}, in ${dataDir}\n`);
}

/** @throws CtlError for two, or one that is none */
function momentOf(flags: FlagValues): Moment {
  const hasRevision = flags.changed('until-revision');
  const hasTime = flags.changed('until-time');
  if (hasRevision && hasTime) throw badArgs('--until-revision and --until-time are two moments: give one');
  if (hasRevision) {
    const revision = flags.int('until-revision');
    if (revision < 1) throw badArgs(`--until-revision ${revision}: revisions begin with 1`);
    return { kind: 'revision', revision };
  }
  if (!hasTime) return { kind: 'end' };
  const text = flags.string('until-time');
  const ms = Date.parse(text);
  if (!RFC3339.test(text) || Number.isNaN(ms))
    throw badArgs(`--until-time ${JSON.stringify(text)} is no time of RFC 3339, as 2026-01-31T12:00:00Z`);
  return { kind: 'time', ms };
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;
