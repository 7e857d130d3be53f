/**
 * The Auth service in generated scripts: users, roles and permissions drawn and changed, by root, by limited
 * users, by nobody and with wrong tokens. Root keeps its password, so that every script can be undone.
 */
import type { Prng } from '@keelson/base';
import { authpb, etcdserverpb as pb, services } from '@keelson/proto';
import type { MethodDescriptor } from '@keelson/rpc';
import { bytes } from '../api-call.ts';
import { ENDS, KEYS, show, step, type Step } from './operations.ts';

const { methods } = services.Auth;
export const ROOT_PASSWORD = 'rootpw';
export const USERS = ['alice', 'bob', 'carol'] as const;
export const ROLES = ['reader', 'writer', 'nothing'] as const;

function call<Req extends object, Res extends object>(
  name: string,
  method: MethodDescriptor<Req, Res>,
  request: Req,
  as: string | undefined,
): Step {
  return step(`Auth.${name}`, `${as ?? 'nobody'}: ${show(request)}`, (s) => s.call(method, request, as));
}

const passwordOf = (user: string): string => (user === 'root' ? ROOT_PASSWORD : `${user}pw`);

export const userAdd = (name: string, as?: string): Step =>
  call('UserAdd', methods.userAdd, new pb.AuthUserAddRequest({ name, password: passwordOf(name) }), as);
export const roleAdd = (name: string, as?: string): Step =>
  call('RoleAdd', methods.roleAdd, new pb.AuthRoleAddRequest({ name }), as);
export const userGrantRole = (user: string, role: string, as?: string): Step =>
  call('UserGrantRole', methods.userGrantRole, new pb.AuthUserGrantRoleRequest({ user, role }), as);
export const enable = (as?: string): Step =>
  call('AuthEnable', methods.authEnable, new pb.AuthEnableRequest(), as);
export const disable = (as?: string): Step =>
  call('AuthDisable', methods.authDisable, new pb.AuthDisableRequest(), as);
export const authenticate = (user: string, password = passwordOf(user)): Step =>
  step('Auth.Authenticate', `${user} with ${password}`, (s) => s.authenticate(user, password));

export function grantPermission(prng: Prng, role: string, as?: string): Step {
  const { READ, WRITE, READWRITE } = authpb.PermissionType;
  const key = prng.pick(KEYS);
  const perm = new authpb.Permission({
    permType: prng.pick([READ, WRITE, READWRITE]),
    key: bytes(key),
    // etcd 3.4 takes an empty range, and one without a key: 3.7 refuses them.
    rangeEnd: bytes(prng.chance(1, 2) ? '' : prng.pick(ENDS.filter((end) => end === '\0' || end > key))),
  });
  const request = new pb.AuthRoleGrantPermissionRequest({ name: role, perm });
  return call('RoleGrantPermission', methods.roleGrantPermission, request, as);
}

/** One change or question about users and roles. */
export function authOperation(prng: Prng, as: string | undefined): Step {
  const user = prng.chance(1, 15) ? '' : prng.pick([...USERS, 'root', 'dave']);
  const role = prng.chance(1, 15) ? '' : prng.pick([...ROLES, 'root', 'missing']);
  switch (prng.below(14)) {
    case 0:
      return userAdd(user, as);
    case 1:
      return roleAdd(prng.chance(1, 8) ? '' : role, as);
    case 2:
    case 3:
      return userGrantRole(user, role, as);
    case 4:
    case 5:
      return grantPermission(prng, role, as);
    case 6:
      return call('UserGet', methods.userGet, new pb.AuthUserGetRequest({ name: user }), as);
    case 7:
      return call('RoleGet', methods.roleGet, new pb.AuthRoleGetRequest({ role }), as);
    case 8:
      return call('UserList', methods.userList, new pb.AuthUserListRequest(), as);
    case 9:
      return call('RoleList', methods.roleList, new pb.AuthRoleListRequest(), as);
    case 10:
      return call(
        'UserRevokeRole',
        methods.userRevokeRole,
        new pb.AuthUserRevokeRoleRequest({ name: user, role }),
        as,
      );
    case 11: {
      const request = new pb.AuthRoleRevokePermissionRequest({
        role,
        key: bytes(prng.pick(KEYS)),
        rangeEnd: bytes(prng.chance(1, 2) ? '' : prng.pick(ENDS)),
      });
      return call('RoleRevokePermission', methods.roleRevokePermission, request, as);
    }
    case 12: {
      const request = new pb.AuthUserChangePasswordRequest({ name: user, password: passwordOf(user) });
      return call('UserChangePassword', methods.userChangePassword, request, as);
    }
    default:
      return prng.chance(1, 2)
        ? call(
            'UserDelete',
            methods.userDelete,
            new pb.AuthUserDeleteRequest({ name: prng.pick([user, 'root']) }),
            as,
          )
        : call('RoleDelete', methods.roleDelete, new pb.AuthRoleDeleteRequest({ role }), as);
  }
}

/** Everything undone, whatever stands: as root where auth is on, then as nobody. */
export function cleanUp(enabled: boolean): Step[] {
  const steps = [
    authenticate('root'),
    disable(enabled ? 'root' : undefined),
    ...[...USERS, 'root', 'dave'].map((name) =>
      call('UserDelete', methods.userDelete, new pb.AuthUserDeleteRequest({ name }), undefined),
    ),
    ...[...ROLES, 'root', 'missing'].map((role) =>
      call('RoleDelete', methods.roleDelete, new pb.AuthRoleDeleteRequest({ role }), undefined),
    ),
  ];
  return steps.map((each) => ({ ...each, traits: new Set([...each.traits, 'clean up']) }));
}
