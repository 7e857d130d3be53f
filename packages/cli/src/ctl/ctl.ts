/**
 * `keelson ctl`: etcdctl's commands, flags, outputs and exit codes over packages/client. This file finds the
 * command, reads its flags, runs it and turns what went wrong into etcdctl's error line; it prints no result.
 */
import { constants } from 'node:os';
import { EtcdError, type Client } from '@keelson/client';
import { StatusCode, statusName } from '@keelson/rpc';
import { FlagError, parseFlags, splitCommand, type ParsedFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import type { Command } from './command.ts';
import { CtlError, ExitCode } from './ctl-error.ts';
import { COMMANDS, GROUPS, OWN } from './commands/table.ts';
import { candidateLines, candidates } from './completion.ts';
import { errorText } from './commands/lease.ts';
import { GLOBAL_FLAGS, endpointsOf, readEnvironment, variableOf } from './globals.ts';
import { HeaderTap } from './header-tap.ts';
import { commandHelp, commandUsage, groupHelp, programHelp, programUsage } from './help.ts';
import { logLine } from './log-line.ts';
import { tlsOf } from './tls.ts';
import { tlsHint } from './tls-hint.ts';
import { clientFactory, credentialsOf, makePrinter } from './session.ts';

/** What the program is called where nothing else is said. */
const PROGRAM = 'keelson ctl';

/**
 * @param argv what follows the program's name
 * @param program the name, for help and errors
 * @returns the exit code
 */
export async function runCtl(argv: readonly string[], io: Io, program = PROGRAM): Promise<number> {
  const [first, ...others] = argv;
  if (first === 'help') return help(others, io, program);
  if (first === '__complete') {
    io.out(candidateLines(candidates(others, COMMANDS, GROUPS, GLOBAL_FLAGS)));
    return ExitCode.Success;
  }
  const words = first === '--version' ? ['version', ...others] : argv;
  const { path, rest } = splitCommand(GLOBAL_FLAGS, words, (typed) => expanded(typed) !== undefined);
  const wanted = expanded(path) ?? [];
  const command = commandAt(wanted);
  if (command !== undefined) return runCommand(command, rest, io, program);
  const [group] = wanted;
  if (group !== undefined) {
    io.out(groupHelp(program, group));
    return ExitCode.Success;
  }
  return noCommand(rest, io, program);
}

const commandAt = (path: readonly string[]): Command | undefined =>
  COMMANDS.find((candidate) => candidate.path.join(' ') === path.join(' '));

/** The words that were meant: each in full, or as much of it as no other word starts with; undefined: none. */
function expanded(typed: readonly string[]): string[] | undefined {
  const path: string[] = [];
  for (const word of typed) {
    const inside = COMMANDS.filter((command) => path.every((each, at) => command.path[at] === each));
    const names = new Set(inside.flatMap((command) => command.path[path.length] ?? []));
    const meant = names.has(word)
      ? [word]
      : [...names].filter((name) => word !== '' && name.startsWith(word) && !OWN.includes(name));
    const [only] = meant;
    if (only === undefined || meant.length > 1) return undefined;
    path.push(only);
  }
  return path;
}

function help(words: readonly string[], io: Io, program: string): ExitCode {
  const path = expanded(words);
  const command = path === undefined ? undefined : commandAt(path);
  const [group] = path ?? [];
  if (command !== undefined) io.out(commandHelp(program, command));
  else if (group !== undefined) io.out(groupHelp(program, group));
  else if (words.length === 0) io.out(programHelp(program));
  else {
    io.err(`Unknown help topic [${words.map((word) => `\`${word}\``).join(' ')}]\n`);
    io.err(programUsage(program));
  }
  return ExitCode.Success;
}

function noCommand(argv: readonly string[], io: Io, program: string): ExitCode {
  try {
    const [word] = parseFlags(GLOBAL_FLAGS, argv).args;
    if (word === undefined) {
      io.out(programHelp(program));
      return ExitCode.Success;
    }
    io.err(`Error: unknown command "${word}" for "${program}"\nRun '${program} --help' for usage.\n`);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${programUsage(program)}\n`);
  }
  return ExitCode.Error;
}

/**
 * Runs one command: its flags and the global ones, a client when it asks for one, etcdctl's exit codes.
 * @param argv what follows its words
 */
