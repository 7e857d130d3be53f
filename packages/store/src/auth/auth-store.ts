/**
 * Users, roles and whether they count: replicated state, changed by commands of the log alone. It decides what a user
 * may do and keeps etcd's rules of root and etcd's auth revision; it never sees a password or a token, only the hashes
 * that were made before a command was proposed. Modelled on etcd's server/auth/store.go, names and numbers included:
 * every change adds one to the revision, enabling does not.
 */
import { keyFromBytes } from '@keelson/base';
import { authpb, type etcdserverpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { ROOT_ROLE, ROOT_USER, type Identity } from './identity.ts';
import { isGrantable, RangeSet } from './permissions.ts';

/** Where it is kept; buckets auth, authUsers and authRoles in production. */
export interface AuthBackend {
  putEnabled(enabled: boolean): void;
  putRevision(revision: number): void;
  putUser(name: string, user: Buffer): void;
  deleteUser(name: string): void;
  putRole(name: string, role: Buffer): void;
  deleteRole(name: string): void;
}

/** What a backend holds. */
export interface AuthContent {
  readonly enabled: boolean;
  /** 0 where nothing was ever written. */
  readonly revision: number;
  readonly users: readonly Buffer[];
  readonly roles: readonly Buffer[];
}

export type Access = 'read' | 'write';

/** Told of changes, on every member, while they are applied. */
export interface AuthListener {
  /** Whatever a decision may depend on has changed. */
  changed(): void;
  /** The user's credentials are void: the password has changed or the user is gone. */
  userInvalidated(name: string): void;
  /** Auth was switched off, or everything was replaced: no token is worth anything. */
  tokensInvalidated(): void;
}

/** An empty store is at revision 1, as etcd's. */
const FIRST_REVISION = 1;

interface UserRanges {
  readonly read: RangeSet;
  readonly write: RangeSet;
}

export class AuthStore {
  private users = new Map<string, authpb.User>();
  private roles = new Map<string, authpb.Role>();
  private on = false;
  private rev = FIRST_REVISION;
  /** Of each user, made when first asked for; dropped at every change. */
  private ranges = new Map<string, UserRanges>();
  private readonly backend: AuthBackend;
  private readonly hashPlain: (password: string) => Buffer;
  private listener: AuthListener | undefined;

  /**
   * @param hashPlain for entries of an etcd before 3.5, which put the password itself into the log: hashes it here and
   *   now, and on each member with a salt of its own, as that etcd did
   */
  constructor(backend: AuthBackend, hashPlain: (password: string) => Buffer) {
    this.backend = backend;
    this.hashPlain = hashPlain;
  }

  setListener(listener: AuthListener): void {
    this.listener = listener;
  }

  /** Takes the place of everything before it. */
  restore(content: AuthContent): void {
    this.on = content.enabled;
    this.rev = Math.max(FIRST_REVISION, content.revision);
    this.users = new Map();
    this.roles = new Map();
    for (const bytes of content.users) {
      const user = authpb.decodeUser(bytes);
      this.users.set(user.name.toString('utf8'), user);
    }
    for (const bytes of content.roles) {
      const role = authpb.decodeRole(bytes);
      this.roles.set(role.name.toString('utf8'), role);
    }
    this.ranges.clear();
    // Who changed a password meanwhile is not to be known from a snapshot.
    this.listener?.tokensInvalidated();
    this.listener?.changed();
  }

  get enabled(): boolean {
    return this.on;
  }

  get revision(): number {
    return this.rev;
  }

  // Decisions.

  /**
   * @throws StoreError USER_EMPTY without an identity, AUTH_REVISION_OLD, PERMISSION_DENIED; nothing while auth is off
   */
  checkRange(identity: Identity | undefined, access: Access, key: string, end: string): void {
    if (!this.on) return;
    if (identity === undefined || identity.revision === 0) throw new StoreError('USER_EMPTY');
    if (identity.revision < this.rev) throw new StoreError('AUTH_REVISION_OLD');
    if (!this.permits(identity.username, access, key, end)) throw new StoreError('PERMISSION_DENIED');
  }

  /** @throws StoreError USER_EMPTY, USER_NOT_FOUND, PERMISSION_DENIED; like etcd it asks for no revision */
  checkRoot(identity: Identity | undefined): void {
    if (!this.on) return;
    if (identity === undefined || identity.username === '') throw new StoreError('USER_EMPTY');
    const user = this.users.get(identity.username);
    if (user === undefined) throw new StoreError('USER_NOT_FOUND');
    if (!user.roles.includes(ROOT_ROLE)) throw new StoreError('PERMISSION_DENIED');
  }

  isRoot(identity: Identity | undefined): boolean {
    if (!this.on) return true;
    return identity !== undefined && this.users.get(identity.username)?.roles.includes(ROOT_ROLE) === true;
  }

  /** Whether a user may do this to all keys of the range, by the roles of now. */
  permits(username: string, access: Access, key: string, end: string): boolean {
    const user = this.users.get(username);
    if (user === undefined) return false;
    if (user.roles.includes(ROOT_ROLE)) return true;
    return this.rangesOf(username, user)[access].covers(key, end);
  }

  private rangesOf(username: string, user: authpb.User): UserRanges {
    let ranges = this.ranges.get(username);
    if (ranges === undefined) {
      const granted = user.roles.flatMap((name) => this.roles.get(name)?.keyPermission ?? []);
      const { READ, WRITE, READWRITE } = authpb.PermissionType;
      const set = (...types: number[]): RangeSet =>
        RangeSet.of(
          granted
            .filter(({ permType }) => types.includes(permType))
            .map(({ key, rangeEnd }) => ({ key: keyFromBytes(key), end: keyFromBytes(rangeEnd) })),
        );
      ranges = { read: set(READ, READWRITE), write: set(WRITE, READWRITE) };
      this.ranges.set(username, ranges);
    }
    return ranges;
  }

  // What there is.

  user(name: string): authpb.User | undefined {
    return this.users.get(name);
  }

  hasRole(username: string, role: string): boolean {
    return this.users.get(username)?.roles.includes(role) === true;
  }

  /** In byte order. */
  userNames(): string[] {
    return inByteOrder(this.users.keys());
  }

  /** In byte order. */
  roleNames(): string[] {
    return inByteOrder(this.roles.keys());
  }

  /** @throws StoreError USER_NOT_FOUND */
  rolesOf(name: string): readonly string[] {
    return this.existing(name).roles;
  }

  /** The role "root", where somebody made it, allows everything whatever was granted to it. @throws StoreError ROLE_NOT_FOUND */
  permissionsOf(name: string): readonly authpb.Permission[] {
    const role = this.roles.get(name);
    if (role === undefined) throw new StoreError('ROLE_NOT_FOUND');
    if (name !== ROOT_ROLE) return role.keyPermission;
    return [new authpb.Permission({ permType: authpb.PermissionType.READWRITE, rangeEnd: Buffer.from([0]) })];
  }

  // Changes. Each throws a StoreError and then has changed nothing.

  enable(): void {
    if (this.on) return;
    const root = this.users.get(ROOT_USER);
    if (root === undefined) throw new StoreError('ROOT_USER_MISSING');
    if (!root.roles.includes(ROOT_ROLE)) throw new StoreError('ROOT_ROLE_MISSING');
    this.on = true;
    this.backend.putEnabled(true);
    this.listener?.changed();
  }

  disable(): void {
    if (!this.on) return;
    this.on = false;
    this.backend.putEnabled(false);
    this.commit();
    this.listener?.tokensInvalidated();
  }

  userAdd(request: etcdserverpb.AuthUserAddRequest): void {
    if (request.name === '') throw new StoreError('USER_EMPTY');
    if (this.users.has(request.name)) throw new StoreError('USER_EXISTS');
    const options = request.options ?? new authpb.UserAddOptions();
    const user = new authpb.User({ name: Buffer.from(request.name, 'utf8'), options });
    if (!options.noPassword) user.password = this.hashOf(request);
    this.putUser(request.name, user);
    this.commit();
    this.listener?.userInvalidated(request.name);
  }

  userDelete(name: string): void {
    if (this.on && name === ROOT_USER) throw new StoreError('INVALID_AUTH_MANAGEMENT');
    this.existing(name);
    this.users.delete(name);
    this.backend.deleteUser(name);
    this.commit();
    this.listener?.userInvalidated(name);
  }

  userChangePassword(request: etcdserverpb.AuthUserChangePasswordRequest): void {
    const user = this.existing(request.name);
    const { name, roles, options } = user;
    const changed = new authpb.User({ name, roles, ...(options === undefined ? {} : { options }) });
    if (options?.noPassword !== true) changed.password = this.hashOf(request);
    this.putUser(request.name, changed);
    this.commit();
    this.listener?.userInvalidated(request.name);
  }

  /** A role twice is no error and no change. "root" can be granted though no such role was made. */
  userGrantRole(name: string, role: string): void {
    const user = this.existing(name);
    if (role !== ROOT_ROLE && !this.roles.has(role)) throw new StoreError('ROLE_NOT_FOUND');
    if (user.roles.includes(role)) return;
    user.roles = inByteOrder([...user.roles, role]);
    this.putUser(name, user);
    this.commit();
  }

  userRevokeRole(name: string, role: string): void {
    if (this.on && name === ROOT_USER && role === ROOT_ROLE) throw new StoreError('INVALID_AUTH_MANAGEMENT');
    const user = this.existing(name);
    if (!user.roles.includes(role)) throw new StoreError('ROLE_NOT_GRANTED');
    user.roles = user.roles.filter((one) => one !== role);
    this.putUser(name, user);
    this.commit();
  }

  roleAdd(name: string): void {
    if (name === '') throw new StoreError('ROLE_EMPTY');
    if (this.roles.has(name)) throw new StoreError('ROLE_EXISTS');
    this.putRole(name, new authpb.Role({ name: Buffer.from(name, 'utf8') }));
    this.commit();
  }

  /** Takes it from all users too. */
  roleDelete(name: string): void {
    if (this.on && name === ROOT_ROLE) throw new StoreError('INVALID_AUTH_MANAGEMENT');
    if (!this.roles.delete(name)) throw new StoreError('ROLE_NOT_FOUND');
    this.backend.deleteRole(name);
    for (const [username, user] of this.users) {
      if (!user.roles.includes(name)) continue;
      user.roles = user.roles.filter((one) => one !== name);
      this.putUser(username, user);
    }
    this.commit();
  }

  /** A permission on the same range is replaced. */
  roleGrantPermission(name: string, permission: authpb.Permission | undefined): void {
    if (permission === undefined) throw new StoreError('PERMISSION_NOT_GIVEN');
    const { permType } = permission;
    if (!isGrantable(keyFromBytes(permission.key), keyFromBytes(permission.rangeEnd)))
      throw new StoreError('INVALID_AUTH_MANAGEMENT');
    const role = this.existingRole(name);
    const first = role.keyPermission.findIndex((one) => Buffer.compare(one.key, permission.key) >= 0);
    const there = first < 0 ? undefined : role.keyPermission[first];
    // etcd looks at the first permission on this key only: of several ranges from one key the others appear twice.
    if (there?.key.equals(permission.key) === true && there.rangeEnd.equals(permission.rangeEnd))
      there.permType = permType;
    else {
      // What the log holds must not be kept alive by a view of a few bytes.
      const key = Buffer.from(permission.key);
      const rangeEnd = Buffer.from(permission.rangeEnd);
      role.keyPermission.push(new authpb.Permission({ permType, key, rangeEnd }));
      role.keyPermission.sort((a, b) => Buffer.compare(a.key, b.key));
    }
    this.putRole(name, role);
    this.commit();
  }

  roleRevokePermission(name: string, key: Buffer, rangeEnd: Buffer): void {
    const role = this.existingRole(name);
    const left = role.keyPermission.filter((one) => !one.key.equals(key) || !one.rangeEnd.equals(rangeEnd));
    if (left.length === role.keyPermission.length) throw new StoreError('PERMISSION_NOT_GRANTED');
    role.keyPermission = left;
    this.putRole(name, role);
    this.commit();
  }

  /** @throws StoreError AUTH_NO_PASSWORD_USER, etcd's word for base64 it cannot read */
  private hashOf(request: { readonly password: string; readonly hashedPassword: string }): Buffer {
    if (request.password !== '' && request.hashedPassword === '') return this.hashPlain(request.password);
    if (!BASE64.test(request.hashedPassword)) throw new StoreError('AUTH_NO_PASSWORD_USER');
    return Buffer.from(request.hashedPassword, 'base64');
  }

  private existing(name: string): authpb.User {
    const user = this.users.get(name);
    if (user === undefined) throw new StoreError('USER_NOT_FOUND');
    return user;
  }

  private existingRole(name: string): authpb.Role {
    const role = this.roles.get(name);
    if (role === undefined) throw new StoreError('ROLE_NOT_FOUND');
    return role;
  }

  private putUser(name: string, user: authpb.User): void {
    this.users.set(name, user);
    this.backend.putUser(name, authpb.encodeUser(user));
  }

  private putRole(name: string, role: authpb.Role): void {
    this.roles.set(name, role);
    this.backend.putRole(name, authpb.encodeRole(role));
  }

  private commit(): void {
    this.rev++;
    this.backend.putRevision(this.rev);
    this.ranges.clear();
    this.listener?.changed();
  }
}

function inByteOrder(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')));
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
