import { beforeEach, describe, expect, test } from '@jest/globals';
import { authpb, etcdserverpb, services } from '@keelson/proto';
import { inProcessChannel, Metadata, type CallContext } from '@keelson/rpc';
import { AuthStore } from '../auth/auth-store.ts';
import type { SignedTokens } from '../auth/secrets.ts';
import { SimpleTokens } from '../auth/simple-tokens.ts';
import { Lessor } from '../lease/lessor.ts';
import { Access, GuardedTable, type AccessMember } from './access.ts';
import { POLICIES, policyOf } from './policies.ts';

const noBackend = {
  putEnabled: () => {},
  putRevision: () => {},
  putUser: () => {},
  deleteUser: () => {},
  putRole: () => {},
  deleteRole: () => {},
};

class Member implements AccessMember {
  readonly auth = new AuthStore(noBackend, () => Buffer.alloc(0));
  readonly tokens = new SimpleTokens(300);
  readonly lessor = new Lessor({ put: () => {}, delete: () => {} }, 2);
  index = 10;
  reads = 0;
  caughtUp: () => void = () => {};

  get state(): AccessMember['state'] {
    return { auth: this.auth, tokens: this.tokens, lessor: this.lessor, consistentIndex: this.index };
  }
  linearizable(): Promise<void> {
    this.reads++;
    this.caughtUp();
    return Promise.resolve();
  }
}

function callWith(fields: Readonly<Record<string, string>>, commonName?: string): CallContext {
  return {
    path: '/etcdserverpb.KV/Range',
    peer: 'test',
    metadata: Metadata.of(fields),
    peerCertificate: commonName === undefined ? undefined : { commonName, dnsNames: [], ipAddresses: [] },
    deadlineMs: undefined,
    cancelled: false,
    cancelCode: undefined,
    onCancel: () => {},
    setHeader: () => {},
    setTrailer: () => {},
    attachment: undefined,
  };
}

let member: Member;
const options = { clientCertAuth: false, signed: undefined, monotonicMs: () => 0 };

beforeEach(() => {
  member = new Member();
  const { auth } = member;
  for (const name of ['root', 'anna']) auth.userAdd(new etcdserverpb.AuthUserAddRequest({ name }));
  auth.userGrantRole('root', 'root');
  auth.roleAdd('a');
  const perm = new authpb.Permission({ key: Buffer.from('a') });
  auth.roleGrantPermission('a', perm);
  auth.userGrantRole('anna', 'a');
  auth.enable();
});

describe('who calls', () => {
  test.each<[string, Readonly<Record<string, string>>, string | undefined, string | undefined]>([
    ['nobody', {}, undefined, undefined],
    ['a token', { token: 'word.7' }, undefined, 'anna'],
    ['a token of HTTP', { authorization: 'word.7' }, undefined, 'anna'],
    ['a bearer', { authorization: 'Bearer word.7' }, undefined, 'anna'],
    ['a certificate', {}, 'carl', 'carl'],
    ['a certificate without a name', {}, '', ''],
    ['a token before a certificate', { token: 'word.7' }, 'carl', 'anna'],
    [
      'a certificate through the gateway, which is its own',
      { 'grpcgateway-accept': '*/*' },
      'carl',
      undefined,
    ],
    ['a token through the gateway', { 'grpcgateway-accept': '*/*', authorization: 'word.7' }, 'carl', 'anna'],
  ])('%s', async (_name, fields, commonName, want) => {
    member.tokens.assign('anna', 'word', 7);
    const access = new Access(member, { ...options, clientCertAuth: true });
    const identity = await access.caller(callWith(fields, commonName));
    expect(identity?.username).toBe(want);
    if (identity !== undefined) expect(identity.revision).toBe(member.auth.revision);
  });

  test('a certificate counts only where clients are asked for one', async () => {
    const access = new Access(member, options);
    expect(await access.caller(callWith({}, 'root'))).toBeUndefined();
  });

  test('a wrong token is wrong, whatever certificate comes with it', async () => {
    const access = new Access(member, { ...options, clientCertAuth: true });
    await expect(access.caller(callWith({ token: 'x.1' }, 'root'))).rejects.toMatchObject({
      code: 'INVALID_AUTH_TOKEN',
    });
  });

  test('nobody is asked while auth is off', async () => {
    member.auth.disable();
    const access = new Access(member, options);
    expect(await access.caller(callWith({ token: 'nonsense' }))).toBeUndefined();
    await access.root(callWith({}));
  });

  test('a token of an entry that is not here yet is waited for, once', async () => {
    const access = new Access(member, options);
    member.caughtUp = () => {
      member.tokens.assign('anna', 'late', 12);
      member.index = 12;
    };
    expect(await access.caller(callWith({ token: 'late.12' }))).toMatchObject({ username: 'anna' });
    await access.caller(callWith({ token: 'late.12' }));
    expect(member.reads).toBe(1);
  });
});

