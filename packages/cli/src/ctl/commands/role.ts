/** role: names for sets of permissions. */
import { rangeOf, type KeyRange, type PermissionKind } from '@keelson/client';
import { authpb, etcdserverpb, services } from '@keelson/proto';
import { bytesOf, quote } from '../../go-text.ts';
import type { Command, CommandContext } from '../command.ts';
import { ExitCode, badArgs } from '../ctl-error.ts';
import { changed } from './auth.ts';

const M = services.Auth.methods;
const OPEN_END = '\0';

const PREFIX_FLAG = { name: 'prefix', kind: 'bool', initial: 'false' } as const;
const FROM_KEY_FLAG = { name: 'from-key', kind: 'bool', initial: 'false' } as const;

const add: Command = {
  path: ['role', 'add'],
  usage: '<role name>',
  short: 'Adds a new role',
  flags: [],
  async run(context) {
    const [name] = context.args;
    if (name === undefined || context.args.length !== 1)
      throw badArgs('role add command requires role name as its argument');
    return changed(context, 'RoleAdd', await context.client().auth.roleAdd(name), `Role ${name} created`);
  },
};

const remove: Command = {
  path: ['role', 'delete'],
  usage: '<role name>',
  short: 'Deletes a role',
  flags: [],
  async run(context) {
    const [name] = context.args;
    if (name === undefined || context.args.length !== 1)
      throw badArgs('role delete command requires role name as its argument');
    return changed(
      context,
      'RoleDelete',
      await context.client().auth.roleDelete(name),
      `Role ${name} deleted`,
    );
  },
};

const get: Command = {
  path: ['role', 'get'],
  usage: '<role name>',
  short: 'Gets detailed information of a role',
  flags: [],
  async run(context) {
    const [name] = context.args;
    if (name === undefined || context.args.length !== 1)
      throw badArgs('role get command requires role name as its argument');
    showRole(context, name, await context.client().auth.roleGet(name));
    return ExitCode.Success;
  },
};

/** One role, in the format of the user's choice. */
export function showRole(
  { printer }: CommandContext,
  name: string,
  response: etcdserverpb.AuthRoleGetResponse,
): void {
  const { READ, WRITE } = authpb.PermissionType;
  const lines = (without: number): string[] =>
    response.perm.filter(({ permType }) => permType !== without).map(permissionLine);
  printer.auth({
    response,
    type: 'etcdserverpb.AuthRoleGetResponse',
    bytes: () => M.roleGet.response.encode(response),
    lines: [`Role ${name}`, 'KV Read:', ...lines(WRITE), 'KV Write:', ...lines(READ)],
    fields: response.perm.flatMap(({ permType, key, rangeEnd }) => [
      `"PermType" :  ${typeName(permType)}`,
      `"Key" : ${quote(key)}`,
      `"RangeEnd" : ${quote(rangeEnd)}`,
    ]),
  });
}

function permissionLine({ key, rangeEnd }: authpb.Permission): string {
  if (rangeEnd.length === 0) return `\t${key.toString('utf8')}`;
  const span = `\t${spanText(key, rangeEnd)}`;
  const isPrefix = key.length > 0 && rangeEnd.equals(rangeOf(key, { prefix: true }).rangeEnd);
  return isPrefix ? `${span} (prefix ${key.toString('utf8')})` : span;
}

function typeName(type: number): string {
  return Object.entries(authpb.PermissionType).find(([, value]) => value === type)?.[0] ?? String(type);
}

const list: Command = {
  path: ['role', 'list'],
  usage: '',
  short: 'Lists all roles',
  flags: [],
  async run({ args, printer, client }) {
    if (args.length > 0) throw badArgs('role list command requires no arguments');
    const response = await client().auth.roleList();
    printer.auth({
      response,
      type: 'etcdserverpb.AuthRoleListResponse',
      bytes: () => M.roleList.response.encode(response),
      lines: response.roles,
      fields: [`"Roles" :${response.roles.map((role) => ` ${quote(Buffer.from(role))}`).join('')}`],
    });
    return ExitCode.Success;
  },
};

const KINDS: readonly PermissionKind[] = ['read', 'write', 'readwrite'];

const grantPermission: Command = {
  path: ['role', 'grant-permission'],
  usage: '[options] <role name> <permission type> <key> [endkey]',
  short: 'Grants a key to a role',
  flags: [
    { ...PREFIX_FLAG, usage: 'grant a prefix permission' },
    {
      ...FROM_KEY_FLAG,
      usage: 'grant a permission of keys that are greater than or equal to the given key using byte compare',
    },
  ],
  async run(context) {
    const [name, type, key, end] = context.args;
    if (name === undefined || type === undefined || key === undefined)
      throw badArgs(
        'role grant command requires role name, permission type, and key [endkey] as its argument',
      );
    const kind = KINDS.find((one) => one === type.toLowerCase());
    if (kind === undefined) throw badArgs(`invalid permission type: ${type}`);
    const granted = grantRange(context, key, end);
    const response = await context.client().auth.roleGrantPermission(name, kind, granted.key, granted.range);
    return changed(context, 'RoleGrantPermission', response, `Role ${name} updated`);
  },
};

const revokePermission: Command = {
  path: ['role', 'revoke-permission'],
  usage: '<role name> <key> [endkey]',
  short: 'Revokes a key from a role',
  flags: [
    { ...PREFIX_FLAG, usage: 'revoke a prefix permission' },
    {
      ...FROM_KEY_FLAG,
      usage: 'revoke a permission of keys that are greater than or equal to the given key using byte compare',
    },
  ],
  async run(context) {
    const [name, key, end] = context.args;
    if (name === undefined || key === undefined)
      throw badArgs('role revoke-permission command requires role name and key [endkey] as its argument');
    const { key: first, range, said } = grantRange(context, key, end);
    const response = await context.client().auth.roleRevokePermission(name, first, range);
    const line = `Permission of ${said} is revoked from role ${name}`;
    return changed(context, 'RoleRevokePermission', response, line);
  },
};

interface GrantRange {
  readonly key: Buffer;
  /** What the client takes it by. */
  readonly range: KeyRange;
  /** As it is told to people. */
  readonly said: string;
}

/** What of the arguments and flags is meant. @throws CtlError */
function grantRange({ flags }: CommandContext, text: string, endText: string | undefined): GrantRange {
  const prefix = flags.bool('prefix');
  const fromKey = flags.bool('from-key');
  if (prefix && fromKey) throw badArgs('--from-key and --prefix flags are mutually exclusive');
  if (endText !== undefined && prefix) throw badArgs('unexpected endkey argument with --prefix flag');
  if (endText !== undefined && fromKey) throw badArgs('unexpected endkey argument with --from-key flag');
  const asked = endText === undefined ? { prefix, fromKey } : { end: bytesOf(endText) };
  const { key, rangeEnd } = rangeOf(bytesOf(text), asked);
  if (rangeEnd.length === 0) return { key, range: {}, said: `key ${key.toString('utf8')}` };
  return { key, range: { end: rangeEnd }, said: `range ${spanText(key, rangeEnd)}` };
}

function spanText(key: Buffer, rangeEnd: Buffer): string {
  const end = rangeEnd.toString('utf8');
  return `[${key.toString('utf8')}, ${end === OPEN_END ? '<open ended>' : `${end})`}`;
}

export const roleCommands: readonly Command[] = [add, remove, get, list, grantPermission, revokePermission];
