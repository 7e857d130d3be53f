/** user: who there is, their passwords and their roles. */
import { services } from '@keelson/proto';
import { LineReader, type Io } from '../../io.ts';
import type { Command, CommandContext } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';
import { typedSecret } from '../typed-secret.ts';
import { changed } from './auth.ts';
import { showRole } from './role.ts';

const M = services.Auth.methods;

const INTERACTIVE_FLAG = {
  name: 'interactive',
  kind: 'bool',
  initial: 'true',
  usage: 'Read password from stdin instead of interactive terminal',
} as const;
const INTERACTIVE_PASSWD_FLAG = {
  ...INTERACTIVE_FLAG,
  usage: 'If true, read password from stdin instead of interactive terminal',
} as const;

const add: Command = {
  path: ['user', 'add'],
  usage: '<user name or user:password> [options]',
  short: 'Adds a new user',
  flags: [
    INTERACTIVE_FLAG,
    {
      name: 'new-user-password',
      kind: 'string',
      initial: '',
      usage: 'Supply password from the command line flag',
    },
    {
      name: 'no-password',
      kind: 'bool',
      initial: 'false',
      usage: 'Create a user without password (CN based auth only)',
    },
  ],
  async run(context) {
    const [text] = context.args;
    if (text === undefined || context.args.length !== 1)
      throw badArgs('user add command requires user name as its argument');
    const { name, password } = await newUser(context, text);
    const response = await context.client().auth.userAdd(name, password);
    return changed(context, 'UserAdd', response, `User ${name} created`);
  },
};

interface NewUser {
  readonly name: string;
  /** Undefined: none. */
  readonly password: string | undefined;
}

async function newUser({ flags, io }: CommandContext, text: string): Promise<NewUser> {
  if (flags.bool('no-password')) return { name: text, password: undefined };
  const given = flags.string('new-user-password');
  if (given !== '') return { name: text, password: given };
  const colon = text.indexOf(':');
  if (colon === 0) throw badArgs('empty user name is not allowed');
  if (colon > 0) return { name: text.slice(0, colon), password: text.slice(colon + 1) };
  return { name: text, password: await passwordOf(io, text, flags.bool('interactive')) };
}

const remove: Command = {
  path: ['user', 'delete'],
  usage: '<user name>',
  short: 'Deletes a user',
  flags: [],
  async run(context) {
    const [name] = context.args;
    if (name === undefined || context.args.length !== 1)
      throw badArgs('user delete command requires user name as its argument');
    const response = await context.client().auth.userDelete(name);
    return changed(context, 'UserDelete', response, `User ${name} deleted`);
  },
};

const get: Command = {
  path: ['user', 'get'],
  usage: '<user name> [options]',
  short: 'Gets detailed information of a user',
  flags: [
    {
      name: 'detail',
      kind: 'bool',
      initial: 'false',
      usage: 'Show permissions of roles granted to the user',
    },
  ],
  async run(context) {
    const { args, client, flags, io, printer } = context;
    const [name] = args;
    if (name === undefined || args.length !== 1)
      throw badArgs('user get command requires user name as its argument');
    const response = await client().auth.userGet(name);
    if (flags.bool('detail')) {
      io.out(`User: ${name}\n`);
      for (const role of response.roles) {
        io.out('\n');
        showRole(context, role, await client().auth.roleGet(role));
      }
      return ExitCode.Success;
    }
    printer.auth({
      response,
      type: 'etcdserverpb.AuthUserGetResponse',
      bytes: () => M.userGet.response.encode(response),
      lines: [`User: ${name}`, `Roles:${response.roles.map((role) => ` ${role}`).join('')}`],
      fields: undefined,
    });
    return ExitCode.Success;
  },
};

const list: Command = {
  path: ['user', 'list'],
  usage: '',
  short: 'Lists all users',
  flags: [],
  async run({ args, printer, client }) {
    if (args.length > 0) throw badArgs('user list command requires no arguments');
    const response = await client().auth.userList();
    printer.auth({
      response,
      type: 'etcdserverpb.AuthUserListResponse',
      bytes: () => M.userList.response.encode(response),
      lines: response.users,
      fields: undefined,
    });
    return ExitCode.Success;
  },
};

const passwd: Command = {
  path: ['user', 'passwd'],
  usage: '<user name> [options]',
  short: 'Changes password of user',
  flags: [INTERACTIVE_PASSWD_FLAG],
  async run(context) {
    const { args, flags, io } = context;
    const [name] = args;
    if (name === undefined || args.length !== 1)
      throw badArgs('user passwd command requires user name as its argument');
    const password = await passwordOf(io, name, flags.bool('interactive'));
    const response = await context.client().auth.userChangePassword(name, password);
    return changed(context, 'UserChangePassword', response, 'Password updated');
  },
};

const grantRole: Command = {
  path: ['user', 'grant-role'],
  usage: '<user name> <role name>',
  short: 'Grants a role to a user',
  flags: [],
  async run(context) {
    const [name, role] = context.args;
    if (name === undefined || role === undefined || context.args.length !== 2)
      throw badArgs('user grant command requires user name and role name as its argument');
    const response = await context.client().auth.userGrantRole(name, role);
    return changed(context, 'UserGrantRole', response, `Role ${role} is granted to user ${name}`);
  },
};

const revokeRole: Command = {
  path: ['user', 'revoke-role'],
  usage: '<user name> <role name>',
  short: 'Revokes a role from a user',
  flags: [],
  async run(context) {
    const [name, role] = context.args;
    if (name === undefined || role === undefined || context.args.length !== 2)
      throw badArgs('user revoke-role requires user name and role name as its argument');
    const response = await context.client().auth.userRevokeRole(name, role);
    return changed(context, 'UserRevokeRole', response, `Role ${role} is revoked from user ${name}`);
  },
};

/** Typed twice at a terminal; otherwise the first word of standard input. */
async function passwordOf(io: Io, user: string, interactive: boolean): Promise<string> {
  if (!interactive) return ((await new LineReader(io.stdin).next()) ?? '').trim().split(/\s/)[0] ?? '';
  const typed = await typedSecret(io, `Password of ${user}: `);
  if (typed === '') throw badArgs('empty password');
  if ((await typedSecret(io, `Type password of ${user} again for confirmation: `)) !== typed)
    throw badArgs('given passwords are different');
  return typed;
}

export const userCommands: readonly Command[] = [add, remove, get, list, passwd, grantRole, revokeRole];
