/**
 * Every method of every service, by callers without a token, with a bad and an ended one, and with roles of every shape, over
 * ranges of every shape: what happens must be what an evaluator of a few lines says. A method without samples does not
 * compile.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { authpb, backuppb, etcdserverpb as pb, services, v3electionpb, v3lockpb, type AnyMethod } from '@keelson/proto'; // prettier-ignore
import { Metadata, RpcError, type Channel, type MethodDescriptor } from '@keelson/rpc';
import { policyOf } from '../src/rpc/policies.ts';
import { MemberCluster } from './members.ts';

const { READ, WRITE, READWRITE } = authpb.PermissionType;
const OPEN = '\0';

/** One permission each; keys of the test are below "k/". */
const ROLES: Readonly<Record<string, readonly [type: number, key: string, end: string] | undefined>> = {
  norole: undefined,
  readpoint: [READ, 'k/1', ''],
  writepoint: [WRITE, 'k/1', ''],
  readprefix: [READ, 'k/', 'k0'],
  writeprefix: [WRITE, 'k/', 'k0'],
  bothprefix: [READWRITE, 'k/', 'k0'],
  bothopen: [READWRITE, 'k/', OPEN],
  readall: [READ, OPEN, OPEN],
};
const USERS = [...Object.keys(ROLES), 'root'];
const CALLERS = ['nobody', 'bad', 'ended', ...USERS];

type Outcome = 'empty' | 'invalid' | 'denied' | 'passed';
interface Need {
  readonly access: 'read' | 'write';
  readonly key: string;
  readonly end: string;
}
/** What a request takes: ranges, or a standing. */
type Demand = readonly Need[] | 'open' | 'token' | 'user' | 'root' | { readonly own: string };

// The evaluator.

function covers(caller: string, { access, key, end }: Need): boolean {
  const permission = ROLES[caller];
  if (permission === undefined) return false;
  const [type, low, high] = permission;
  if (type !== READWRITE && type !== (access === 'read' ? READ : WRITE)) return false;
  const last = end === '' || (end !== OPEN && end <= key) ? `${key}\0` : end;
  if (key < low) return false;
  if (high === OPEN) return true;
  return last !== OPEN && last <= (high === '' ? `${low}\0` : high);
}

const isNeeds = (demand: Demand): demand is readonly Need[] => Array.isArray(demand);

function evaluate(caller: string, demand: Demand): Outcome {
  if (demand === 'open') return 'passed';
  if (caller === 'bad' || caller === 'ended') return 'invalid';
  if (demand === 'token') return 'passed';
  // Who asks for nothing is not asked for a name.
  if (caller === 'nobody') return isNeeds(demand) && demand.length === 0 ? 'passed' : 'empty';
  if (caller === 'root' || demand === 'user') return 'passed';
  if (demand === 'root') return 'denied';
  if (!isNeeds(demand)) return demand.own === caller ? 'passed' : 'denied';
  return demand.every((need) => covers(caller, need)) ? 'passed' : 'denied';
}

// The samples.

interface Sample {
  readonly name: string;
  readonly request: object;
  readonly demand: Demand;
}

const RANGES: readonly (readonly [name: string, key: string, end: string])[] = [
  ['point inside', 'k/1', ''],
  ['another point', 'k/2', ''],
  ['point outside', 'x', ''],
  ['the prefix', 'k/', 'k0'],
  ['inside', 'k/1', 'k/5'],
  ['one key as a range', 'k/1', 'k/1\0'],
  ['straddling the start', 'j', 'k/5'],
  ['straddling the end', 'k/5', 'l'],
  ['superset', 'a', 'z'],
  ['backwards inside', 'k/5', 'k/2'],
  ['backwards outside', 'z', 'a'],
  ['open', 'k/', OPEN],
  ['open from a point', 'k/1', OPEN],
  ['everything', OPEN, OPEN],
];
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const keys = (key: string, end: string): { key: Buffer; rangeEnd: Buffer } => ({
  key: bytes(key),
  rangeEnd: bytes(end),
});
const read = (key: string, end = ''): Need => ({ access: 'read', key, end });
const write = (key: string, end = ''): Need => ({ access: 'write', key, end });
const overRanges = (make: (key: string, end: string) => Omit<Sample, 'name'>): Sample[] =>
  RANGES.map(([name, key, end]) => ({ name, ...make(key, end) }));
const one = (request: object, demand: Demand, name = ''): Sample[] => [{ name, request, demand }];

/** Deletes nothing that is there. */
const del = (key: string, end: string, prevKv = false): pb.DeleteRangeRequest =>
  new pb.DeleteRangeRequest({ ...keys(key, end), prevKv });
