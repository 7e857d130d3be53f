/**
 * The Election service: candidates queue as keys below a name, the oldest leads, and its value is what the leader has
 * to say. (etcd: api/v3election over clientv3/concurrency.)
 */
import { etcdserverpb, mvccpb, services, v3electionpb } from '@keelson/proto';
import {
  RpcError,
  StatusCode,
  type InProcessChannel,
  type MethodTable,
  type ServerStream,
} from '@keelson/rpc';
import { below, createdAt, InnerClient, oldestBelow, sessionKey, waitForDeletes } from './inner-client.ts';

const { PutRequest, RangeRequest, RequestOp, ResponseHeader, TxnRequest } = etcdserverpb;
const { LeaderKey, LeaderResponse } = v3electionpb;

const NO_LEADER = 'election: no leader';
const NOT_LEADER = 'election: not leader';
const NO_LEADER_FIELD = '"leader" field must be provided';

type Leadership = Pick<v3electionpb.LeaderKey, 'key' | 'rev' | 'lease'>;

/** @param channel to this member's own services */
export function registerElection(table: MethodTable, channel: InProcessChannel): void {
  const { Election } = services;

  table.unary(Election.methods.campaign, async ({ name, lease, value }, call) => {
    const client = new InnerClient(channel, call);
    const session = await client.session(lease);
    const key = sessionKey(name, session);
    const response = await client.txn(
      new TxnRequest({
        compare: [createdAt(key, 0)],
        success: [new RequestOp({ requestPut: new PutRequest({ key, value, lease: session }) })],
        failure: [new RequestOp({ requestRange: new RangeRequest({ key }) })],
      }),
    );
    const present = response.succeeded ? undefined : response.responses[0].responseRange!.kvs[0];
    const rev = present?.createRevision ?? response.header?.revision ?? 0;
    const leadership = { key, rev, lease: session };
    if (present !== undefined && !present.value.equals(value)) {
      try {
        await proclaim(client, leadership, value);
      } catch (error) {
        await resign(client, leadership, true).catch(() => {});
        throw error;
      }
    }
    try {
      await waitForDeletes(client, name, rev - 1);
    } catch (error) {
      // A candidate that is gone leaves the queue; one whose wait failed may come again with its lease.
      if (client.cancelled) await resign(client, leadership, true).catch(() => {});
      throw error;
    }
    return new v3electionpb.CampaignResponse({
      header: response.header,
      leader: new LeaderKey({ name, ...leadership }),
    });
  });

  table.unary(Election.methods.proclaim, async ({ leader, value }, call) => {
    if (leader === undefined) throw unknown(NO_LEADER_FIELD);
    const client = new InnerClient(channel, call);
    const lease = await client.session(leader.lease);
    const { key, rev } = leader;
    return new v3electionpb.ProclaimResponse({ header: await proclaim(client, { key, rev, lease }, value) });
  });

  table.unary(Election.methods.leader, async ({ name }, call) => {
    const { header, kvs } = await new InnerClient(channel, call).range(oldestBelow(name));
    if (kvs.length === 0) throw unknown(NO_LEADER);
    return new LeaderResponse({ header, kv: kvs[0] });
  });

  table.serverStream(Election.methods.observe, ({ name }, stream) =>
    observe(new InnerClient(channel, stream.call), name, stream),
  );

  table.unary(Election.methods.resign, async ({ leader }, call) => {
    if (leader === undefined) throw unknown(NO_LEADER_FIELD);
    const client = new InnerClient(channel, call);
    const lease = await client.session(leader.lease);
    const { key, rev } = leader;
    return new v3electionpb.ResignResponse({ header: await resign(client, { key, rev, lease }) });
  });
}

/** A new value, as long as the key is the one that was campaigned with. */
async function proclaim(
  client: InnerClient,
  { key, rev, lease }: Leadership,
  value: Buffer,
): Promise<etcdserverpb.ResponseHeader | undefined> {
  const response = await client.txn(
    new TxnRequest({
      compare: [createdAt(key, rev)],
      success: [new RequestOp({ requestPut: new PutRequest({ key, value, lease }) })],
    }),
  );
  if (!response.succeeded) throw unknown(NOT_LEADER);
  return response.header;
}

/** Resigning what one does not lead is no error. */
async function resign(
  client: InnerClient,
  { key, rev }: Leadership,
  cleansUp = false,
): Promise<etcdserverpb.ResponseHeader | undefined> {
  const response = await client.txn(
    new TxnRequest({
      compare: [createdAt(key, rev)],
      success: [new RequestOp({ requestDeleteRange: new etcdserverpb.DeleteRangeRequest({ key }) })],
    }),
    cleansUp,
  );
  return response.header;
}

/** The leader and its values as they change; not every one of the past, but always the newest. */
async function observe(
  client: InnerClient,
  name: Buffer,
  stream: ServerStream<v3electionpb.LeaderResponse>,
): Promise<void> {
  while (!stream.closed) {
    const { header, kvs } = await client.range(oldestBelow(name));
    let leader = kvs[0];
    let told = header;
    if (leader === undefined) {
      const first = await firstPut(client, name, header?.revision ?? 0);
      leader = first.kv;
      told = first.header;
    }
    let room = stream.write(new LeaderResponse({ header: told, kv: leader }));
    if (!room) await stream.ready();
    await client.watch({ key: leader.key, startRevision: (told?.revision ?? 0) + 1 }, (response) => {
      for (const { type, kv } of response.events) {
        if (type === mvccpb.EventType.DELETE) return 'enough';
        if (kv !== undefined) room = stream.write(new LeaderResponse({ header: response.header, kv }));
      }
      return room ? 'more' : stream.ready().then(() => 'more');
    });
  }
}

/** The first key that is put below a name; the header says the revision of it. */
async function firstPut(
  client: InnerClient,
  name: Buffer,
  startRevision: number,
): Promise<{ readonly header: etcdserverpb.ResponseHeader; readonly kv: mvccpb.KeyValue }> {
  let found: { header: etcdserverpb.ResponseHeader; kv: mvccpb.KeyValue } | undefined;
  await client.watch({ ...below(name), startRevision }, ({ header, events }) => {
    const put = events.find(({ type }) => type === mvccpb.EventType.PUT)?.kv;
    if (put === undefined) return 'more';
    const { clusterId, memberId, raftTerm } = header ?? new ResponseHeader();
    found = {
      header: new ResponseHeader({ clusterId, memberId, raftTerm, revision: put.modRevision }),
      kv: put,
    };
    return 'enough';
  });
  return found!;
}

function unknown(text: string): RpcError {
  return new RpcError(StatusCode.Unknown, text);
}
