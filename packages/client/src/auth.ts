/**
 * Users, roles and permissions, and the token that says who this client is. The token is fetched before
 * the first call, shared by all, and renewed when a server refuses it; two calls never fetch it twice.
 */
import { authpb, etcdserverpb, services } from '@keelson/proto';
import { rangeOf, type Bytes, type KeyRange } from './bytes.ts';
import type { Endpoint } from './endpoints.ts';
import { toEtcdError } from './errors.ts';
import type { Caller, RequestOptions, TokenSource } from './retry.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** The token of one user, or one that was given; with undefined credentials there is never one. */
export class Tokens implements TokenSource {
  private readonly credentials: Credentials | string | undefined;
  private current: string | undefined = undefined;
  private fetching: Promise<string | undefined> | undefined = undefined;
  /** The server has authentication switched off; asked again when it refuses a call. */
  private needless = false;

  /** @param credentials who logs in; or a token made elsewhere, which cannot be renewed here */
  constructor(credentials: Credentials | string | undefined) {
    this.credentials = credentials;
  }

  async token(endpoint: Endpoint, timeoutMs: number): Promise<string | undefined> {
    if (typeof this.credentials === 'string') return this.credentials;
    if (this.credentials === undefined || this.needless) return undefined;
    if (this.current !== undefined) return this.current;
    this.fetching ??= this.fetch(this.credentials, endpoint, timeoutMs).finally(() => {
      this.fetching = undefined;
    });
    return this.fetching;
  }

  refused(token: string | undefined): boolean {
    if (this.credentials === undefined || typeof this.credentials === 'string') return false;
    this.needless = false;
    // Another call may have renewed it since this one was sent.
    if (this.current === token) this.current = undefined;
    return true;
  }

  private async fetch(
    credentials: Credentials,
    endpoint: Endpoint,
    timeoutMs: number,
  ): Promise<string | undefined> {
    const request = new etcdserverpb.AuthenticateRequest({
      name: credentials.user,
      password: credentials.password,
    });
    try {
      const method = services.Auth.methods.authenticate;
      const response = await endpoint.channel.unary(method, request, { timeoutMs: Math.max(1, timeoutMs) });
      this.current = response.token;
      return response.token;
    } catch (reason) {
      const error = toEtcdError(reason);
      if (error.reason !== 'AUTH_NOT_ENABLED') throw error;
      this.needless = true;
      return undefined;
    }
  }
}

export type PermissionKind = 'read' | 'write' | 'readwrite';

const KINDS: Readonly<Record<PermissionKind, number>> = {
  read: authpb.PermissionType.READ,
  write: authpb.PermissionType.WRITE,
  readwrite: authpb.PermissionType.READWRITE,
};

/** The Auth service. What reads is repeated on a broken connection, what changes is not. */
export class Auth {
  private readonly caller: Caller;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  enable(options?: RequestOptions): Promise<etcdserverpb.AuthEnableResponse> {
    return this.caller.unary(M.authEnable, new etcdserverpb.AuthEnableRequest(), 'write', options);
  }

  disable(options?: RequestOptions): Promise<etcdserverpb.AuthDisableResponse> {
    return this.caller.unary(M.authDisable, new etcdserverpb.AuthDisableRequest(), 'write', options);
  }

  status(options?: RequestOptions): Promise<etcdserverpb.AuthStatusResponse> {
    return this.caller.unary(M.authStatus, new etcdserverpb.AuthStatusRequest(), 'read', options);
  }

  /** A token for these credentials, not kept by this client. */
  authenticate(
    credentials: Credentials,
    options?: RequestOptions,
  ): Promise<etcdserverpb.AuthenticateResponse> {
    const request = new etcdserverpb.AuthenticateRequest({
      name: credentials.user,
      password: credentials.password,
    });
    return this.caller.unary(M.authenticate, request, 'read', options);
  }