const put = (key: string, fields: Partial<pb.PutRequest> = {}): pb.PutRequest =>
  new pb.PutRequest({ key: bytes(key), ...fields });
const op = (fields: Partial<pb.RequestOp>): pb.RequestOp => new pb.RequestOp(fields);
const txn = (fields: Partial<pb.TxnRequest>): pb.TxnRequest => new pb.TxnRequest(fields);

/** An operation in each place of a transaction, and in one inside it. */
const inTxns = (name: string, operation: pb.RequestOp, demand: readonly Need[]): Sample[] => [
  { name: `then ${name}`, request: txn({ success: [operation] }), demand },
  { name: `else ${name}`, request: txn({ failure: [operation] }), demand },
  {
    name: `nested ${name}`,
    request: txn({ success: [op({ requestTxn: txn({ failure: [operation] }) })] }),
    demand,
  },
  {
    name: `nested twice ${name}`,
    request: txn({
      failure: [op({ requestTxn: txn({ success: [op({ requestTxn: txn({ success: [operation] }) })] }) })],
    }),
    demand,
  },
];

/** A lease that has two keys. Requests of others may take them from it: they are attached anew before each of its samples. */
const LEASE = 4711n;
const LEASE_KEYS = ['k/1', 'x'];
const isAboutLeases = ({ name, request }: Sample): boolean =>
  name.includes('lease') || request.constructor.name.startsWith('Lease');

/** Of a session that is over, so that nobody waits in a queue. */
const NO_LEASE = 99n;
const leaderKey = (name: Buffer, key: string): v3electionpb.LeaderKey =>
  new v3electionpb.LeaderKey({ name, key: bytes(key), rev: 1, lease: NO_LEASE });

/** A recipe under names of which the roles see nothing, a part, all. @param make demand: of a place in the queue */
const underNames = (
  make: (name: Buffer, key: string, demand: readonly Need[]) => Omit<Sample, 'name'>,
): Sample[] =>
  ['k', 'k/1', 'x', ''].map((name) => {
    const key = `${name}/${NO_LEASE.toString(16)}`;
    return { name, ...make(bytes(name), key, [read(key), write(key), read(`${name}/`, `${name}0`)]) };
  });

type Services = typeof services;
type Samples = {
  readonly [S in keyof Services]: { readonly [M in keyof Services[S]['methods']]: readonly Sample[] };
};

const TXN_SAMPLES: readonly Sample[] = [
  ...one(txn({}), [], 'of nothing'),
  ...RANGES.flatMap(([name, key, end]) => [
    ...inTxns(`range ${name}`, op({ requestRange: new pb.RangeRequest(keys(key, end)) }), [read(key, end)]),
    ...inTxns(`delete ${name}`, op({ requestDeleteRange: del(key, end) }), [write(key, end)]),
    ...inTxns(`delete with values ${name}`, op({ requestDeleteRange: del(key, end, true) }), [
      write(key, end),
      read(key, end),
    ]),
    {
      name: `compare ${name}`,
      request: txn({ compare: [new pb.Compare({ ...keys(key, end), version: 0 })] }),
      demand: [read(key, end)],
    },
    {
      name: `nested compare ${name}`,
      request: txn({
        success: [op({ requestTxn: txn({ compare: [new pb.Compare({ ...keys(key, end), version: 0 })] }) })],
      }),
      demand: [read(key, end)],
    },
  ]),
  ...['k/1', 'x'].flatMap((key) => [
    ...inTxns(`put ${key}`, op({ requestPut: put(key) }), [write(key)]),
    ...inTxns(`put ${key} with the value before`, op({ requestPut: put(key, { prevKv: true }) }), [
      write(key),
      read(key),
    ]),
    ...inTxns(`put ${key} with a lease`, op({ requestPut: put(key, { lease: LEASE }) }), [
      write(key),
      ...LEASE_KEYS.map((each) => write(each)),
    ]),
  ]),
];

