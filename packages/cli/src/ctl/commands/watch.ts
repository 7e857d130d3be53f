/**
 * watch: prints events until it is told to stop, optionally running a command for each; with -i it reads
 * "watch …" and "progress" lines from standard input and runs many watches at once.
 */
import { spawnSync } from 'node:child_process';
import { WatchCompactedError, type EtcdError, type WatchBatch, type WatchOptions } from '@keelson/client';
import { mvccpb } from '@keelson/proto';
import { FlagError, parseFlags, type FlagSpec, type FlagValues } from '../../flags.ts';
import { bytesOf, quote, quoteText } from '../../go-text.ts';
import { LineReader } from '../../io.ts';
import type { Command, CommandContext } from '../command.ts';
import { CtlError, ExitCode, badArgs } from '../ctl-error.ts';
import { wordsOf } from '../words.ts';
import { eventName } from '../printers/simple.ts';
import { endLine, eventLines } from './watch-json.ts';

const flags: readonly FlagSpec[] = [
  { name: 'interactive', short: 'i', kind: 'bool', initial: 'false', usage: 'Interactive mode' },
  {
    name: 'json',
    kind: 'bool',
    initial: 'false',
    usage: 'one JSON object a line for each event, keys and values as text',
  },
  { name: 'prefix', kind: 'bool', initial: 'false', usage: 'Watch on a prefix if prefix is set' },
  {
    name: 'prev-kv',
    kind: 'bool',
    initial: 'false',
    usage: 'get the previous key-value pair before the event happens',
  },
  {
    name: 'progress-notify',
    kind: 'bool',
    initial: 'false',
    usage: 'get periodic watch progress notification from server',
  },
  { name: 'rev', kind: 'int', initial: '0', usage: 'Revision to start watching' },
];

/** What one watch was asked for. */
export interface WatchRequest {
  readonly key: Buffer;
  readonly options: WatchOptions;
  /** --json: a line for each event instead of the printer's form. */
  readonly json: boolean;
  /** The command for each event and its arguments; empty: none. */
  readonly exec: readonly string[];
}

/** ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END, which stand in for the arguments. */
function environmentKeys(env: CommandContext['io']['env']): string[] {
  const key = env['ETCDCTL_WATCH_KEY'] ?? '';
  const end = env['ETCDCTL_WATCH_RANGE_END'] ?? '';
  if (key === '' && end !== '') {
    throw badArgs(`ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=${quoteText(end)}`);
  }
  return [key, end].filter((text) => text !== '');
}

/** @throws CtlError for arguments that make no watch */
export function watchRequest(
  values: FlagValues,
  args: readonly string[],
  afterDashes: readonly string[] | undefined,
  fromEnvironment: readonly string[],
): WatchRequest {
  if (afterDashes?.length === 0) {
    throw badArgs('bad number of arguments (found separator --, but no commands)');
  }
  const given = args.slice(0, args.length - (afterDashes?.length ?? 0));
  if (fromEnvironment.length > 0 && given.length > 0) {
    throw badArgs('bad number of arguments (found conflicting environment key)');
  }
  const [key, end] = [...fromEnvironment, ...given];
  if (key === undefined) throw badArgs('bad number of arguments');
  const prefix = values.bool('prefix');
  if (end !== undefined && prefix) throw badArgs('`range_end` and `--prefix` are mutually exclusive');
  const options: WatchOptions = {
    requireLeader: true,
    startRevision: Math.max(0, values.int('rev')),
    prevKv: values.bool('prev-kv'),
    progressNotify: values.bool('progress-notify'),
    ...(end === undefined ? { prefix } : { end: bytesOf(end) }),
  };
  return { key: bytesOf(key), options, json: values.bool('json'), exec: afterDashes ?? [] };
}

export const watch: Command = {
  path: ['watch'],
  usage: '[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]',
  short: 'Watches events stream on keys or prefixes',
  stops: true,
  flags,
  async run(context) {
    const fromEnvironment = environmentKeys(context.io.env);
    if (context.flags.bool('interactive')) return interactive(context, fromEnvironment);
    const request = watchRequest(context.flags, context.args, context.afterDashes, fromEnvironment);
    const ended = start(context, request);
    const stopped = stopOf(context.stopping);
    if ((await Promise.race([ended, stopped])) === 'stopped') return ExitCode.Interrupted;
    throw new CtlError(ExitCode.Interrupted, 'watch is canceled by the server');
  },
};

