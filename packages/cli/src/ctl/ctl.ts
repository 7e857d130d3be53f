/**
 * `keelson ctl`: etcdctl's commands, flags, outputs and exit codes over packages/client. This file finds the
 * command, reads its flags, runs it and turns what went wrong into etcdctl's error line; it prints no result.
 */
import { formatTimestamp } from '@keelson/base';
import { EtcdError, type Client } from '@keelson/client';
import { statusName } from '@keelson/rpc';
import { FlagError, parseFlags, splitCommand, type ParsedFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import type { Command } from './command.ts';
import { CtlError, ExitCode } from './ctl-error.ts';
import { COMMANDS, GROUPS } from './commands/table.ts';
import { errorText } from './commands/lease.ts';
import { GLOBAL_FLAGS, endpointsOf, readEnvironment, variableOf } from './globals.ts';
import { HeaderTap } from './header-tap.ts';
import { commandHelp, groupHelp, programHelp } from './help.ts';
import { tlsOf } from './tls.ts';
import { clientFactory, credentialsOf, makePrinter } from './session.ts';

/** @param argv what follows `keelson ctl`. @returns the exit code */
export async function runCtl(argv: readonly string[], io: Io): Promise<number> {
  const isCommand = (path: readonly string[]): boolean =>
    COMMANDS.some((command) => path.every((word, index) => command.path[index] === word));
  const [first, ...others] = argv;
  if (first === 'help') return help(others, io);
  const { path, rest } = splitCommand(GLOBAL_FLAGS, argv, isCommand);
  const command = COMMANDS.find((candidate) => candidate.path.join(' ') === path.join(' '));
  if (command !== undefined) return runCommand(command, rest, io);
  const [group] = path;
  if (group !== undefined) {
    io.out(groupHelp(group));
    return ExitCode.Success;
  }
  return noCommand(rest, io);
}

function help(words: readonly string[], io: Io): ExitCode {
  const command = COMMANDS.find((candidate) => candidate.path.join(' ') === words.join(' '));
  const [group] = words;
  if (command !== undefined) io.out(commandHelp(command));
  else if (group !== undefined && Object.hasOwn(GROUPS, group)) io.out(groupHelp(group));
  else {
    if (group !== undefined) io.out(`Unknown help topic [\`${words.join(' ')}\`]\n`);
    io.out(programHelp());
  }
  return ExitCode.Success;
}

function noCommand(argv: readonly string[], io: Io): ExitCode {
  try {
    const [word] = parseFlags(GLOBAL_FLAGS, argv).args;
    if (word === undefined) {
      io.out(programHelp());
      return ExitCode.Success;
    }
    io.err(`Error: unknown command "${word}" for "keelson ctl"\nRun 'keelson ctl --help' for usage.\n`);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n`);
    io.out(programHelp());
  }
  return ExitCode.Error;
}

async function runCommand(command: Command, argv: readonly string[], io: Io): Promise<ExitCode> {
  const specs = [...command.flags, ...GLOBAL_FLAGS];
  // As in etcdctl, a group's flags are set from the environment too, a command's own are not.
  const fromEnvironment = [...GLOBAL_FLAGS, ...command.flags.filter((flag) => flag.name === 'cluster')];
  let parsed: ParsedFlags;
  try {
    parsed = parseFlags(specs, argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    io.err(`Error: ${error.message}\n`);
    io.out(commandHelp(command));
    return ExitCode.Error;
  }
  if (parsed.help) {
    io.out(commandHelp(command));
    return ExitCode.Success;
  }
  const stop = new AbortController();
  const unsubscribe = io.onStop(() => stop.abort());
  let client: Client | undefined;
  try {
    const { values } = parsed;
    // The version says nothing of a cluster: it needs none of what could be wrong.
    if (command.path[0] !== 'version') readEnvironment(values, fromEnvironment, io);
    const free = command.path[0] === 'version';
    if (!free && values.bool('debug')) {
      for (const flag of GLOBAL_FLAGS) io.err(`${variableOf(flag)}=${values.string(flag.name)}\n`);
    }
    const tap = new HeaderTap();
    const endpoints = free ? [] : await endpointsOf(values, io);
    const tls = free ? undefined : tlsOf(values);
    const credentials = free ? undefined : await credentialsOf(values, io);
    const clientOf = clientFactory(values, credentials, tls, tap);
    const writeOut = free ? parseFlags(GLOBAL_FLAGS, []).values : values;
    return await command.run({
      io,
      flags: values,
      args: parsed.args,
      afterDashes: parsed.afterDashes,
      printer: await makePrinter(writeOut, io),
      tap,
      endpoints,
      timeoutMs: values.durationMs('command-timeout'),
      client: () => (client ??= clientOf(endpoints)),
      clientOf,
      stopping: stop.signal,
    });
  } catch (error) {
    return report(error, io);
  } finally {
    unsubscribe();
    client?.close();
  }
}

/** Says what went wrong. @returns the exit code; @throws what is a bug */
function report(error: unknown, io: Io): ExitCode {
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
  io.err(
    `${JSON.stringify({
      level: 'warn',
      ts: formatTimestamp(Date.now()),
      logger: 'etcd-client',
      caller: 'ctl/ctl.ts',
      msg: 'retrying of unary invoker failed',
      error: `rpc error: code = ${statusName(error.code)} desc = ${error.message}${cause}`,
    })}\n`,
  );
}