const SAMPLES: Samples = {
  KV: {
    range: [
      ...overRanges((key, end) => ({
        request: new pb.RangeRequest(keys(key, end)),
        demand: [read(key, end)],
      })),
      ...[{ countOnly: true }, { keysOnly: true }, { serializable: true }, { limit: 1 }].flatMap((fields) =>
        overRanges((key, end) => ({
          request: new pb.RangeRequest({ ...keys(key, end), ...fields }),
          demand: [read(key, end)],
        })),
      ),
    ],
    rangeStream: overRanges((key, end) => ({
      request: new pb.RangeRequest(keys(key, end)),
      demand: [read(key, end)],
    })),
    put: [
      ...one(put('k/1'), [write('k/1')], 'inside'),
      ...one(put('x'), [write('x')], 'outside'),
      ...one(put('k/1', { prevKv: true }), [write('k/1'), read('k/1')], 'with the value before'),
      ...one(put('k/1', { lease: 99n }), [write('k/1')], 'with an unknown lease'),
      ...one(
        put('k/1', { lease: LEASE }),
        LEASE_KEYS.map((key) => write(key)),
        'with a lease of others',
      ),
      ...one(put('k/1', { ignoreValue: true }), [write('k/1')], 'keeping the value'),
      ...one(put('k/1', { ignoreLease: true }), [write('k/1')], 'keeping the lease'),
    ],
    deleteRange: [
      ...overRanges((key, end) => ({ request: del(key, end), demand: [write(key, end)] })),
      ...overRanges((key, end) => ({
        request: del(key, end, true),
        demand: [write(key, end), read(key, end)],
      })),
    ],
    txn: TXN_SAMPLES,
    compact: one(new pb.CompactionRequest({ revision: 1_000_000 }), 'root'),
  },
  Watch: {
    watch: [
      ...overRanges((key, end) => ({
        request: new pb.WatchCreateRequest(keys(key, end)),
        demand: [read(key, end)],
      })),
      // No key stands for the first one.
      ...one(new pb.WatchCreateRequest(keys('', OPEN)), [read(OPEN, OPEN)], 'without a key, open'),
      ...one(new pb.WatchCreateRequest(keys('', '')), [read(OPEN)], 'without a key'),
    ],
  },
  Lease: {
    leaseGrant: one(new pb.LeaseGrantRequest({ TTL: 60 }), 'user'),
    leaseRevoke: [
      ...one(new pb.LeaseRevokeRequest({ ID: 99n }), 'user', 'unknown'),
      ...one(
        new pb.LeaseRevokeRequest({ ID: LEASE }),
        LEASE_KEYS.map((key) => write(key)),
        'of others',
      ),
    ],
    leaseKeepAlive: [
      ...one(new pb.LeaseKeepAliveRequest({ ID: 99n }), 'user', 'unknown'),
      ...one(
        new pb.LeaseKeepAliveRequest({ ID: LEASE }),
        LEASE_KEYS.map((key) => write(key)),
        'of others',
      ),
    ],
    leaseTimeToLive: [
      ...one(new pb.LeaseTimeToLiveRequest({ ID: LEASE }), 'user', 'without keys'),
      ...one(new pb.LeaseTimeToLiveRequest({ ID: 99n, keys: true }), 'user', 'unknown, with keys'),
      ...one(
        new pb.LeaseTimeToLiveRequest({ ID: LEASE, keys: true }),
        LEASE_KEYS.map((key) => read(key)),
        'with keys',
      ),
    ],
    leaseLeases: one(
      new pb.LeaseLeasesRequest(),
      LEASE_KEYS.map((key) => read(key)),
    ),
  },
  Cluster: {
    memberAdd: one(new pb.MemberAddRequest({ peerURLs: ['nonsense'] }), 'root'),
    memberRemove: one(new pb.MemberRemoveRequest({ ID: 99n }), 'root'),
    memberUpdate: one(new pb.MemberUpdateRequest({ ID: 99n }), 'root'),
    memberList: [
      ...one(new pb.MemberListRequest({ linearizable: true }), 'user', 'linearizable'),
      ...one(new pb.MemberListRequest(), 'user', 'local'),
    ],
    memberPromote: one(new pb.MemberPromoteRequest({ ID: 99n }), 'root'),
  },
  Maintenance: {
    alarm: [
      ...one(new pb.AlarmRequest(), 'user', 'get'),
      ...one(new pb.AlarmRequest({ action: pb.AlarmAction.DEACTIVATE, alarm: 1 }), 'root', 'off'),
      ...one(new pb.AlarmRequest({ action: pb.AlarmAction.ACTIVATE }), 'root', 'on'),
      ...one(new pb.AlarmRequest({ action: 7 }), 'root', 'unknown'),
    ],
    status: one(new pb.StatusRequest(), 'user'),
    defragment: one(new pb.DefragmentRequest(), 'root'),
    hash: one(new pb.HashRequest(), 'root'),
    hashKV: one(new pb.HashKVRequest(), 'root'),
    snapshot: one(new pb.SnapshotRequest(), 'root'),
    moveLeader: one(new pb.MoveLeaderRequest({ targetID: 99n }), 'root'),
    downgrade: one(new pb.DowngradeRequest({ version: 'none' }), 'root'),
  },
  Auth: {
    authEnable: one(new pb.AuthEnableRequest(), 'root'),
    // By root it would end the test: what it does is shown elsewhere.
    authDisable: one(new pb.AuthDisableRequest(), 'root'),
    authStatus: one(new pb.AuthStatusRequest(), 'token'),
    authenticate: [
      ...one(new pb.AuthenticateRequest({ name: 'root', password: 'pw' }), 'open', 'good'),
      ...one(new pb.AuthenticateRequest({ name: 'root', password: 'x' }), 'open', 'wrong'),
    ],
    userAdd: one(new pb.AuthUserAddRequest({ name: 'root', password: 'x' }), 'root'),
    userGet: [
      ...one(new pb.AuthUserGetRequest({ name: 'readpoint' }), { own: 'readpoint' }, 'somebody'),
      ...one(new pb.AuthUserGetRequest({ name: 'missing' }), 'root', 'nobody'),
    ],
    userList: one(new pb.AuthUserListRequest(), 'root'),
    userDelete: one(new pb.AuthUserDeleteRequest({ name: 'missing' }), 'root'),
    userChangePassword: one(new pb.AuthUserChangePasswordRequest({ name: 'missing', password: 'x' }), 'root'),
    userGrantRole: one(new pb.AuthUserGrantRoleRequest({ user: 'missing', role: 'root' }), 'root'),
    userRevokeRole: one(new pb.AuthUserRevokeRoleRequest({ name: 'missing', role: 'root' }), 'root'),
    roleAdd: one(new pb.AuthRoleAddRequest({ name: 'readpoint' }), 'root'),
    roleGet: [
      ...one(new pb.AuthRoleGetRequest({ role: 'readpoint' }), { own: 'readpoint' }, 'a role'),
      ...one(new pb.AuthRoleGetRequest({ role: 'missing' }), 'root', 'no role'),
    ],
    roleList: one(new pb.AuthRoleListRequest(), 'root'),
    roleDelete: one(new pb.AuthRoleDeleteRequest({ role: 'missing' }), 'root'),
    roleGrantPermission: one(new pb.AuthRoleGrantPermissionRequest({ name: 'readpoint' }), 'root'),
    roleRevokePermission: one(new pb.AuthRoleRevokePermissionRequest({ role: 'missing' }), 'root'),
  },
  // Made of the methods above, in the caller's name.
  Lock: {
    lock: underNames((name, _key, demand) => ({
      request: new v3lockpb.LockRequest({ name, lease: NO_LEASE }),
      demand,
    })),
    unlock: underNames((_name, key) => ({
      request: new v3lockpb.UnlockRequest({ key: bytes(key) }),
      demand: [write(key)],
    })),
  },
  Election: {
    campaign: underNames((name, key) => ({
      request: new v3electionpb.CampaignRequest({ name, lease: NO_LEASE }),
      demand: [read(key), write(key)],
    })),
    proclaim: underNames((name, key) => ({
      request: new v3electionpb.ProclaimRequest({ leader: leaderKey(name, key) }),
      demand: [read(key), write(key)],
    })),
    leader: underNames((name) => ({
      request: new v3electionpb.LeaderRequest({ name }),
      demand: [read(`${name.toString()}/`, `${name.toString()}0`)],
    })),
    observe: one(
      new v3electionpb.LeaderRequest({ name: bytes('k') }),
      [read('k/', 'k0')],
      'with the keys of a lease',
    ),
    resign: underNames((name, key) => ({
      request: new v3electionpb.ResignRequest({ leader: leaderKey(name, key) }),
      demand: [read(key), write(key)],
    })),
  },
  Health: { check: one({ service: '' }, 'open'), watch: one({ service: '' }, 'open') },
  Backup: { shipLog: one(new backuppb.ShipLogRequest({ term: 1, index: 1 }), 'root') },
};

