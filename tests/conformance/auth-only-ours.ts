/**
 * What etcd 3.4.23 lets anyone do while auth is on, or falls over, and 3.7 refuses: the advisories of 2023 and 2026 among
 * them. Asked of ours alone, with the answer that 3.7 gives.
 */
import { authpb, etcdserverpb as pb, services } from '@keelson/proto';
import {
  by,
  CALLERS,
  clusterReads,
  leaseOf,
  leaseReads,
  nameOf,
  txnWithPrevious,
  type CallerName,
} from './api-auth-script.ts';
import { bytes, CLUSTER, KV, LEASE, MAINTENANCE, put, range, txn, type ApiStep } from './api-call.ts';
import type { OwnStep } from './only-ours.ts';

const AUTH = services.Auth.methods;
const EMPTY = 'error InvalidArgument: etcdserver: user name is empty';
const INVALID = 'error Unauthenticated: etcdserver: invalid auth token';
const DENIED = 'error PermissionDenied: etcdserver: permission denied';
const MANAGEMENT = 'error InvalidArgument: etcdserver: invalid auth management';

/** What a caller is told who lacks a right, and what a caller who has it. */
function answer(caller: CallerName, allowed: boolean, good: string | RegExp): string | RegExp {
  if (caller === 'nobody') return EMPTY;
  if (caller === 'wrong') return INVALID;
  return allowed ? good : DENIED;
}

const own = (step: ApiStep, because: string, ...expect: (string | RegExp)[]): OwnStep => ({
  step,
  because,
  expect,
});

const GHSA_Q8M4 = 'unguarded in 3.4: CVE-2026-33413';
const GHSA_RFX7 = 'nested transactions are not looked into by 3.4: CVE-2026-33343';

const grants: OwnStep[] = (
  [
    ['without a key', '', ''],
    ['of an open range without a key', '', '\0'],
    ['of an empty range', 'b', 'b'],
    ['of a range backwards', 'b', 'a'],
  ] as const
).map(([name, key, end]) =>
  own(
    by('root', `grant ${name}`, AUTH.roleGrantPermission, (s) => {
      const perm = new authpb.Permission({ key: bytes(key), rangeEnd: bytes(end) });
      return new pb.AuthRoleGrantPermissionRequest({ name: nameOf(s, 'reader'), perm });
    }),
    '3.4 grants any range',
    MANAGEMENT,
  ),
);

