/**
 * What a store holds, as its API shows it, for comparing two of them: keys with their revisions, leases,
 * members, users and roles where they can be asked for, and HashKV. And a fixed script that makes some of
 * everything.
 */
import { etcdserverpb, services } from '@keelson/proto';
import type { MemberApi } from '../harness/member-api.ts';

export interface Content {
  readonly revision: number;
  /** "key=value created.modified.version lease" */
  readonly keys: readonly string[];
  /** Lease id to granted TTL and keys. */
  readonly leases: ReadonlyMap<bigint, string>;
  /** Of the current revision. */
  readonly hash: number;
}

export async function contentOf(api: MemberApi): Promise<Content> {
  const all = await api.range({ key: Buffer.from('\0'), rangeEnd: Buffer.from('\0') }, 20_000);
  const revision = all.header?.revision ?? 0;
  const { leases } = await api.call(
    services.Lease.methods.leaseLeases,
    new etcdserverpb.LeaseLeasesRequest(),
    { timeoutMs: 5000 },
  );
  const found = new Map<bigint, string>();
  for (const { ID } of leases) {
    const request = new etcdserverpb.LeaseTimeToLiveRequest({ ID, keys: true });
    const answer = await api.call(services.Lease.methods.leaseTimeToLive, request, { timeoutMs: 5000 });
    const keys = answer.keys.map((key) => key.toString('latin1')).sort((a, b) => (a < b ? -1 : 1));
    found.set(ID, `${answer.grantedTTL} ${keys.join()}`);
  }
  return {
    revision,
    keys: all.kvs.map(
      (kv) =>
        `${kv.key.toString('latin1')}=${kv.value.toString('latin1')} ` +
        `${kv.createRevision}.${kv.modRevision}.${kv.version} ${kv.lease}`,
    ),
    leases: new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1))),
    hash: (await api.hashKV(revision)).hash,
  };
}

export interface MakeOptions {
  /** Puts before and after the compaction. */
  readonly keys: number;
  readonly compact: boolean;
}

/** Puts, overwrites, deletes, transactions, leases and perhaps a compaction; the newest revision is a put. */
export async function makeContent(api: MemberApi, { keys, compact }: MakeOptions): Promise<void> {
  const put = (key: string, value: string, lease = 0n): Promise<unknown> =>
    api.call(
      services.KV.methods.put,
      new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from(value), lease }),
      { timeoutMs: 5000 },
    );
  const remove = (key: string, rangeEnd = ''): Promise<unknown> =>
    api.call(
      services.KV.methods.deleteRange,
      new etcdserverpb.DeleteRangeRequest({ key: Buffer.from(key), rangeEnd: Buffer.from(rangeEnd) }),
      { timeoutMs: 5000 },
    );
  for (const [ID, TTL] of [
    [77n, 4000],
    [2n ** 62n, 5000],
    [78n, 6000],
  ] as const)
    await api.call(services.Lease.methods.leaseGrant, new etcdserverpb.LeaseGrantRequest({ ID, TTL }), {
      timeoutMs: 5000,
    });
  for (let i = 0; i < keys; i += 20)
    await Promise.all(
      Array.from({ length: Math.min(20, keys - i) }, (_, j) => put(`key/${i + j}`, `value ${i + j} `.repeat((i + j) % 30))),
    ); // prettier-ignore
  await put('large', 'L'.repeat(700_000));
  await put('leased/a', '1', 77n);
  await put('leased/b', '2', 2n ** 62n);
  await put('leased/a', '3', 77n);
  await put('revoked/a', '1', 78n);
  await api.call(services.Lease.methods.leaseRevoke, new etcdserverpb.LeaseRevokeRequest({ ID: 78n }), {
    timeoutMs: 5000,
  });
  await remove('key/1', 'key/2');
  await put('key/10', 'again');
  const requestPut = (key: string): etcdserverpb.RequestOp =>
    new etcdserverpb.RequestOp({
      requestPut: new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from('t') }),
    });
  await api.call(
    services.KV.methods.txn,
    new etcdserverpb.TxnRequest({ success: [requestPut('txn/1'), requestPut('txn/2'), requestPut('txn/3')] }),
    { timeoutMs: 5000 },
  );
  if (!compact) return;
  const revision = await api.revision();
  await put('between', 'x');
  await api.call(
    services.KV.methods.compact,
    new etcdserverpb.CompactionRequest({ revision: revision - 3, physical: true }),
    { timeoutMs: 5000 },
  );
  for (let i = 0; i < keys / 2; i++) await put(`later/${i}`, 'later');
}