export async function runCommand(
  command: Command,
  argv: readonly string[],
  io: Io,
  program: string,
): Promise<number> {
  const specs = [...command.flags, ...GLOBAL_FLAGS];
  // As in etcdctl, a group's flags are set from the environment too, a command's own are not.
  const fromEnvironment = [...GLOBAL_FLAGS, ...command.flags.filter((flag) => flag.name === 'cluster')];
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(specs, argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n${commandUsage(program, command)}\n`);
    return ExitCode.Error;
  }
  if (parsed.help) {
    io.out(commandHelp(program, command));
    return ExitCode.Success;
  }
  const stop = new AbortController();
  let signalled: number | undefined;
  const unsubscribe = io.onStop((signal) => {
    signalled = SIGNALLED + constants.signals[signal];
    stop.abort();
  });
  let client: Client | undefined;
  let dialled: { readonly endpoints: readonly string[]; readonly tls: boolean } | undefined;
  try {
    const { values } = parsed;
    const free = command.offline === true;
    if (!free) readEnvironment(values, fromEnvironment, io);
    if (!free && values.bool('debug')) {
      for (const flag of GLOBAL_FLAGS) io.err(`${variableOf(flag)}=${values.string(flag.name)}\n`);
    }
    const tap = new HeaderTap();
    const endpoints = free ? [] : await endpointsOf(values, io);
    const tls = free ? undefined : tlsOf(values);
    dialled = { endpoints, tls: tls !== undefined };
    const credentials = free ? undefined : await credentialsOf(values, io);
    const clientOf = clientFactory(values, credentials, tls, tap);
    const writeOut = free ? parseFlags(GLOBAL_FLAGS, []).values : values;
    const running = command.run({
      io,
      program,
      flags: values,
      args: parsed.args,
      afterDashes: parsed.afterDashes,
      printer: await makePrinter(writeOut, io),
      tap,
      endpoints,
      tls,
      timeoutMs: values.durationMs('command-timeout'),
      client: () => (client ??= clientOf(endpoints)),
      clientOf,
      stopping: stop.signal,
    });
    const code = await (command.stops === true ? running : Promise.race([running, left(stop.signal)]));
    return code === ExitCode.Interrupted ? (signalled ?? code) : code;
  } catch (error) {
    const code = report(error, io);
    if (program === PROGRAM && dialled !== undefined && reachedNobody(error)) {
      const hint = await tlsHint(dialled.endpoints, dialled.tls);
      if (hint !== undefined) io.err(`Hint: ${hint}\n`);
    }
    return code;
  } finally {
    unsubscribe();
    client?.close();
  }
}

/** Whether a failure may be that of connecting. */
function reachedNobody(error: unknown): boolean {
  const found = error instanceof CtlError ? error.cause : error;
  if (error instanceof CtlError && error.exitCode === ExitCode.BadConnection) return true;
  return (
    found instanceof EtcdError &&
    (found.code === StatusCode.Unavailable || found.code === StatusCode.DeadlineExceeded)
  );
}

/** What a shell says of a program that a signal ended, before the signal's number. */
const SIGNALLED = 128;

/** Resolves when a signal comes. */
function left(signal: AbortSignal): Promise<ExitCode> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(ExitCode.Interrupted), { once: true });
  });
}

/** Says what went wrong. @returns the exit code; @throws what is a bug */
function report(error: unknown, io: Io): number {
  if (error instanceof CtlError) {
    if (error.cause instanceof EtcdError) warn(error.cause, io);
    if (error.message !== '') io.err(`Error: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof FlagError) {
    io.err(`Error: ${error.message}\n`);
    return ExitCode.Error;
  }
  if (!(error instanceof EtcdError)) throw error;
  warn(error, io);
  io.err(`Error: ${errorText(error)}\n`);
  // etcdctl logs in while it connects: a login that is refused is a connection that failed.
  return LOGIN_REFUSED.test(error.message) ? ExitCode.BadConnection : ExitCode.Error;
}

const LOGIN_REFUSED = /^(etcdserver|auth): authentication failed, /;

/** The line that etcd's client logs when a call fails: it has the code, and why nothing answered. */
function warn(error: EtcdError, io: Io): void {
  const cause =
    error.cause instanceof Error && error.reason === 'NO_ENDPOINT' ? `: ${error.cause.message}` : '';
  logLine(io, 'warn', 'retrying of unary invoker failed', {
    error: `rpc error: code = ${statusName(error.code)} desc = ${error.message}${cause}`,
  });
}
