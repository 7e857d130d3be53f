/** What a command is given to work with: clients, printer, credentials. Made from the global flags. */
import { Client, type ClientOptions } from '@keelson/client';
import { loadDescriptors } from '@keelson/proto';
import { grpcJsChannel, nativeChannel, type DialTls } from '@keelson/rpc';
import type { FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';
import { CtlError, ExitCode, badArgs } from './ctl-error.ts';
import { HeaderTap } from './header-tap.ts';
import { FieldsPrinter } from './printers/fields.ts';
import { JsonPrinter } from './printers/json.ts';
import type { Printer } from './printers/printer.ts';
import { ProtobufPrinter } from './printers/protobuf.ts';
import { SimplePrinter } from './printers/simple.ts';
import { TablePrinter } from './printers/table.ts';
import { typedSecret } from './typed-secret.ts';

/** Go's gRPC pings no more often than this, whatever --keepalive-time says. */
const KEEPALIVE_MIN_MS = 10_000;

/** @throws CtlError for a format that does not exist */
export async function makePrinter(values: FlagValues, io: Io): Promise<Printer> {
  const hex = values.bool('hex');
  switch (values.string('write-out')) {
    case 'simple':
      return new SimplePrinter(io, hex);
    case 'fields':
      return new FieldsPrinter(io, hex);
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

export type Credentials = { readonly user: string; readonly password: string } | { readonly token: string };

/** --auth-jwt-token, or --user and --password; asks for a password that is nowhere. @throws CtlError for both */
export async function credentialsOf(values: FlagValues, io: Io): Promise<Credentials | undefined> {
  const given = values.string('user');
  const password = values.string('password');
  const token = values.string('auth-jwt-token');
  if (token !== '') {
    if (given !== '' || password !== '')
      throw badArgs('--auth-jwt-token and --user/--password are mutually exclusive');
    return { token };
  }
  if (given === '') return undefined;
  if (password !== '') return { user: given, password };
  const colon = given.indexOf(':');
  if (colon >= 0) return { user: given.slice(0, colon), password: given.slice(colon + 1) };
  return { user: given, password: await typedSecret(io, 'Password: ') };
}

/** Makes clients with the options of the global flags; every one reports to `tap`. */
export function clientFactory(
  values: FlagValues,
  credentials: Credentials | undefined,
  tls: DialTls | undefined,
  tap: HeaderTap,
): (endpoints: readonly string[]) => Client {
  const keepalive = {
    keepaliveIntervalMs: Math.max(KEEPALIVE_MIN_MS, values.durationMs('keepalive-time')),
    keepaliveTimeoutMs: values.durationMs('keepalive-timeout'),
  };
  const options: Omit<ClientOptions, 'endpoints'> = {
    dialTimeoutMs: values.durationMs('dial-timeout'),
    requestTimeoutMs: values.durationMs('command-timeout'),
    ...credentials,
    channelFactory: (address, secure) =>
      tap.on(
        (secure ?? tls !== undefined)
          ? nativeChannel(address, { ...keepalive, tls: tls ?? (() => ({})) })
          : grpcJsChannel(address, keepalive),
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