// The calls.

let cluster: MemberCluster;
let channel: Channel;
const tokens = new Map<string, Metadata>();

beforeAll(async () => {
  cluster = await MemberCluster.start({ members: 1, config: { bcryptCost: 4 } });
  await cluster.leader();
  channel = cluster.channel(0);
  const { auth } = cluster.client();
  await auth.userAdd('root', 'pw');
  await auth.userGrantRole('root', 'root');
  for (const [name, permission] of Object.entries(ROLES)) {
    await auth.userAdd(name, 'pw');
    if (permission === undefined) continue;
    const [type, key, end] = permission;
    await auth.roleAdd(name);
    const kind = type === READ ? 'read' : type === WRITE ? 'write' : 'readwrite';
    await auth.roleGrantPermission(name, kind, key, end === '' ? {} : { end });
    await auth.userGrantRole(name, name);
  }
  await auth.enable();
  tokens.set('nobody', new Metadata());
  tokens.set('bad', Metadata.of({ token: 'abcdefghijklmnop.1' }));
  const { tokens: known } = cluster.server(0).replica.state;
  const ended = known.assign('root', 'ended', 1);
  known.arm(-1e9);
  tokens.set('ended', Metadata.of({ token: ended }));
  for (const user of USERS)
    tokens.set(user, Metadata.of({ token: (await auth.authenticate({ user, password: 'pw' })).token }));
});

