/** auth: the switch, and what it stands on. */
import { EtcdError } from '@keelson/client';
import { etcdserverpb, services } from '@keelson/proto';
import type { Command, CommandContext } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';

const M = services.Auth.methods;

/** Messages of the server, which name no reason of their own in the client. */
const ROOT_ROLE_MISSING = 'etcdserver: root user does not have root role';
const ROLE_EXISTS = 'etcdserver: role name already exists';

const enable: Command = {
  path: ['auth', 'enable'],
  usage: '',
  short: 'Enables authentication',
  flags: [],
  async run({ args, io, client }) {
    if (args.length > 0) throw badArgs('auth enable command does not accept any arguments');
    try {
      await client().auth.enable();
    } catch (error) {
      if (!(error instanceof EtcdError) || error.message !== ROOT_ROLE_MISSING) throw error;
      await makeRoot(client);
      await client().auth.enable();
    }
    io.out('Authentication Enabled\n');
    return ExitCode.Success;
  },
};

/** As etcdctl: root's role is made and granted by whoever switches auth on. */
async function makeRoot(client: CommandContext['client']): Promise<void> {
  try {
    await client().auth.roleAdd('root');
  } catch (error) {
    if (!(error instanceof EtcdError) || error.message !== ROLE_EXISTS) throw error;
  }
  await client().auth.userGrantRole('root', 'root');
}

const disable: Command = {
  path: ['auth', 'disable'],
  usage: '',
  short: 'Disables authentication',
  flags: [],
  async run({ args, io, client }) {
    if (args.length > 0) throw badArgs('auth disable command does not accept any arguments');
    await client().auth.disable();
    io.out('Authentication Disabled\n');
    return ExitCode.Success;
  },
};

const status: Command = {
  path: ['auth', 'status'],
  usage: '',
  short: 'Returns authentication status',
  flags: [],
  async run({ args, printer, client }) {
    if (args.length > 0) throw badArgs('auth status command does not accept any arguments');
    const response = await client().auth.status();
    printer.auth({
      response,
      type: 'etcdserverpb.AuthStatusResponse',
      bytes: () => M.authStatus.response.encode(response),
      lines: [`Authentication Status: ${response.enabled}`, `AuthRevision: ${response.authRevision}`],
      fields: undefined,
    });
    return ExitCode.Success;
  },
};

export const authCommands: readonly Command[] = [enable, disable, status];

/** A change that is answered with a header alone, and what is said of it. */
export function changed(
  { printer }: CommandContext,
  name: string,
  response: { readonly header: etcdserverpb.ResponseHeader | undefined },
  line: string,
): ExitCode {
  const { header } = response;
  printer.auth({
    response,
    type: `etcdserverpb.Auth${name}Response`,
    // All of these answers have the header as their only field, and the same number for it.
    bytes: () =>
      etcdserverpb.encodeAuthUserAddResponse(
        new etcdserverpb.AuthUserAddResponse(header === undefined ? {} : { header }),
      ),
    lines: [line],
    fields: [],
  });
  return ExitCode.Success;
}
