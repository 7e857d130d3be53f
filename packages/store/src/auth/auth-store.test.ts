import { beforeEach, describe, expect, test } from '@jest/globals';
import { authpb, etcdserverpb } from '@keelson/proto';
import { StoreError } from '../errors.ts';
import { AuthStore, type AuthBackend, type AuthListener } from './auth-store.ts';

const { READ, WRITE, READWRITE } = authpb.PermissionType;
const HASH = Buffer.from('$2a$04$hash').toString('base64');

/** What was written, as a backend holds it. */
class Kept implements AuthBackend {
  enabled = false;
  revision = 0;
  readonly users = new Map<string, Buffer>();
  readonly roles = new Map<string, Buffer>();
  putEnabled(enabled: boolean): void {
    this.enabled = enabled;
  }
  putRevision(revision: number): void {
    this.revision = revision;
  }
  putUser(name: string, user: Buffer): void {
    this.users.set(name, user);
  }
  deleteUser(name: string): void {
    this.users.delete(name);
  }
  putRole(name: string, role: Buffer): void {
    this.roles.set(name, role);
  }
  deleteRole(name: string): void {
    this.roles.delete(name);
  }
}

class Heard implements AuthListener {
  readonly events: string[] = [];
  changed(): void {
    this.events.push('changed');
  }
  userInvalidated(name: string): void {
    this.events.push(`user ${name}`);
  }
  tokensInvalidated(): void {
    this.events.push('tokens');
  }
}

let kept: Kept;
let heard: Heard;
let auth: AuthStore;

const addUser = (name: string, options?: authpb.UserAddOptions): void =>
  auth.userAdd(
    new etcdserverpb.AuthUserAddRequest({
      name,
      hashedPassword: HASH,
      ...(options === undefined ? {} : { options }),
    }),
  );
const grant = (role: string, permType: number, key: string, rangeEnd = ''): void =>
  auth.roleGrantPermission(
    role,
    new authpb.Permission({ permType, key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) }),
  );
