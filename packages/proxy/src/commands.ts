/**
 * `etcd gateway …` and `etcd grpc-proxy …`: which command is meant, its help, its errors about flags, in the words and
 * with the exit codes of the original (cobra's). What a command does is its own room's business; a room is loaded
 * when it is called.
 */
import type { ProxyIo } from './io.ts';
import { FlagError, flagLines, parseFlags, type FlagSpec } from './flags.ts';
import type { StartCommand } from './start-command.ts';

interface ProxyCommand {
  readonly name: string;
  /** What `start` does, in the list. */
  readonly start: string;
  load(): Promise<StartCommand>;
}

const COMMANDS: readonly ProxyCommand[] = [
  {
    name: 'gateway',
    start: 'start the gateway',
    load: async () => (await import('./tcp/gateway.ts')).GATEWAY,
  },
  {
    name: 'grpc-proxy',
    start: 'start the grpc proxy',
    load: async () => (await import('./grpc/grpc-proxy.ts')).GRPC_PROXY,
  },
];

export function isProxyCommand(word: string | undefined): boolean {
  return COMMANDS.some(({ name }) => name === word);
}

/** @param argv the name of the proxy and what follows it. @returns the exit code */
export async function runProxy(argv: readonly string[], io: ProxyIo): Promise<number> {
  const command = COMMANDS.find(({ name }) => name === argv[0]);
  if (command === undefined) {
    io.err(`unknown command ${JSON.stringify(argv[0] ?? '')} for "etcd"\n`);
    return 1;
  }
  const rest = argv.slice(1);
  const at = commandAt(rest);
  const starts = rest[at] === 'start';
  const given = starts ? rest.toSpliced(at, 1) : rest;
  const start = starts ? await command.load() : undefined;
  const flags = start?.flags ?? [];
  const usage = starts ? startUsage(command, flags) : groupUsage(command);
  try {
    const values = parseFlags(flags, given);
    if (start !== undefined && values !== 'help') return await start.run(values, io, argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${usage}\n${error.message}`);
    return 1;
  }
  io.out(`${starts ? command.start : `${command.name} related command`}\n\n${usage}`);
  return 0;
}

/** Where the word stands that names the command: the first that is neither a flag nor, for all that is known, its value. */
function commandAt(words: readonly string[]): number {
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    if (word === '--') break;
    if (!word.startsWith('-')) return at;
    if (!word.includes('=') && (word.startsWith('--') || word.length === 2)) at++;
  }
  return -1;
}

function startUsage({ name }: ProxyCommand, flags: readonly FlagSpec[]): string {
  return `Usage:\n  etcd ${name} start [flags]\n\nFlags:\n${flagLines('start', flags)}`;
}

function groupUsage({ name, start }: ProxyCommand): string {
  return (
    `Usage:\n  etcd ${name} [command]\n\nAvailable Commands:\n  start       ${start}\n\n` +
    `Flags:\n${flagLines(name, [])}\nUse "etcd ${name} [command] --help" for more information about a command.\n`
  );
}