afterAll(async () => {
  await cluster.stop();
});

async function attachKeys(): Promise<void> {
  const metadata = tokens.get('root')!;
  const { lessor } = cluster.server(0).replica.state;
  const { Lease, KV } = services;
  if (lessor.lookup(LEASE) === undefined)
    await channel.unary(Lease.methods.leaseGrant, new pb.LeaseGrantRequest({ ID: LEASE, TTL: 600 }), {
      metadata,
    });
  for (const key of LEASE_KEYS)
    if (lessor.leaseOf(key) !== LEASE)
      await channel.unary(KV.methods.put, put(key, { lease: LEASE }), { metadata });
}

const TEXTS: Readonly<Record<string, Outcome>> = {
  'etcdserver: user name is empty': 'empty',
  'etcdserver: invalid auth token': 'invalid',
  'etcdserver: permission denied': 'denied',
};
const outcomeOf = (text: string): Outcome => TEXTS[text] ?? 'passed';

async function outcome(method: AnyMethod, caller: string, request: object): Promise<Outcome> {
  const metadata = tokens.get(caller)!;
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the samples' types say which request is whose
    const descriptor = method as unknown as MethodDescriptor<unknown, unknown>;
    if (request instanceof pb.WatchCreateRequest) return await watchOutcome(metadata, request);
    if (request instanceof pb.LeaseKeepAliveRequest) {
      const stream = channel.bidi(services.Lease.methods.leaseKeepAlive, { metadata });
      stream.write(request);
      for await (const _answer of stream) break;
    } else if (descriptor.kind === 'server-stream') {
      for await (const _answer of channel.serverStream(descriptor, request, { metadata })) break;
    } else await channel.unary(descriptor, request, { metadata, timeoutMs: 5_000 });
    return 'passed';
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return outcomeOf(error.message);
  }
}

async function watchOutcome(metadata: Metadata, createRequest: pb.WatchCreateRequest): Promise<Outcome> {
  const stream = channel.bidi(services.Watch.methods.watch, { metadata });
  stream.write(new pb.WatchRequest({ createRequest }));
  for await (const { cancelReason } of stream)
    return outcomeOf(/^rpc error: code = \w+ desc = (.*)$/.exec(cancelReason)?.[1] ?? '');
  throw new Error('the stream ended without a word');
}

const METHODS = Object.entries(services).flatMap(([service, { methods }]) =>
  Object.entries<AnyMethod>(methods).map(([name, method]) => {
    const rows = Object.entries(SAMPLES).find(([each]) => each === service)![1];
    const samples: Readonly<Record<string, readonly Sample[]>> = rows;
    return [`${service}.${name}`, method, samples[name]] as const;
  }),
);

test('the matrix is a large one, and every method has a policy and samples', () => {
  expect(METHODS.length).toBeGreaterThanOrEqual(51);
  for (const [name, method, samples] of METHODS) {
    const policy = policyOf(method.path);
    expect([name, policy]).not.toContain(undefined);
    expect([name, samples.length]).not.toContain(0);
  }
  const cells = METHODS.reduce((sum, [, , samples]) => sum + samples.length * CALLERS.length, 0);
  expect(cells).toBeGreaterThan(5_000);
});

describe('every method by every caller', () => {
  test.each(METHODS)('%s', async (_name, method, samples) => {
    // A method of a later day is refused by the table all the same.
    if (cluster.server(0).table.find(method.path) === undefined) return;
    const wrong: string[] = [];
    for (const sample of samples) {
      const { name, request, demand } = sample;
      for (const caller of CALLERS) {
        if (request instanceof pb.AuthDisableRequest && caller === 'root') continue;
        if (isAboutLeases(sample)) await attachKeys();
        const want = evaluate(caller, demand);
        const got = await outcome(method, caller, request);
        if (got !== want) wrong.push(`${name} by ${caller}: ${got}, not ${want}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('nothing of what was refused happened', async () => {
    expect(await cluster.client().auth.status()).toMatchObject({ enabled: true });
    expect(cluster.server(0).replica.state.auth.userNames()).toEqual([...USERS].sort());
  });
});