function ofCaller(c: CallerName): OwnStep[] {
  const isRoot = c === 'root';
  const everywhere = isRoot || c === 'open';
  const reads = leaseReads(c);
  const cluster = clusterReads(c);
  const named = (steps: readonly ApiStep[], start: string): ApiStep => {
    const found = steps.find(({ name }) => name.startsWith(`auth: ${start}`));
    if (found === undefined) throw new Error(`no step begins with ${start}`);
    return found;
  };
  return [
    own(
      by(
        'root',
        `lease grant for ${c}`,
        LEASE.leaseGrant,
        (s) => new pb.LeaseGrantRequest({ ID: leaseOf(s, c), TTL: 600 }),
      ),
      'for the next ones',
      'TTL 600',
    ),
    own(
      by('root', `attach a key to the lease of ${c}`, KV.put, (s) =>
        put({ key: `${s.p}b/l`, value: 'l', lease: leaseOf(s, c) }),
      ),
      'for the next ones',
      /^header.revision \d+$/,
    ),
    own(named(reads, 'time to live by'), GHSA_Q8M4, answer(c, true, 'known true')),
    own(
      named(reads, 'time to live with keys'),
      'keys of others are told by 3.4: #15814',
      answer(c, everywhere, 'keys 1 items'),
    ),
    own(named(reads, 'leases by'), GHSA_Q8M4, answer(c, everywhere, 'own true')),
    own(named(reads, 'keep alive'), GHSA_Q8M4, answer(c, everywhere, 'TTL 600')),
    own(
      by(c, 'lease revoke', LEASE.leaseRevoke, (s) => new pb.LeaseRevokeRequest({ ID: leaseOf(s, c) })),
      'the same in both',
      answer(c, everywhere, /^header.revision \d+$/),
    ),
    own(
      by(
        c,
        'lease grant',
        LEASE.leaseGrant,
        (s) => new pb.LeaseGrantRequest({ ID: 900n + leaseOf(s, c), TTL: 1 }),
      ),
      GHSA_Q8M4,
      answer(c, true, 'TTL 2'),
    ),
    own(named(cluster, 'members'), GHSA_Q8M4, answer(c, true, 'count 3')),
    own(named(cluster, 'status'), GHSA_Q8M4, answer(c, true, /^leader </)),
    own(named(cluster, 'alarms'), GHSA_Q8M4, answer(c, true, 'alarms 0 items')),
    own(named(cluster, 'alarm off'), GHSA_Q8M4, answer(c, isRoot, 'alarms 0 items')),
    own(
      named(cluster, 'hash of a future revision'),
      '3.4 refuses with a raw text',
      answer(c, isRoot, 'error OutOfRange: etcdserver: mvcc: required revision is a future revision'),
    ),
    own(
      named(cluster, 'move the leader'),
      GHSA_Q8M4,
      answer(c, isRoot, /^error FailedPrecondition: etcdserver: (bad leader transferee|not leader)$/),
    ),
    own(
      by(c, 'defragment', MAINTENANCE.defragment, () => new pb.DefragmentRequest()),
      '3.4 refuses with a raw text',
      answer(c, isRoot, 'header absent'),
    ),
    own(
      by(c, 'hash', MAINTENANCE.hash, () => new pb.HashRequest()),
      '3.4 refuses with a raw text',
      answer(c, isRoot, /^hash \d+$/),
    ),
    own(
      by(c, 'member promote', CLUSTER.memberPromote, () => new pb.MemberPromoteRequest({ ID: 99n })),
      '3.4 forwards it in nobody’s name, over and over',
      answer(c, isRoot, 'error NotFound: etcdserver: member not found'),
    ),
    own(
      by(c, 'compact', KV.compact, () => new pb.CompactionRequest({ revision: 1_000_000 })),
      GHSA_Q8M4,
      answer(c, isRoot, 'error OutOfRange: etcdserver: mvcc: required revision is a future revision'),
    ),
    own(
      txnWithPrevious(c),
      'the value before is told by 3.4 to who may only write: CVE-2026-44283',
      answer(c, !['reader', 'writer', 'nothing'].includes(c), 'responses 1 items'),
    ),
    own(
      by(c, 'nested txn that reads', KV.txn, (s) => txn([], [txn([], [range({ key: `${s.p}b/1` })])])),
      GHSA_RFX7,
      answer(c, everywhere, 'responses 1 items'),
    ),
    own(
      by(c, 'nested txn that puts', KV.txn, (s) =>
        txn([], [txn([], [txn([], [put({ key: `${s.p}b/1`, value: 'n' })])])]),
      ),
      GHSA_RFX7,
      answer(c, everywhere, 'responses 1 items'),
    ),
    own(
      by(c, 'auth status', AUTH.authStatus, () => new pb.AuthStatusRequest()),
      'a method of 3.5',
      c === 'wrong' ? INVALID : 'enabled true',
    ),
    own(
      by(c, 'get the role root', AUTH.roleGet, () => new pb.AuthRoleGetRequest({ role: 'root' })),
      'the same in both: nobody made it',
      answer(c, isRoot, 'error FailedPrecondition: etcdserver: role name not found'),
    ),
  ];
}

/** While auth is on, with the users and roles of AUTH_SETUP. */
export const AUTH_OWN_STEPS: readonly OwnStep[] = [
  own(
    by(
      'root',
      'grant nothing',
      AUTH.roleGrantPermission,
      (s) => new pb.AuthRoleGrantPermissionRequest({ name: nameOf(s, 'reader') }),
    ),
    'etcd 3.4 panics: the member goes down',
    'error InvalidArgument: etcdserver: permission not given',
  ),
  ...grants,
  ...CALLERS.flatMap(ofCaller),
];

/** Once it is off again. */
export const AUTH_OFF_STEPS: readonly OwnStep[] = [
  own(
    by('wrong', 'put while auth is off', KV.put, (s) => put({ key: `${s.p}off`, value: 'x' })),
    '3.4 looks at tokens even then',
    /^header.revision \d+$/,
  ),
];
