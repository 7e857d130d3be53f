/**
 * `keelson snapshot`: saved snapshots, and backup folders that grow with the log. Without --incremental, and for a file,
 * it is etcdctl's and etcdutl's command of the same words.
 */
import { runCommand } from '../ctl/ctl.ts';
import { ExitCode } from '../ctl/ctl-error.ts';
import type { Io } from '../io.ts';
import { restore } from './restore.ts';
import { save } from './save.ts';
import { status } from './status.ts';

const PROGRAM = 'keelson';

const USAGE = `Saved snapshots and incremental backups

Usage:
  keelson snapshot save FILE
      saves one member's state, as etcdctl snapshot save
  keelson snapshot save --incremental DIR [--follow [--interval 1s]]
      keeps DIR up to date: a saved snapshot first, then what the log has since
  keelson snapshot status FILE | DIR
      what is there, whether it is whole, and where one can go back to
  keelson snapshot restore FILE --data-dir DIR …
      makes a new member's data dir, as etcdutl snapshot restore
  keelson snapshot restore --incremental DIR --data-dir DIR [--until-revision N | --until-time T] …
      the same, of any moment that the backup covers

Use "keelson snapshot <command> --help" for the flags of each.
`;

/** @param argv what follows `keelson snapshot`. @returns the exit code */
export async function runSnapshot(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  switch (name) {
    case 'save':
      return runCommand(save, rest, io, PROGRAM);
    case 'restore':
      return restore(rest, io);
    case 'status':
      return status(rest, io);
    case 'help':
    case '--help':
    case '-h':
      io.out(USAGE);
      return ExitCode.Success;
    default:
      io.err(
        name === undefined ? USAGE : `Error: unknown command "${name}" for "keelson snapshot"\n${USAGE}`,
      );
      return ExitCode.Error;
  }
}
