/** `keelson store export DIR`: a stopped member's data as the data dir of a real etcd. */
import { ExitCode } from '../ctl/ctl-error.ts';
import { describeFlags, FlagError, parseFlags, type FlagSpec, type ParsedFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { errorCode, errorMessage } from '../plain.ts';
import { consoleLogger } from './console-logger.ts';

const FLAGS: readonly FlagSpec[] = [
  {
    name: 'data-dir',
    kind: 'string',
    initial: 'default.etcd',
    usage: 'Data dir of the member, which must not run',
  },
  { name: 'wal-dir', kind: 'string', initial: '', usage: 'Its --wal-dir, if it has one' },
];

const USAGE = `Usage:\n  keelson store export DIR [flags]\n\nFlags:\n${describeFlags(FLAGS)}`;

/** @param argv what follows `export`. @returns the exit code */
export async function runExport(argv: readonly string[], io: Io): Promise<number> {
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(FLAGS, argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${USAGE}`);
    return ExitCode.Error;
  }
  if (parsed.help) {
    io.out(USAGE);
    return ExitCode.Success;
  }
  const [target] = parsed.args;
  if (target === undefined || parsed.args.length !== 1) {
    io.err(`Error: export requires exactly one argument\n${USAGE}`);
    return ExitCode.BadArgs;
  }
  const { exportMember } = await import('@keelson/store');
  try {
    const { values } = parsed;
    await exportMember(
      { dataDir: values.string('data-dir'), walDir: values.string('wal-dir'), target },
      consoleLogger(io, 'transfer/export-directory.ts'),
    );
    return ExitCode.Success;
  } catch (error) {
    if (!(error instanceof Error && (error.name === 'FatalError' || errorCode(error) !== undefined)))
      throw error;
    io.err(`Error: ${errorMessage(error)}\n`);
    return ExitCode.Error;
  }
}