/** Reads lines until they end, which is an error, as in etcdctl. */
async function interactive(context: CommandContext, fromEnvironment: readonly string[]): Promise<ExitCode> {
  const { io } = context;
  const lines = new LineReader(io.stdin);
  // A watch that fails for good (no printer for it, a command that fails) ends the whole.
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const stopped = stopOf(context.stopping);
  for (;;) {
    const line = await Promise.race([lines.next(), failed, stopped]);
    if (line === 'stopped' && context.stopping.aborted) return ExitCode.Interrupted;
    if (line === undefined) {
      throw new CtlError(ExitCode.InvalidInput, 'error reading watch request line: EOF');
    }
    const [name, ...words] = wordsOf(line);
    if (name === undefined) io.err(`Invalid command: ${line} (watch and progress supported)\n`);
    else if (name === 'progress') context.client().watch.requestProgress();
    else if (name !== 'watch') io.err(`Invalid command ${line} (only support watch)\n`);
    else if (words.length === 0 && fromEnvironment.length === 0) {
      io.err(`Invalid command ${line} (command type or key is not provided)\n`);
    } else {
      const request = lineRequest(context, line, words, fromEnvironment);
      if (request !== undefined) start(context, request).catch(fail);
    }
  }
}

/** @returns undefined when the line was refused and told so; @throws CtlError for flags that are none */
function lineRequest(
  { io }: CommandContext,
  line: string,
  words: readonly string[],
  fromEnvironment: readonly string[],
): WatchRequest | undefined {
  try {
    const { values, args, afterDashes } = parseFlags(flags, words);
    return watchRequest(values, args, afterDashes, fromEnvironment);
  } catch (error) {
    if (error instanceof FlagError) throw badArgs(error.message);
    if (!(error instanceof CtlError) || !error.message.includes('mutually exclusive')) throw error;
    io.err(`Invalid command ${line} (${error.message})\n`);
    return undefined;
  }
}

function stopOf(stopping: AbortSignal): Promise<'stopped'> {
  return new Promise((resolve) => {
    if (stopping.aborted) resolve('stopped');
    stopping.addEventListener('abort', () => resolve('stopped'));
  });
}

/** Runs one watch. Resolves when the server ended it; rejects when its output failed. */
function start(context: CommandContext, request: WatchRequest): Promise<void> {
  const watcher = context.client().watch.create(request.key, request.options);
  return new Promise((resolve, reject) => {
    const guarded = (task: () => void): void => {
      try {
        task();
      } catch (error) {
        reject(error);
        watcher.cancel();
      }
    };
    watcher.listen({
      batch: (batch) => guarded(() => show(context, batch, request)),
      end: (error) => {
        // Closing our own client is no news from the server.
        const told = error !== undefined && error.reason !== 'CLOSED';
        if (told) guarded(() => showEnd(context, error, request));
        resolve();
      },
    });
  });
}

function show({ io, printer, tap }: CommandContext, batch: WatchBatch, request: WatchRequest): void {
  const { exec } = request;
  if (request.json) io.out(eventLines(batch));
  else if (batch.progress) io.out(`progress notify: ${batch.revision}\n`);
  if (!request.json)
    printer.watch({ header: tap.header, events: batch.events, compactRevision: 0, canceled: false });
  const [program, ...args] = exec;
  if (program === undefined) return;
  for (const event of batch.events) {
    const kv = event.kv ?? new mvccpb.KeyValue();
    const { error, status, signal } = spawnSync(program, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...io.env,
        ETCD_WATCH_REVISION: String(batch.revision),
        ETCD_WATCH_EVENT_TYPE: quoteText(eventName(event)),
        ETCD_WATCH_KEY: quote(kv.key),
        ETCD_WATCH_VALUE: quote(kv.value),
      },
    });
    if (error === undefined && status === 0) continue;
    const why = error?.message ?? (signal === null ? `exit status ${status}` : `signal: ${signal}`);
    io.err(`command [${exec.map(quoteText).join(' ')}] error (${why})\n`);
    throw new CtlError(ExitCode.Error, '');
  }
}

function showEnd({ io, printer, tap }: CommandContext, error: EtcdError, { json }: WatchRequest): void {
  io.err(`watch was canceled (${error.message})\n`);
  const compactRevision = error instanceof WatchCompactedError ? error.compactRevision : 0;
  if (json) io.out(endLine(error.message, compactRevision));
  else printer.watch({ header: tap.header, events: [], compactRevision, canceled: true });
}
