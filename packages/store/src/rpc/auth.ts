/**
 * The Auth service: the switch, users, roles, and tokens for passwords. What changes goes through the log; passwords
 * never do: they are hashed before a command is proposed, and checked before a token is asked for. What only reads is
 * answered here once this member is up to date, where etcd sends it through the log as well.
 */
import type { Logger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import type { CallContext, MethodTable } from '@keelson/rpc';
import { CommandKind } from '../apply/command.ts';
import type { Identity } from '../auth/identity.ts';
import type { PasswordGate } from '../auth/password-gate.ts';
import type { Replica } from '../consensus/replica.ts';
import { StoreError } from '../errors.ts';
import type { Access } from './access.ts';
import { answer, header } from './header.ts';
import { withBytes } from './services.ts';

/** Letters of a simple token: 52 to the 23rd is 131 bits; etcd's 16 letters are 91. */
const TOKEN_LETTERS = 23;

export interface AuthParts {
  readonly passwords: PasswordGate;
  readonly letters: (count: number) => string;
  /** Hears of refused logins: names, never passwords or tokens. */
  readonly logger: Logger;
  readonly monotonicMs: () => number;
  readonly requestTimeoutMs: number;
}

export function registerAuth(table: MethodTable, replica: Replica, access: Access, parts: AuthParts): void {
  const { Auth } = services;
  const { auth } = replica.state;

  /** A method whose request is proposed as it came. */
  const proposed = <Req, Res extends { header: etcdserverpb.ResponseHeader | undefined }>(
    method: Parameters<typeof withBytes<Req, Res>>[0],
    command: CommandKind,
    kind: new () => Res,
  ): void => {
    table.unary(withBytes(method), async ({ bytes }, call) => {
      const caller = await access.caller(call);
      return answer(replica, await replica.propose(command, bytes, caller), kind);
    });
  };
  proposed(Auth.methods.authEnable, CommandKind.AuthEnable, etcdserverpb.AuthEnableResponse);
  proposed(Auth.methods.authDisable, CommandKind.AuthDisable, etcdserverpb.AuthDisableResponse);
  proposed(Auth.methods.userDelete, CommandKind.AuthUserDelete, etcdserverpb.AuthUserDeleteResponse);
  proposed(Auth.methods.userGrantRole, CommandKind.AuthUserGrantRole, etcdserverpb.AuthUserGrantRoleResponse);
  proposed(
    Auth.methods.userRevokeRole,
    CommandKind.AuthUserRevokeRole,
    etcdserverpb.AuthUserRevokeRoleResponse,
  );
  proposed(Auth.methods.roleAdd, CommandKind.AuthRoleAdd, etcdserverpb.AuthRoleAddResponse);
  proposed(Auth.methods.roleDelete, CommandKind.AuthRoleDelete, etcdserverpb.AuthRoleDeleteResponse);
  proposed(
    Auth.methods.roleGrantPermission,
    CommandKind.AuthRoleGrantPermission,
    etcdserverpb.AuthRoleGrantPermissionResponse,
  );
  proposed(
    Auth.methods.roleRevokePermission,
    CommandKind.AuthRoleRevokePermission,
    etcdserverpb.AuthRoleRevokePermissionResponse,
  );

  table.unary(Auth.methods.userAdd, async (request, call) => {
    const caller = await callerWhoMayManage(call);
    const { name, options } = request;
    const proposal = new etcdserverpb.AuthUserAddRequest({
      name,
      ...(options === undefined ? {} : { options }),
    });
    if (options?.noPassword !== true)
      proposal.hashedPassword = await parts.passwords.hash(request.password, () => call.cancelled);
    const body = etcdserverpb.encodeAuthUserAddRequest(proposal);
    const result = await replica.propose(CommandKind.AuthUserAdd, body, caller);
    return answer(replica, result, etcdserverpb.AuthUserAddResponse);
  });

  table.unary(Auth.methods.userChangePassword, async (request, call) => {
    const caller = await callerWhoMayManage(call);
    const { name, hashedPassword } = request;
    const proposal = new etcdserverpb.AuthUserChangePasswordRequest({ name, hashedPassword });
    // As in etcd: without a password it takes a hash that was made elsewhere.
    if (request.password !== '')
      proposal.hashedPassword = await parts.passwords.hash(request.password, () => call.cancelled);
    const body = etcdserverpb.encodeAuthUserChangePasswordRequest(proposal);
    const result = await replica.propose(CommandKind.AuthUserChangePassword, body, caller);
    return answer(replica, result, etcdserverpb.AuthUserChangePasswordResponse);
  });

  /** Hashing is costly: nobody has it done who would be refused afterwards. Root's word on it is the applier's. */
  async function callerWhoMayManage(call: CallContext): Promise<Identity | undefined> {
    const caller = await access.caller(call);
    if (auth.enabled && caller === undefined) throw new StoreError('USER_EMPTY');
    return caller;
  }

  table.unary(Auth.methods.authenticate, async (request, call) => {
    await replica.linearizable();
    const response = await authenticate(request, call);
    response.header ??= header(replica);
    return response;
  });

  /** Again from the start whenever users changed while the password was looked at (etcd: v3_server.go Authenticate). */
  async function authenticate(
    { name, password }: etcdserverpb.AuthenticateRequest,
    call: CallContext,
  ): Promise<etcdserverpb.AuthenticateResponse> {
    const untilMs = parts.monotonicMs() + parts.requestTimeoutMs;
    for (;;) {
      if (!auth.enabled) throw new StoreError('AUTH_NOT_ENABLED');
      const user = auth.user(name);
      const { revision } = auth;
      if (user?.options?.noPassword === true) throw refused(name, 'AUTH_NO_PASSWORD_USER');
      const good = await parts.passwords.matches(password, user?.password, () => call.cancelled);
      if (!good) throw refused(name, 'AUTH_FAILED');
      const simpleToken = access.signed === undefined ? parts.letters(TOKEN_LETTERS) : '';
      const command = new etcdserverpb.InternalAuthenticateRequest({ name, simpleToken });
      const body = etcdserverpb.encodeInternalAuthenticateRequest(command);
      const result = await replica.propose(CommandKind.Authenticate, body);
      if (revision === auth.revision) {
        const response = answer(replica, result, etcdserverpb.AuthenticateResponse);
        if (access.signed !== undefined) response.token = await access.signed.issue(name, revision);
        return response;
      }
      if (call.cancelled || parts.monotonicMs() >= untilMs) throw new StoreError('TIMEOUT');
    }
  }

  function refused(user: string, code: 'AUTH_FAILED' | 'AUTH_NO_PASSWORD_USER'): StoreError {
    const error = new StoreError(code);
    parts.logger.warn('invalid authentication was requested', { user, error: error.message });
    return error;
  }

  table.unary(Auth.methods.authStatus, async () => {
    await replica.linearizable();
    return new etcdserverpb.AuthStatusResponse({
      header: header(replica),
      enabled: auth.enabled,
      authRevision: auth.revision,
    });
  });

  /** @param own whether what is asked about is the caller's own */
  const read = async <T>(
    call: CallContext,
    own: (identity: Identity | undefined) => boolean,
    get: () => T,
  ): Promise<T> => {
    await replica.linearizable();
    const caller = await access.caller(call);
    if (!auth.isRoot(caller) && !own(caller)) auth.checkRoot(caller);
    return get();
  };
  const nobody = (): boolean => false;

  table.unary(Auth.methods.userGet, (request, call) =>
    read(
      call,
      // A caller without a name may as well ask about the user without one, whom there is never.
      (caller) => (caller?.username ?? '') === request.name,
      () =>
        new etcdserverpb.AuthUserGetResponse({
          header: header(replica),
          roles: [...auth.rolesOf(request.name)],
        }),
    ),
  );
  table.unary(Auth.methods.roleGet, (request, call) =>
    read(
      call,
      (caller) => auth.hasRole(caller?.username ?? '', request.role),
      () =>
        new etcdserverpb.AuthRoleGetResponse({
          header: header(replica),
          perm: [...auth.permissionsOf(request.role)],
        }),
    ),
  );
  table.unary(Auth.methods.userList, (_request, call) =>
    read(
      call,
      nobody,
      () => new etcdserverpb.AuthUserListResponse({ header: header(replica), users: auth.userNames() }),
    ),
  );
  table.unary(Auth.methods.roleList, (_request, call) =>
    read(
      call,
      nobody,
      () => new etcdserverpb.AuthRoleListResponse({ header: header(replica), roles: auth.roleNames() }),
    ),
  );
}
