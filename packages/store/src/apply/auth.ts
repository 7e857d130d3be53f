/**
 * Auth commands: users, roles, the switch itself, and the token an authentication earns. Passwords were hashed and
 * tokens drawn before the proposal; what remains is the same on every member. All but Authenticate are root's.
 */
import { etcdserverpb } from '@keelson/proto';
import type { AuthStore } from '../auth/auth-store.ts';
import type { Identity } from '../auth/identity.ts';
import type { SimpleTokens } from '../auth/simple-tokens.ts';
import { StoreError } from '../errors.ts';
import { CommandKind } from './command.ts';

export interface AuthContext {
  readonly auth: AuthStore;
  readonly tokens: SimpleTokens;
}

/** What only root may have done; the applier asks before anything else (etcd: needAdminPermission). */
export const ROOT_COMMANDS: ReadonlySet<number> = new Set([
  CommandKind.AuthEnable,
  CommandKind.AuthDisable,
  CommandKind.AuthUserAdd,
  CommandKind.AuthUserDelete,
  CommandKind.AuthUserChangePassword,
  CommandKind.AuthUserGrantRole,
  CommandKind.AuthUserRevokeRole,
  CommandKind.AuthRoleAdd,
  CommandKind.AuthRoleDelete,
  CommandKind.AuthRoleGrantPermission,
  CommandKind.AuthRoleRevokePermission,
]);

/**
 * @param index of the entry, which becomes part of a token
 * @returns undefined for a kind that is none of auth's
 * @throws StoreError; nothing has been changed
 */
export function applyAuth(
  context: AuthContext,
  kind: number,
  body: Buffer,
  index: number,
  identity: Identity | undefined,
): object | undefined {
  const { auth } = context;
  if (ROOT_COMMANDS.has(kind)) auth.checkRoot(identity);
  switch (kind) {
    case CommandKind.AuthEnable:
      auth.enable();
      return new etcdserverpb.AuthEnableResponse();
    case CommandKind.AuthDisable:
      auth.disable();
      return new etcdserverpb.AuthDisableResponse();
    case CommandKind.Authenticate:
      return authenticate(context, etcdserverpb.decodeInternalAuthenticateRequest(body), index);
    case CommandKind.AuthUserAdd:
      auth.userAdd(etcdserverpb.decodeAuthUserAddRequest(body));
      return new etcdserverpb.AuthUserAddResponse();
    case CommandKind.AuthUserDelete:
      auth.userDelete(etcdserverpb.decodeAuthUserDeleteRequest(body).name);
      return new etcdserverpb.AuthUserDeleteResponse();
    case CommandKind.AuthUserChangePassword:
      auth.userChangePassword(etcdserverpb.decodeAuthUserChangePasswordRequest(body));
      return new etcdserverpb.AuthUserChangePasswordResponse();
    case CommandKind.AuthUserGrantRole: {
      const { user, role } = etcdserverpb.decodeAuthUserGrantRoleRequest(body);
      auth.userGrantRole(user, role);
      return new etcdserverpb.AuthUserGrantRoleResponse();
    }
    case CommandKind.AuthUserRevokeRole: {
      const { name, role } = etcdserverpb.decodeAuthUserRevokeRoleRequest(body);
      auth.userRevokeRole(name, role);
      return new etcdserverpb.AuthUserRevokeRoleResponse();
    }
    case CommandKind.AuthRoleAdd:
      auth.roleAdd(etcdserverpb.decodeAuthRoleAddRequest(body).name);
      return new etcdserverpb.AuthRoleAddResponse();
    case CommandKind.AuthRoleDelete:
      auth.roleDelete(etcdserverpb.decodeAuthRoleDeleteRequest(body).role);
      return new etcdserverpb.AuthRoleDeleteResponse();
    case CommandKind.AuthRoleGrantPermission: {
      const { name, perm } = etcdserverpb.decodeAuthRoleGrantPermissionRequest(body);
      auth.roleGrantPermission(name, perm);
      return new etcdserverpb.AuthRoleGrantPermissionResponse();
    }
    case CommandKind.AuthRoleRevokePermission: {
      const { role, key, rangeEnd } = etcdserverpb.decodeAuthRoleRevokePermissionRequest(body);
      auth.roleRevokePermission(role, key, rangeEnd);
      return new etcdserverpb.AuthRoleRevokePermissionResponse();
    }
    default:
      return undefined;
  }
}

/** Whose password it was, was checked before; here it is only asked whether the user is still one with a password. */
function authenticate(
  { auth, tokens }: AuthContext,
  { name, simpleToken }: etcdserverpb.InternalAuthenticateRequest,
  index: number,
): etcdserverpb.AuthenticateResponse {
  if (!auth.enabled) throw new StoreError('AUTH_NOT_ENABLED');
  const user = auth.user(name);
  if (user === undefined || user.options?.noPassword === true) throw new StoreError('AUTH_FAILED');
  // Without a prefix the members use tokens that are signed, not remembered: rpc/auth.ts makes one.
  const token = simpleToken === '' ? '' : tokens.assign(name, simpleToken, index);
  return new etcdserverpb.AuthenticateResponse({ token });
}