  /** @param password undefined: the user has none and comes by certificate alone */
  userAdd(
    name: string,
    password: string | undefined,
    options?: RequestOptions,
  ): Promise<etcdserverpb.AuthUserAddResponse> {
    const request = new etcdserverpb.AuthUserAddRequest({
      name,
      password: password ?? '',
      options: new authpb.UserAddOptions({ noPassword: password === undefined }),
    });
    return this.caller.unary(M.userAdd, request, 'write', options);
  }

  userGet(name: string, options?: RequestOptions): Promise<etcdserverpb.AuthUserGetResponse> {
    return this.caller.unary(M.userGet, new etcdserverpb.AuthUserGetRequest({ name }), 'read', options);
  }

  userList(options?: RequestOptions): Promise<etcdserverpb.AuthUserListResponse> {
    return this.caller.unary(M.userList, new etcdserverpb.AuthUserListRequest(), 'read', options);
  }

  userDelete(name: string, options?: RequestOptions): Promise<etcdserverpb.AuthUserDeleteResponse> {
    return this.caller.unary(
      M.userDelete,
      new etcdserverpb.AuthUserDeleteRequest({ name }),
      'write',
      options,
    );
  }

  userChangePassword(
    name: string,
    password: string,
    options?: RequestOptions,
  ): Promise<etcdserverpb.AuthUserChangePasswordResponse> {
    const request = new etcdserverpb.AuthUserChangePasswordRequest({ name, password });
    return this.caller.unary(M.userChangePassword, request, 'write', options);
  }

  userGrantRole(
    user: string,
    role: string,
    options?: RequestOptions,
  ): Promise<etcdserverpb.AuthUserGrantRoleResponse> {
    const request = new etcdserverpb.AuthUserGrantRoleRequest({ user, role });
    return this.caller.unary(M.userGrantRole, request, 'write', options);
  }

  userRevokeRole(
    name: string,
    role: string,
    options?: RequestOptions,
  ): Promise<etcdserverpb.AuthUserRevokeRoleResponse> {
    const request = new etcdserverpb.AuthUserRevokeRoleRequest({ name, role });
    return this.caller.unary(M.userRevokeRole, request, 'write', options);
  }

  roleAdd(name: string, options?: RequestOptions): Promise<etcdserverpb.AuthRoleAddResponse> {
    return this.caller.unary(M.roleAdd, new etcdserverpb.AuthRoleAddRequest({ name }), 'write', options);
  }

  roleGet(role: string, options?: RequestOptions): Promise<etcdserverpb.AuthRoleGetResponse> {
    return this.caller.unary(M.roleGet, new etcdserverpb.AuthRoleGetRequest({ role }), 'read', options);
  }

  roleList(options?: RequestOptions): Promise<etcdserverpb.AuthRoleListResponse> {
    return this.caller.unary(M.roleList, new etcdserverpb.AuthRoleListRequest(), 'read', options);
  }

  roleDelete(role: string, options?: RequestOptions): Promise<etcdserverpb.AuthRoleDeleteResponse> {
    return this.caller.unary(
      M.roleDelete,
      new etcdserverpb.AuthRoleDeleteRequest({ role }),
      'write',
      options,
    );
  }

  roleGrantPermission(
    name: string,
    kind: PermissionKind,
    key: Bytes,
    options: RequestOptions & KeyRange = {},
  ): Promise<etcdserverpb.AuthRoleGrantPermissionResponse> {
    const perm = new authpb.Permission({ permType: KINDS[kind], ...rangeOf(key, options) });
    const request = new etcdserverpb.AuthRoleGrantPermissionRequest({ name, perm });
    return this.caller.unary(M.roleGrantPermission, request, 'write', options);
  }

  roleRevokePermission(
    role: string,
    key: Bytes,
    options: RequestOptions & KeyRange = {},
  ): Promise<etcdserverpb.AuthRoleRevokePermissionResponse> {
    const request = new etcdserverpb.AuthRoleRevokePermissionRequest({ role, ...rangeOf(key, options) });
    return this.caller.unary(M.roleRevokePermission, request, 'write', options);
  }
}

const M = services.Auth.methods;