describe('signed tokens', () => {
  const signed: SignedTokens = {
    issue: () => Promise.resolve(''),
    identify: (token) => {
      const [username, revision] = token.split('@');
      return revision === undefined ? undefined : { username, revision: Number(revision) };
    },
  };

  test('one from before the user changed is void, for what asks for no revision too', async () => {
    const access = new Access(member, { ...options, signed });
    member.auth.setListener({
      changed: () => {},
      userInvalidated: (name) => access.userInvalidated(name),
      tokensInvalidated: () => {},
    });
    const before = callWith({ token: `root@${member.auth.revision}` });
    await access.root(before);
    member.auth.roleAdd('unrelated');
    await access.root(before);
    member.auth.userChangePassword(new etcdserverpb.AuthUserChangePasswordRequest({ name: 'root' }));
    await expect(access.root(before)).rejects.toMatchObject({ code: 'AUTH_REVISION_OLD' });
    await access.root(callWith({ token: `root@${member.auth.revision}` }));
  });

  test('reads ask for the very revision of this member', async () => {
    const access = new Access(member, { ...options, signed });
    const needs = [{ kind: 'read', key: 'a', end: '' }] as const;
    const read = (revision: number): Promise<string> =>
      access.read(
        callWith({ token: `anna@${revision}` }),
        () => needs,
        () => 'read',
      );
    const { revision } = member.auth;
    expect(await read(revision)).toBe('read');
    await expect(read(revision - 1)).rejects.toMatchObject({ code: 'AUTH_REVISION_OLD' });
    await expect(read(revision + 1)).rejects.toMatchObject({ code: 'AUTH_REVISION_OLD' });
    await expect(access.caller(callWith({ token: 'nonsense' }))).rejects.toMatchObject({
      code: 'INVALID_AUTH_TOKEN',
    });
  });
});

describe('the table', () => {
  test('a method without a policy cannot be registered', () => {
    const table = new GuardedTable(new Access(member, options));
    const nameless = { ...services.KV.methods.range, path: '/etcdserverpb.KV/Frobnicate' };
    expect(() => table.unary(nameless, () => new etcdserverpb.RangeResponse())).toThrow('has no policy');
  });

  test('every path of every service has its row', () => {
    for (const { methods } of Object.values(services))
      for (const { path } of Object.values(methods)) expect(policyOf(path)).toBeDefined();
    expect(policyOf('/etcdserverpb.KV/Frobnicate')).toBeUndefined();
    expect(POLICIES.Maintenance.hashKV).toBe('root');
  });

  test('what nobody decided about is not answered', async () => {
    const table = new GuardedTable(new Access(member, options));
    table.unary(services.KV.methods.range, () => new etcdserverpb.RangeResponse({ count: 1 }));
    const channel = inProcessChannel(table);
    const call = channel.unary(services.KV.methods.range, new etcdserverpb.RangeRequest());
    await expect(call).rejects.toThrow('was answered without a look at its caller');
    member.auth.disable();
    const later = channel.unary(services.KV.methods.range, new etcdserverpb.RangeRequest());
    expect((await later).count).toBe(1);
    channel.close();
  });
});