const code = (change: () => void): string => {
  try {
    change();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return 'OK';
};
/** What one who knows of everything may do. */
const may = (username: string, access: 'read' | 'write', key: string, end = ''): string =>
  code(() => auth.checkRange({ username, revision: auth.revision }, access, key, end));

beforeEach(() => {
  kept = new Kept();
  heard = new Heard();
  auth = new AuthStore(kept, (password) => Buffer.from(`plain ${password}`));
  auth.setListener(heard);
});

function withRoot(): void {
  addUser('root');
  auth.userGrantRole('root', 'root');
}

test('every change adds one to the revision, what changes nothing and enabling do not', () => {
  const after = (change: () => void): number => {
    change();
    return auth.revision;
  };
  expect(auth.revision).toBe(1);
  expect(after(() => addUser('u'))).toBe(2);
  expect(after(() => auth.roleAdd('r'))).toBe(3);
  expect(after(() => grant('r', READ, 'k'))).toBe(4);
  expect(after(() => auth.userGrantRole('u', 'r'))).toBe(5);
  expect(after(() => auth.userGrantRole('u', 'r'))).toBe(5);
  expect(after(() => withRoot())).toBe(7);
  expect(after(() => auth.enable())).toBe(7);
  expect(after(() => auth.enable())).toBe(7);
  expect(after(() => auth.userRevokeRole('u', 'r'))).toBe(8);
  expect(after(() => auth.disable())).toBe(9);
  expect(after(() => auth.disable())).toBe(9);
  expect(kept.revision).toBe(9);
});

test.each<[string, () => void, string]>([
  ['a user without a name', () => addUser(''), 'USER_EMPTY'],
  ['a user twice', () => addUser('root'), 'USER_EXISTS'],
  [
    'a hash that is no base64',
    () => auth.userAdd(new etcdserverpb.AuthUserAddRequest({ name: 'x', hashedPassword: '$' })),
    'AUTH_NO_PASSWORD_USER',
  ],
  ['root gone', () => auth.userDelete('root'), 'INVALID_AUTH_MANAGEMENT'],
  ['nobody gone', () => auth.userDelete('x'), 'USER_NOT_FOUND'],
  [
    'the password of nobody',
    () => auth.userChangePassword(new etcdserverpb.AuthUserChangePasswordRequest({ name: 'x' })),
    'USER_NOT_FOUND',
  ],
  ['a role for nobody', () => auth.userGrantRole('x', 'r'), 'USER_NOT_FOUND'],
  ['no role for a user', () => auth.userGrantRole('root', 'x'), 'ROLE_NOT_FOUND'],
  ['root without root', () => auth.userRevokeRole('root', 'root'), 'INVALID_AUTH_MANAGEMENT'],
  ['a role that was not granted', () => auth.userRevokeRole('root', 'r'), 'ROLE_NOT_GRANTED'],
  ['a role of nobody', () => auth.userRevokeRole('x', 'r'), 'USER_NOT_FOUND'],
  ['a role without a name', () => auth.roleAdd(''), 'ROLE_EMPTY'],
  ['a role twice', () => auth.roleAdd('r'), 'ROLE_EXISTS'],
  ['the role root gone', () => auth.roleDelete('root'), 'INVALID_AUTH_MANAGEMENT'],
  ['no role gone', () => auth.roleDelete('x'), 'ROLE_NOT_FOUND'],
  ['no permission', () => auth.roleGrantPermission('r', undefined), 'PERMISSION_NOT_GIVEN'],
  ['a permission without a key', () => grant('r', READ, ''), 'INVALID_AUTH_MANAGEMENT'],
  ['an empty permission', () => grant('r', READ, 'b', 'a'), 'INVALID_AUTH_MANAGEMENT'],
  [
    'a bad permission is told before a missing role',
    () => grant('x', READ, 'b', 'a'),
    'INVALID_AUTH_MANAGEMENT',
  ],
  ['a permission for no role', () => grant('x', READ, 'a'), 'ROLE_NOT_FOUND'],
  [
    'a permission that was not granted',
    () => auth.roleRevokePermission('r', Buffer.from('a'), Buffer.alloc(0)),
    'PERMISSION_NOT_GRANTED',
  ],
  [
    'a permission of no role',
    () => auth.roleRevokePermission('x', Buffer.from('a'), Buffer.alloc(0)),
    'ROLE_NOT_FOUND',
  ],
  ['what there is of no role', () => auth.permissionsOf('x'), 'ROLE_NOT_FOUND'],
  ['what there is of nobody', () => auth.rolesOf('x'), 'USER_NOT_FOUND'],
])('%s is refused, and nothing has changed', (_name, change, want) => {
  withRoot();
  auth.roleAdd('r');
  auth.enable();
  const before = JSON.stringify([auth.revision, [...kept.users], [...kept.roles], heard.events]);
  expect(code(change)).toBe(want);
  expect(JSON.stringify([auth.revision, [...kept.users], [...kept.roles], heard.events])).toBe(before);
});

describe('who may do what', () => {
  beforeEach(() => {
    withRoot();
    for (const name of ['reader', 'writer', 'both', 'none']) {
      addUser(name);
      auth.roleAdd(name);
      auth.userGrantRole(name, name);
    }
    grant('reader', READ, 'k', 'l');
    grant('writer', WRITE, 'k', 'l');
    grant('both', READWRITE, 'k', '\0');
    auth.enable();
  });

  test.each<[string, 'read' | 'write', string, string, string]>([
    ['reader', 'read', 'k1', '', 'OK'],
    ['reader', 'read', 'k', 'l', 'OK'],
    ['reader', 'read', 'k', '\0', 'PERMISSION_DENIED'],
    ['reader', 'write', 'k1', '', 'PERMISSION_DENIED'],
    ['writer', 'write', 'k', 'l', 'OK'],
    ['writer', 'read', 'k1', '', 'PERMISSION_DENIED'],
    ['both', 'read', 'z', '\0', 'OK'],
    ['both', 'write', 'z', '\0', 'OK'],
    ['both', 'write', 'a', '', 'PERMISSION_DENIED'],
    ['none', 'read', 'k', '', 'PERMISSION_DENIED'],
    ['gone', 'read', 'k', '', 'PERMISSION_DENIED'],
    ['root', 'write', '\0', '\0', 'OK'],
  ])('%s, %s of %j %j: %s', (user, access, key, end, want) => {
    expect(may(user, access, key, end)).toBe(want);
  });

  test('an old revision is refused, a newer one is not, and none is nobody', () => {
    const read = (revision: number, username = 'reader'): string =>
      code(() => auth.checkRange({ username, revision }, 'read', 'k', ''));
    expect(read(auth.revision - 1)).toBe('AUTH_REVISION_OLD');
    expect(read(auth.revision)).toBe('OK');
    expect(read(auth.revision + 5)).toBe('OK');
    expect(read(0)).toBe('USER_EMPTY');
    expect(read(auth.revision - 1, 'root')).toBe('AUTH_REVISION_OLD');
    expect(code(() => auth.checkRange(undefined, 'read', 'k', ''))).toBe('USER_EMPTY');
  });

  test('root is asked for by name and role, whatever revision it knows', () => {
    const root = (username: string): string => code(() => auth.checkRoot({ username, revision: 1 }));
    expect(root('root')).toBe('OK');
    expect(root('reader')).toBe('PERMISSION_DENIED');
    expect(root('gone')).toBe('USER_NOT_FOUND');
    expect(root('')).toBe('USER_EMPTY');
    expect(code(() => auth.checkRoot(undefined))).toBe('USER_EMPTY');
    auth.userGrantRole('reader', 'root');
    expect(root('reader')).toBe('OK');
  });

  test('changes hold at once', () => {
    auth.roleRevokePermission('reader', Buffer.from('k'), Buffer.from('l'));
    expect(may('reader', 'read', 'k')).toBe('PERMISSION_DENIED');
    grant('reader', READ, 'k');
    expect(may('reader', 'read', 'k')).toBe('OK');
    grant('reader', WRITE, 'k');
    expect(may('reader', 'read', 'k')).toBe('PERMISSION_DENIED');
    expect(may('reader', 'write', 'k')).toBe('OK');
    auth.userGrantRole('reader', 'both');
    expect(may('reader', 'read', 'k')).toBe('OK');
    auth.roleDelete('both');
    expect(auth.rolesOf('reader')).toEqual(['reader']);
    expect(may('reader', 'read', 'k')).toBe('PERMISSION_DENIED');
    auth.disable();
    expect(may('reader', 'read', 'k')).toBe('OK');
  });
});

test('who is told of what', () => {
  addUser('u');
  auth.roleAdd('r');
  auth.userChangePassword(
    new etcdserverpb.AuthUserChangePasswordRequest({ name: 'u', hashedPassword: HASH }),
  );
  auth.userDelete('u');
  withRoot();
  heard.events.length = 0;
  auth.enable();
  auth.disable();
  expect(heard.events).toEqual(['changed', 'changed', 'tokens']);
});

test('names and roles are listed in byte order, and roles kept so', () => {
  const names = ['b', 'a', '\u{1f511}', '\uffee', 'Z'];
  for (const name of names) {
    addUser(name);
    auth.roleAdd(name);
    auth.userGrantRole('b', name);
  }
  const sorted = ['Z', 'a', 'b', '\uffee', '\u{1f511}'];
  expect(auth.userNames()).toEqual(sorted);
  expect(auth.roleNames()).toEqual(sorted);
  expect(auth.rolesOf('b')).toEqual(sorted);
});

test('the role root, once made, is shown as what it is', () => {
  auth.roleAdd('root');
  grant('root', READ, 'k');
  expect(auth.permissionsOf('root')).toEqual([
    new authpb.Permission({ permType: READWRITE, rangeEnd: Buffer.from([0]) }),
  ]);
});

test('a user without a password has none, whatever is sent', () => {
  addUser('u', new authpb.UserAddOptions({ noPassword: true }));
  auth.userChangePassword(
    new etcdserverpb.AuthUserChangePasswordRequest({ name: 'u', hashedPassword: HASH }),
  );
  expect(auth.user('u')).toMatchObject({ password: Buffer.alloc(0), options: { noPassword: true } });
});

test('the password of an entry older than etcd 3.5 is hashed when it is applied', () => {
  auth.userAdd(new etcdserverpb.AuthUserAddRequest({ name: 'u', password: 'pw' }));
  expect(auth.user('u')!.password.toString()).toBe('plain pw');
});

test('what is kept comes back as it was, in the bytes of etcd', () => {
  withRoot();
  auth.roleAdd('r');
  grant('r', READWRITE, 'k', 'l');
  addUser('u');
  auth.userGrantRole('u', 'r');
  auth.enable();
  // authpb.User: name, password, roles, and options, which are there though they are empty.
  expect(kept.users.get('u')!.toString('hex')).toBe(
    Buffer.concat([
      Buffer.from([0x0a, 1]),
      Buffer.from('u'),
      Buffer.from([0x12, 11]),
      Buffer.from('$2a$04$hash'),
      Buffer.from([0x1a, 1]),
      Buffer.from('r'),
      Buffer.from([0x22, 0]),
    ]).toString('hex'),
  );
  const again = new AuthStore(new Kept(), () => Buffer.alloc(0));
  again.restore({
    enabled: kept.enabled,
    revision: kept.revision,
    users: [...kept.users.values()],
    roles: [...kept.roles.values()],
  });
  expect(again.enabled).toBe(true);
  expect(again.revision).toBe(auth.revision);
  expect(again.userNames()).toEqual(['root', 'u']);
  expect(again.permissionsOf('r')).toEqual(auth.permissionsOf('r'));
  expect(again.permits('u', 'write', 'k1', '')).toBe(true);
});
