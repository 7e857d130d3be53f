/**
 * `etcdutl` (and `keelson util`): what can be done to files while no member runs. It finds the command, reads its
 * flags, runs it and turns what went wrong into etcdutl's error line; what the commands do is in
 * packages/store/src/transfer.
 */
import { describeFlags, FlagError, parseFlags, splitCommand, type FlagSpec, type ParsedFlags } from '../flags.ts'; // prettier-ignore
import type { Io } from '../io.ts';
import { CtlError, ExitCode } from '../ctl/ctl-error.ts';
import { errorMessage } from '../plain.ts';
import { candidateLines, candidates } from '../ctl/completion.ts';
import type { UtlCommand } from './command.ts';
import { COMMANDS } from './commands.ts';
import { isExpected } from './expected.ts';

const PROGRAM = 'etcdutl';

const WRITE_OUT: FlagSpec = {
  name: 'write-out',
  short: 'w',
  kind: 'string',
  initial: 'simple',
  usage: 'set the output format (fields, json, protobuf, simple, table)',
};

const TIMEOUT: FlagSpec = {
  name: 'timeout',
  kind: 'duration',
  initial: '10s',
  usage: 'time to wait to obtain a file lock on db file, 0 to block indefinitely',
};

const GLOBAL_FLAGS: readonly FlagSpec[] = [TIMEOUT, WRITE_OUT];

const GROUPS = { snapshot: 'Manages etcd node snapshots' } as const;
const SHOWN = COMMANDS.filter((command) => command.hidden !== true);

/** @param argv what follows the program's name. @returns the exit code */
export async function runUtl(argv: readonly string[], io: Io): Promise<number> {
  const isCommand = (path: readonly string[]): boolean =>
    COMMANDS.some((command) => path.every((word, index) => command.path[index] === word));
  if (argv[0] === '__complete') {
    io.out(candidateLines(candidates(argv.slice(1), SHOWN, GROUPS, GLOBAL_FLAGS)));
    return ExitCode.Success;
  }
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const { path, rest } = splitCommand(GLOBAL_FLAGS, words, isCommand);
  const command = COMMANDS.find((candidate) => candidate.path.join(' ') === path.join(' '));
  return command === undefined ? noCommand(path, rest, io) : runCommand(command, rest, io);
}

function noCommand(path: readonly string[], rest: readonly string[], io: Io): number {
  try {
    const [word] = parseFlags(GLOBAL_FLAGS, rest).args;
    if (word === undefined || path.length > 0) {
      io.out(groupUsage(path));
      return ExitCode.Success;
    }
    io.err(`Error: unknown command "${word}" for "${PROGRAM}"\nRun '${PROGRAM} --help' for usage.\n`);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${groupUsage(path)}\n`);
  }
  return ExitCode.Error;
}

async function runCommand(command: UtlCommand, argv: readonly string[], io: Io): Promise<number> {
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags([...command.flags, ...GLOBAL_FLAGS], argv);
    if (parsed.help) {
      io.out(commandUsage(command));
      return ExitCode.Success;
    }
    const missing = command.required.filter((name) => !parsed.values.changed(name));
    if (missing.length > 0)
      throw new FlagError(`required flag(s) ${missing.map((name) => `"${name}"`).join(', ')} not set`);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${commandUsage(command)}\n`);
    return ExitCode.Error;
  }
  try {
    await command.run({ io, flags: parsed.values, args: parsed.args });
    return ExitCode.Success;
  } catch (error) {
    if (!isExpected(error)) throw error;
    io.err(`Error: ${errorMessage(error)}\n`);
    return error instanceof CtlError ? error.exitCode : ExitCode.Error;
  }
}

const HELP = { name: 'help', short: 'h', kind: 'bool', initial: 'false' } as const;

function groupUsage(path: readonly string[]): string {
  const inside = SHOWN.filter((command) => path.every((word, index) => command.path[index] === word));
  const names = new Map<string, string>();
  for (const command of inside) {
    const [word = '', next] = command.path.slice(path.length);
    names.set(word, next === undefined ? command.short : GROUPS.snapshot);
  }
  const width = Math.max(...[...names.keys()].map((name) => name.length)) + 2;
  const name = [PROGRAM, ...path].join(' ');
  const lines = [...names].map(([word, short]) => `  ${word.padEnd(width)}${short}\n`).join('');
  const flags = describeFlags([{ ...HELP, usage: `help for ${name}` }, ...GLOBAL_FLAGS]);
  return (
    `Usage:\n  ${name} [command]\n\nAvailable Commands:\n${lines}\nFlags:\n${flags}\n` +
    `Use "${name} [command] --help" for more information about a command.\n`
  );
}

function commandUsage(command: UtlCommand): string {
  const name = [PROGRAM, ...command.path].join(' ');
  const usage = command.usage === '' ? '' : ` ${command.usage}`;
  const own = describeFlags([
    ...command.flags,
    { ...HELP, usage: `help for ${command.path.at(-1) ?? name}` },
  ]);
  return `Usage:\n  ${name}${usage} [flags]\n\nFlags:\n${own}\nGlobal Flags:\n${describeFlags(GLOBAL_FLAGS)}`;
}
