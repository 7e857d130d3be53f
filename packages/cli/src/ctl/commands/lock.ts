/** lock: holds a lock until it is told to stop, or while a command runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { Lock, Session } from '@keelson/client';
import { quoteText } from '../../go-text.ts';
import { errorCode, errorMessage } from '../../plain.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';

/** What a session's TTL is when the one given makes no sense, as in etcd's client. */
const TTL_DEFAULT = 60;

export const lock: Command = {
  path: ['lock'],
  usage: '<lockname> [exec-command arg1 arg2 ...]',
  short: 'Acquires a named lock',
  stops: true,
  flags: [{ name: 'ttl', kind: 'int', initial: '10', usage: 'timeout for session' }],
  async run(context) {
    const { args, flags, stopping } = context;
    const [name, program, ...words] = args;
    if (name === undefined)
      throw badArgs('lock takes a lock name argument and an optional command to execute');
    const ttl = flags.int('ttl');
    const session = await Session.open(context.client(), { ttl: ttl > 0 ? ttl : TTL_DEFAULT });
    const held = new Lock(session, name);
    try {
      await held.acquire({ signal: stopping });
      if (program !== undefined) return await runUnder(held, program, words, context);
      await shown(held.key, context, 'lock lost on init');
      await endOf(session, stopping, 'session expired');
      return ExitCode.Success;
    } finally {
      // A lock that nobody has would stand in the way until its lease ends.
      await held.release();
      await session.close();
    }
  },
};

/** Prints the key that was won. @throws CtlError when it is gone already */
export async function shown(key: string, { client, printer }: CommandContext, gone: string): Promise<void> {
  const response = await client().kv.get(key);
  if (response.kvs.length === 0) throw new CtlError(ExitCode.Error, gone);
  printer.get(response);
}

/** Resolves when the command is told to stop. @throws CtlError when the session ends before */
export function endOf(session: Session, stopping: AbortSignal, expired: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new CtlError(ExitCode.Error, expired));
    if (stopping.aborted) resolve();
    else if (!session.alive) lost();
    stopping.addEventListener('abort', () => resolve());
    session.lost.addEventListener('abort', lost);
  });
}

/** Runs the command while the lock is held, with the lock's key and revision in its environment. */
async function runUnder(
  held: Lock,
  program: string,
  words: readonly string[],
  { io }: CommandContext,
): Promise<ExitCode> {
  const child = spawn(program, words, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ETCD_LOCK_KEY: held.key, ETCD_LOCK_REV: String(held.token), ...io.env },
  });
  let ended: unknown[];
  try {
    ended = await once(child, 'exit');
  } catch (error) {
    const why = errorCode(error) === 'ENOENT' ? 'executable file not found in $PATH' : errorMessage(error);
    throw new CtlError(ExitCode.Error, `exec: ${quoteText(program)}: ${why}`);
  }
  const [code, signal] = ended;
  if (code === 0) return ExitCode.Success;
  const text = typeof signal === 'string' ? `signal: ${signalText(signal)}` : `exit status ${String(code)}`;
  // The command's own exit code; 255 for one that a signal ended, as etcdctl's -1 arrives.
  throw new CtlError(typeof code === 'number' ? code : 255, text);
}

const SIGNAL_TEXTS: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGABRT: 'aborted',
  SIGKILL: 'killed',
  SIGSEGV: 'segmentation fault',
  SIGPIPE: 'broken pipe',
  SIGTERM: 'terminated',
};

/** As Go's syscall names signals. */
function signalText(name: string): string {
  const number = Object.entries(constants.signals).find(([key]) => key === name)?.[1];
  return SIGNAL_TEXTS[name] ?? `signal ${number ?? name}`;
}
