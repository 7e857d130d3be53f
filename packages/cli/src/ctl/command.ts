/**
 * What a command of `keelson ctl` is: a row of a table with its words, flags, help and function. Help texts
 * and parsing read the same rows, so they cannot drift apart.
 */
import type { Client } from '@keelson/client';
import type { DialTls } from '@keelson/rpc';
import type { FlagSpec, FlagValues } from '../flags.ts';
import { GoTextError, parseInt64 } from '../go-text.ts';
import type { Io } from '../io.ts';
import { badArgs, type ExitCode } from './ctl-error.ts';
import type { Printer } from './printers/printer.ts';
import type { HeaderTap } from './header-tap.ts';

/** What a command works with. */
export interface CommandContext {
  readonly io: Io;
  /** As it was called: "etcdctl" or "keelson ctl". */
  readonly program: string;
  readonly flags: FlagValues;
  /** See textOf in go-text.ts: bytesOf gives the bytes. */
  readonly args: readonly string[];
  /** What follows "--"; undefined when there is none. */
  readonly afterDashes: readonly string[] | undefined;
  readonly printer: Printer;
  /** Headers of responses that the client does not show. */
  readonly tap: HeaderTap;
  /** As given with --endpoints or the environment. */
  readonly endpoints: readonly string[];
  /** What connections are secured with; undefined: only those whose endpoint says https are. */
  readonly tls: DialTls | undefined;
  /** --command-timeout. */
  readonly timeoutMs: number;
  /** The command's client, made at the first use, closed when the command is over. */
  readonly client: () => Client;
  /** Another client of these endpoints, with the same options. The caller closes it. */
  readonly clientOf: (endpoints: readonly string[]) => Client;
  /** Aborted when a signal asks the command to stop. */
  readonly stopping: AbortSignal;
}

export interface Command {
  /** The words that call it: ["lease", "grant"]. */
  readonly path: readonly string[];
  /** How it is called, after its words. */
  readonly usage: string;
  readonly short: string;
  /** A paragraph of its help. */
  readonly long?: string;
  /** It talks to no cluster: endpoints, certificates and the environment are not looked at. */
  readonly offline?: true;
  /** It looks at `stopping` and ends in good order; any other command is left where it is when a signal comes. */
  readonly stops?: true;
  readonly flags: readonly FlagSpec[];
  /** @returns the exit code; throws CtlError, EtcdError */
  run(context: CommandContext): Promise<ExitCode>;
}

/** A lease id as users write it. @throws CtlError */
export function leaseId(text: string, what: 'lease ID' | 'lease ID arg'): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    if (!(error instanceof GoTextError)) throw error;
    throw badArgs(`bad ${what} (${error.message}), expecting ID in Hex`);
  }
}
