/** What a command is given to work with: clients, printer, credentials. Made from the global flags. */
import { Client, type ClientOptions } from '@keelson/client';
import { loadDescriptors } from '@keelson/proto';
import { grpcJsChannel } from '@keelson/rpc';
import type { FlagValues } from '../flags.ts';
import { LineReader, type Io } from '../io.ts';
import { CtlError, ExitCode, badArgs } from './ctl-error.ts';
import { HeaderTap } from './header-tap.ts';
import { FieldsPrinter } from './printers/fields.ts';
import { JsonPrinter } from './printers/json.ts';
import type { Printer } from './printers/printer.ts';
import { ProtobufPrinter } from './printers/protobuf.ts';
import { SimplePrinter } from './printers/simple.ts';
import { TablePrinter } from './printers/table.ts';

/** Go's gRPC pings no more often than this, whatever --keepalive-time says. */
const KEEPALIVE_MIN_MS = 10_000;

/** @throws CtlError for a format that does not exist */
export async function makePrinter(values: FlagValues, io: Io): Promise<Printer> {
  const hex = values.bool('hex');
  switch (values.string('write-out')) {
    case 'simple':
      return new SimplePrinter(io, hex);
    case 'fields':
      return new FieldsPrinter(io);
    case 'json':
      return new JsonPrinter(io, (await loadDescriptors()).MESSAGES, hex);
    case 'protobuf':
      return new ProtobufPrinter(io);
    case 'table':
      return new TablePrinter(io);
    default:
      throw new CtlError(ExitCode.BadFeature, 'unsupported output format');
  }
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** --user and --password; asks for a password that is nowhere. */
export async function credentialsOf(values: FlagValues, io: Io): Promise<Credentials | undefined> {
  const given = values.string('user');
  const password = values.string('password');
  if (given === '') return undefined;
  if (password !== '') return { user: given, password };
  const colon = given.indexOf(':');
  if (colon >= 0) return { user: given.slice(0, colon), password: given.slice(colon + 1) };
  io.out('Password: ');
  const { stdin } = io;
  // Nothing is echoed while the line is typed: the terminal hands over each key as it is.
  const typed = stdin.isTTY === true ? await typedSecret(io) : ((await new LineReader(stdin).next()) ?? '');
  io.out('\n');
  return { user: given, password: typed };
}

function typedSecret({ stdin }: Io): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    stdin.setRawMode?.(true);
    const done = (): void => {
      stdin.off('data', key);
      stdin.setRawMode?.(false);
      stdin.pause();
    };
    const key = (chunk: Uint8Array | string): void => {
      for (const character of Buffer.from(chunk).toString('utf8')) {
        if (character === '\u0003') {
          done();
          reject(new CtlError(ExitCode.Interrupted, 'interrupted'));
          return;
        }
        if (character === '\r' || character === '\n') {
          done();
          resolve(typed);
          return;
        }
        typed = character === '\u007f' ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', key);
    stdin.resume();
  });
}

/** Makes clients with the options of the global flags; every one reports to `tap`. */
export function clientFactory(
  values: FlagValues,
  credentials: Credentials | undefined,
  tap: HeaderTap,
): (endpoints: readonly string[]) => Client {
  const options: Omit<ClientOptions, 'endpoints'> = {
    dialTimeoutMs: values.durationMs('dial-timeout'),
    requestTimeoutMs: values.durationMs('command-timeout'),
    ...credentials,
    channelFactory: (address) =>
      tap.on(
        grpcJsChannel(address, {
          keepaliveIntervalMs: Math.max(KEEPALIVE_MIN_MS, values.durationMs('keepalive-time')),
          keepaliveTimeoutMs: values.durationMs('keepalive-timeout'),
        }),
      ),
  };
  return (endpoints) => {
    try {
      return new Client({ ...options, endpoints });
    } catch (error) {
      if (error instanceof TypeError) throw badArgs(error.message);
      throw error;
    }
  };
}
